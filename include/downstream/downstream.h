/*
 * downstream: everybody who follows this relay: the sender loops and the sessions on them.
 *
 * A connection is handed in by the listener, goes to the least loaded sender loop and lives there
 * for good as one session. Sessions share nothing but the spool's mappings; a slow one never slows
 * another. Any thread, unless said otherwise.
 */
#ifndef DOWNSTREAM_DOWNSTREAM_H
#define DOWNSTREAM_DOWNSTREAM_H

#include "base/error.h"
#include "downstream/passthrough.h"
#include "downstream/shared_encoder.h"
#include "net/loop.h"
#include "protocol/backup_progress.h"
#include "protocol/lsn.h"
#include "spool/cluster.h"
#include "spool/slots.h"
#include "spool/wal_store.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

struct console_service;
struct destinations;
struct downstream;
struct hba;
struct tls_context;
struct user_list;

/* What may change while it runs; copied, references are taken. */
struct downstream_limits {
	unsigned max_connections;
	unsigned max_connections_per_address; /* 0: no limit */
	int64_t authentication_timeout_us;    /* from the first byte, absolute */
	int64_t wal_sender_timeout_us;        /* 0: off; 60 s is PostgreSQL's default */
	uint64_t egress_cap_bytes;            /* a second; 0: none */
	bool proxy_protocol;
	const char *proxy_from; /* comma-separated CIDRs, or NULL: nobody */
	struct hba *hba;
	struct user_list *users;
	struct tls_context *tls; /* NULL: none is offered */
};

/* Links to relays that follow this one. */
struct downstream_link {
	bool is_offered;
	bool recompresses; /* images that PostgreSQL compressed go as pages, where the other end can
			    */
	bool is_level_auto;
	int level;
	const char *congestion; /* congestion control toward them; "": the system's */
	uint64_t reference_bytes;
	unsigned lanes; /* connections to one relay; 0: as many as help; 1: never more than one */
};

struct downstream_options {
	const char *relay_name;
	const char *page_url;    /* told to relays that follow; NULL or "": nothing */
	const uint8_t *mock_key; /* MOCK_KEY_BYTES of them; NULL: one for this process */
	unsigned sender_threads; /* 0: one per core */
	bool forward_flushed;    /* forward = flushed */
	struct cluster *cluster;
	struct wal_store *store;
	struct slots *slots;
	struct destinations *destinations; /* outlives it; NULL: nothing is counted */
	const struct passthrough *passthrough;
	const struct console_service *console; /* outlives it; NULL: there is none */
	struct downstream_link link;
	struct downstream_limits limits;
	/* What downstream_replayed_lsn() answers may have moved: the standby that held it back
	 * replayed or left, or a new one counts. On a sender loop: only ring a wake. NULL: nobody
	 * wants to know. */
	void (*on_replayed)(void *context);
	/* What downstream_flushed_lsn() answers may have moved. Likewise. */
	void (*on_flushed)(void *context);
	void *context;
};

enum standby_state {
	STANDBY_STARTUP,   /* connected, no command yet */
	STANDBY_BACKUP,    /* a base backup passes through */
	STANDBY_CATCHUP,   /* sending what lies behind the tip */
	STANDBY_STREAMING, /* has been sent everything once since it connected */
	STANDBY_STOPPING,
};

/* A base backup on its way; BACKUP_PHASE_NONE: there is none. */
struct standby_backup {
	enum backup_phase phase;
	uint64_t done_bytes;
	uint64_t total_bytes; /* estimated; 0: not known */
};

#define DOWNSTREAM_STANDBYS_MAX 1000 /* that can be waited for */

struct standby_stats {
	uint32_t pid; /* as told in BackendKeyData */
	char user[64];
	char application_name[64];
	char peer[64];
	char slot[SLOT_NAME_SIZE];
	const char *destination; /* valid as long as the relay's destinations */
	enum standby_state state;
	tli_t tli;
	lsn_t sent_lsn;
	lsn_t write_lsn; /* as reported; 0: never */
	lsn_t flush_lsn;
	lsn_t replay_lsn;
	int64_t connected_at_us;  /* Unix time */
	int64_t last_reply_at_us; /* Unix time; 0: never */
	int64_t write_lag_us;     /* as replay_lag_us, of what it wrote */
	int64_t flush_lag_us;
	int64_t replay_lag_us; /* age of what it last said to have replayed; -1: not known, or idle
				*/
	uint64_t xmin;         /* of its hot_standby_feedback, epoch << 32 | xid; 0: none */
	uint64_t wal_bytes;
	uint64_t wire_sent_bytes;
	uint64_t wire_received_bytes;
	uint64_t backup_bytes; /* of base backups that passed through, as they were sent */
	struct standby_backup backup;
	bool is_link;              /* a relay that takes batches */
	bool is_lane;              /* one more connection of such a one: no standby of its own */
	uint64_t link_reach_bytes; /* how far back those refer */
	unsigned link_lanes;       /* its connections, when lanes were added to it; else 0 */
};

const char *standby_state_name(enum standby_state state); /* as pg_stat_replication spells it */

/* How many loops there will be, and count, with that option. */
unsigned downstream_loop_count(unsigned sender_threads);
/* One of them, for whoever watches that it turns; below downstream_loop_count(). */
struct loop *downstream_loop(struct downstream *downstream, unsigned number);

struct downstream *downstream_new(
	const struct downstream_options *options, struct error *err) MUST_CHECK;
/* After downstream_stop() said so. Joins the loops. */
void downstream_free(struct downstream **downstream);
bool downstream_start(struct downstream *downstream, struct error *err) MUST_CHECK;

/* Takes fd over. */
void downstream_accept(
	struct downstream *downstream, int fd, const struct sockaddr *peer, size_t peer_length);
void downstream_set_limits(struct downstream *downstream, const struct downstream_limits *limits);
/* Whom destinations match has changed: every connection is matched again, soon. */
void downstream_match_again(struct downstream *downstream);
/* Caps or priorities of destinations have changed: whoever waits for his turn asks anew. */
void downstream_tell_caps(struct downstream *downstream);
/* Ends the replication session of that pid, if there is one. */
void downstream_kill(struct downstream *downstream, uint32_t pid);
/* Clean stop, as a primary's: refuse new commands, send what is there, wait until each standby has
 * confirmed it or timeout_us has passed, say goodbye ("COPY 0"). stopped(context) is then posted to
 * loop. */
void downstream_stop(struct downstream *downstream, int64_t timeout_us, struct loop *loop,
	loop_call *stopped, void *context);

/* Lowest replay position among standbys on tli that have caught up once; LSN_INVALID: none. One
 * thread at a time: on_replayed is told of what would change the last answer. */
lsn_t downstream_replayed_lsn(struct downstream *downstream, tli_t tli);
/* What that many standbys on tli have flushed: the standbys-th highest position they report;
 * LSN_INVALID: fewer report one. standbys: from 1 to DOWNSTREAM_STANDBYS_MAX. Any thread. */
lsn_t downstream_flushed_lsn(struct downstream *downstream, tli_t tli, unsigned standbys);
/* hot_standby_feedback of all standbys together, those that are away from their slots included: the
 * older of each; 0: nobody asks. Epochs in the upper half: (epoch << 32 | xid). */
void downstream_oldest_xmin(
	struct downstream *downstream, uint64_t *xmin_out, uint64_t *catalog_xmin_out);
/* Fills at most capacity, returns how many there are (replication sessions past authentication,
 * lanes among them). */
size_t downstream_list(
	struct downstream *downstream, struct standby_stats *stats_out, size_t capacity);
size_t downstream_connection_count(struct downstream *downstream);
/* False: no links are offered. */
bool downstream_read_link_stats(
	struct downstream *downstream, struct shared_encoder_stats *stats_out);

#endif
