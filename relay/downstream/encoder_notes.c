/*
 * encoder_notes: the index learns of WAL that nobody has encoded here: what was there before the
 * first link was.
 *
 * When the first seat is taken, as much as may be referred to is read, in pieces, by a worker that
 * has nothing else to do. What links encode from then on goes on from there.
 */
#include "downstream/shared_encoder.h"

#include "base/memory.h"
#include "downstream/shared_encoder_internal.h"

/* Of a piece, between two looks at whether there is something better to do. */
#define PIECE_BYTES ((lsn_t)1 << 20)

void encoder_notes_begin(struct shared_encoder *shared)
{
	struct encoder_notes *notes = &shared->notes;
	struct wal_store_stats store;
	wal_store_read_stats(shared->options.store, &store);
	lsn_t reach = shared->options.reference_bytes;
	lsn_t from = store.received_lsn > reach ? store.received_lsn - reach : 0;
	from = lsn_max(lsn_max(from, store.oldest_lsn), notes->at);
	notes->at = from - from % WAL_PAGE_BYTES;
	notes->until = store.received_lsn;
}

void encoder_notes_extend(struct shared_encoder *shared, lsn_t start, lsn_t end)
{
	struct encoder_notes *notes = &shared->notes;
	if (!notes->is_running && notes->at >= notes->until && start <= notes->at) {
		notes->at = lsn_max(notes->at, end);
	}
}

bool encoder_notes_are_wanted(const struct shared_encoder *shared)
{
	const struct encoder_notes *notes = &shared->notes;
	return !notes->is_running && shared->seat_count > 0 && notes->at < notes->until;
}

/* How much of it was read; 0: it is not there. */
static lsn_t note_piece(struct shared_encoder *shared, lsn_t from, lsn_t until)
{
	struct encoder_notes *notes = &shared->notes;
	lsn_t to = lsn_min(until, from + PIECE_BYTES);
	lsn_t at = from;
	const uint8_t *bytes;
	size_t length;
	if (notes->engine.earlier == NULL) {
		notes->engine.earlier = wal_earlier_new(shared->options.store);
	}
	if (notes->engine.encoder == NULL) {
		notes->engine.encoder = encoder_engine_new_encoder(shared, &notes->engine);
	}
	while (notes->engine.encoder != NULL && at < to &&
		(length = wal_earlier_read(notes->engine.earlier, at, to - at, &bytes)) > 0) {
		link_encoder_note(notes->engine.encoder, at, bytes, length);
		at += length;
	}
	return at - from;
}

void encoder_notes_release(struct shared_encoder *shared)
{
	link_encoder_free(&shared->notes.engine.encoder);
	wal_earlier_free(&shared->notes.engine.earlier);
}

void encoder_notes_run(struct shared_encoder *shared)
{
	struct encoder_notes *notes = &shared->notes;
	lsn_t from = notes->at;
	lsn_t until = notes->until;
	notes->is_running = true;
	pthread_mutex_unlock(&shared->lock);
	lsn_t done = note_piece(shared, from, until);
	pthread_mutex_lock(&shared->lock);
	notes->is_running = false;
	shared->stats.noted_bytes += done;
	/* What was removed, or cannot be read, is left out. */
	notes->at = done == 0 ? notes->until : from + done;
	if (notes->at >= notes->until) {
		encoder_notes_release(shared);
	}
}
