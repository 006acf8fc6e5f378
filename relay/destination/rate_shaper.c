/*
 * rate_shaper: arithmetic on positions. A line's front moves with the clock, at the cap's speed
 * less what lines before it took; it never gets further ahead of what is booked than the burst.
 */
#include "destination/rate_shaper.h"

#include <assert.h>
#include <stdlib.h>

#include "base/memory.h"

#define MICRO            UINT64_C(1000000)
#define STRETCHES_SECOND 50u
#define BURSTS_SECOND    20u
/* Below this a message is mostly its own frame and headers. */
#define STRETCH_BYTES_MIN 512u
/* With many sharing, each waits long for its turn; but no turn is shorter than this for that. */
#define STRETCH_BYTES_SHARED 4096u
#define STRETCH_BYTES_MAX    (128u * 1024)
/* No wire is as fast; positions would overflow. */
#define BYTES_SECOND_MAX UINT64_C(1000000000000)
/* A clock that has not been looked at for longer than this adds no more than this. */
#define STEP_US_MAX INT64_C(1000000)
/* What waits behind others cannot tell when they will have had enough. */
#define LOOK_AGAIN_US INT64_C(20000)

void rate_shaper_init(struct rate_shaper *shaper)
{
	*shaper = (struct rate_shaper){0};
}

void rate_shaper_release(struct rate_shaper *shaper)
{
	assert(shaper->users == 0);
	free(shaper->lines);
	*shaper = (struct rate_shaper){0};
}

static uint64_t smaller(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static uint64_t larger(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

uint32_t rate_shaper_stretch(uint64_t bytes_per_second, unsigned users)
{
	uint64_t whole = smaller(bytes_per_second / STRETCHES_SECOND, STRETCH_BYTES_MAX);
	uint64_t part = whole / (users > 0 ? users : 1);
	uint64_t least = smaller(bytes_per_second / BURSTS_SECOND, STRETCH_BYTES_MIN);
	part = larger(part, smaller(whole, STRETCH_BYTES_SHARED));
	return (uint32_t)larger(larger(part, least), 1);
}

static uint64_t burst(const struct rate_shaper *shaper)
{
	return larger(shaper->bytes_per_second / BURSTS_SECOND,
		rate_shaper_stretch(shaper->bytes_per_second, shaper->users));
}

/* How far a is past b; negative: short of it. */
static int64_t past(uint64_t a, uint64_t b)
{
	return (int64_t)(a - b);
}

/* What was given back by others is still ahead of those who wait. */
static void hold_back(const struct rate_shaper *shaper, struct rate_line *line)
{
	bool is_end_later = line->waiting > 0 && past(line->end, line->booked) > 0;
	uint64_t most = (is_end_later ? line->end : line->booked) + burst(shaper) * MICRO;
	if (past(line->front, most) > 0) {
		line->front = most;
	}
}

static void advance(struct rate_shaper *shaper, int64_t now_us)
{
	int64_t step_us = now_us - shaper->at_us;
	if (step_us <= 0) {
		return;
	}
	step_us = step_us < STEP_US_MAX ? step_us : STEP_US_MAX;
	uint64_t step = shaper->bytes_per_second * (uint64_t)step_us;
	uint64_t left_to_others = 0;
	shaper->at_us = now_us;
	for (size_t i = shaper->line_count; i > 0; i--) {
		struct rate_line *line = &shaper->lines[i - 1];
		line->front += step - smaller(left_to_others, step / 2);
		left_to_others += line->waiting > 0 ? step / STRETCHES_SECOND : 0;
		hold_back(shaper, line);
	}
}

void rate_shaper_set(struct rate_shaper *shaper, uint64_t bytes_per_second, int64_t now_us)
{
	uint64_t bounded = smaller(bytes_per_second, BYTES_SECOND_MAX);
	if (shaper->bytes_per_second != bounded) {
		advance(shaper, now_us);
		shaper->bytes_per_second = bounded;
	}
}

/* --- lines -------------------------------------------------------------------------------------
 */

static struct rate_line *find(struct rate_shaper *shaper, int key)
{
	size_t at = 0;
	while (at < shaper->line_count && shaper->lines[at].key != key) {
		at++;
	}
	assert(at < shaper->line_count);
	return &shaper->lines[at];
}

void rate_shaper_join(struct rate_shaper *shaper, int key)
{
	size_t at = 0;
	while (at < shaper->line_count && shaper->lines[at].key > key) {
		at++;
	}
	if (at == shaper->line_count || shaper->lines[at].key != key) {
		shaper->lines =
			memory_grow(shaper->lines, shaper->line_count, sizeof(*shaper->lines));
		for (size_t i = shaper->line_count; i > at; i--) {
			shaper->lines[i] = shaper->lines[i - 1];
		}
		shaper->line_count++;
		shaper->lines[at] = (struct rate_line){.key = key};
	}
	shaper->lines[at].users++;
	shaper->users++;
}

void rate_shaper_leave(struct rate_shaper *shaper, int key)
{
	struct rate_line *line = find(shaper, key);
	assert(line->users > 0);
	line->users--;
	shaper->users--;
	if (line->users > 0) {
		return;
	}
	size_t at = (size_t)(line - shaper->lines);
	shaper->line_count--;
	for (size_t i = at; i < shaper->line_count; i++) {
		shaper->lines[i] = shaper->lines[i + 1];
	}
}

/* What a line takes is taken from those behind it. */
static void take_from_others(
	struct rate_shaper *shaper, const struct rate_line *line, int64_t bytes)
{
	struct rate_line *end = shaper->lines + shaper->line_count;
	for (struct rate_line *other = shaper->lines + (line - shaper->lines) + 1; other < end;
		other++) {
		other->front -= (uint64_t)bytes * MICRO;
	}
}

void rate_shaper_book(struct rate_shaper *shaper, int key, uint32_t bytes, int64_t now_us,
	struct rate_booking *booking_out)
{
	struct rate_line *line = find(shaper, key);
	assert(bytes > 0);
	advance(shaper, now_us);
	/* Since the last look the cap may have sunk, or a booking been given back. */
	hold_back(shaper, line);
	line->booked += bytes * MICRO;
	if (line->waiting == 0 || past(line->booked, line->end) > 0) {
		line->end = line->booked;
	}
	line->waiting++;
	*booking_out = (struct rate_booking){.end = line->booked, .bytes = bytes};
}

void rate_shaper_cancel(struct rate_shaper *shaper, int key, struct rate_booking *booking)
{
	struct rate_line *line = find(shaper, key);
	if (booking->bytes > 0) {
		assert(line->waiting > 0);
		line->booked -= booking->bytes * MICRO;
		line->waiting--;
		booking->bytes = 0;
	}
}

int64_t rate_shaper_due_us(
	struct rate_shaper *shaper, int key, const struct rate_booking *booking, int64_t now_us)
{
	const struct rate_line *line = find(shaper, key);
	assert(booking->bytes > 0);
	advance(shaper, now_us);
	int64_t missing = past(booking->end, line->front);
	if (missing <= 0) {
		return now_us;
	}
	if (shaper->bytes_per_second == 0) {
		return RATE_SHAPER_NEVER;
	}
	int64_t wait_us = missing / (int64_t)shaper->bytes_per_second + 1;
	for (const struct rate_line *other = shaper->lines; other < line; other++) {
		if (other->waiting > 0 && wait_us < LOOK_AGAIN_US) {
			wait_us = LOOK_AGAIN_US;
		}
	}
	return now_us + wait_us;
}

void rate_shaper_redeem(struct rate_shaper *shaper, int key, struct rate_booking *booking)
{
	struct rate_line *line = find(shaper, key);
	assert(booking->bytes > 0 && line->waiting > 0);
	line->waiting--;
	take_from_others(shaper, line, booking->bytes);
	booking->bytes = 0;
}

void rate_shaper_charge(struct rate_shaper *shaper, int key, int64_t bytes, int64_t now_us)
{
	struct rate_line *line = find(shaper, key);
	/* What is sent while nothing moves is not held against anybody later. */
	if (shaper->bytes_per_second == 0) {
		return;
	}
	advance(shaper, now_us);
	line->booked += (uint64_t)bytes * MICRO;
	take_from_others(shaper, line, bytes);
}
