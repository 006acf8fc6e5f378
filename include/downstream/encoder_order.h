/*
 * encoder_order: which batch is made next.
 *
 * Pure decisions. Near the tip comes first, the newest first of all; then what was begun, what
 * somebody waits for, and what is made ahead of its reader, each in the order of asking, so that
 * none of many who are far behind starves.
 */
#ifndef DOWNSTREAM_ENCODER_ORDER_H
#define DOWNSTREAM_ENCODER_ORDER_H

#include "protocol/lsn.h"

#include <stdbool.h>

/* Nearer to the end of what is there than this is at the tip. */
#define ENCODER_TIP_BYTES ((lsn_t)16 << 20)
/* What is no more than this, a few commits, costs less to encode than to hand to another thread and
 * back. */
#define ENCODER_SMALL_BYTES ((lsn_t)2048)

struct encoder_task {
	lsn_t position; /* where the batch begins */
	lsn_t end;      /* of the WAL that is there */
	bool is_awaited;
	bool has_begun; /* its frame holds an engine */
};

bool encoder_task_is_near(const struct encoder_task *task);
/* All that is there from its position on is little: whoever wants it may encode it himself. */
bool encoder_task_is_small(const struct encoder_task *task);
/* first was asked for before second: whether second is to be done all the same. */
bool encoder_task_overtakes(const struct encoder_task *second, const struct encoder_task *first);

#endif
