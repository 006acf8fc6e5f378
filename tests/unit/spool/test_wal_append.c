/*
 * wal_append: who is told of new WAL, and in which order.
 */
#include "spool/wal_store_internal.h"
#include "support/wal_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define SEGMENT WAL_SEGMENT_MIN
#define START   (UINT64_C(5) << 32)

/* Of one append: 'r' readers, 'f' the flusher. */
static char told[8];

static void note(char who)
{
	size_t count = strlen(told);

	assert_true(count < sizeof(told) - 1);
	told[count] = who;
}

void __real_wal_flusher_wake(struct wal_store *store);
void __wrap_wal_flusher_wake(struct wal_store *store);

void __wrap_wal_flusher_wake(struct wal_store *store)
{
	note('f');
	__real_wal_flusher_wake(store);
}

static void on_received(void *context, unsigned events)
{
	const struct wal_fixture *fixture = context;

	assert_int_equal(events, WAL_STORE_RECEIVED);
	assert_true(wal_store_received(fixture->store).lsn > START);
	note('r');
}

/* Who waits for the WAL is not to stand behind a sync. */
static void test_wal_append__rings_readers_before_the_flusher(void **state)
{
	struct wal_fixture fixture;
	struct wal_watcher *watcher;
	struct wal_maker *maker = wal_maker_new(1, START, SEGMENT, 3);

	(void)state;
	wal_maker_fill(maker, START + 100000);
	fixture_open(&fixture);
	fixture_begin(&fixture, maker);
	watcher = wal_store_add_watcher(fixture.store, WAL_STORE_RECEIVED, on_received, &fixture);
	for (lsn_t at = START; at < START + 5000; at += 1000) {
		memset(told, 0, sizeof(told));
		fixture_append(&fixture, maker, at, at + 1000, 1000);
		assert_string_equal(told, "rf");
	}
	wal_store_remove_watcher(fixture.store, &watcher);
	fixture_close(&fixture);
	wal_maker_free(maker);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_wal_append__rings_readers_before_the_flusher),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
