/*
 * upstream_rig: wires what app/ would, with the test's server at the other end.
 */
#include "upstream_rig.h"

#include "base/log.h"

#include "support/cmocka_all.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#define PATIENCE_MS 20000

static void nap(void)
{
	const struct timespec millisecond = {0, 1000000};

	nanosleep(&millisecond, NULL);
}

void rig_open(struct upstream_rig *rig, void (*play)(struct fake_server *server))
{
	struct error err;

	memset(rig, 0, sizeof(*rig));
	fixture_open(&rig->spool);
	rig->cluster = cluster_open(rig->spool.database, &err);
	assert_non_null(rig->cluster);
	rig->maker = wal_maker_new(1, RIG_SEGMENT, RIG_SEGMENT, 42);
	wal_maker_fill(rig->maker, 3 * RIG_SEGMENT + 1000);
	fake_server_listen(&rig->server, play, rig);
	fake_server_conninfo(&rig->server, rig->conninfo, sizeof(rig->conninfo));
}

void rig_make(struct upstream_rig *rig, struct upstream_options options)
{
	struct error err;

	rig->loop = loop_new("upstream", &err);
	rig->main_loop = loop_new("main", &err);
	assert_non_null(rig->loop);
	assert_non_null(rig->main_loop);
	options.relay_name = "rig";
	options.conninfo = rig->conninfo;
	options.slot = options.slot == NULL ? "rig" : options.slot;
	options.status_interval_us =
		options.status_interval_us == 0 ? 10000000 : options.status_interval_us;
	options.loop = rig->loop;
	options.database = rig->spool.database;
	options.cluster = rig->cluster;
	options.store = rig->spool.store;
	rig->upstream = upstream_new(&options, &err);
	assert_non_null(rig->upstream);
	/* Only now: it may use what the test made since rig_open(). */
	fake_server_run(&rig->server);
}

void rig_follow(struct upstream_rig *rig, struct upstream_options options)
{
	struct error err;

	rig_make(rig, options);
	assert_true(loop_start(rig->loop, &err));
	upstream_start(rig->upstream);
}

struct upstream_stats rig_stats(struct upstream_rig *rig)
{
	struct upstream_stats stats;

	upstream_read_stats(rig->upstream, &stats);
	return stats;
}

#define WAIT_UNTIL(rig, condition, ...)                                                            \
	do {                                                                                       \
		for (int waited_ms = 0; !(condition); waited_ms++) {                               \
			if (waited_ms == PATIENCE_MS) {                                            \
				complain(rig, __VA_ARGS__);                                        \
			}                                                                          \
			nap();                                                                     \
		}                                                                                  \
	} while (0)

static void complain(struct upstream_rig *rig, const char *what, const char *expected)
{
	struct upstream_stats stats = rig_stats(rig);

	fail_msg("%s is not \"%s\"; state \"%s\", error \"%s\"; the server: \"%s\"", what, expected,
		upstream_state_name(stats.state), stats.last_error, rig->server.problem);
}

void rig_wait_error(struct upstream_rig *rig, const char *part)
{
	WAIT_UNTIL(rig, strstr(rig_stats(rig).last_error, part) != NULL, "error", part);
}

void rig_wait_state(struct upstream_rig *rig, enum upstream_state state)
{
	WAIT_UNTIL(rig, rig_stats(rig).state == state, "state", upstream_state_name(state));
}

void rig_wait_reconnects(struct upstream_rig *rig, uint64_t reconnects)
{
	WAIT_UNTIL(rig, rig_stats(rig).reconnects >= reconnects, "reconnects", "enough");
}

void rig_wait_wal_bytes(struct upstream_rig *rig, uint64_t bytes)
{
	WAIT_UNTIL(rig, rig_stats(rig).wal_bytes >= bytes, "bytes of WAL", "enough");
}

void rig_wait_plain_requests(struct upstream_rig *rig, uint64_t requests)
{
	WAIT_UNTIL(rig, rig_stats(rig).link_plain_requests >= requests, "requests", "enough");
}

void rig_wait_all(struct upstream_rig *rig)
{
	fixture_wait_flushed(&rig->spool, 1, rig_last_end(rig));
}

static bool is_full(struct wal_fixture *spool)
{
	return wal_store_is_full(spool->store);
}

void rig_wait_spool_full(struct upstream_rig *rig)
{
	fixture_wait(&rig->spool, is_full);
}

static void on_stopped(void *context)
{
	loop_stop(context);
}

void rig_stop(struct upstream_rig *rig)
{
	upstream_stop(rig->upstream, rig->main_loop, on_stopped, rig->main_loop);
	loop_run(rig->main_loop);
	assert_int_equal(rig_stats(rig).state, UPSTREAM_IDLE);
	loop_stop(rig->loop);
	loop_join(rig->loop);
	upstream_free(&rig->upstream);
	loop_free(&rig->loop);
	loop_free(&rig->main_loop);
}

void rig_close(struct upstream_rig *rig)
{
	if (rig->upstream != NULL) {
		rig_stop(rig);
	}
	fake_server_join(&rig->server);
	cluster_close(&rig->cluster);
	fixture_close(&rig->spool);
	wal_maker_free(rig->maker);
	assert_string_equal(rig->server.problem, "");
}

void play_identity(struct fake_server *server, const char *version, lsn_t lsn)
{
	char text[LSN_TEXT_SIZE];

	fake_accept(server);
	fake_let_in(server, version);
	fake_answer(server, "IDENTIFY_SYSTEM", RIG_SYSTEM, "1", lsn_format(lsn, text), "");
	fake_answer(server, "SHOW wal_segment_size", "1MB");
	fake_answer(server, "SHOW data_directory_mode", "0700");
	fake_answer(server, "SHOW max_slot_wal_keep_size", "1GB");
}

lsn_t rig_last_end(const struct upstream_rig *rig)
{
	return wal_maker_last_end(rig->maker, rig->maker->at);
}

struct upstream_rig *rig_of(const struct fake_server *server)
{
	return server->context;
}

void play_to_stream(struct fake_server *server)
{
	play_identity(server, "15.18", rig_of(server)->maker->at);
	fake_answer(server, "READ_REPLICATION_SLOT \"rig\"", "physical", "0/100028", "1");
	fake_expect_query(server, "START_REPLICATION SLOT \"rig\" 0/100000 TIMELINE 1");
	fake_send_copy_both(server);
}

void play_send_all(struct fake_server *server)
{
	const struct wal_maker *maker = rig_of(server)->maker;

	fake_send_wal(server, maker->start, wal_maker_bytes(maker, maker->start),
		maker->at - maker->start);
}

struct standby_status play_expect_flushed(struct fake_server *server, lsn_t lsn)
{
	struct standby_status status = {0};

	while (!server->is_over && status.flush_lsn < lsn) {
		fake_expect_status(server, &status);
		fake_check(server, status.write_lsn <= rig_of(server)->maker->at, "write is %llX",
			(unsigned long long)status.write_lsn);
		fake_check(server, status.flush_lsn <= status.write_lsn, "flush is %llX",
			(unsigned long long)status.flush_lsn);
	}
	return status;
}
