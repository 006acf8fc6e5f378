/*
 * Which slots were there once, kept over a restart.
 */
#include "upstream/slot_memory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#define SYSTEM_A UINT64_C(7300000000000000001)
#define SYSTEM_B UINT64_MAX

static struct database *open_at(const char *path)
{
	struct error err;
	struct database *database = database_open(path, &err);

	assert_non_null(database);
	assert_true(slot_memory_open(database, &err));
	return database;
}

static bool knows(struct database *database, const char *slot, uint64_t system_identifier)
{
	struct error err;
	bool is_known = false;

	assert_true(slot_memory_find(database, slot, system_identifier, &is_known, &err));
	return is_known;
}

static void test_slot_memory__keeps_slots_by_name_and_system(void **state)
{
	char directory[] = "/tmp/test_slot_memory.XXXXXX";
	char path[64];
	char command[64];
	struct database *database;
	struct error err;

	(void)state;
	assert_non_null(mkdtemp(directory));
	snprintf(path, sizeof(path), "%s/state.db", directory);
	database = open_at(path);
	assert_false(knows(database, "walrelay_hub", SYSTEM_A));
	assert_true(slot_memory_store(database, "walrelay_hub", SYSTEM_A, &err));
	assert_true(slot_memory_store(database, "walrelay_hub", SYSTEM_A, &err));
	assert_true(slot_memory_store(database, "edge", SYSTEM_B, &err));
	database_close(&database);

	database = open_at(path);
	assert_true(knows(database, "walrelay_hub", SYSTEM_A));
	assert_false(knows(database, "walrelay_hub", SYSTEM_B));
	assert_true(knows(database, "edge", SYSTEM_B));
	assert_false(knows(database, "other", SYSTEM_A));
	database_close(&database);
	snprintf(command, sizeof(command), "rm -r %s", directory);
	assert_int_equal(system(command), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_slot_memory__keeps_slots_by_name_and_system),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
