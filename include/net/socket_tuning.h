/*
 * socket_tuning: what a connection asks of the kernel.
 *
 * Sizes of buffers are left to the kernel, which finds them from the path's delay and bandwidth. On
 * a socket that is not TCP's nothing is done.
 */
#ifndef NET_SOCKET_TUNING_H
#define NET_SOCKET_TUNING_H

#include "base/error.h"

#include <stdbool.h>

/* What every connection wants: nothing waits to be sent together with more, and a peer that is gone
 * is noticed some day. */
void socket_set_common(int fd);
/* name: as the kernel knows it, "bbr"; "": as it is. */
bool socket_set_congestion(int fd, const char *name, struct error *err) MUST_CHECK;
/* The kernel takes no more than about this beyond what is in flight, so that what is written last
 * does not wait behind a heap; 0: as much as it likes. */
void socket_set_unsent_max(int fd, int bytes);

#endif
