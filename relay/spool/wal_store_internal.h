/*
 * wal_store_internal: what the files of wal_store share, and nobody else sees.
 *
 * Threads: the writer (append, begin, switch: upstream's loop), the flusher, the keeper, and
 * readers on any thread. Readers take no lock but at a segment's border; what they follow is
 * `line`, a description that is never changed but replaced, and the two positions of its `tip`. Old
 * lines and tips live until the store is closed, since there is one a timeline switch or gap.
 *
 * Locks, in the order in which they are taken: keeper.work, flusher.lock / keeper.lock /
 * cursors_lock / watchers_lock (none of these inside another), and the catalogue's and the segment
 * cache's own inside any of them.
 */
#ifndef SPOOL_WAL_STORE_INTERNAL_H
#define SPOOL_WAL_STORE_INTERNAL_H

#include "base/durable_file.h"
#include "spool/retention.h"
#include "spool/wal_catalogue.h"
#include "spool/wal_scan.h"
#include "spool/wal_segment.h"
#include "spool/wal_state.h"
#include "spool/wal_store.h"

#include <pthread.h>
#include <stdatomic.h>

#define WAL_LOG_SCOPE "spool"
/* Not the name of a segment, so that nobody takes it for WAL. */
#define WAL_PREPARED_NAME "next_segment.tmp"
#define WAL_FILL_NAME     "fill_segment.tmp"

/* Gives wal_scan its pages out of the mappings of one timeline's files. */
struct wal_pages {
	struct wal_segment_cache *cache;
	tli_t tli;
	uint32_t segment_bytes;
	bool may_be_cold; /* read ahead, and turn bad sectors into errors */
	struct wal_segment *segment;
	uint64_t number;
	struct error err; /* why there was no page */
};

/* The growing end of the live stretch. */
struct wal_tip {
	struct wal_tip *older;
	int64_t stretch_id;
	tli_t tli;
	lsn_t start;
	/* What lies before the fork is the parent's too. 0: there is none. */
	tli_t parent_tli;
	lsn_t fork;
	_Atomic lsn_t received; /* moved by the writer */
	_Atomic lsn_t flushed;  /* moved by the flusher */
	_Atomic lsn_t synced;   /* on disk, proved or not; moved by the flusher */
	/* Set by the flusher, last of a round: what follows flushed is not WAL, the scan says why.
	 */
	atomic_bool is_bad;
	lsn_t cut_lsn; /* it took the place of a bad tip, which had more; else LSN_INVALID */
	/* The writer's own: files up to here are there. More than received asks for when an append
	 * failed after it had begun a segment. */
	lsn_t files_end;
	/* The flusher's own. */
	struct wal_pages pages;
	struct wal_scan scan;
	bool has_good_point;
};

struct wal_line {
	struct wal_line *older;
	struct timeline_history history;
	tli_t tli;
	uint32_t segment_bytes;
	struct wal_stretch *stretches; /* in order of time, the last one is live */
	size_t stretch_count;
	struct wal_tip *tip;
};

struct wal_written_file {
	struct wal_written_file *next;
	struct durable_file *file;
	tli_t tli;
	uint64_t number;
};

/* Cumulative, so that a wait needs no more than a comparison. */
struct wal_flusher {
	pthread_t thread;
	bool is_started;
	pthread_mutex_t lock;
	pthread_cond_t wake;
	pthread_cond_t done;
	atomic_bool is_waiting;
	/* Under lock. */
	bool is_stopping;
	uint64_t requested;
	uint64_t served;
	struct wal_written_file *current;  /* the writer's; closed by the flusher only */
	struct wal_written_file *finished; /* written to the end, not yet synced */
	bool is_directory_dirty;
	int64_t good_stretch_id; /* which the next belongs to */
	struct wal_good_point good;
	atomic_uint_fast64_t rounds;
};

struct wal_keeper {
	pthread_t thread;
	bool is_started;
	/* Held during a whole round: making room, preparing. The writer takes it only when it
	 * crosses into a new segment. */
	pthread_mutex_t work;
	/* Under work. */
	struct durable_file *prepared;
	uint64_t last_free_bytes;
	int64_t last_prune_us;
	int64_t saved_stretch_id;
	struct wal_good_point saved;
	int64_t saved_us;
	bool is_save_failing;
	bool is_prepare_failing;
	char near_loss[RETENTION_REASON_SIZE]; /* who was warned that max_size comes near */
	/* Under lock. */
	pthread_mutex_t lock;
	pthread_cond_t wake;
	bool is_stopping;
	bool is_rung;
	struct wal_store_options limits; /* directory and operations are not used here */
	char full_reason[160];
	lsn_t horizon_lsn;
	char horizon_reason[96];
	uint64_t room_bytes; /* as in wal_store_stats */
	tli_t lost_tli;
	lsn_t lost_from_lsn;
	lsn_t lost_to_lsn;
	uint64_t lost_bytes;
	atomic_uint_fast64_t link_promised_bytes;
	atomic_uint_fast64_t link_room_bytes; /* what max_bytes leaves of it; UINT64_MAX: all */
	int64_t link_pressed_us;              /* under work: since when it leaves less; 0: no */
	uint64_t free_bytes;
	atomic_bool is_full;
	atomic_bool has_prepared;
};

struct wal_writer {
	struct wal_written_file *file; /* also flusher.current */
	struct wal_segment *overlap;   /* last one compared with, while comparing goes on */
	tli_t overlap_tli;
	uint64_t overlap_number;
};

#define WAL_WANTS_MAX 16

enum wal_want_state { WAL_WANT_FREE, WAL_WANT_PENDING, WAL_WANT_TAKEN_IN, WAL_WANT_REFUSED };

/* From lsn, a segment's start, up to what is held of the timeline. */
struct wal_wanted {
	enum wal_want_state state;
	tli_t tli;
	lsn_t lsn;
	lsn_t refused_lsn;  /* what ends here or before cannot be had */
	int64_t touched_us; /* monotonic */
};

struct wal_backfill {
	pthread_mutex_t lock; /* inside keeper.work; of all that follows */
	bool has_filler;
	struct wal_wanted wanted[WAL_WANTS_MAX];
};

struct wal_watcher {
	struct wal_watcher *next;
	unsigned events;
	wal_store_watch *watch;
	void *context;
};

struct wal_store {
	struct durable_directory *directory;
	struct database *database;
	struct slots *slots;
	struct pins *pins; /* or NULL */
	struct wal_segment_cache *cache;
	struct wal_catalogue catalogue;
	_Atomic(struct wal_line *) line; /* NULL: nothing begun */
	_Atomic lsn_t oldest;            /* first byte held of the live range */
	atomic_uint_fast64_t appended_bytes;
	struct wal_state state; /* the writer's, and the stretches' source */
	struct wal_writer writer;
	struct wal_flusher flusher;
	struct wal_keeper keeper;
	struct wal_backfill backfill;
	pthread_mutex_t cursors_lock;
	struct wal_cursor *cursors;
	pthread_rwlock_t watchers_lock;
	struct wal_watcher *watchers;
};

static inline struct wal_line *wal_store_line(struct wal_store *store)
{
	return atomic_load_explicit(&store->line, memory_order_acquire);
}

/* --- wal_store.c */
void wal_store_notify(struct wal_store *store, unsigned events);
/* What was promised is unknown once a sync failed. */
_Noreturn void wal_store_die(const struct error *err);
uint64_t wal_store_disk_bytes(struct wal_store *store);

/* --- wal_pages.c */
const uint8_t *wal_pages_at(void *context, lsn_t page_lsn);
void wal_pages_release(struct wal_pages *pages);

/* --- wal_line.c: lines, begin and switch */
/* Of the live stretch, from its start. */
struct wal_tip *wal_tip_new(struct wal_store *store);
/* One that was not published. */
void wal_tip_free(struct wal_tip *tip);
/* Takes history over. */
void wal_line_publish(
	struct wal_store *store, struct timeline_history *history, struct wal_tip *tip);
void wal_lines_release(struct wal_store *store);
bool wal_line_read_history(struct wal_store *store, tli_t tli, struct timeline_history *history_out,
	struct error *err) MUST_CHECK;

/* --- wal_recovery.c */
bool wal_store_recover(struct wal_store *store, struct error *err) MUST_CHECK;

/* First byte of the live range from which on no file is missing. The writer's thread. */
lsn_t wal_store_find_oldest(struct wal_store *store, lsn_t received);

/* --- wal_backfill.c */
/* What was fetched is kept from here on though it is not taken in yet, or hardly was; UINT64_MAX:
 * there is none. */
lsn_t wal_backfill_keeps(struct wal_store *store);

/* --- wal_cut.c */
/* Zeroes what follows `end` in its segment and removes the tip's later files. */
bool wal_cut_rest(
	struct wal_store *store, struct wal_tip *tip, lsn_t end, struct error *err) MUST_CHECK;
/* Makes that durable. */
bool wal_cut_sync(struct wal_store *store, const struct wal_tip *tip, lsn_t end,
	struct error *err) MUST_CHECK;
/* End of the segment that holds the byte before lsn. */
lsn_t wal_cut_segment_end(const struct wal_store *store, lsn_t lsn);

/* --- wal_append.c */
/* The file being written is complete for now; the flusher will sync and close it. */
void wal_writer_leave_file(struct wal_store *store);
void wal_writer_leave_overlap(struct wal_store *store);
void wal_writer_release(struct wal_store *store);

/* --- wal_flusher.c */
bool wal_flusher_start(struct wal_store *store, struct error *err) MUST_CHECK;
void wal_flusher_stop(struct wal_store *store);
/* Something was published: begin a round unless one runs. */
void wal_flusher_wake(struct wal_store *store);
/* Until all that was received before the call is on disk. */
void wal_flusher_wait(struct wal_store *store);
/* A new tip, or one just recovered. */
void wal_flusher_set_good(struct wal_store *store, const struct wal_tip *tip);
void wal_flusher_read_good(
	struct wal_store *store, int64_t *stretch_id_out, struct wal_good_point *good_out);

/* --- wal_keeper.c */
void wal_keeper_init(struct wal_store *store, const struct wal_store_options *options);
bool wal_keeper_start(struct wal_store *store, struct error *err) MUST_CHECK;
void wal_keeper_stop(struct wal_store *store);
void wal_keeper_ring(struct wal_store *store);
/* A new file under the segment's name, its directory entry not yet durable. */
struct durable_file *wal_keeper_take_segment(
	struct wal_store *store, tli_t tli, uint64_t number, struct error *err) MUST_CHECK;
/* Under work. Stores how far the next restart need not look. */
void wal_keeper_save_good(struct wal_store *store);
void wal_keeper_read_limits(struct wal_store *store, struct wal_store_options *limits_out);

/* --- wal_promise.c */
/* Of the live range, the first byte batches of the link may refer to. */
lsn_t wal_promise_lsn(struct wal_store *store, const struct wal_line *line);
/* Under work. Max_bytes wants what lies before horizon_lsn, in which the link refers: where removal
 * has to stop for now. *waits_out: a smaller promise is waited for. */
lsn_t wal_promise_yield(
	struct wal_store *store, const struct wal_line *line, lsn_t horizon_lsn, bool *waits_out);

/* --- wal_loss.c: who loses WAL to max_size, before and after. Under work. */
void wal_loss_report(struct wal_store *store, const struct retention_input *input,
	const struct retention_decision *decision, const size_t *lost);
void wal_loss_warn(struct wal_store *store, const struct retention_input *input,
	const struct retention_decision *decision);

/* --- wal_prune.c */
/* Under work. Removes what retention no longer keeps, with room for one more segment than there is;
 * false: max_size does not leave that room. */
bool wal_store_prune(struct wal_store *store);

/* --- wal_cursor.c */
/* Calls visit for each live cursor, under the registry's lock. */
void wal_cursors_visit(
	struct wal_store *store, void (*visit)(void *context, lsn_t lsn), void *context);

#endif
