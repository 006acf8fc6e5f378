/* Tests of destination/rate_limiter (and the shaper below it) with a clock of their own. */
#include "destination/rate_limiter.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include <cmocka.h>

#define SECOND  INT64_C(1000000)
#define MBIT(n) (UINT64_C(125000) * (n))
#define KBIT(n) (UINT64_C(125) * (n))
#define SENDERS 8
#define EVENTS  200000

/* Connections that always have something to send, each with a timer of its own. */
struct sender {
	struct rate_share *share;
	size_t message_bytes; /* what it wants at once */
	size_t least_bytes;   /* 0: it can be cut anywhere */
	size_t unasked_bytes; /* what each message is longer than was asked for */
	int64_t due_us;       /* RATE_LIMITER_NEVER: waits to be told */
	uint64_t sent_bytes;
};

struct rig {
	struct rate_limiter *limiter;
	struct destination *destinations[3];
	struct sender senders[SENDERS];
	unsigned count;
	int64_t now_us;
	int64_t late_us; /* timers are that late, every other time */
	struct {
		int64_t at_us;
		size_t bytes;
	} events[EVENTS];
	size_t event_count;
};

static int setup(void **state)
{
	static struct rig rig;
	rig = (struct rig){.limiter = rate_limiter_new(), .now_us = 77 * SECOND};
	for (int i = 0; i < 3; i++) {
		rig.destinations[i] = destination_new("d", 1);
	}
	*state = &rig;
	return 0;
}

static int teardown(void **state)
{
	struct rig *rig = *state;
	for (unsigned i = 0; i < rig->count; i++) {
		rate_share_free(&rig->senders[i].share);
	}
	rate_limiter_free(&rig->limiter);
	for (int i = 0; i < 3; i++) {
		destination_free(&rig->destinations[i]);
	}
	return 0;
}

static struct sender *add(struct rig *rig, int destination, size_t message_bytes)
{
	struct sender *sender = &rig->senders[rig->count++];
	*sender = (struct sender){
		.share = rate_share_new(
			rig->limiter, destination >= 0 ? rig->destinations[destination] : NULL),
		.message_bytes = message_bytes,
		.due_us = rig->now_us,
	};
	return sender;
}

static size_t take(struct rate_share *share, size_t wanted, int64_t now_us, int64_t *retry_us_out)
{
	const struct rate_wish wish = {1, wanted};
	return rate_share_take(share, &wish, now_us, retry_us_out);
}

/* Caps have changed: all ask again. */
static void tell_all(struct rig *rig)
{
	for (unsigned i = 0; i < rig->count; i++) {
		if (rig->senders[i].due_us > rig->now_us) {
			rig->senders[i].due_us = rig->now_us;
		}
	}
}

static struct sender *next_due(struct rig *rig)
{
	struct sender *next = NULL;
	for (unsigned i = 0; i < rig->count; i++) {
		struct sender *sender = &rig->senders[i];
		if (next == NULL || sender->due_us < next->due_us) {
			next = sender;
		}
	}
	return next;
}

static void ask(struct rig *rig, struct sender *sender)
{
	int64_t retry_us = 0;
	const struct rate_wish wish = {
		sender->least_bytes > 0 ? sender->least_bytes : 1, sender->message_bytes};
	size_t bytes = rate_share_take(sender->share, &wish, rig->now_us, &retry_us);
	if (bytes == 0) {
		assert_true(retry_us > rig->now_us);
		sender->due_us = retry_us;
		return;
	}
	assert_true(bytes <= sender->message_bytes);
	bytes += sender->unasked_bytes;
	sender->sent_bytes += bytes;
	rate_share_settle(sender->share, sender->sent_bytes, rig->now_us);
	assert_true(rig->event_count < EVENTS);
	rig->events[rig->event_count].at_us = rig->now_us;
	rig->events[rig->event_count++].bytes = bytes;
}

static void run(struct rig *rig, int64_t duration_us)
{
	int64_t end_us = rig->now_us + duration_us;
	struct sender *sender;
	while ((sender = next_due(rig)) != NULL && sender->due_us < end_us) {
		int64_t late_us = rig->event_count % 2 == 1 ? rig->late_us : 0;
		if (sender->due_us + late_us > rig->now_us) {
			rig->now_us = sender->due_us + late_us;
		}
		ask(rig, sender);
	}
	rig->now_us = end_us;
}

static uint64_t total(const struct rig *rig)
{
	uint64_t bytes = 0;
	for (unsigned i = 0; i < rig->count; i++) {
		bytes += rig->senders[i].sent_bytes;
	}
	return bytes;
}

/* No stretch of time saw more than the cap and a tenth of a second of it. */
static void assert_smooth(const struct rig *rig, uint64_t cap)
{
	int64_t excess =
		0; /* millionths of bytes above the cap, in the worst stretch that ends here */
	int64_t before_us = rig->events[0].at_us;
	for (size_t i = 0; i < rig->event_count; i++) {
		excess -= (rig->events[i].at_us - before_us) * (int64_t)cap;
		excess = (excess > 0 ? excess : 0) + (int64_t)rig->events[i].bytes * SECOND;
		before_us = rig->events[i].at_us;
		assert_true(excess <= (int64_t)cap * SECOND / 10);
	}
}

static void assert_within(uint64_t bytes, uint64_t expected, unsigned per_cent)
{
	assert_in_range(
		bytes, expected - expected * per_cent / 100, expected + expected * per_cent / 100);
}

static void test_rate_limiter__without_a_cap_all_may_go(void **state)
{
	struct rig *rig = *state;
	int64_t retry_us;
	assert_int_equal(take(NULL, 12345, 1, &retry_us), 12345);
	struct sender *sender = add(rig, 0, 1);
	assert_int_equal(take(sender->share, 1 << 20, 1, &retry_us), 1 << 20);
	assert_true(rate_share_stretch(sender->share) == SIZE_MAX);
}

static void test_rate_limiter__keeps_to_the_cap_within_three_per_cent(void **state)
{
	static const uint64_t caps[] = {
		KBIT(8), KBIT(64), KBIT(500), MBIT(4), MBIT(50), MBIT(1000)};
	struct rig *rig = *state;
	struct sender *sender = add(rig, 0, 128 * 1024);
	for (size_t i = 0; i < sizeof(caps) / sizeof(caps[0]); i++) {
		destination_set_cap(rig->destinations[0], caps[i]);
		tell_all(rig);
		run(rig, 2 * SECOND);
		rig->event_count = 0;
		sender->sent_bytes = 0;
		rate_share_free(&sender->share);
		sender->share = rate_share_new(rig->limiter, rig->destinations[0]);
		run(rig, 10 * SECOND);
		assert_within(sender->sent_bytes, caps[i] * 10, 3);
		assert_smooth(rig, caps[i]);
	}
}

static void test_rate_limiter__makes_up_for_late_timers_and_what_was_not_asked_for(void **state)
{
	struct rig *rig = *state;
	struct sender *sender = add(rig, 0, 5000);
	sender->unasked_bytes = 600;
	rig->late_us = 15000;
	destination_set_cap(rig->destinations[0], MBIT(4));
	run(rig, 10 * SECOND);
	assert_within(sender->sent_bytes, MBIT(4) * 10, 3);
	assert_smooth(rig, MBIT(4));
}

static void test_rate_limiter__what_cannot_be_cut_is_paid_before_it_goes(void **state)
{
	struct rig *rig = *state;
	for (int i = 0; i < 4; i++) {
		add(rig, 0, 8222)->least_bytes = 8222;
	}
	destination_set_cap(rig->destinations[0], KBIT(64));
	run(rig, 100 * SECOND);
	assert_within(total(rig), KBIT(64) * 100, 5);
	for (size_t i = 1; i < rig->event_count; i++) {
		assert_int_equal(rig->events[i].bytes, 8222);
		assert_true(rig->events[i].at_us - rig->events[i - 1].at_us > SECOND * 9 / 10);
	}
	for (int i = 1; i < 4; i++) {
		assert_within(rig->senders[i].sent_bytes, rig->senders[0].sent_bytes, 5);
	}
}

static void test_rate_limiter__idleness_gathers_no_more_than_a_burst(void **state)
{
	struct rig *rig = *state;
	struct sender *sender = add(rig, 0, 128 * 1024);
	destination_set_cap(rig->destinations[0], MBIT(4));
	run(rig, SECOND);
	rate_share_cancel(sender->share);
	rig->now_us += 100 * SECOND;
	sender->due_us = rig->now_us;
	run(rig, 10 * SECOND);
	assert_smooth(rig, MBIT(4));
}

static void test_rate_limiter__connections_of_a_destination_share_equally(void **state)
{
	struct rig *rig = *state;
	destination_set_cap(rig->destinations[0], MBIT(4));
	for (int i = 0; i < 4; i++) {
		add(rig, 0, 128 * 1024);
	}
	run(rig, 10 * SECOND);
	for (int i = 0; i < 4; i++) {
		assert_within(rig->senders[i].sent_bytes, MBIT(1) * 10, 3);
	}
	assert_smooth(rig, MBIT(4));
}

static void test_rate_limiter__what_one_does_not_use_another_does(void **state)
{
	struct rig *rig = *state;
	destination_set_cap(rig->destinations[0], MBIT(4));
	struct sender *busy = add(rig, 0, 128 * 1024);
	struct sender *idle = add(rig, 0, 128 * 1024);
	idle->due_us = RATE_LIMITER_NEVER;
	run(rig, 10 * SECOND);
	assert_within(busy->sent_bytes, MBIT(4) * 10, 3);
}

static void test_rate_limiter__one_that_leaves_holds_nobody_up(void **state)
{
	struct rig *rig = *state;
	destination_set_cap(rig->destinations[0], KBIT(64));
	struct sender *stays = add(rig, 0, 128 * 1024);
	for (int i = 0; i < 5; i++) {
		add(rig, 0, 128 * 1024);
	}
	run(rig, SECOND);
	while (rig->count > 1) {
		rate_share_free(&rig->senders[--rig->count].share);
	}
	uint64_t before = stays->sent_bytes;
	run(rig, 10 * SECOND);
	assert_within(stays->sent_bytes - before, KBIT(64) * 10, 3);
}

static void test_rate_limiter__a_new_cap_holds_at_once(void **state)
{
	struct rig *rig = *state;
	struct sender *sender = add(rig, 0, 128 * 1024);
	destination_set_cap(rig->destinations[0], MBIT(4));
	run(rig, 5 * SECOND);
	uint64_t before = sender->sent_bytes;
	destination_set_cap(rig->destinations[0], MBIT(8));
	tell_all(rig);
	run(rig, SECOND);
	assert_within(sender->sent_bytes - before, MBIT(8), 10);
	before = sender->sent_bytes;
	destination_set_cap(rig->destinations[0], KBIT(64));
	run(rig, 10 * SECOND);
	assert_within(sender->sent_bytes - before, KBIT(64) * 10, 10);
	destination_set_cap(rig->destinations[0], QUOTA_NO_CAP);
	assert_true(rate_share_stretch(sender->share) == SIZE_MAX);
}

static void test_rate_limiter__a_paused_destination_is_told_to_wait_for_news(void **state)
{
	struct rig *rig = *state;
	struct sender *sender = add(rig, 0, 1000);
	struct sender *other = add(rig, 1, 1000);
	int64_t retry_us = 0;
	destination_set_cap(rig->destinations[0], QUOTA_PAUSED);
	destination_set_cap(rig->destinations[1], KBIT(64));
	run(rig, SECOND);
	assert_int_equal(take(sender->share, 1, rig->now_us, &retry_us), 0);
	assert_true(retry_us == RATE_LIMITER_NEVER);
	assert_int_equal(sender->sent_bytes, 0);
	assert_true(other->sent_bytes > 0);
	/* Keepalives go all the same, and are not held against it afterwards. */
	sender->sent_bytes += 100000;
	rate_share_settle(sender->share, sender->sent_bytes, rig->now_us);
	destination_set_cap(rig->destinations[0], MBIT(4));
	tell_all(rig);
	run(rig, 10 * SECOND);
	assert_within(sender->sent_bytes - 100000, MBIT(4) * 10, 3);
}

static void test_rate_limiter__wal_goes_before_backups(void **state)
{
	struct rig *rig = *state;
	destination_set_cap(rig->destinations[0], MBIT(4));
	struct sender *backup = add(rig, 0, 128 * 1024);
	struct sender *wal = add(rig, 0, 128 * 1024);
	rate_share_set_use(backup->share, RATE_BACKUP);
	run(rig, 10 * SECOND);
	/* A fiftieth is left to the backup, so that it does not die. */
	assert_within(wal->sent_bytes, MBIT(4) * 10 * 98 / 100, 3);
	assert_in_range(backup->sent_bytes, MBIT(4) * 10 / 100, MBIT(4) * 10 * 5 / 100);
	assert_smooth(rig, MBIT(4));
	/* When there is no WAL to send, it has everything. */
	wal->due_us = RATE_LIMITER_NEVER;
	rate_share_cancel(wal->share);
	uint64_t before = backup->sent_bytes;
	run(rig, 10 * SECOND);
	assert_within(backup->sent_bytes - before, MBIT(4) * 10, 3);
}

static void test_rate_limiter__the_egress_cap_serves_the_larger_priority_first(void **state)
{
	struct rig *rig = *state;
	rate_limiter_set_egress_cap(rig->limiter, MBIT(4));
	destination_set_priority(rig->destinations[0], 10);
	destination_set_cap(rig->destinations[0], MBIT(3));
	destination_set_priority(rig->destinations[1], 5);
	struct sender *first = add(rig, 0, 128 * 1024);
	struct sender *second = add(rig, 1, 128 * 1024);
	struct sender *third = add(rig, 2, 128 * 1024);
	run(rig, 10 * SECOND);
	/* The first has what its own cap leaves it, the second the rest, the third a trickle. */
	assert_within(first->sent_bytes, MBIT(3) * 10, 3);
	assert_within(second->sent_bytes, MBIT(1) * 10, 12);
	assert_in_range(third->sent_bytes, MBIT(4) * 10 / 100, MBIT(4) * 10 * 4 / 100);
	assert_within(total(rig), MBIT(4) * 10, 3);
	assert_smooth(rig, MBIT(4));
	/* The order changes live. */
	destination_set_priority(rig->destinations[2], 20);
	tell_all(rig);
	uint64_t before = third->sent_bytes;
	run(rig, 10 * SECOND);
	assert_within(third->sent_bytes - before, MBIT(4) * 10 * 96 / 100, 4);
}

static void test_rate_limiter__the_egress_cap_comes_and_goes(void **state)
{
	struct rig *rig = *state;
	struct sender *sender = add(rig, -1, 128 * 1024);
	rate_limiter_set_egress_cap(rig->limiter, MBIT(4));
	add(rig, 1, 128 * 1024);
	run(rig, 10 * SECOND);
	assert_within(sender->sent_bytes, MBIT(2) * 10, 3);
	rate_limiter_set_egress_cap(rig->limiter, 0);
	int64_t retry_us;
	assert_true(take(sender->share, 1 << 20, rig->now_us, &retry_us) > 0);
	assert_int_equal(take(sender->share, 1 << 20, rig->now_us, &retry_us), 1 << 20);
}

static void test_rate_limiter__a_connection_moves_to_another_destination(void **state)
{
	struct rig *rig = *state;
	struct sender *sender = add(rig, 0, 128 * 1024);
	destination_set_cap(rig->destinations[0], QUOTA_PAUSED);
	destination_set_cap(rig->destinations[1], MBIT(4));
	run(rig, SECOND);
	rate_share_move(sender->share, rig->destinations[1]);
	tell_all(rig);
	run(rig, 10 * SECOND);
	assert_within(sender->sent_bytes, MBIT(4) * 10, 3);
}

/* --- many threads, the real clock --------------------------------------------------------------
 */

struct worker {
	struct rate_limiter *limiter;
	struct destination *destination;
	pthread_t thread;
	int64_t end_us;
	uint64_t bytes;
};

static int64_t monotonic_us(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * SECOND + now.tv_nsec / 1000;
}

static void *work(void *context)
{
	struct worker *worker = context;
	struct rate_share *share = rate_share_new(worker->limiter, worker->destination);
	int64_t now_us;
	while ((now_us = monotonic_us()) < worker->end_us) {
		int64_t retry_us = now_us;
		size_t bytes = take(share, 100000, now_us, &retry_us);
		worker->bytes += bytes;
		rate_share_settle(share, worker->bytes, now_us);
		if (bytes == 0) {
			const struct timespec wait = {
				.tv_nsec = (retry_us - now_us) * 1000 % 1000000000};
			nanosleep(&wait, NULL);
		}
	}
	rate_share_free(&share);
	return NULL;
}

static void test_rate_limiter__threads_together_stay_below_the_cap(void **state)
{
	struct rig *rig = *state;
	struct worker workers[4];
	int64_t begin_us = monotonic_us();
	uint64_t bytes = 0;
	destination_set_cap(rig->destinations[0], MBIT(40));
	for (int i = 0; i < 4; i++) {
		workers[i] = (struct worker){.limiter = rig->limiter,
			.destination = rig->destinations[0],
			.end_us = begin_us + SECOND / 2};
		assert_int_equal(pthread_create(&workers[i].thread, NULL, work, &workers[i]), 0);
	}
	for (int i = 0; i < 4; i++) {
		pthread_join(workers[i].thread, NULL);
		bytes += workers[i].bytes;
	}
	uint64_t elapsed_us = (uint64_t)(monotonic_us() - begin_us);
	assert_true(bytes > 0);
	assert_true(bytes <= MBIT(40) * elapsed_us / SECOND + MBIT(40) / 10);
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_rate_limiter__##name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(without_a_cap_all_may_go),
		TEST(keeps_to_the_cap_within_three_per_cent),
		TEST(makes_up_for_late_timers_and_what_was_not_asked_for),
		TEST(what_cannot_be_cut_is_paid_before_it_goes),
		TEST(idleness_gathers_no_more_than_a_burst),
		TEST(connections_of_a_destination_share_equally),
		TEST(what_one_does_not_use_another_does),
		TEST(one_that_leaves_holds_nobody_up),
		TEST(a_new_cap_holds_at_once),
		TEST(a_paused_destination_is_told_to_wait_for_news),
		TEST(wal_goes_before_backups),
		TEST(the_egress_cap_serves_the_larger_priority_first),
		TEST(the_egress_cap_comes_and_goes),
		TEST(a_connection_moves_to_another_destination),
		TEST(threads_together_stay_below_the_cap),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
