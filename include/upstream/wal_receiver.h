/*
 * wal_receiver: one START_REPLICATION: WAL from the connection into the spool, positions back.
 *
 * What comes must follow, byte for byte, from where it was asked for. Positions reported are those
 * of reply_rules: nothing that was not compared on this connection, nothing as flushed that is not
 * on our disk. Lives on the upstream's loop; embedded in its owner.
 */
#ifndef UPSTREAM_WAL_RECEIVER_H
#define UPSTREAM_WAL_RECEIVER_H

#include "base/error.h"
#include "net/loop.h"
#include "protocol/lsn.h"
#include "protocol/repl_message.h"
#include "spool/wal_store.h"
#include "upstream/acknowledge.h"
#include "upstream/link_lanes.h"
#include "upstream/link_receiver.h"
#include "upstream/reply_rules.h"
#include "upstream/upstream_failure.h"
#include "upstream/upstream_session.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct wal_receiver_options {
	struct loop *loop;
	struct upstream_session *session;
	struct wal_store *store;
	const char *slot; /* "": none */
	tli_t tli;
	lsn_t start_lsn;   /* the start of a segment */
	lsn_t server_lsn;  /* how far the server had come when it was asked */
	lsn_t doubted_lsn; /* what came past it did not prove itself; LSN_INVALID: no doubt */
	lsn_t begin_lsn;   /* the store begins here with the first WAL; LSN_INVALID: it has begun */
	uint32_t segment_bytes;
	const struct link_terms *link; /* agreed on with the server; NULL: a plain stream */
	unsigned lanes;                /* of a link, as in upstream_options */
	struct reply_limits limits;
	struct acknowledge_limits acknowledge_limits;
	struct acknowledge *acknowledge; /* the owner's: outlives streams; on the loop */
	atomic_bool *is_alone;           /* what it says last; any thread */
	bool remote_apply_flush;
	/* As in upstream_options. */
	lsn_t (*replayed_lsn)(void *context, tli_t tli);
	lsn_t (*standbys_flushed_lsn)(void *context, tli_t tli, unsigned standbys);
	void (*oldest_xmin)(void *context, uint64_t *xmin_out, uint64_t *catalog_xmin_out);
	void *source_context;

	/* What overlaps was compared, and what was in doubt has proved itself. */
	void (*on_streaming)(void *context);
	void (*on_received)(void *context); /* after a run of messages: counters moved */
	/* One of the three ends it, last. */
	void (*on_timeline_end)(void *context);
	void (*on_failed)(void *context, enum upstream_failure failure, const struct error *err);
	void (*on_stopped)(void *context);
	void *context;
};

struct wal_receiver {
	struct wal_receiver_options options;
	struct deadlines deadlines;
	struct link_receiver *link; /* NULL: a plain stream */
	struct link_lanes *lanes;   /* NULL: one connection is all there will be */
	bool has_link_failed;       /* the server does not take its terms, or it brought nonsense */
	bool is_open;               /* started and not ended */
	bool has_message;           /* something came */
	bool is_settled;            /* on_streaming was called */
	bool is_ended_orderly;      /* the server said "COPY 0": it shuts down */
	bool must_look;             /* a message has changed what is due */
	int64_t acknowledge_us;     /* when more may be acknowledged; 0: when standbys say so */
	lsn_t overlap_lsn;          /* end of what both sides had when it began */
	struct reply_rules rules;
	struct feedback_rules feedback;
	int64_t stop_by_us; /* 0: not stopping */
	tli_t next_tli;
	lsn_t next_tli_lsn;
	lsn_t server_end_lsn;
	uint64_t wal_bytes; /* since the last time the owner took them */
	uint64_t wire_bytes;
};

/* The session must be READY, the receiver zeroed or ended. false: not started. */
bool wal_receiver_start(struct wal_receiver *receiver, const struct wal_receiver_options *options,
	struct error *err) MUST_CHECK;
/* Flushed or replayed may have moved. */
void wal_receiver_on_news(struct wal_receiver *receiver);
/* New limits take effect with the next reply. */
void wal_receiver_set_limits(struct wal_receiver *receiver, const struct reply_limits *limits);
/* Reads no more, reports when all that came is on disk or max_us are over, then on_stopped. */
void wal_receiver_stop(struct wal_receiver *receiver, int64_t max_us);
/* Connections over which a link's WAL comes; 0: it is a plain stream. */
unsigned wal_receiver_link_lanes(const struct wal_receiver *receiver);
/* Forgets the stream; the connection is the owner's to close. With a last status when it streams
 * and tells_last. One that ended or never began may be ended. */
void wal_receiver_end(struct wal_receiver *receiver, bool tells_last);

#endif
