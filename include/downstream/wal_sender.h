/*
 * wal_sender: one START_REPLICATION: WAL from the spool to one client until one of them ends it.
 *
 * It pulls: while its connection has room it takes the next stretch at its cursor, at most 128 kB a
 * message and one bounded turn at a time, and hands it over by reference into the spool's mapping;
 * at the tip it waits for news. It owns the CopyBoth conversation, from 'W' to its own CopyDone;
 * what comes before and after is its session's. Lives on the session's loop. Nothing calls back:
 * every event is handed in, and the answer says what the session has to do. Source: PostgreSQL
 * documentation, "Streaming Replication Protocol"; src/backend/replication/walsender.c.
 */
#ifndef DOWNSTREAM_WAL_SENDER_H
#define DOWNSTREAM_WAL_SENDER_H

#include "base/error.h"
#include "downstream/standby_progress.h"
#include "downstream/turns.h"
#include "net/connection.h"
#include "net/loop.h"
#include "protocol/lsn.h"
#include "spool/slots.h"
#include "spool/wal_prefetch.h"
#include "spool/wal_store.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The connection's low-water mark must be the first. Measured on loopback with 1 and 8 receivers,
 * 128 kB to 1 MB: 256 kB a turn costs no more CPU a byte than more, and others wait less. */
#define WAL_SENDER_LOW_WATER  (128u * 1024)
#define WAL_SENDER_HIGH_WATER (256u * 1024)
/* A client's message in COPY: 'r' and 'h' have 34 and 25 bytes. */
#define WAL_SENDER_MESSAGE_MAX 1024u

struct wal_sender;

struct wal_sender_options {
	struct loop *loop;
	struct connection *connection;
	struct turns *turns;
	void (*on_turn)(void *context); /* answer with wal_sender_turn() */
	void *context;
	struct deadlines *deadlines; /* the session's; */
	int deadline_reason;         /* when it is due: wal_sender_on_deadline() */
	int64_t timeout_us;          /* wal_sender_timeout; 0: off */
	struct wal_store *store;
	struct wal_prefetch *prefetch;
	struct slots *slots;
	const char *slot; /* "": none; acquired by the session, and outlives the sender */
	tli_t tli;
	lsn_t start_lsn;
	bool flushed_only;
	struct standby_progress *progress;
};

enum wal_sender_step {
	WAL_SENDER_GOES_ON,
	WAL_SENDER_TIMELINE_ENDED, /* all is sent, CopyDone too: the client's CopyDone comes next */
	WAL_SENDER_CLIENT_ENDED,   /* the client's CopyDone was answered with CopyDone */
	WAL_SENDER_CONFIRMED,      /* stopping: the client has everything and said so */
	WAL_SENDER_FAILED,         /* err: an ERROR that ends the COPY, not the connection */
	WAL_SENDER_DROPPED,        /* close without a word; err says why, for the log */
};

/* Opens the cursor; nothing is sent. Fails with the error that START_REPLICATION answers before
 * CopyBothResponse. */
struct wal_sender *wal_sender_new(
	const struct wal_sender_options *options, struct error *err) MUST_CHECK;
/* Accepts NULL, sets NULL. */
void wal_sender_free(struct wal_sender **sender);

/* A historic timeline asked for at its very end: there is nothing to send. */
bool wal_sender_is_over(struct wal_sender *sender);
/* Sends CopyBothResponse and begins. */
void wal_sender_start(struct wal_sender *sender);

enum wal_sender_step wal_sender_turn(struct wal_sender *sender, struct error *err);
/* The connection has fallen to its low-water mark. */
void wal_sender_on_writable(struct wal_sender *sender);
/* The payload of a client's CopyData. */
enum wal_sender_step wal_sender_on_copy_data(
	struct wal_sender *sender, const uint8_t *payload, size_t length, struct error *err);
enum wal_sender_step wal_sender_on_copy_done(struct wal_sender *sender);
enum wal_sender_step wal_sender_on_deadline(struct wal_sender *sender, struct error *err);
/* The relay stops: send what is there, then have it confirmed. */
void wal_sender_stop(struct wal_sender *sender);

/* What comes after the stream's timeline; false: it is the current one. */
bool wal_sender_timeline_end(struct wal_sender *sender, lsn_t *switch_lsn_out, tli_t *next_tli_out);
lsn_t wal_sender_sent_lsn(const struct wal_sender *sender);

#endif
