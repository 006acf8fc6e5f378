/*
 * wal_sender: a stream's WAL as it is, from the spool to one client.
 *
 * It pulls: while its connection has room it takes the next stretch at its cursor, at most 128 kB a
 * message and one bounded turn at a time, and hands it over by reference into the spool's mapping;
 * at the tip it waits for news.
 */
#ifndef DOWNSTREAM_WAL_SENDER_H
#define DOWNSTREAM_WAL_SENDER_H

#include "base/error.h"
#include "downstream/encoded_batch.h"
#include "downstream/wal_stream.h"

/* Fails as wal_stream_init(). */
struct wal_stream *wal_sender_new(
	const struct wal_stream_options *options, struct error *err) MUST_CHECK;

/* Looks at what comes next, and moves nothing. ENOUGH: *span_out has some of it; else the turn
 * stands where the answer has it stand. */
enum wal_fill wal_sender_peek(struct wal_stream *stream, size_t length_max,
	struct wal_span *span_out, struct error *err) MUST_CHECK;
/* The same as one message over a link, with its check. ENOUGH: *batch_out comes with a reference. */
enum wal_fill wal_sender_take_plain(struct wal_stream *stream, size_t length_max,
	struct encoded_batch **batch_out, struct error *err) MUST_CHECK;

#endif
