/* The relay's slots as its clients see them. */
#include "relay_fixture.h"

#include "cmocka_all.h"

#include <stdio.h>
#include <string.h>

static const char *ask(struct raw_client *client, const char *query)
{
	raw_client_query(client, query);
	return raw_client_until(client, 'Z');
}

#define CREATED(name)                                                                              \
	"T slot_name:25 consistent_point:25 snapshot_name:25 output_plugin:25\n"                   \
	"D " name "|0/0|NULL|NULL\nC CREATE_REPLICATION_SLOT\nZ I\n"
#define READ(row)                                                                                  \
	"T slot_type:25 restart_lsn:25 restart_tli:20\nD " row "\nC READ_REPLICATION_SLOT\nZ I\n"

static void test_downstream_session_slots__are_created_read_and_dropped(void **state)
{
	(void)state;
	struct relay_fixture *fixture = relay_fixture_new(NULL);
	struct raw_client client;
	relay_fixture_append(fixture, 1000);
	relay_fixture_log_in(fixture, &client);
	assert_string_equal(ask(&client, "CREATE_REPLICATION_SLOT s1 PHYSICAL"), CREATED("s1"));
	assert_string_equal(ask(&client, "READ_REPLICATION_SLOT s1"), READ("physical|NULL|NULL"));
	assert_string_equal(ask(&client, "CREATE_REPLICATION_SLOT s1 PHYSICAL"),
		"E ERROR 42710 replication slot \"s1\" already exists\nZ I\n");
	assert_string_equal(ask(&client, "CREATE_REPLICATION_SLOT \"s2\" PHYSICAL (RESERVE_WAL)"),
		CREATED("s2"));
	assert_string_equal(ask(&client, "READ_REPLICATION_SLOT s2"), READ("physical|0/1000000|1"));
	assert_string_equal(
		ask(&client, "CREATE_REPLICATION_SLOT t1 TEMPORARY PHYSICAL RESERVE_WAL"),
		CREATED("t1"));
	assert_string_equal(
		ask(&client, "DROP_REPLICATION_SLOT s1"), "C DROP_REPLICATION_SLOT\nZ I\n");
	assert_string_equal(ask(&client, "READ_REPLICATION_SLOT s1"), READ("NULL|NULL|NULL"));
	assert_string_equal(ask(&client, "DROP_REPLICATION_SLOT s1"),
		"E ERROR 42704 replication slot \"s1\" does not exist\nZ I\n");
	assert_string_equal(ask(&client, "CREATE_REPLICATION_SLOT \"Bad-Name\" PHYSICAL"),
		"E ERROR 42602 replication slot name \"Bad-Name\" contains invalid character hint: "
		"Replication slot names may only contain lower case letters, numbers, and the "
		"underscore character.\nZ I\n");
	assert_string_equal(ask(&client, "DROP_REPLICATION_SLOT nosuch WAIT"),
		"E ERROR 42704 replication slot \"nosuch\" does not exist\nZ I\n");
	raw_client_close(&client);
	relay_fixture_free(fixture);
}

static void test_downstream_session_slots__tags_of_12(void **state)
{
	(void)state;
	const struct relay_fixture_options options = {.version = 120022};
	struct relay_fixture *fixture = relay_fixture_new(&options);
	struct raw_client client;
	relay_fixture_log_in(fixture, &client);
	assert_non_null(
		strstr(ask(&client, "CREATE_REPLICATION_SLOT s1 PHYSICAL"), "C SELECT\nZ I\n"));
	assert_string_equal(ask(&client, "DROP_REPLICATION_SLOT s1"),
		"C DROP_REPLICATION_SLOT\nC SELECT\nZ I\n");
	raw_client_close(&client);
	relay_fixture_free(fixture);
}

static void test_downstream_session_slots__a_temporary_one_goes_with_its_connection(void **state)
{
	(void)state;
	struct relay_fixture *fixture = relay_fixture_new(NULL);
	struct raw_client owner, other;
	struct slot_stats slot;
	relay_fixture_log_in(fixture, &owner);
	relay_fixture_log_in(fixture, &other);
	ask(&owner, "CREATE_REPLICATION_SLOT t1 TEMPORARY PHYSICAL RESERVE_WAL");
	assert_non_null(strstr(ask(&other, "START_REPLICATION SLOT t1 0/1000000"),
		"E ERROR 55006 replication slot \"t1\" is active for PID "));
	raw_client_close(&owner);
	WAIT_UNTIL(!slots_find(fixture->slots, "t1", &slot));
	raw_client_close(&other);
	relay_fixture_free(fixture);
}

static void stream_from(struct raw_client *client, const char *slot)
{
	char query[128];
	snprintf(query, sizeof(query), "START_REPLICATION SLOT \"%s\" 0/1000000 TIMELINE 1", slot);
	raw_client_query(client, query);
	assert_string_equal(raw_client_next(client), "W");
}

static void test_downstream_session_slots__a_stream_that_does_not_begin_leaves_its_slot(
	void **state)
{
	(void)state;
	static const struct {
		const char *query;
		const char *expected;
	} rows[] = {
		{"START_REPLICATION SLOT s1 0/1000000 TIMELINE 7",
			"E ERROR XX000 requested timeline 7 is not in this server's history\nZ "
			"I\n"},
		{"START_REPLICATION SLOT s1 0/100000", "W\nE ERROR 58P01 requested WAL segment "
						       "000000010000000000000001 has already "
						       "been removed\nZ I\n"},
	};
	struct relay_fixture *fixture = relay_fixture_new(NULL);
	struct raw_client client;
	struct slot_stats slot;
	relay_fixture_append(fixture, 1000);
	relay_fixture_log_in(fixture, &client);
	ask(&client, "CREATE_REPLICATION_SLOT s1 PHYSICAL");
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		assert_string_equal(ask(&client, rows[i].query), rows[i].expected);
		assert_true(slots_find(fixture->slots, "s1", &slot));
		assert_int_equal(slot.active_pid, 0);
	}
	raw_client_close(&client);
	relay_fixture_free(fixture);
}

static void test_downstream_session_slots__follow_what_the_standby_flushed(void **state)
{
	(void)state;
	struct relay_fixture *fixture = relay_fixture_new(NULL);
	struct raw_client client;
	struct slot_stats slot;
	lsn_t end = relay_fixture_append(fixture, 50000);
	relay_fixture_log_in(fixture, &client);
	ask(&client, "CREATE_REPLICATION_SLOT s1 PHYSICAL");
	stream_from(&client, "s1");
	assert_non_null(strstr(raw_client_next(&client), "d w"));
	assert_string_equal(relay_fixture_standby(fixture).slot, "s1");

	raw_client_status(&client, end, 0, 0, true);
	assert_non_null(strstr(raw_client_next(&client), "d k"));
	assert_true(slots_find(fixture->slots, "s1", &slot));
	assert_int_equal(slot.restart_lsn, LSN_INVALID);
	assert_int_not_equal(slot.active_pid, 0);

	raw_client_status(&client, end, end - 1000, 0, true);
	assert_non_null(strstr(raw_client_next(&client), "d k"));
	assert_true(slots_find(fixture->slots, "s1", &slot));
	assert_int_equal(slot.restart_lsn, end - 1000);
	assert_int_equal(slot.restart_tli, 1);

	/* Backwards too, as PostgreSQL; and nothing is promised that was never sent. */
	raw_client_status(&client, end, FIXTURE_START, 0, true);
	assert_non_null(strstr(raw_client_next(&client), "d k"));
	assert_true(slots_find(fixture->slots, "s1", &slot));
	assert_int_equal(slot.restart_lsn, FIXTURE_START);
	raw_client_status(&client, end, end + (1 << 30), 0, true);
	assert_non_null(strstr(raw_client_next(&client), "d k"));
	assert_true(slots_find(fixture->slots, "s1", &slot));
	assert_int_equal(slot.restart_lsn, end);

	raw_client_message(&client, 'c', "", 0);
	raw_client_until(&client, 'Z');
	assert_true(slots_find(fixture->slots, "s1", &slot));
	assert_int_equal(slot.active_pid, 0);
	assert_string_equal(relay_fixture_standby(fixture).slot, "");
	raw_client_close(&client);
	relay_fixture_free(fixture);
}

static uint64_t held_xmin(struct relay_fixture *fixture)
{
	uint64_t xmin, catalog_xmin;
	downstream_oldest_xmin(fixture->downstream, &xmin, &catalog_xmin);
	return xmin;
}

static void test_downstream_session_slots__hold_the_feedback_of_a_standby_that_is_away(void **state)
{
	(void)state;
	struct relay_fixture *fixture = relay_fixture_new(NULL);
	struct raw_client client, next;
	relay_fixture_log_in(fixture, &client);
	ask(&client, "CREATE_REPLICATION_SLOT s1 PHYSICAL");
	stream_from(&client, "s1");
	raw_client_feedback(&client, 700, 1, 0);
	WAIT_UNTIL(held_xmin(fixture) == (UINT64_C(1) << 32 | 700));
	raw_client_close(&client);
	WAIT_UNTIL(downstream_connection_count(fixture->downstream) == 0);
	assert_int_equal(held_xmin(fixture), UINT64_C(1) << 32 | 700);

	relay_fixture_log_in(fixture, &next);
	stream_from(&next, "s1");
	assert_int_equal(held_xmin(fixture), UINT64_C(1) << 32 | 700);
	raw_client_feedback(&next, 800, 1, 0);
	WAIT_UNTIL(held_xmin(fixture) == (UINT64_C(1) << 32 | 800));
	raw_client_message(&next, 'c', "", 0);
	raw_client_until(&next, 'Z');
	assert_int_equal(held_xmin(fixture), UINT64_C(1) << 32 | 800);
	ask(&next, "DROP_REPLICATION_SLOT s1");
	assert_int_equal(held_xmin(fixture), 0);
	raw_client_close(&next);
	relay_fixture_free(fixture);
}

static void test_downstream_session_slots__one_in_use_is_dropped_when_it_becomes_free(void **state)
{
	(void)state;
	const struct relay_fixture_options options = {.sender_threads = 2};
	for (int round = 0; round < 20; round++) {
		struct relay_fixture *fixture = relay_fixture_new(&options);
		struct raw_client user, dropper, second;
		relay_fixture_log_in(fixture, &user);
		relay_fixture_log_in(fixture, &dropper);
		relay_fixture_log_in(fixture, &second);
		ask(&user, "CREATE_REPLICATION_SLOT s1 PHYSICAL");
		stream_from(&user, "s1");
		assert_non_null(strstr(ask(&dropper, "DROP_REPLICATION_SLOT s1"),
			"E ERROR 55006 replication slot \"s1\" is active for PID "));
		raw_client_query(&dropper, "DROP_REPLICATION_SLOT s1 WAIT");
		raw_client_query(&second, "DROP_REPLICATION_SLOT s1 WAIT");
		if (round % 2 == 0) {
			assert_true(raw_client_is_quiet(&dropper, 5));
		}
		raw_client_close(&second);
		raw_client_close(&user);
		const char *told = raw_client_until(&dropper, 'Z');
		/* Whoever of the two was first: nobody waits for what no longer exists. */
		if (strcmp(told, "C DROP_REPLICATION_SLOT\nZ I\n") != 0) {
			assert_string_equal(told,
				"E ERROR 42704 replication slot \"s1\" does not exist\nZ I\n");
		}
		raw_client_close(&dropper);
		relay_fixture_free(fixture);
	}
}

static bool hold_database(struct sqlite3 *connection, void *context, struct error *err)
{
	(void)connection;
	(void)err;
	pthread_mutex_lock(context);
	pthread_mutex_unlock(context);
	return true;
}

/* Whoever else has it in hand (the console, a session that makes it) tells no session of it. */
static void test_downstream_session_slots__one_that_is_being_stored_is_waited_for(void **state)
{
	(void)state;
	static const struct {
		const char *query; /* NULL: the console drops it */
		const char *expected;
	} rows[] = {
		{NULL, "E ERROR 42704 replication slot \"s1\" does not exist\nZ I\n"},
		{"CREATE_REPLICATION_SLOT s1 PHYSICAL", "C DROP_REPLICATION_SLOT\nZ I\n"},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct relay_fixture *fixture = relay_fixture_new(NULL);
		pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;
		struct raw_client user, dropper;
		struct slot_stats slot;
		struct error err = {0};
		relay_fixture_log_in(fixture, &user);
		relay_fixture_log_in(fixture, &dropper);
		if (rows[i].query == NULL) {
			ask(&user, "CREATE_REPLICATION_SLOT s1 PHYSICAL");
		}
		pthread_mutex_lock(&gate);
		database_submit(fixture->database, hold_database, NULL, &gate);
		if (rows[i].query == NULL) {
			assert_true(slots_drop(fixture->slots, "s1", 0, NULL, NULL, &err));
		} else {
			raw_client_query(&user, rows[i].query);
		}
		WAIT_UNTIL(slots_find(fixture->slots, "s1", &slot));
		raw_client_query(&dropper, "DROP_REPLICATION_SLOT s1 WAIT");
		assert_true(raw_client_is_quiet(&dropper, 50));
		pthread_mutex_unlock(&gate);
		assert_string_equal(raw_client_until(&dropper, 'Z'), rows[i].expected);
		raw_client_close(&user);
		raw_client_close(&dropper);
		relay_fixture_free(fixture);
	}
}

static void test_downstream_session_slots__a_client_that_goes_before_its_answer(void **state)
{
	(void)state;
	struct relay_fixture *fixture = relay_fixture_new(NULL);
	struct slot_stats slot;
	for (int i = 0; i < 20; i++) {
		char query[64];
		struct raw_client client;
		relay_fixture_log_in(fixture, &client);
		snprintf(query, sizeof(query), "CREATE_REPLICATION_SLOT s%d PHYSICAL", i);
		raw_client_query(&client, query);
		raw_client_close(&client);
	}
	WAIT_UNTIL(downstream_connection_count(fixture->downstream) == 0);
	assert_true(slots_find(fixture->slots, "s19", &slot));
	relay_fixture_free(fixture);
}

static void test_downstream_session_slots__stop_while_somebody_waits(void **state)
{
	(void)state;
	struct relay_fixture *fixture = relay_fixture_new(NULL);
	struct raw_client user, dropper;
	relay_fixture_log_in(fixture, &user);
	relay_fixture_log_in(fixture, &dropper);
	ask(&user, "CREATE_REPLICATION_SLOT s1 PHYSICAL");
	stream_from(&user, "s1");
	raw_client_query(&dropper, "DROP_REPLICATION_SLOT s1 WAIT");
	assert_true(raw_client_is_quiet(&dropper, 5));
	relay_fixture_begin_stop(fixture, 0);
	assert_string_equal(raw_client_next(&dropper),
		"E FATAL 57P01 terminating connection due to administrator command");
	relay_fixture_wait_stopped(fixture);
	raw_client_close(&user);
	raw_client_close(&dropper);
	relay_fixture_free(fixture);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_downstream_session_slots__are_created_read_and_dropped),
		cmocka_unit_test(test_downstream_session_slots__tags_of_12),
		cmocka_unit_test(
			test_downstream_session_slots__a_temporary_one_goes_with_its_connection),
		cmocka_unit_test(
			test_downstream_session_slots__a_stream_that_does_not_begin_leaves_its_slot),
		cmocka_unit_test(test_downstream_session_slots__follow_what_the_standby_flushed),
		cmocka_unit_test(
			test_downstream_session_slots__hold_the_feedback_of_a_standby_that_is_away),
		cmocka_unit_test(
			test_downstream_session_slots__one_in_use_is_dropped_when_it_becomes_free),
		cmocka_unit_test(
			test_downstream_session_slots__one_that_is_being_stored_is_waited_for),
		cmocka_unit_test(
			test_downstream_session_slots__a_client_that_goes_before_its_answer),
		cmocka_unit_test(test_downstream_session_slots__stop_while_somebody_waits),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
