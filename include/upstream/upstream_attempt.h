/*
 * upstream_attempt: one try at following the upstream: connection, handshake, streams.
 *
 * Goes from timeline to timeline on the same connection and ends in one failure, told once. When to
 * try again is its owner's. Lives on the upstream's loop; embedded in its owner.
 */
#ifndef UPSTREAM_UPSTREAM_ATTEMPT_H
#define UPSTREAM_UPSTREAM_ATTEMPT_H

#include "base/error.h"
#include "upstream/upstream.h"
#include "upstream/upstream_failure.h"
#include "upstream/upstream_handshake.h"
#include "upstream/upstream_session.h"
#include "upstream/upstream_survey.h"
#include "upstream/wal_receiver.h"

#include <stdbool.h>
#include <stdint.h>

struct upstream_attempt_options {
	const struct upstream_options *upstream; /* must outlive the attempt */
	bool slot_is_missing; /* START_REPLICATION said so in an earlier attempt */
	bool avoids_link;     /* asks for a plain stream even of a relay */
	unsigned refusals;    /* in a row: as many servers of conninfo are passed over */
	lsn_t doubted_lsn;    /* as in wal_receiver_options */
	void (*on_connected)(void *context);
	void (*on_handshake)(void *context);    /* it is known whom we follow, and from where */
	void (*on_streaming)(void *context);    /* as in wal_receiver_options */
	void (*on_received)(void *context);     /* counters of the receiver moved: take them */
	void (*on_timeline_end)(void *context); /* asking again, on the same connection */
	/* One of the two, last. The attempt has ended. */
	void (*on_failed)(void *context, enum upstream_failure failure, const struct error *err);
	void (*on_stopped)(void *context);
	void *context;
};

struct upstream_attempt {
	struct upstream_attempt_options options;
	struct upstream_survey survey;
	size_t candidates; /* servers that answered; 0: conninfo names one alone, or none did */
	struct upstream_session session;
	struct upstream_handshake handshake;
	struct wal_receiver receiver;
	struct deadlines deadlines;
	bool is_open;
	/* Kept from one attempt to the next. */
	struct acknowledge acknowledge;
	atomic_bool acknowledges_alone; /* any thread */
};

/* The attempt must be zeroed or have ended. false: it has not begun, no callback comes. */
bool upstream_attempt_start(struct upstream_attempt *attempt,
	const struct upstream_attempt_options *options, struct error *err) MUST_CHECK;
/* Flushed or replayed may have moved. */
void upstream_attempt_on_news(struct upstream_attempt *attempt);
/* Intervals and timeouts in *options->upstream changed. */
void upstream_attempt_on_limits(struct upstream_attempt *attempt);
/* Takes no more, waits for the flush of what came (at most max_us), says so upstream, ends. */
void upstream_attempt_stop(struct upstream_attempt *attempt, int64_t max_us);
/* Ends it at once, no callback comes; one that has ended may be ended. */
void upstream_attempt_end(struct upstream_attempt *attempt);

#endif
