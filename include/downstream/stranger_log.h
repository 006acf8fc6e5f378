/*
 * stranger_log: lines about clients that have not proved who they are, so that none of them can
 * fill the log or hide another in it.
 *
 * Of each address (of IPv6: its /64) and interval so many lines are written, of all together so
 * many; how many were left out, and whose, is said when the interval is over. One per loop, on it.
 */
#ifndef DOWNSTREAM_STRANGER_LOG_H
#define DOWNSTREAM_STRANGER_LOG_H

#include "base/error.h"
#include "base/log.h"
#include "net/loop.h"

#include <sys/socket.h>

#define STRANGER_LOG_INTERVAL_US INT64_C(10000000)
#define STRANGER_LOG_LINES_EACH  10u
#define STRANGER_LOG_LINES_ALL   100u

struct stranger_log;

struct stranger_log *stranger_log_new(struct loop *loop, struct error *err) MUST_CHECK;
/* Says what was left out. Accepts NULL, sets NULL. */
void stranger_log_free(struct stranger_log **log);

/* scope, format: as log_write(). */
void stranger_log_write(struct stranger_log *log, enum log_level level,
	const struct sockaddr_storage *peer, const char *scope, const char *format, ...)
	PRINTF_LIKE(5, 6);

#endif
