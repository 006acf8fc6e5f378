/*
 * wal_stream: the conversation of one START_REPLICATION, wherever its WAL comes from.
 *
 * It owns what is common to all streams, from 'W' to its own CopyDone: the cursor that says where
 * the client stands and holds WAL for it, liveness and keepalives, what the client reports, its
 * slot, stopping. What is sent comes from a sender (wal_sender, link_sender), which embeds the
 * stream as its first member and fills the connection when the stream's turn has come. What comes
 * before and after is the session's. Lives on the session's loop. Nothing calls back: every event
 * is handed in, and the answer says what the session has to do. Source: PostgreSQL documentation,
 * "Streaming Replication Protocol"; src/backend/replication/walsender.c.
 */
#ifndef DOWNSTREAM_WAL_STREAM_H
#define DOWNSTREAM_WAL_STREAM_H

#include "base/error.h"
#include "destination/rate_limiter.h"
#include "downstream/connection_meter.h"
#include "downstream/lag_tracker.h"
#include "downstream/liveness.h"
#include "downstream/standby_progress.h"
#include "downstream/turns.h"
#include "net/connection.h"
#include "net/loop.h"
#include "protocol/lsn.h"
#include "protocol/repl_message.h"
#include "spool/slots.h"
#include "spool/wal_prefetch.h"
#include "spool/wal_store.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The connection's low-water mark must be the first. Measured on loopback with 1 and 8 receivers,
 * 128 kB to 1 MB: 256 kB a turn costs no more CPU a byte than more, and others wait less. */
#define WAL_STREAM_LOW_WATER  (128u * 1024)
#define WAL_STREAM_HIGH_WATER (256u * 1024)
/* A client's message in COPY: 'r' and 'h' have 34 and 25 bytes. */
#define WAL_STREAM_MESSAGE_MAX 1024u

struct wal_stream;

struct wal_stream_options {
	struct loop *loop;
	struct connection *connection;
	struct turns *turns;
	struct rate_share *share;       /* of its destination's cap; NULL: there is none */
	struct connection_meter *meter; /* the connection's; NULL: nothing is counted */
	void (*on_turn)(void *context); /* answer with wal_stream_turn() */
	void *context;
	struct deadlines *deadlines; /* the session's */
	int deadline_reason;         /* when it is due: wal_stream_on_deadline() */
	int64_t timeout_us;          /* wal_sender_timeout; 0: off */
	struct wal_store *store;
	struct wal_prefetch *prefetch;
	struct slots *slots;
	const char *slot; /* "": none; acquired by the session, and outlives the stream */
	tli_t tli;
	lsn_t start_lsn;
	bool flushed_only;
	struct standby_progress *progress;
};

enum wal_stream_step {
	WAL_STREAM_GOES_ON,
	WAL_STREAM_TIMELINE_ENDED, /* all is sent, CopyDone too: the client's CopyDone comes next */
	WAL_STREAM_CLIENT_ENDED,   /* the client's CopyDone was answered with CopyDone */
	WAL_STREAM_CONFIRMED,      /* stopping: the client has everything and said so */
	WAL_STREAM_FAILED,         /* err: an ERROR that ends the COPY, not the connection */
	WAL_STREAM_DROPPED,        /* close without a word; err says why, for the log */
};

/* Why a sender stopped filling. */
enum wal_fill {
	WAL_FILL_ENOUGH,       /* there is more: on with it when there is room */
	WAL_FILL_AT_TIP,       /* the client was sent all there is */
	WAL_FILL_TIMELINE_END, /* the client was sent all there will ever be */
	WAL_FILL_MISSING,      /* what comes next is on its way from the upstream */
	WAL_FILL_WAITS,        /* for something that makes the turn ready */
	WAL_FILL_FAILED,       /* err: an ERROR */
};

/* What makes a sender. */
struct wal_stream_sender {
	/* Queues what comes next and moves the cursor past it, a bounded stretch. */
	enum wal_fill (*fill)(struct wal_stream *stream, struct error *err);
	/* A client's CopyData other than a status or feedback; NULL: there is none. */
	enum wal_stream_step (*on_message)(struct wal_stream *stream, const uint8_t *payload,
		size_t length, struct error *err);
	void (*free)(struct wal_stream *stream);
};

/* --- for the session --------------------------------------------------------------------------
 */

/* Accepts NULL, sets NULL. */
void wal_stream_free(struct wal_stream **stream);
/* A historic timeline asked for at its very end: there is nothing to send. */
bool wal_stream_is_over(struct wal_stream *stream);
/* Sends CopyBothResponse and begins. */
void wal_stream_start(struct wal_stream *stream);

enum wal_stream_step wal_stream_turn(struct wal_stream *stream, struct error *err);
/* The connection has fallen to its low-water mark. */
void wal_stream_on_writable(struct wal_stream *stream);
/* The payload of a client's CopyData. */
enum wal_stream_step wal_stream_on_copy_data(
	struct wal_stream *stream, const uint8_t *payload, size_t length, struct error *err);
enum wal_stream_step wal_stream_on_copy_done(struct wal_stream *stream);
enum wal_stream_step wal_stream_on_deadline(struct wal_stream *stream, struct error *err);
/* The relay stops: send what is there, then have it confirmed. */
void wal_stream_stop(struct wal_stream *stream);

/* What comes after the stream's timeline; false: it is the current one. */
bool wal_stream_timeline_end(struct wal_stream *stream, lsn_t *switch_lsn_out, tli_t *next_tli_out);
/* All before it was sent, if need be by others. */
lsn_t wal_stream_sent_lsn(const struct wal_stream *stream);

/* --- for senders --------------------------------------------------------------------------------
 */

struct wal_stream {
	const struct wal_stream_sender *sender;
	struct wal_stream_options options;
	int unsent_max;   /* of the kernel, without a cap; 0: what it likes */
	size_t low_water; /* of the connection: at or below it there is room for more */
	struct wal_cursor *cursor;
	struct turn turn;
	struct liveness liveness;
	struct lag_tracker lag;
	struct standby_status last_status; /* zeros: none came yet */
	lsn_t slot_lsn;                    /* last confirmed to the slot */
	lsn_t awaited_lsn;                 /* the disk was asked for what follows it */
	int64_t ask_again_us;              /* stopping: not before */
	size_t pace_bytes;                 /* what is sent at once; SIZE_MAX: there is no cap */
	bool is_lane;                      /* of another stream, which speaks for it */
	bool is_at_tip;
	bool is_missing;   /* what comes next is wanted from the upstream */
	bool is_copy_done; /* our CopyDone is sent: nothing of the stream may follow */
	bool is_answer_owed;
	bool is_stopping;
};

/* Opens the cursor; nothing is sent. Fails with the error that START_REPLICATION answers before
 * CopyBothResponse. A sender that was initialised is freed by wal_stream_free(). */
bool wal_stream_init(struct wal_stream *stream, const struct wal_stream_sender *sender,
	const struct wal_stream_options *options, struct error *err) MUST_CHECK;
int64_t wal_stream_now_us(const struct wal_stream *stream);
/* How many bytes (framing included) the caps in force let it hand to TCP now: from least (what
 * cannot be cut, more than 0) to wanted. Asked for before a message is built, which is then made
 * that long; what it is longer or shorter in the end is settled by itself. 0: the turn stands where
 * it is made ready in time: WAL_FILL_WAITS. */
size_t wal_stream_ask_leave(struct wal_stream *stream, size_t least, size_t wanted);
/* How much may wait in the connection before it is full; less under a low cap, so that a keepalive
 * never waits behind a heap. */
size_t wal_stream_high_water(const struct wal_stream *stream);
/* This WAL was queued. */
void wal_stream_note_sent(struct wal_stream *stream, lsn_t start_lsn, lsn_t sent_lsn);

#endif
