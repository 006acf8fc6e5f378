/*
 * link_receiver: the compressed stream of one START_REPLICATION, turned into messages of plain WAL.
 *
 * Decodes batches against the spool, says what the spool holds when the stream is asked for, and
 * decides what to do with what cannot be decoded: it is asked for once more, plain, and what was on
 * its way meanwhile is passed over. Nothing it hands out is anything but WAL that its checksum
 * proves, or a plain message as a server sends it; whether that follows is the caller's to see.
 * Lives on the upstream's loop.
 */
#ifndef UPSTREAM_LINK_RECEIVER_H
#define UPSTREAM_LINK_RECEIVER_H

#include "base/error.h"
#include "protocol/link_terms.h"
#include "protocol/lsn.h"
#include "protocol/repl_message.h"
#include "spool/wal_store.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct link_receiver;

struct link_receiver_options {
	struct wal_store *store;
	struct link_terms terms;
	uint32_t segment_bytes;
	tli_t tli;
	lsn_t start_lsn; /* that will be asked for */
};

/* Since they were taken last. */
struct link_receiver_stats {
	uint64_t batches;
	uint64_t raw_bytes;   /* WAL in batches that were decoded */
	uint64_t batch_bytes; /* their size */
	uint64_t plain_requests;
	uint64_t passed_over_bytes; /* came while something else was waited for */
	uint64_t decode_us;         /* of CPU time */
};

/* Reads what is held from start_lsn on, up to a segment of it. */
struct link_receiver *link_receiver_new(
	const struct link_receiver_options *options, struct error *err) MUST_CHECK;
/* Accepts NULL, sets NULL. */
void link_receiver_free(struct link_receiver **link);

/* The options of START_REPLICATION; returns text_out. */
char *link_receiver_format_start(
	const struct link_receiver *link, char text_out[LINK_START_TEXT_SIZE]);

enum link_take {
	LINK_TAKE_COPY, /* *copy_out, as repl_message would; valid with the payload, until the next
			   call */
	LINK_TAKE_NOTHING, /* nothing is left to be done */
	LINK_TAKE_REQUEST, /* link_receiver_request_lsn() is to be asked for */
	LINK_TAKE_FAILED,  /* err says why; it does not go on */
};
/* stream_lsn: what comes next. */
enum link_take link_receiver_take(struct link_receiver *link, const uint8_t *payload, size_t length,
	lsn_t stream_lsn, int64_t now_us, struct server_copy *copy_out, struct error *err);
lsn_t link_receiver_request_lsn(const struct link_receiver *link);
/* Where stream_lsn comes next, WAL at lsn may come instead: all in between, which we hold, was
 * found to be the same. */
bool link_receiver_joins_at(const struct link_receiver *link, lsn_t stream_lsn, lsn_t lsn);

/* As it was told last. */
struct link_promise link_receiver_promise(const struct link_receiver *link);
/* The spool keeps more or less than was promised: a promise to be told. False: there is none. */
bool link_receiver_next_promise(struct link_receiver *link, struct link_promise *promise_out);

void link_receiver_take_stats(struct link_receiver *link, struct link_receiver_stats *stats_out);

#endif
