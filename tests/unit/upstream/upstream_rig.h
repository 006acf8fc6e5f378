/*
 * upstream_rig: a whole upstream on a loop of its own, a real spool, and a server played by the
 * test.
 */
#ifndef TESTS_UPSTREAM_RIG_H
#define TESTS_UPSTREAM_RIG_H

#include "fake_server.h"
#include "support/wal_fixture.h"
#include "upstream/upstream.h"

#define RIG_SYSTEM  "7300000000000000001"
#define RIG_SEGMENT (1u << 20)

struct upstream_rig {
	struct wal_fixture spool;
	struct cluster *cluster;
	struct fake_server server;
	struct loop *loop;
	struct loop *main_loop; /* run by the test's thread while it waits for the stop */
	struct upstream *upstream;
	struct wal_maker *maker; /* what play() may send: three segments from the second on */
	char conninfo[256];
};

/* Everything but the upstream. play gets the rig as the server's context. */
void rig_open(struct upstream_rig *rig, void (*play)(struct fake_server *server));
/* Makes the upstream with what is set in options; the rest is filled in. */
void rig_make(struct upstream_rig *rig, struct upstream_options options);
/* And starts it. */
void rig_follow(struct upstream_rig *rig, struct upstream_options options);
/* Waits until the upstream's error says this. */
void rig_wait_error(struct upstream_rig *rig, const char *part);
void rig_wait_state(struct upstream_rig *rig, enum upstream_state state);
void rig_wait_reconnects(struct upstream_rig *rig, uint64_t reconnects);
/* Until the stats count so many bytes of WAL. */
void rig_wait_wal_bytes(struct upstream_rig *rig, uint64_t bytes);
void rig_wait_plain_requests(struct upstream_rig *rig, uint64_t requests);
/* Until all that play_send_all() sends is flushed: then the server has sent it, too. */
void rig_wait_all(struct upstream_rig *rig);
void rig_wait_spool_full(struct upstream_rig *rig);
struct upstream_stats rig_stats(struct upstream_rig *rig);
/* Stops the upstream; the spool stays. */
void rig_stop(struct upstream_rig *rig);
/* Fails the test when the server had a problem. */
void rig_close(struct upstream_rig *rig);

/* End of the last whole record. */
lsn_t rig_last_end(const struct upstream_rig *rig);

/* For play. */
struct upstream_rig *rig_of(const struct fake_server *server);
/* The answers up to the slot of a server at that position on timeline 1. */
void play_identity(struct fake_server *server, const char *version, lsn_t lsn);
/* Up to the stream that begins at the second segment; nothing of it is sent. */
void play_to_stream(struct fake_server *server);
void play_send_all(struct fake_server *server);
/* Statuses until one claims this as flushed; none may claim more than what was sent. */
struct standby_status play_expect_flushed(struct fake_server *server, lsn_t lsn);

#endif
