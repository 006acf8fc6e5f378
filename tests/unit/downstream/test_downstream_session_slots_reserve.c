/* RESERVE_WAL while retention takes what is being reserved. */
#include "cmocka_all.h"
#include "relay_fixture.h"

#include <stdio.h>
#include <string.h>

static struct wal_store *store_to_prune;

static lsn_t oldest_held(struct wal_store *store)
{
	struct wal_store_stats stats;
	wal_store_read_stats(store, &stats);
	return stats.oldest_lsn;
}

/* Asks for a round of retention that keeps nothing it need not. */
static bool is_pruned_past(struct wal_store *store, lsn_t lsn)
{
	const struct wal_store_options nothing = {.retain_bytes = 0};
	wal_store_set_limits(store, &nothing);
	return oldest_held(store) > lsn;
}

bool __real_slots_create(struct slots *slots, const char *name, bool temporary, uint32_t owner_pid,
	lsn_t restart_lsn, tli_t restart_tli, slots_done *done, void *context, struct error *err);
bool __wrap_slots_create(struct slots *slots, const char *name, bool temporary, uint32_t owner_pid,
	lsn_t restart_lsn, tli_t restart_tli, slots_done *done, void *context, struct error *err);

/* Retention runs after the point was chosen and before the slot is there. */
bool __wrap_slots_create(struct slots *slots, const char *name, bool temporary, uint32_t owner_pid,
	lsn_t restart_lsn, tli_t restart_tli, slots_done *done, void *context, struct error *err)
{
	if (store_to_prune != NULL) {
		WAIT_UNTIL(is_pruned_past(store_to_prune, restart_lsn));
	}
	return __real_slots_create(
		slots, name, temporary, owner_pid, restart_lsn, restart_tli, done, context, err);
}

static void check_reserved(struct relay_fixture *fixture, const char *query, const char *slot)
{
	struct raw_client client;
	struct slot_stats stats;
	relay_fixture_log_in(fixture, &client);
	raw_client_query(&client, query);
	assert_non_null(strstr(raw_client_until(&client, 'Z'), "C CREATE_REPLICATION_SLOT\nZ I\n"));
	assert_true(slots_find(fixture->slots, slot, &stats));
	assert_int_equal(stats.restart_tli, 1);
	assert_true(stats.restart_lsn >= oldest_held(fixture->store));

	char start[128];
	snprintf(start, sizeof(start), "START_REPLICATION SLOT %s " LSN_FORMAT, slot,
		LSN_ARGS(stats.restart_lsn));
	raw_client_query(&client, start);
	assert_string_equal(raw_client_next(&client), "W");
	assert_non_null(strstr(raw_client_next(&client), "d w "));
	raw_client_close(&client);
}

static void test_downstream_session_slots__a_reservation_holds_what_it_promises(void **state)
{
	(void)state;
	struct relay_fixture *fixture = relay_fixture_new(NULL);
	relay_fixture_append(fixture, 6 * FIXTURE_SEGMENT);
	store_to_prune = fixture->store;
	check_reserved(fixture, "CREATE_REPLICATION_SLOT s1 PHYSICAL RESERVE_WAL", "s1");
	relay_fixture_free(fixture);
}

static void test_downstream_session_slots__a_temporary_reservation_too(void **state)
{
	(void)state;
	struct relay_fixture *fixture = relay_fixture_new(NULL);
	relay_fixture_append(fixture, 6 * FIXTURE_SEGMENT);
	store_to_prune = fixture->store;
	check_reserved(fixture, "CREATE_REPLICATION_SLOT t1 TEMPORARY PHYSICAL RESERVE_WAL", "t1");
	relay_fixture_free(fixture);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			test_downstream_session_slots__a_reservation_holds_what_it_promises),
		cmocka_unit_test(test_downstream_session_slots__a_temporary_reservation_too),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
