/* One sender by hand: what it does with each event, at times of the test's own choice. */
#include "downstream/wal_sender.h"

#include "cmocka_all.h"
#include "protocol/repl_message.h"
#include "relay_fixture.h"
#include "spool/wal_segment.h"

#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#define SECOND INT64_C(1000000)

static int64_t clock_us;

int64_t __wrap_loop_now_us(struct loop *loop);

int64_t __wrap_loop_now_us(struct loop *loop)
{
	(void)loop;
	return clock_us;
}

/* A sender on a loop that does not run. */
struct rig {
	struct relay_fixture *fixture;
	struct loop *loop;
	struct turns *turns;
	struct wal_prefetch *prefetch;
	struct connection *connection;
	struct deadlines deadlines;
	struct standby_progress progress;
	struct wal_stream *stream;
	struct destination *destination; /* NULL: no caps */
	struct rate_limiter *limiter;
	struct rate_share *share;
	int turns_had;
	int peer_fd;
};

/* The loop runs until the sender's turn has come. */
static void on_turn(void *context)
{
	struct rig *rig = context;
	rig->turns_had++;
	loop_stop(rig->loop);
}

static void on_input(void *context, struct evbuffer *input)
{
	(void)context;
	(void)input;
}

static void on_writable(void *context)
{
	(void)context;
}

static void on_closed(void *context, const char *reason)
{
	(void)context;
	(void)reason;
}

static void on_deadline(void *context, int reason)
{
	(void)context;
	(void)reason;
}

static void open_connection(struct rig *rig)
{
	static const struct connection_options options = {
		.input_bytes_max = 1000, .output_low_water = WAL_STREAM_LOW_WATER};
	static const struct connection_callbacks callbacks = {
		.on_input = on_input, .on_writable = on_writable, .on_closed = on_closed};
	int fds[2];
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	rig->peer_fd = fds[1];
	rig->connection = connection_new(rig->loop, fds[0], NULL, &options, &callbacks, NULL, NULL);
	assert_non_null(rig->connection);
}

static void rig_open(struct rig *rig)
{
	struct error err = {0};
	clock_us = 1000 * SECOND;
	*rig = (struct rig){.fixture = relay_fixture_new(NULL)};
	rig->loop = loop_new("test", &err);
	assert_non_null(rig->loop);
	rig->turns = turns_new(rig->loop, rig->fixture->store, WAL_STORE_RECEIVED, &err);
	assert_non_null(rig->turns);
	rig->prefetch = wal_prefetch_new(&err);
	assert_non_null(rig->prefetch);
	assert_true(deadlines_init(&rig->deadlines, rig->loop, 1, on_deadline, NULL, &err));
	open_connection(rig);
	standby_progress_init(&rig->progress);
}

static void rig_start(struct rig *rig, lsn_t from, int64_t timeout_us)
{
	struct error err = {0};
	const struct wal_stream_options options = {
		.loop = rig->loop,
		.connection = rig->connection,
		.turns = rig->turns,
		.share = rig->share,
		.on_turn = on_turn,
		.context = rig,
		.deadlines = &rig->deadlines,
		.timeout_us = timeout_us,
		.store = rig->fixture->store,
		.prefetch = rig->prefetch,
		.slots = rig->fixture->slots,
		.slot = "",
		.tli = 1,
		.start_lsn = from,
		.progress = &rig->progress,
	};
	rig->stream = wal_sender_new(&options, &err);
	assert_non_null(rig->stream);
	wal_stream_start(rig->stream);
}

static void rig_close(struct rig *rig)
{
	wal_stream_free(&rig->stream);
	rate_share_free(&rig->share);
	rate_limiter_free(&rig->limiter);
	destination_free(&rig->destination);
	connection_free(&rig->connection);
	deadlines_release(&rig->deadlines);
	turns_free(&rig->turns);
	wal_prefetch_free(&rig->prefetch);
	loop_free(&rig->loop);
	close(rig->peer_fd);
	relay_fixture_free(rig->fixture);
}

static enum wal_stream_step report(struct rig *rig, lsn_t flushed)
{
	const struct standby_status status = {.write_lsn = flushed, .flush_lsn = flushed};
	uint8_t payload[STANDBY_STATUS_BYTES];
	size_t length = standby_status_encode(&status, payload);
	return wal_stream_on_copy_data(rig->stream, payload, length, NULL);
}

static void test_wal_sender__what_came_before_the_stop_is_sent_before_the_goodbye(void **state)
{
	(void)state;
	struct rig rig;
	rig_open(&rig);
	lsn_t sent = relay_fixture_append(rig.fixture, 1000);
	rig_start(&rig, FIXTURE_START, 60 * SECOND);
	assert_int_equal(wal_stream_turn(rig.stream, NULL), WAL_STREAM_GOES_ON);
	assert_int_equal(wal_stream_sent_lsn(rig.stream), sent);
	lsn_t end = relay_fixture_append(rig.fixture, 1000);
	wal_stream_stop(rig.stream);
	assert_int_equal(report(&rig, sent), WAL_STREAM_GOES_ON);
	assert_int_equal(wal_stream_turn(rig.stream, NULL), WAL_STREAM_GOES_ON);
	assert_int_equal(wal_stream_sent_lsn(rig.stream), end);
	assert_int_equal(report(&rig, end), WAL_STREAM_CONFIRMED);
	rig_close(&rig);
}

static void test_wal_sender__keepalives_do_not_pile_up_before_one_who_does_not_read(void **state)
{
	(void)state;
	struct rig rig;
	rig_open(&rig);
	relay_fixture_append(rig.fixture, 4 * FIXTURE_SEGMENT);
	rig_start(&rig, FIXTURE_START, 0);
	while (connection_output_bytes(rig.connection) == 0) {
		assert_int_equal(wal_stream_turn(rig.stream, NULL), WAL_STREAM_GOES_ON);
	}
	size_t waiting = connection_output_bytes(rig.connection);
	for (int i = 0; i < 100; i++) {
		clock_us += 11 * SECOND;
		assert_int_equal(wal_stream_on_deadline(rig.stream, NULL), WAL_STREAM_GOES_ON);
	}
	assert_int_equal(connection_output_bytes(rig.connection), waiting);
	rig_close(&rig);
}

static void test_wal_sender__an_idle_stream_has_its_keepalive(void **state)
{
	(void)state;
	struct rig rig;
	uint8_t bytes[100];
	rig_open(&rig);
	lsn_t end = relay_fixture_append(rig.fixture, 1000);
	rig_start(&rig, end, 0);
	assert_int_equal(wal_stream_turn(rig.stream, NULL), WAL_STREAM_GOES_ON);
	ssize_t begun = recv(rig.peer_fd, bytes, sizeof(bytes), 0);
	assert_int_equal(bytes[0], 'W');
	assert_int_equal(begun, 8);
	clock_us += 11 * SECOND;
	assert_int_equal(wal_stream_on_deadline(rig.stream, NULL), WAL_STREAM_GOES_ON);
	assert_int_equal(recv(rig.peer_fd, bytes, sizeof(bytes), 0), 5 + KEEPALIVE_BYTES);
	assert_int_equal(bytes[5], 'k');
	rig_close(&rig);
}

/* A page past the end of a file that was cut behind its mapping is what one on a bad sector is:
 * SIGBUS for whoever touches it in user space. */
static void cut_segment(struct rig *rig, lsn_t lsn)
{
	char name[WAL_SEGMENT_NAME_SIZE];
	char path[256];
	wal_segment_name(1, wal_segment_number(lsn, FIXTURE_SEGMENT), FIXTURE_SEGMENT, name);
	snprintf(path, sizeof(path), "%s/wal/%s", rig->fixture->directory, name);
	assert_int_equal(truncate(path, 0), 0);
}

static void test_wal_sender__a_short_stretch_the_disk_cannot_give_ends_one_connection(void **state)
{
	(void)state;
	struct rig rig;
	struct error err = {0};
	struct wal_span span;
	uint8_t bytes[2000];
	rig_open(&rig);
	lsn_t end = relay_fixture_append(rig.fixture, FIXTURE_SEGMENT + 5000);
	/* The flusher has read what it had to prove. */
	WAIT_UNTIL(wal_store_flushed(rig.fixture->store).lsn == end);
	lsn_t from = FIXTURE_START + FIXTURE_SEGMENT - 1000;
	struct wal_cursor *mapping =
		wal_cursor_open(rig.fixture->store, 1, FIXTURE_START, false, &err);
	assert_int_equal(wal_cursor_peek(mapping, 100, &span, &err), WAL_READ_DATA);
	cut_segment(&rig, from);
	rig_start(&rig, from, 0);
	assert_int_equal(wal_stream_turn(rig.stream, NULL), WAL_STREAM_GOES_ON);
	/* Not a byte of it went out, and nothing is kept for a connection that has failed. */
	assert_in_range(recv(rig.peer_fd, bytes, sizeof(bytes), 0), 8, 8 + WAL_FRAME_HEADER_BYTES);
	assert_int_equal(connection_output_bytes(rig.connection), 0);
	wal_cursor_close(&mapping);
	rig_close(&rig);
}

static void open_cold(struct rig *rig)
{
	rig_open(rig);
	lsn_t end = relay_fixture_append(rig->fixture, 5 * FIXTURE_SEGMENT);
	WAIT_UNTIL(wal_store_flushed(rig->fixture->store).lsn == end);
	if (!relay_fixture_drop_from_memory(rig->fixture, FIXTURE_START)) {
		rig_close(rig);
		skip();
	}
	rig_start(rig, FIXTURE_START, 60 * SECOND);
	loop_run(rig->loop);
	assert_int_equal(rig->turns_had, 1);
}

static void test_wal_sender__does_not_wait_for_the_disk_itself(void **state)
{
	(void)state;
	struct rig rig;
	open_cold(&rig);
	assert_int_equal(wal_stream_turn(rig.stream, NULL), WAL_STREAM_GOES_ON);
	assert_int_equal(wal_stream_sent_lsn(rig.stream), FIXTURE_START);
	/* Nothing but the disk brings the next turn. */
	wal_stream_on_writable(rig.stream);
	assert_int_equal(report(&rig, FIXTURE_START), WAL_STREAM_GOES_ON);
	loop_run(rig.loop);
	assert_int_equal(rig.turns_had, 2);
	assert_int_equal(wal_stream_turn(rig.stream, NULL), WAL_STREAM_GOES_ON);
	assert_int_equal(wal_stream_sent_lsn(rig.stream), FIXTURE_START + WAL_STREAM_HIGH_WATER);
	rig_close(&rig);
}

static void test_wal_sender__may_go_while_the_disk_is_read(void **state)
{
	(void)state;
	struct rig rig;
	open_cold(&rig);
	assert_int_equal(wal_stream_turn(rig.stream, NULL), WAL_STREAM_GOES_ON);
	assert_int_equal(wal_stream_sent_lsn(rig.stream), FIXTURE_START);
	rig_close(&rig);
}

/* --- under a cap -------------------------------------------------------------------------------
 */

static size_t open_capped(struct rig *rig, uint64_t bytes_per_second)
{
	rig_open(rig);
	rig->destination = destination_new("d", 1);
	rig->limiter = rate_limiter_new();
	rig->share = rate_share_new(rig->limiter, rig->destination);
	destination_set_cap(rig->destination, bytes_per_second);
	lsn_t end = relay_fixture_append(rig->fixture, 100000);
	rig_start(rig, FIXTURE_START, 60 * SECOND);
	loop_run(rig->loop);
	assert_int_equal(rig->turns_had, 1);
	return end - FIXTURE_START;
}

/* One turn, and what the session does after it. */
static lsn_t turn(struct rig *rig)
{
	struct connection_stats stats;
	assert_int_equal(wal_stream_turn(rig->stream, NULL), WAL_STREAM_GOES_ON);
	connection_read_stats(rig->connection, &stats);
	rate_share_settle(rig->share, stats.wire_sent_bytes + stats.output_bytes, clock_us);
	return wal_stream_sent_lsn(rig->stream) - FIXTURE_START;
}

static void test_wal_sender__a_low_cap_means_single_pages_at_a_steady_pace(void **state)
{
	(void)state;
	struct rig rig;
	lsn_t before = 0;
	uint8_t bytes[2000];
	open_capped(&rig, 8000);
	turn(&rig);
	for (int i = 0; i < 400; i++) {
		clock_us += 25000;
		lsn_t sent = turn(&rig);
		assert_in_range(sent - before, 0, WAL_PAGE_BYTES);
		/* A receiver is never left within a page that goes on. */
		assert_int_equal(sent % WAL_PAGE_BYTES, 0);
		before = sent;
		while (recv(rig.peer_fd, bytes, sizeof(bytes), MSG_DONTWAIT) > 0) {
		}
		/* A keepalive would not have to wait. */
		assert_int_equal(connection_output_bytes(rig.connection), 0);
	}
	assert_in_range(before, 80000 - 8192 - 1000, 80000 + 8192);
	rig_close(&rig);
}

static void test_wal_sender__paused_it_sends_keepalives_and_waits_to_be_told(void **state)
{
	(void)state;
	struct rig rig;
	uint8_t bytes[100];
	size_t all = open_capped(&rig, QUOTA_PAUSED);
	assert_int_equal(turn(&rig), 0);
	assert_int_equal(rig.stream->turn.place, TURN_PACED);
	assert_int_equal(recv(rig.peer_fd, bytes, sizeof(bytes), 0), 8);
	for (int i = 0; i < 20; i++) {
		clock_us += 11 * SECOND;
		assert_int_equal(report(&rig, FIXTURE_START), WAL_STREAM_GOES_ON);
		assert_int_equal(wal_stream_on_deadline(rig.stream, NULL), WAL_STREAM_GOES_ON);
		assert_int_equal(recv(rig.peer_fd, bytes, sizeof(bytes), 0), 5 + KEEPALIVE_BYTES);
	}
	assert_int_equal(wal_stream_sent_lsn(rig.stream), FIXTURE_START);
	destination_set_cap(rig.destination, QUOTA_NO_CAP);
	turns_tell_caps(rig.turns);
	loop_run(rig.loop);
	assert_int_equal(rig.turns_had, 2);
	assert_int_equal(turn(&rig), all);
	rig_close(&rig);
}

static void test_wal_sender__its_turn_comes_with_time(void **state)
{
	(void)state;
	struct rig rig;
	size_t all = open_capped(&rig, 80000);
	assert_int_equal(turn(&rig), 0);
	assert_int_equal(rig.stream->turn.place, TURN_PACED);
	assert_in_range(rig.stream->turn.due_us, clock_us + 90000, clock_us + 110000);
	clock_us = rig.stream->turn.due_us;
	loop_run(rig.loop);
	assert_int_equal(rig.turns_had, 2);
	assert_int_equal(turn(&rig), WAL_PAGE_BYTES);
	/* At the tip nothing is asked for. */
	destination_set_cap(rig.destination, QUOTA_NO_CAP);
	assert_int_equal(turn(&rig), all);
	destination_set_cap(rig.destination, QUOTA_PAUSED);
	assert_int_equal(turn(&rig), all);
	assert_int_equal(rig.stream->turn.place, TURN_AT_TIP);
	rig_close(&rig);
}

static void append_to(struct relay_fixture *fixture, lsn_t end)
{
	struct error err = {0};
	assert_true(wal_store_append(fixture->store, fixture->appended,
		wal_maker_bytes(fixture->maker, fixture->appended), end - fixture->appended, &err));
	fixture->appended = end;
}

/* The WAL comes up to there; how far it is sent. */
static lsn_t sent_of(struct rig *rig, lsn_t end)
{
	append_to(rig->fixture, end);
	assert_int_equal(wal_stream_turn(rig->stream, NULL), WAL_STREAM_GOES_ON);
	return wal_stream_sent_lsn(rig->stream);
}

/* PostgreSQL's reader takes what follows a header that is all it has for a record of length 0. The
 * end of a record that went over into the page may be as near. */
static void check_header(lsn_t page, lsn_t header_bytes)
{
	struct rig rig;
	rig_open(&rig);
	wal_maker_fill(rig.fixture->maker, page + WAL_PAGE_BYTES);
	append_to(rig.fixture, page - 100);
	rig_start(&rig, page - 200, 60 * SECOND);
	assert_true(sent_of(&rig, page - 50) == page - 50);
	assert_true(sent_of(&rig, page + 10) == page);
	assert_true(sent_of(&rig, page + header_bytes) == page);
	assert_true(sent_of(&rig, page + header_bytes + 8) == page + header_bytes + 8);
	rig_close(&rig);
}

static void test_wal_sender__leaves_nobody_behind_the_header_of_a_page(void **state)
{
	(void)state;
	check_header((FIXTURE_START / WAL_PAGE_BYTES + 2) * WAL_PAGE_BYTES, 24);
	check_header((FIXTURE_START / FIXTURE_SEGMENT + 1) * FIXTURE_SEGMENT, 40);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			test_wal_sender__what_came_before_the_stop_is_sent_before_the_goodbye),
		cmocka_unit_test(
			test_wal_sender__keepalives_do_not_pile_up_before_one_who_does_not_read),
		cmocka_unit_test(test_wal_sender__an_idle_stream_has_its_keepalive),
		cmocka_unit_test(test_wal_sender__leaves_nobody_behind_the_header_of_a_page),
		cmocka_unit_test(
			test_wal_sender__a_short_stretch_the_disk_cannot_give_ends_one_connection),
		cmocka_unit_test(test_wal_sender__does_not_wait_for_the_disk_itself),
		cmocka_unit_test(test_wal_sender__may_go_while_the_disk_is_read),
		cmocka_unit_test(test_wal_sender__a_low_cap_means_single_pages_at_a_steady_pace),
		cmocka_unit_test(test_wal_sender__paused_it_sends_keepalives_and_waits_to_be_told),
		cmocka_unit_test(test_wal_sender__its_turn_comes_with_time),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
