/*
 * acknowledge: how much may be acknowledged when standbys have to hold it too (acknowledge =
 * standbys N).
 *
 * What our own disk holds is acknowledged once N standbys have flushed it, or after the timeout. No
 * byte waits longer than the timeout after it was flushed here. When one did, our own disk counts
 * alone until N standbys hold all that was held here at some moment after that. What was
 * acknowledged of a timeline is never taken back. Pure, but for the log: time is an argument.
 */
#ifndef UPSTREAM_ACKNOWLEDGE_H
#define UPSTREAM_ACKNOWLEDGE_H

#include "protocol/lsn.h"

#include <stdbool.h>
#include <stdint.h>

struct acknowledge_limits {
	unsigned standbys; /* 0: our own disk is enough */
	int64_t timeout_us;
};

/* Zeroed to begin with. */
struct acknowledge {
	tli_t tli;
	lsn_t told_lsn;    /* highest acknowledged of tli */
	lsn_t target_lsn;  /* what the standbys are waited for to hold; LSN_INVALID: nothing */
	int64_t target_us; /* nothing of it was flushed here before that */
	int64_t beyond_us; /* nor what lies past it before that; 0: there was nothing yet */
	bool is_alone;     /* the timeout has passed */
};

enum acknowledge_news { ACKNOWLEDGE_NO_NEWS, ACKNOWLEDGE_ALONE, ACKNOWLEDGE_TOGETHER };

struct acknowledge_decision {
	lsn_t flush_lsn; /* to be told; LSN_INVALID: nothing may be claimed yet */
	int64_t next_us; /* decide again then, if nothing happens before; 0: only when it does */
	enum acknowledge_news news;
};

/* own_lsn: flushed here on tli; standbys_lsn: what N standbys have flushed; LSN_INVALID: nothing.
 */
struct acknowledge_decision acknowledge_decide(struct acknowledge *state,
	const struct acknowledge_limits *limits, tli_t tli, lsn_t own_lsn, lsn_t standbys_lsn,
	int64_t now_us);

/* Its news, if any. */
void acknowledge_log(
	const struct acknowledge_decision *decision, const struct acknowledge_limits *limits);

#endif
