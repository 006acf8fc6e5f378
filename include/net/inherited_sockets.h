/*
 * inherited_sockets: listening sockets that a process was started with, and how to start one so.
 *
 * The convention is systemd's (sd_listen_fds(3)): descriptors from 3 on, LISTEN_FDS says how many,
 * LISTEN_PID for whom. A relay that replaces itself uses the same, so one way in serves both.
 */
#ifndef NET_INHERITED_SOCKETS_H
#define NET_INHERITED_SOCKETS_H

#include "base/error.h"

#include <stddef.h>

/* Takes what this process was given: malloc'ed, NULL and 0 when nothing. The environment is
 * cleared, so that no child takes them again; the descriptors become close-on-exec and
 * non-blocking. */
void inherited_sockets_take(int **fds_out, size_t *count_out);
/* To be called right before exec: moves fds to 3 and up (over whatever is there) and sets the
 * environment for this very process. */
bool inherited_sockets_pass(const int *fds, size_t count, struct error *err) MUST_CHECK;
/* Closes those that nobody used (not -1). */
void inherited_sockets_close(int *fds, size_t count);

#endif
