/*
 * relay: the whole program wired together: who knows whom, what starts and stops in which order.
 *
 * It owns every module and does nothing else. Threads: the main loop (signals, listening, HTTP),
 * the upstream's loop, the sender loops, the spool's flusher and keeper, the database's thread.
 */
#ifndef APP_RELAY_H
#define APP_RELAY_H

#include "app/config.h"
#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>

struct relay;

enum relay_outcome {
	RELAY_STOPPED, /* SIGTERM or SIGINT: everything was flushed and told */
	RELAY_REPLACE, /* SIGUSR2: stopped as above; the binary is to be started anew */
	RELAY_FAILED,  /* it could not start; the log says why */
};

/* Takes config over, also on failure; config_path is read again on SIGHUP. Recovers the spool: may
 * take as long as reading what was received since its last checkpoint. */
struct relay *relay_new(
	const char *config_path, struct config *config, struct error *err) MUST_CHECK;
/* Until a signal ends it. To be called once, on the main thread. */
enum relay_outcome relay_run(struct relay *relay);
/* Releases everything; listening sockets stay open when the outcome was RELAY_REPLACE: their
 * descriptors, malloc'ed, for net/inherited_sockets.h. The outputs may be NULL. */
void relay_free(struct relay **relay, int **kept_fds_out, size_t *kept_count_out);

#endif
