/*
 * retention: every rule of the header gives one LSN, clamped and rounded to a segment; the lowest
 * is the wanted horizon, and the ceiling then takes what does not fit.
 */
#include "spool/retention.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#define TAIL_SEGMENTS 2u /* the segment being written and the one before it */

static lsn_t lsn_minus(lsn_t lsn, uint64_t bytes)
{
	return lsn > bytes ? lsn - bytes : 0;
}

static lsn_t tail_lsn(const struct retention_input *input)
{
	lsn_t segment = lsn_segment_start(input->received_lsn, input->segment_bytes);
	return lsn_max(lsn_minus(segment, (TAIL_SEGMENTS - 1) * (uint64_t)input->segment_bytes),
		input->oldest_lsn);
}

/* The segment in which a rule begins to keep, within what is held and what always stays. */
static lsn_t keep_from(const struct retention_input *input, lsn_t lsn)
{
	lsn_t segment = lsn_segment_start(lsn, input->segment_bytes);
	return lsn_min(lsn_max(segment, input->oldest_lsn), tail_lsn(input));
}

struct wish {
	lsn_t lsn;
	enum retention_reason reason;
	size_t holder;
};

/* Ties stay with the earlier wish. */
static void wish_for(const struct retention_input *input, struct wish *oldest, lsn_t lsn,
	enum retention_reason reason, size_t holder)
{
	lsn_t from = keep_from(input, lsn);
	if (from < oldest->lsn) {
		*oldest = (struct wish){from, reason, holder};
	}
}

static struct wish oldest_wish(const struct retention_input *input)
{
	struct wish oldest = {tail_lsn(input), RETENTION_BY_TAIL, 0};
	wish_for(input, &oldest, lsn_minus(input->received_lsn, input->retain_bytes),
		RETENTION_BY_SIZE, 0);
	if (input->retain_time_lsn != LSN_INVALID) {
		wish_for(input, &oldest, input->retain_time_lsn, RETENTION_BY_TIME, 0);
	}
	if (input->has_archive) {
		wish_for(input, &oldest, input->archived_lsn, RETENTION_BY_ARCHIVE, 0);
	}
	lsn_t neediest = UINT64_MAX;
	for (size_t i = 0; i < input->holder_count; i++) {
		lsn_t lsn = input->holders[i].lsn;
		if (lsn == LSN_INVALID) {
			continue;
		}
		wish_for(input, &oldest, lsn, RETENTION_BY_HOLDER, i);
		if (oldest.reason == RETENTION_BY_HOLDER && lsn < neediest) {
			neediest = lsn;
			oldest.holder = i;
		}
	}
	return oldest;
}

static uint64_t room_bytes(const struct retention_input *input)
{
	uint64_t room = lsn_minus(input->max_bytes, input->other_bytes);
	return room - room % input->segment_bytes;
}

/* The lowest segment start from which all that is kept fits under max_bytes. */
static lsn_t ceiling_lsn(const struct retention_input *input, uint64_t room)
{
	lsn_t end =
		lsn_segment_start(input->received_lsn, input->segment_bytes) + input->segment_bytes;
	return lsn_minus(end, room);
}

static int compare_neediest(const void *a, const void *b, void *context)
{
	const struct retention_holder *holders = context;
	lsn_t lsn_a = holders[*(const size_t *)a].lsn;
	lsn_t lsn_b = holders[*(const size_t *)b].lsn;
	return (lsn_a > lsn_b) - (lsn_a < lsn_b);
}

static size_t find_lost(const struct retention_input *input, lsn_t horizon, size_t *lost_out)
{
	size_t count = 0;
	for (size_t i = 0; i < input->holder_count; i++) {
		lsn_t lsn = input->holders[i].lsn;
		if (lsn != LSN_INVALID && lsn < horizon) {
			lost_out[count++] = i;
		}
	}
	if (count > 1) {
		qsort_r(lost_out, count, sizeof(*lost_out), compare_neediest,
			(void *)input->holders);
	}
	return count;
}

void retention_decide(const struct retention_input *input, struct retention_decision *decision_out,
	size_t *lost_out)
{
	assert(wal_segment_bytes_is_valid(input->segment_bytes));
	assert(input->oldest_lsn % input->segment_bytes == 0);
	assert(input->oldest_lsn <= input->received_lsn);
	struct wish wish = oldest_wish(input);
	struct retention_decision decision = {
		.horizon_lsn = wish.lsn, .reason = wish.reason, .holder = wish.holder};
	if (input->max_bytes > 0) {
		decision.room_bytes = room_bytes(input);
		lsn_t ceiling = ceiling_lsn(input, decision.room_bytes);
		decision.exceeds_max = ceiling > tail_lsn(input);
		decision.ceiling_lsn = lsn_min(ceiling, tail_lsn(input));
	}
	if (decision.ceiling_lsn > decision.horizon_lsn) {
		decision.horizon_lsn = decision.ceiling_lsn;
		decision.reason = RETENTION_BY_MAX_SIZE;
		decision.holder = 0;
		decision.lost_count = find_lost(input, decision.horizon_lsn, lost_out);
		decision.is_archive_lost =
			input->has_archive && input->archived_lsn < decision.horizon_lsn;
	}
	*decision_out = decision;
}

static const char *holder_kind_name(enum retention_holder_kind kind)
{
	static const char *const names[] = {
		[RETENTION_SLOT] = "slot",
		[RETENTION_PIN] = "pin",
		[RETENTION_CURSOR] = "cursor",
		[RETENTION_LINK] = "link",
	};
	return names[kind];
}

char *retention_reason_format(const struct retention_input *input,
	const struct retention_decision *decision, char text_out[RETENTION_REASON_SIZE])
{
	static const char *const names[] = {
		[RETENTION_BY_MAX_SIZE] = "max_size",
		[RETENTION_BY_TAIL] = "newest segments",
		[RETENTION_BY_SIZE] = "retain_size",
		[RETENTION_BY_TIME] = "retain_time",
		[RETENTION_BY_ARCHIVE] = "archive",
	};
	if (decision->reason != RETENTION_BY_HOLDER) {
		snprintf(text_out, RETENTION_REASON_SIZE, "%s", names[decision->reason]);
		return text_out;
	}
	const struct retention_holder *holder = &input->holders[decision->holder];
	snprintf(text_out, RETENTION_REASON_SIZE, "%s \"%s\"", holder_kind_name(holder->kind),
		holder->name);
	return text_out;
}
