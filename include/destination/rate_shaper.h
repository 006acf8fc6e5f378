/*
 * rate_shaper: one cap, and the lines of those who want a part of it. Pure: time is an argument
 * (any monotonic clock in microseconds), and one thread at a time.
 *
 * A line is a queue by numbers: whoever books a stretch is served once everything booked before it
 * has been, at the cap's speed. Since each has one stretch booked at a time, they take turns. Lines
 * with a larger key go first: what they take sets the smaller ones back by as much. A smaller one
 * that somebody waits in is still left a fiftieth of the cap.
 *
 * Bytes are paid before they are sent, so that no stretch of time sees more than the cap and
 * the burst (a twentieth of a second) above it. A line that is not used gathers no more than that
 * either.
 */
#ifndef DESTINATION_RATE_SHAPER_H
#define DESTINATION_RATE_SHAPER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RATE_SHAPER_NEVER INT64_MAX

/* Positions are millionths of bytes and wrap around. */
struct rate_line {
	int key;
	unsigned users;   /* those that may book here */
	unsigned waiting; /* those that have */
	uint64_t front;   /* served so far */
	uint64_t booked;  /* booked so far; less what was given back */
	uint64_t end;     /* of the last booking that somebody waits with */
};

struct rate_shaper {
	uint64_t bytes_per_second; /* 0: nothing moves */
	int64_t at_us;
	struct rate_line *lines; /* by key, the largest first */
	size_t line_count;
	unsigned users;
};

struct rate_booking {
	uint64_t end;
	uint32_t bytes; /* 0: none */
};

void rate_shaper_init(struct rate_shaper *shaper);
void rate_shaper_release(struct rate_shaper *shaper);
/* The cap from now on; what is booked stays. */
void rate_shaper_set(struct rate_shaper *shaper, uint64_t bytes_per_second, int64_t now_us);

/* A user belongs to one line at a time. */
void rate_shaper_join(struct rate_shaper *shaper, int key);
void rate_shaper_leave(struct rate_shaper *shaper, int key);

/* What one of so many users may book at once: some 20 ms of the cap, less where many share it. */
uint32_t rate_shaper_stretch(uint64_t bytes_per_second, unsigned users);
void rate_shaper_book(struct rate_shaper *shaper, int key, uint32_t bytes, int64_t now_us,
	struct rate_booking *booking_out);
/* Gives the stretch back. */
void rate_shaper_cancel(struct rate_shaper *shaper, int key, struct rate_booking *booking);
/* When the booking's turn comes, as far as can be told now: not later than now_us: it has come. */
int64_t rate_shaper_due_us(
	struct rate_shaper *shaper, int key, const struct rate_booking *booking, int64_t now_us);
/* Its turn has come: the bytes are its own. */
void rate_shaper_redeem(struct rate_shaper *shaper, int key, struct rate_booking *booking);
/* More (or less) was sent than was booked. */
void rate_shaper_charge(struct rate_shaper *shaper, int key, int64_t bytes, int64_t now_us);

#endif
