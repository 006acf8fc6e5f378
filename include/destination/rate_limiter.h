/*
 * rate_limiter: who may hand how much to TCP now: the caps of destinations, and the one of the
 * whole egress.
 *
 * A connection asks for leave before it builds a message, and makes the message as long as it may
 * be; without leave it is told when to ask again. So a low cap means small steady messages. All
 * connections of a destination take turns; WAL goes before base backups; when the egress is short,
 * destinations with a larger priority go first, and the others are left a fiftieth each. What is
 * sent without leave (keepalives, answers) is counted afterwards and delays what follows.
 *
 * Caps and priorities are read from the destination each time, so they change live: whoever waits
 * is to be told to ask again. Any thread, each with the same monotonic clock; one short lock, taken
 * only where there is a cap. A share belongs to one thread at a time.
 */
#ifndef DESTINATION_RATE_LIMITER_H
#define DESTINATION_RATE_LIMITER_H

#include "destination/destination.h"

#include <stddef.h>
#include <stdint.h>

/* Ask again only when a cap has changed. */
#define RATE_LIMITER_NEVER INT64_MAX

enum rate_use { RATE_BACKUP, RATE_WAL };

struct rate_limiter;
struct rate_share; /* one connection's */

struct rate_limiter *rate_limiter_new(void);
/* No share may be left. Accepts NULL, sets NULL. */
void rate_limiter_free(struct rate_limiter **limiter);
/* 0: none. */
void rate_limiter_set_egress_cap(struct rate_limiter *limiter, uint64_t bytes_per_second);

/* destination NULL: only the egress cap holds. */
struct rate_share *rate_share_new(struct rate_limiter *limiter, struct destination *destination);
/* Accepts NULL, sets NULL. */
void rate_share_free(struct rate_share **share);
/* The connection belongs to another destination now. */
void rate_share_move(struct rate_share *share, struct destination *destination);
/* What the connection sends from now on; RATE_WAL at first. */
void rate_share_set_use(struct rate_share *share, enum rate_use use);

/* What a connection would send next: up to `wanted` bytes, which can be cut anywhere from `least`
 * on; 0 < least <= wanted. */
struct rate_wish {
	size_t least;
	size_t wanted;
};
/* How many bytes may be handed over now; they are taken. 0: none, ask again at retry_at_us_out (on
 * the clock of now_us). share NULL: all. */
size_t rate_share_take(struct rate_share *share, const struct rate_wish *wish, int64_t now_us,
	int64_t *retry_at_us_out);
/* Nothing is wanted any more. */
void rate_share_cancel(struct rate_share *share);
/* The connection has handed over, or queued for it, sent_bytes since it began. share NULL: fine. */
void rate_share_settle(struct rate_share *share, uint64_t sent_bytes, int64_t now_us);
/* What is taken at once where it can be cut; SIZE_MAX: there is no cap. */
size_t rate_share_stretch(const struct rate_share *share);

#endif
