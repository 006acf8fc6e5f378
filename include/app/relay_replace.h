/*
 * relay_replace: starting the binary anew in place of this process: an upgrade without a refused
 * connection, since the listening sockets pass on and clients wait in their queues.
 *
 * The process stays the same one for systemd and for the pid file; only its program is new.
 */
#ifndef APP_RELAY_REPLACE_H
#define APP_RELAY_REPLACE_H

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>

/* At start, once: which binary this is and what followed `serve` on its command line. */
bool relay_replace_remember(int argc, char **argv, struct error *err) MUST_CHECK;
/* Has the new binary read the configuration: a broken one must not cost the running relay. Blocks
 * for the fraction of a second that takes. */
bool relay_replace_is_possible(const char *config_path, struct error *err) MUST_CHECK;
/* Does not return when it works. */
bool relay_replace_now(const int *listening_fds, size_t count, struct error *err) MUST_CHECK;

#endif
