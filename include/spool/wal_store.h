/*
 * wal_store: the WAL this relay holds: appended by one writer, made durable by a flusher thread,
 * read by any number of cursors.
 *
 * DIR holds segments and history files named and laid out exactly as in pg_wal. Invariants:
 *  - flushed <= received. flushed is always the end of a record (or of the zero tail of a switched
 *    segment) whose bytes, file and directory entry are on disk, and whose presence a restart can
 *    prove by walking page headers, xl_prev and record CRCs. So what is acknowledged upstream is
 *    recovered without trusting a byte that does not prove itself.
 *  - a range is a stretch without a hole along one line of timelines. One range is live (it grows);
 *    older ones, cut off by a reset, stay readable to their end. No cursor crosses a hole.
 *  - bytes below received never change: an append that overlaps must be equal, else ERROR_DIVERGED.
 *    Only what does not prove itself to be WAL is forgotten again (wal_store_cut_bad).
 *  - a failed fdatasync ends the process: what the kernel dropped is unknown.
 * Threads: append, begin and switch on the upstream's loop alone; cursors, positions and stats on
 * any thread. Received is published before watchers are told.
 */
#ifndef SPOOL_WAL_STORE_H
#define SPOOL_WAL_STORE_H

#include "base/database.h"
#include "base/error.h"
#include "protocol/lsn.h"
#include "spool/pins.h"
#include "spool/slots.h"
#include "spool/timeline_history.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct durable_operations;
struct wal_store;
struct wal_segment; /* a mapped segment file, counted references */
struct wal_on_disk; /* wal_prefetch.h */

struct wal_store_options {
	const char *directory; /* data_dir/wal; created 0700 when missing */
	uint64_t retain_bytes; /* kept behind the tip whoever needs it */
	int64_t retain_us;     /* likewise by age */
	uint64_t link_bytes;   /* likewise, as far as max_bytes lets it, for batches of the link */
	uint64_t max_bytes;    /* never more on disk; 0: no limit */
	uint64_t min_free_bytes; /* below this the store is full: stop receiving */
	struct pins *pins;       /* kept like slots, and ended at their time; NULL: none */
	const struct durable_operations *operations; /* NULL: the system's; for tests */
};

struct wal_position {
	tli_t tli; /* 0: the store is empty, nothing begun */
	lsn_t lsn;
};

struct wal_store_stats {
	tli_t tli;
	lsn_t oldest_lsn; /* first byte of the live range that is still held */
	lsn_t received_lsn;
	lsn_t flushed_lsn;
	lsn_t redo_lsn;       /* as wal_store_redo() */
	uint64_t spool_bytes; /* on disk, prepared segment included */
	uint64_t disk_free_bytes;
	uint64_t appended_bytes; /* since open; overlap not counted */
	uint64_t flushes;        /* fdatasync rounds since open */
	lsn_t horizon_lsn;       /* retention keeps from here */
	char horizon_reason[96]; /* "retain_size", "slot \"s1\"", ... */
	uint64_t retain_bytes;   /* retain_size */
	/* What max_size leaves for whole segments up to the one being written; 0: it sets no
	 * bounds, or that is not known yet. */
	uint64_t room_bytes;
	/* Acknowledged, and then not part of the timeline that was followed; the last such event
	 * since open, and all of them together. */
	tli_t lost_tli; /* 0: there was none */
	lsn_t lost_from_lsn;
	lsn_t lost_to_lsn;
	uint64_t lost_bytes;
	bool is_full; /* min_free or max_size stops receiving */
	char full_reason[160];
};

/* Recovers: proves the end of the live range. Blocks; done at start. */
struct wal_store *wal_store_open(const struct wal_store_options *options, struct database *database,
	struct slots *slots, struct error *err) MUST_CHECK;
/* Flushes, stores a clean end, stops the threads. No cursor may be left. Accepts NULL, sets NULL.
 */
void wal_store_close(struct wal_store **store);
/* Reload: retention limits may change, directory may not. Any thread. */
void wal_store_set_limits(struct wal_store *store, const struct wal_store_options *options);

/* --- the writer: upstream's loop ------------------------------------------------------------- */

/* First contact, or a new range after a gap: WAL will come from the start of the segment that holds
 * lsn. Stores it before returning. */
bool wal_store_begin(struct wal_store *store, tli_t tli, lsn_t lsn, uint32_t segment_bytes,
	struct error *err) MUST_CHECK;
/* Bytes at lsn of the store's timeline. They may overlap what is held (compared) but may not leave
 * a gap (ERROR_INVALID). ERROR_FULL: no room, nothing was taken; ERROR_DIVERGED: detail names the
 * first differing LSN, nothing was taken, or wal_store_cut_bad() said so. A successful append is
 * published and the watchers are told. */
bool wal_store_append(struct wal_store *store, lsn_t lsn, const void *bytes, size_t length,
	struct error *err) MUST_CHECK;
/* What was received may turn out not to be WAL when the flusher walks it (WAL_STORE_BAD tells).
 * Then everything past flushed is forgotten, as a restart would, and this returns false:
 * ERROR_DIVERGED with the place and the reason. Received is flushed afterwards, and appending may
 * go on from there with better bytes. Readers that got past it fail (WAL_READ_FAILED). */
bool wal_store_cut_bad(struct wal_store *store, struct error *err) MUST_CHECK;
/* A history file as the upstream sent it. Durable before returning. A file already held must be
 * identical (ERROR_DIVERGED). */
bool wal_store_put_history(struct wal_store *store, tli_t tli, const void *text, size_t length,
	struct error *err) MUST_CHECK;
/* The live range goes on as timeline tli, whose history (put before) forks from the present one at
 * or before received. WAL of the new timeline will come from the start of the segment that holds
 * the fork. What lies past the fork on the old timeline stays on disk and is no longer served.
 * Stores it before returning. */
bool wal_store_switch_timeline(struct wal_store *store, tli_t tli, struct error *err) MUST_CHECK;
/* Of the timeline that is left, what lies between the two was acknowledged and is not part of the
 * next. It is pinned (pins_name_left) for WAL_LOSS_PINNED_US, and told in the stats. */
#define WAL_LOSS_PINNED_US INT64_C(2592000000000) /* 30 days */
void wal_store_note_loss(struct wal_store *store, tli_t tli, lsn_t from_lsn, lsn_t to_lsn);
/* Ask the flusher for a round now, not when it gets to it. */
void wal_store_request_flush(struct wal_store *store);

/* --- positions: any thread ------------------------------------------------------------------- */

struct wal_position wal_store_received(struct wal_store *store);
struct wal_position wal_store_flushed(struct wal_store *store);
/* Received as of the last sync: on disk and not found bad, but its end may lie within a record,
 * which a restart could not prove. Not to be acknowledged as flushed. */
struct wal_position wal_store_synced(struct wal_store *store);
uint32_t wal_store_segment_bytes(struct wal_store *store); /* 0 before begin */
/* The live line of descent; release the copy. false: nothing begun. */
bool wal_store_history(struct wal_store *store, struct timeline_history *history_out) MUST_CHECK;
/* A whole history file, malloc'ed; ERROR_NOT_FOUND with SQLSTATE 58P01. */
bool wal_store_read_history_file(struct wal_store *store, tli_t tli, char **text_out,
	size_t *length_out, struct error *err) MUST_CHECK;
/* Redo location of the newest checkpoint record held, for RESERVE_WAL; the oldest LSN held when no
 * checkpoint was seen. */
struct wal_position wal_store_redo(struct wal_store *store);
/* How much may be promised to be kept behind received, for others to refer to. */
uint64_t wal_store_link_keep(struct wal_store *store);
/* So much is promised from now on: max_bytes takes none of it without WAL_STORE_LINK and then some
 * time for a smaller promise to be made. 0: nothing is. */
void wal_store_promise_link(struct wal_store *store, uint64_t keep_bytes);
bool wal_store_is_full(struct wal_store *store);
void wal_store_read_stats(struct wal_store *store, struct wal_store_stats *stats_out);

/* --- backfill: WAL from before what is held, while the upstream still has it -------------------
 *
 * Readers want, one filler fetches, segment by segment from what is held downward, so that there is
 * never a hole in what anybody reads; a want that is fetched to its beginning is taken in. Bounded
 * by max_bytes and min_free_bytes: what would not fit together with all that is held is not wanted.
 */

struct wal_want {
	tli_t tli;
	uint64_t number; /* of a segment */
	lsn_t lsn;       /* where it begins */
	lsn_t end_lsn;   /* where it ends: before its own end when the timeline does */
	uint32_t segment_bytes;
};

enum wal_want_step {
	WAL_WANT_NOTHING,
	WAL_WANT_SEGMENT,  /* fetch this one */
	WAL_WANT_COMPLETE, /* something is to be taken in */
};

/* Without a filler nothing is ever wanted. */
void wal_store_set_filler(struct wal_store *store, bool has_filler);
/* Any thread, for a reader that was told WAL_READ_GONE: true: it is on its way, or will be, wait
 * for WAL_STORE_FILLED and read again. Cheap when asked again. */
bool wal_store_want(struct wal_store *store, tli_t tli, lsn_t lsn);
/* The filler's thread. */
enum wal_want_step wal_store_next_want(struct wal_store *store, struct wal_want *want_out);
/* The filler's thread: the whole segment, zeros after want->end_lsn. It must go on as what is held
 * (ERROR_DIVERGED) and fit (ERROR_FULL). Durable before returning. */
bool wal_store_fill(struct wal_store *store, const struct wal_want *want, const void *bytes,
	struct error *err) MUST_CHECK;
/* The filler's thread: it cannot be had. Readers are told so for a while. */
void wal_store_refuse(struct wal_store *store, const struct wal_want *want);
/* The writer's thread: what is complete becomes part of what is held. */
bool wal_store_take_in(struct wal_store *store, struct error *err) MUST_CHECK;

/* --- watchers -------------------------------------------------------------------------------- */

enum wal_store_event {
	WAL_STORE_RECEIVED = 1, /* received moved (back too), or the timeline switched */
	WAL_STORE_FLUSHED = 2,  /* flushed moved */
	WAL_STORE_FULL = 4,     /* became full, or has room again */
	WAL_STORE_PRUNED = 8,   /* old segments went */
	WAL_STORE_BAD = 16,     /* received WAL is not valid: the writer has to cut it */
	WAL_STORE_LINK = 64,    /* wal_store_link_keep() may have changed */
	WAL_STORE_WANTED = 128, /* wal_store_want() asks for what is not held */
	WAL_STORE_FILLED = 256, /* something wanted came, or will not come */
	WAL_STORE_SYNCED = 32,  /* synced moved; told with FLUSHED when that moved too */
};
/* Called on the thread where it happened: only ring a wake or post. events: an or of the above. */
typedef void wal_store_watch(void *context, unsigned events);
struct wal_watcher;
struct wal_watcher *wal_store_add_watcher(
	struct wal_store *store, unsigned events, wal_store_watch *watch, void *context);
/* When it returns, the callback does not run and will not run. */
void wal_store_remove_watcher(struct wal_store *store, struct wal_watcher **watcher);

/* --- cursors: a cursor belongs to one thread; different cursors to different threads -----------
 */

enum wal_read {
	WAL_READ_DATA,         /* span_out holds at least one byte */
	WAL_READ_WAIT,         /* at the end of what is there: wait for a watcher's news */
	WAL_READ_TIMELINE_END, /* at the switchpoint: this timeline has no more */
	WAL_READ_GONE,         /* removed, or behind a hole: err has 58P01 and PostgreSQL's words */
	WAL_READ_FAILED,       /* the disk said no, or what was read turned out bad: err says how */
};

struct wal_span {
	const uint8_t *bytes; /* in a mapping shared by all readers */
	size_t length;
	lsn_t lsn;
	struct wal_segment
		*segment; /* valid while the cursor stands in it; else hold a reference */
};

struct wal_cursor;
/* flushed_only: see no more than what is durable (forward = flushed). The cursor holds WAL from its
 * position against retention (it yields to max_size as slots do) from here on. lsn may be ahead of
 * received on the current timeline: reading then waits. Whether the bytes are there is told by the
 * first read. Fails with ERROR_INVALID and PostgreSQL's words (SQLSTATE XX000) when tli is not in
 * the history or lsn lies past the timeline's switchpoint. */
struct wal_cursor *wal_cursor_open(struct wal_store *store, tli_t tli, lsn_t lsn, bool flushed_only,
	struct error *err) MUST_CHECK;
void wal_cursor_close(struct wal_cursor **cursor);
/* The bytes at the cursor, at most length_max, never across a segment's end; when more than
 * length_max is there the stretch ends at a page boundary, else at a safe end (the end of what one
 * append brought). Does not move the cursor. */
enum wal_read wal_cursor_peek(
	struct wal_cursor *cursor, size_t length_max, struct wal_span *span_out, struct error *err);
/* Such a peek would have to wait for the disk; what for can be asked of wal_prefetch meanwhile, and
 * is valid as long as a span would be. */
bool wal_cursor_is_on_disk(
	struct wal_cursor *cursor, size_t length_max, struct wal_on_disk *stretch_out);
void wal_cursor_advance(struct wal_cursor *cursor, size_t length);
lsn_t wal_cursor_lsn(const struct wal_cursor *cursor);
tli_t wal_cursor_tli(const struct wal_cursor *cursor);
/* Where this timeline ends and what follows; false: it is the current one. */
bool wal_cursor_timeline_end(struct wal_cursor *cursor, lsn_t *switch_lsn_out, tli_t *next_tli_out);
/* Last byte + 1 that this cursor could read now: what a 'w' message tells as the server's end. */
lsn_t wal_cursor_end(struct wal_cursor *cursor);

/* Any thread. Keeps the mapping alive while bytes of it wait in a socket's queue. */
struct wal_segment *wal_segment_ref(struct wal_segment *segment);
void wal_segment_unref(struct wal_segment *segment);

#endif
