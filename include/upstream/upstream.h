/*
 * upstream: follows a PostgreSQL server (or another relay) and fills the spool.
 *
 * One connection for the stream; it is made again with backoff and jitter whenever it is lost. What
 * cannot pass by itself (another system identifier, diverged WAL, a gap) stops this half with a
 * reason and is tried again slowly, while serving goes on. Lives on a loop of its own; start, stop
 * and reload are called on any thread and take effect there; stats are any thread.
 */
#ifndef UPSTREAM_UPSTREAM_H
#define UPSTREAM_UPSTREAM_H

#include "base/database.h"
#include "base/error.h"
#include "net/loop.h"
#include "protocol/lsn.h"
#include "spool/cluster.h"
#include "spool/wal_store.h"
#include "upstream/acknowledge.h"

#include <stdbool.h>
#include <stdint.h>

struct upstream;

enum upstream_start { UPSTREAM_START_REDO, UPSTREAM_START_OLDEST, UPSTREAM_START_LSN };

struct upstream_options {
	const char *relay_name; /* application_name unless conninfo has one */
	const char *conninfo;
	const char *slot;          /* "": none */
	enum upstream_start start; /* where an empty spool begins */
	lsn_t start_lsn;
	bool remote_apply_flush;               /* report apply = flush */
	struct acknowledge_limits acknowledge; /* what flush means: how many standbys too */
	bool wants_link;                       /* of an upstream that is a relay */
	bool recompresses; /* images that PostgreSQL compressed, where the upstream sends them as
			      pages */
	unsigned lanes;    /* connections of a link; 0: as many as help; 1: never more than one */
	int64_t status_interval_us;  /* 10 s */
	int64_t receiver_timeout_us; /* 60 s; 0: off */
	struct loop *loop;         /* its own: libpq resolves names and the state is stored here */
	struct database *database; /* remembers that the slot was there once */
	struct cluster *cluster;
	struct wal_store *store;
	/* Lowest replay position of the standbys behind us; LSN_INVALID: none. NULL: none. */
	lsn_t (*replayed_lsn)(void *context, tli_t tli);
	/* What that many of them have flushed; LSN_INVALID: nothing. NULL: there are none. */
	lsn_t (*standbys_flushed_lsn)(void *context, tli_t tli, unsigned standbys);
	/* hot_standby_feedback of the standbys behind us. NULL: none. */
	void (*oldest_xmin)(void *context, uint64_t *xmin_out, uint64_t *catalog_xmin_out);
	void *context;
};

enum upstream_state {
	UPSTREAM_IDLE,       /* not started, or stopped */
	UPSTREAM_CONNECTING, /* also while asking who it is */
	UPSTREAM_STREAMING,
	UPSTREAM_WAITING, /* between two tries */
	UPSTREAM_FULL,    /* not receiving: the spool has no room */
	UPSTREAM_STOPPED, /* cannot go on by itself: gap, diverged, wrong system; tried again slowly
			   */
};

struct upstream_stats {
	enum upstream_state state;
	char host[256]; /* of the present or last connection */
	char host_address[64];
	char port[16];
	char last_error[512]; /* "" when streaming */
	bool has_gap;         /* upstream no longer has the WAL that comes next */
	bool has_diverged;
	int64_t slot_remade_us;  /* Unix time: our slot was missing, and the present or last
				    connection made it again; 0: it was there */
	int64_t state_since_us;  /* Unix time */
	int64_t last_message_us; /* Unix time of the last message; 0: never */
	uint64_t reconnects;
	uint64_t wal_bytes;    /* taken, overlap included */
	uint64_t wire_bytes;   /* as received in CopyData, framing included */
	lsn_t server_end_lsn;  /* as the upstream last told */
	unsigned link_version; /* of the present or last stream; 0: plain */
	unsigned link_lanes;   /* connections over which its WAL comes */
	/* Since the start, of what came over links. */
	uint64_t link_batches;
	uint64_t link_raw_bytes;      /* WAL in batches */
	uint64_t link_batch_bytes;    /* their size */
	uint64_t link_plain_requests; /* batches that could not be decoded */
	uint64_t link_decode_us;      /* of CPU time */
	char page_url[256];           /* of the upstream's status page, a relay's; "": not told */
	char slot[64];
	int64_t max_slot_wal_keep_bytes; /* the upstream's; -1: no limit; -2: not known */
	unsigned acknowledge_standbys;   /* acknowledge = standbys N; 0: relay */
	bool is_acknowledging_alone;     /* too few standbys held it in time: our own disk counts */
};

const char *upstream_state_name(enum upstream_state state);

struct upstream *upstream_new(const struct upstream_options *options, struct error *err) MUST_CHECK;
/* After upstream_stop() said so, or when never started. */
void upstream_free(struct upstream **upstream);
void upstream_start(struct upstream *upstream);
/* Reports what is flushed, ends the connection; stopped(context) is then posted to loop. */
void upstream_stop(struct upstream *upstream, struct loop *loop, loop_call *stopped, void *context);
/* New conninfo, slot, timeouts (strings are copied): reconnects only if conninfo or slot changed.
 */
void upstream_reload(struct upstream *upstream, const struct upstream_options *options);
/* Any thread, until upstream_free(): what replayed_lsn, standbys_flushed_lsn or oldest_xmin answer
 * may have moved. Rung any number of times, looked at once a turn of the loop. */
void upstream_replayed(struct upstream *upstream);
/* Any thread, until upstream_free(). After a gap: begins a new range with the segment of lsn, and
 * follows the upstream from there. done is called on the upstream's loop; its errors carry
 * SQLSTATE.
 */
typedef void upstream_done(void *context, bool ok, const struct error *err);
void upstream_skip(struct upstream *upstream, lsn_t lsn, upstream_done *done, void *context);
void upstream_read_stats(struct upstream *upstream, struct upstream_stats *stats_out);

/* For `check`: can this conninfo be parsed; is the slot name valid. */
bool upstream_conninfo_is_valid(const char *conninfo, struct error *err) MUST_CHECK;
/* conninfo with password and sslpassword shown as ********; malloc'ed, NULL when invalid. */
char *upstream_conninfo_masked(const char *conninfo);

#endif
