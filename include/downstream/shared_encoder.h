/*
 * shared_encoder: WAL for links, encoded once for everybody who stands at the same place.
 *
 * A frame is WAL up to the next multiple of 1 MB, encoded with some reach. A link sender has a
 * seat: it takes the batch that begins where it stands from the frame it follows; at a frame's end
 * it goes on with one that was begun there for a receiver like it, or begins one. So what somebody
 * has come to first is there for those who come later, as long as the cache holds it, and what two
 * want at once is made once. Frames need nothing of each other but an index of earlier images,
 * which all of them share.
 *
 * The index is made from what the spool holds when the first seat is taken, in the background; then
 * it learns from what is encoded.
 *
 * At the tip a batch is made only when a seat wants it, and then takes what is there: batches grow
 * while sockets are full. Little of it, where the encoder stands there already, is encoded by the
 * seat that wants it first, on its own thread: waking another one would take longer. Nothing waits
 * for a disk there: an earlier image that is not in memory is not referred to. All else is for the
 * workers. Where more WAL is there than a frame, up to four frames a seat
 * (fewer with more than four seats) are made before they are asked for, on all workers but one,
 * which is kept for the tip. Nothing at the tip ever waits for more than the batches under way.
 *
 * Where the level is auto, frames at the tip are compressed at ENCODER_LEVEL_FIRST; those behind it
 * as encoder_level.h says, one level for all. What is made and cached stays as it is.
 *
 * Whatever goes wrong (no memory, unreadable WAL) is answered with "plain": the sender sends that
 * stretch as it is.
 *
 * Memory: ENCODER_ENGINES_MAX encoders at most (two or three, unless many join at once), each about
 * 9 MB, 15 at level 12; an index of 8 MB for each GB of the reference; ENCODER_CACHE_BYTES of batches, and 3 MB to
 * keep account of them; batches in sockets' queues are bounded by those. Any thread; a seat belongs
 * to one.
 */
#ifndef DOWNSTREAM_SHARED_ENCODER_H
#define DOWNSTREAM_SHARED_ENCODER_H

#include "base/error.h"
#include "downstream/encoded_batch.h"
#include "protocol/link_codec.h"
#include "protocol/link_stream.h"
#include "protocol/lsn.h"
#include "spool/wal_store.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ENCODER_ENGINES_MAX 12u
#define ENCODER_CACHE_BYTES ((size_t)64 << 20)

struct shared_encoder;
struct encoder_seat;

struct shared_encoder_options {
	struct wal_store *store;
	bool flushed_only;
	bool is_level_auto;
	int level; /* of zstd, when it is not auto */
	uint64_t reference_bytes;
	unsigned workers; /* 0: by cores, and one for the tip; 2 to 8 */
};

struct shared_encoder_stats {
	uint64_t encode_cpu_us;
	uint64_t batches;
	uint64_t at_once; /* of them, those that nobody had to be woken for */
	uint64_t frames;
	uint64_t raw_bytes;
	uint64_t batch_bytes;
	uint64_t raw[LINK_KIND_COUNT];
	uint64_t sent[LINK_KIND_COUNT];
	uint64_t cache_hits;   /* batches taken that were there */
	uint64_t cache_misses; /* batches that had to be made first */
	uint64_t plain_requests;
	uint64_t noted_bytes; /* of WAL that was there before links were, for its images */
	uint64_t cache_bytes;
	unsigned encoders;
	int level; /* of what is behind the tip and begun now */
};

struct shared_encoder *shared_encoder_new(
	const struct shared_encoder_options *options, struct error *err) MUST_CHECK;
/* No seat may be left. Accepts NULL, sets NULL. */
void shared_encoder_free(struct shared_encoder **encoder);
void shared_encoder_read_stats(struct shared_encoder *encoder, struct shared_encoder_stats *out);

/* recompress: LINK_RECOMPRESS_* of what the receiver compresses as we do. ring: what was waited for
 * is there; on any thread, with a lock held: only ring a wake. */
struct encoder_seat *encoder_seat_new(struct shared_encoder *encoder, tli_t tli,
	unsigned recompress, void (*ring)(void *context), void *context);
/* ring is not called any more. Accepts NULL, sets NULL. */
void encoder_seat_free(struct encoder_seat **seat);
/* From the next batch on. */
void encoder_seat_promise(struct encoder_seat *seat, const struct link_promise *promise);
/* The receiver could not decode what it got: it goes on where a frame begins. */
void encoder_seat_note_plain_request(struct encoder_seat *seat);

enum encoder_take {
	ENCODER_BATCH,
	ENCODER_WAITS, /* ring is called */
	ENCODER_PLAIN, /* send as it is what comes up to the next multiple of 1 MB */
};

/* WAL from lsn to end must be there, and lsn < end. *batch_out comes with a reference. */
enum encoder_take encoder_seat_take(
	struct encoder_seat *seat, lsn_t lsn, lsn_t end, struct encoded_batch **batch_out);

enum encoder_check {
	ENCODER_CHECK_RUNS, /* ring is called */
	ENCODER_CHECK_SAME,
	ENCODER_CHECK_OTHER,
	ENCODER_CHECK_UNKNOWN, /* not all of it is here, or it cannot be read */
};

/* Whether link_held has this value for our WAL [from, to); asked again, always the same question. */
enum encoder_check encoder_seat_check(
	struct encoder_seat *seat, lsn_t from, lsn_t to, uint64_t hash);

#endif
