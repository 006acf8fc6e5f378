/*
 * relay_fixture: opens what downstream needs in the order app/ does, on real files.
 */
#include "relay_fixture.h"

#include <ftw.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/memory.h"
#include "cmocka_all.h"
#include "downstream/hba.h"
#include "downstream/user_list.h"
#include "problems.h"
#include "spool/wal_segment.h"
#include "support/page_cache.h"
#include "support/tcp_pair.h"

void relay_fixture_pause(void)
{
	poll(NULL, 0, 1);
}

static struct hba *trusting_hba(void)
{
	static const char text[] = "local replication all trust\n"
				   "local walrelay all trust\n"
				   "host replication all 192.0.2.7/32 trust\n";
	struct problems problems = {0};
	struct hba *hba =
		hba_parse("relay_hba.conf", text, sizeof(text) - 1, problems_add, &problems);
	if (hba == NULL) {
		fail_msg("%s", problems.text);
	}
	return hba;
}

static void set_parameters(struct relay_fixture *fixture, int version, const char *in_recovery)
{
	struct cluster_parameters parameters = {.server_version_num = version,
		.server_encoding = "SQL_ASCII",
		.time_zone = "Etc/UTC",
		.data_directory_mode = "0700",
		.integer_datetimes = "on",
		.wal_segment_size_text = "1MB"};
	snprintf(parameters.server_version, sizeof(parameters.server_version), "%d.%d",
		version / 10000, version % 10000);
	if (version >= 140000) {
		snprintf(parameters.in_hot_standby, sizeof(parameters.in_hot_standby), "%s",
			in_recovery);
		strcpy(parameters.default_transaction_read_only, "off");
	}
	cluster_set_parameters(fixture->cluster, &parameters);
}

void relay_fixture_set_recovery(struct relay_fixture *fixture, const char *in_recovery)
{
	set_parameters(fixture, 150018, in_recovery);
}

static void learn(struct relay_fixture *fixture, const struct relay_fixture_options *options)
{
	const struct cluster_identity identity = {
		.system_identifier = FIXTURE_SYSTEM, .segment_bytes = FIXTURE_SEGMENT};
	struct error err = {0};
	if (options->is_unknown) {
		return;
	}
	assert_true(cluster_pin_identity(fixture->cluster, &identity, &err));
	set_parameters(fixture, options->version != 0 ? options->version : 150018,
		options->in_recovery != NULL ? options->in_recovery : "off");
	assert_true(wal_store_begin(fixture->store, 1, FIXTURE_START, FIXTURE_SEGMENT, &err));
	fixture->maker = wal_maker_new(1, FIXTURE_START, FIXTURE_SEGMENT, 42);
	fixture->appended = FIXTURE_START;
}

static void open_spool(struct relay_fixture *fixture)
{
	char path[128];
	struct error err = {0};
	strcpy(fixture->directory, "/tmp/walrelay_test_XXXXXX");
	assert_non_null(mkdtemp(fixture->directory));
	snprintf(path, sizeof(path), "%s/state.db", fixture->directory);
	fixture->database = database_open(path, &err);
	assert_non_null(fixture->database);
	fixture->slots = slots_open(fixture->database, &err);
	assert_non_null(fixture->slots);
	fixture->cluster = cluster_open(fixture->database, &err);
	assert_non_null(fixture->cluster);
	snprintf(path, sizeof(path), "%s/wal", fixture->directory);
	const struct wal_store_options options = {.directory = path, .retain_bytes = 1u << 30};
	fixture->store = wal_store_open(&options, fixture->database, fixture->slots, &err);
	if (fixture->store == NULL) {
		fail_msg("%s", err.message);
	}
}

static void open_destinations(
	struct relay_fixture *fixture, const struct relay_fixture_options *options)
{
	static const struct destinations_options none = {.time_zone = "UTC", .currency = "EUR"};
	struct error err = {0};
	if (options->has_destinations) {
		unsigned loops = options->sender_threads != 0 ? options->sender_threads : 1;
		fixture->destinations = destinations_new(fixture->database, loops, &none, 1, &err);
		assert_non_null(fixture->destinations);
	}
}

static void open_downstream(
	struct relay_fixture *fixture, const struct relay_fixture_options *options)
{
	static const struct passthrough none;
	static const struct downstream_link no_link;
	struct problems problems = {0};
	struct error err = {0};
	struct hba *hba = trusting_hba();
	struct user_list *users = user_list_parse("users.txt", "", 0, problems_add, &problems);
	fixture->limits = (struct downstream_limits){
		.max_connections = options->max_connections != 0 ? options->max_connections : 100,
		.authentication_timeout_us = options->authentication_timeout_us != 0
						     ? options->authentication_timeout_us
						     : 10000000,
		.wal_sender_timeout_us = options->wal_sender_timeout_us,
		.egress_cap_bytes = options->egress_cap_bytes,
		.proxy_protocol = options->proxy_protocol,
		.proxy_from = options->proxy_from,
		.hba = hba,
		.users = users,
	};
	const struct downstream_options downstream_options = {
		.relay_name = "hub",
		.sender_threads = options->sender_threads != 0 ? options->sender_threads : 1,
		.forward_flushed = options->forward_flushed,
		.cluster = fixture->cluster,
		.store = fixture->store,
		.slots = fixture->slots,
		.destinations = fixture->destinations,
		.console = options->console,
		.passthrough = options->passthrough != NULL ? options->passthrough : &none,
		.link = options->link != NULL ? *options->link : no_link,
		.limits = fixture->limits,
		.on_replayed = options->on_replayed,
		.context = options->context,
	};
	fixture->downstream = downstream_new(&downstream_options, &err);
	if (fixture->downstream == NULL) {
		fail_msg("%s", err.message);
	}
	assert_true(downstream_start(fixture->downstream, &err));
	hba_unref(&hba);
	user_list_unref(&users);
	fixture->limits.hba = NULL;
	fixture->limits.users = NULL;
}

struct relay_fixture *relay_fixture_new(const struct relay_fixture_options *options)
{
	static const struct relay_fixture_options defaults;
	struct relay_fixture *fixture = memory_new(sizeof(*fixture));
	const struct relay_fixture_options *wanted = options != NULL ? options : &defaults;
	(void)signal(SIGPIPE, SIG_IGN); /* as app/ does */
	fixture->is_tcp = wanted->is_tcp;
	open_spool(fixture);
	learn(fixture, wanted);
	open_destinations(fixture, wanted);
	open_downstream(fixture, wanted);
	return fixture;
}

/* --- the end -----------------------------------------------------------------------------------
 */

static void end_loop(void *context)
{
	loop_stop(context);
}

static void *run_loop(void *context)
{
	loop_run(context);
	return NULL;
}

void relay_fixture_begin_stop(struct relay_fixture *fixture, int64_t timeout_us)
{
	struct error err = {0};
	fixture->stop_loop = loop_new("stop", &err);
	assert_non_null(fixture->stop_loop);
	assert_int_equal(
		pthread_create(&fixture->stop_thread, NULL, run_loop, fixture->stop_loop), 0);
	downstream_stop(
		fixture->downstream, timeout_us, fixture->stop_loop, end_loop, fixture->stop_loop);
}

void relay_fixture_wait_stopped(struct relay_fixture *fixture)
{
	pthread_join(fixture->stop_thread, NULL);
	fixture->is_stopped = true;
}

static int remove_entry(const char *path, const struct stat *status, int kind, struct FTW *ftw)
{
	(void)status;
	(void)kind;
	(void)ftw;
	return remove(path);
}

void relay_fixture_free(struct relay_fixture *fixture)
{
	if (!fixture->is_stopped && fixture->stop_loop == NULL) {
		relay_fixture_begin_stop(fixture, 0);
	}
	if (!fixture->is_stopped) {
		relay_fixture_wait_stopped(fixture);
	}
	downstream_free(&fixture->downstream);
	loop_free(&fixture->stop_loop);
	destinations_free(&fixture->destinations, 1);
	wal_store_close(&fixture->store);
	cluster_close(&fixture->cluster);
	slots_close(&fixture->slots);
	database_close(&fixture->database);
	if (fixture->maker != NULL) {
		wal_maker_free(fixture->maker);
	}
	nftw(fixture->directory, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
	free(fixture);
}

/* --- WAL ---------------------------------------------------------------------------------------
 */

lsn_t relay_fixture_append(struct relay_fixture *fixture, size_t bytes)
{
	struct error err = {0};
	wal_maker_fill(fixture->maker, fixture->maker->at + bytes);
	if (!wal_store_append(fixture->store, fixture->appended,
		    wal_maker_bytes(fixture->maker, fixture->appended),
		    fixture->maker->at - fixture->appended, &err)) {
		fail_msg("%s", err.message);
	}
	fixture->appended = fixture->maker->at;
	return fixture->appended;
}

bool relay_fixture_drop_from_memory(struct relay_fixture *fixture, lsn_t lsn)
{
	char name[WAL_SEGMENT_NAME_SIZE];
	char path[256];
	wal_segment_name(1, wal_segment_number(lsn, FIXTURE_SEGMENT), FIXTURE_SEGMENT, name);
	snprintf(path, sizeof(path), "%s/wal/%s", fixture->directory, name);
	return page_cache_drop(path);
}

void relay_fixture_promote(struct relay_fixture *fixture, tli_t tli, lsn_t fork)
{
	char text[128];
	struct error err = {0};
	struct wal_maker *next = wal_maker_fork(fixture->maker, tli, fork);
	snprintf(text, sizeof(text), "%u\t" LSN_FORMAT "\tno recovery target specified\n", tli - 1,
		LSN_ARGS(fork));
	assert_true(wal_store_put_history(fixture->store, tli, text, strlen(text), &err));
	if (!wal_store_switch_timeline(fixture->store, tli, &err)) {
		fail_msg("%s", err.message);
	}
	wal_maker_free(fixture->maker);
	fixture->maker = next;
	fixture->appended = wal_store_received(fixture->store).lsn;
	relay_fixture_append(fixture, 1000);
}

/* --- clients -----------------------------------------------------------------------------------
 */

void relay_fixture_connect(struct relay_fixture *fixture, struct raw_client *client)
{
	int fds[2];
	/* Whom trusting_hba() trusts. */
	struct sockaddr_in peer = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(0xC0000207)};
	if (fixture->is_tcp) {
		tcp_pair(fds);
		downstream_accept(
			fixture->downstream, fds[0], (struct sockaddr *)&peer, sizeof(peer));
	} else {
		assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
		downstream_accept(fixture->downstream, fds[0], NULL, 0);
	}
	fixture->accepted_fd = fds[0];
	raw_client_open(client, fds[1]);
}

void relay_fixture_log_in(struct relay_fixture *fixture, struct raw_client *client)
{
	relay_fixture_connect(fixture, client);
	raw_client_startup(client, 196608, "user=rep;replication=true;application_name=standby1");
	raw_client_until(client, 'Z');
}

struct standby_stats relay_fixture_standby(struct relay_fixture *fixture)
{
	struct standby_stats stats;
	WAIT_UNTIL(downstream_list(fixture->downstream, &stats, 1) == 1);
	return stats;
}
