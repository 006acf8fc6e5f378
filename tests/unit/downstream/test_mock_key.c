/* Tests of downstream/mock_key. */
#include "support/cmocka_all.h"

#include "downstream/mock_key.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct place {
	char directory[64];
	char path[96];
};

static int setup(void **state)
{
	static struct place place;

	strcpy(place.directory, "/tmp/test_mock_key.XXXXXX");
	assert_non_null(mkdtemp(place.directory));
	snprintf(place.path, sizeof(place.path), "%s/state.db", place.directory);
	*state = &place;
	return 0;
}

static int teardown(void **state)
{
	struct place *place = *state;

	unlink(place->path);
	return rmdir(place->directory);
}

static struct database *open_at(const struct place *place)
{
	struct error err = {0};
	struct database *database = database_open(place->path, &err);

	if (database == NULL) {
		fail_msg("%s", err.message);
	}
	return database;
}

static void load(const struct place *place, uint8_t key_out[MOCK_KEY_BYTES])
{
	struct error err = {0};
	struct database *database = open_at(place);

	if (!mock_key_load(database, key_out, &err)) {
		fail_msg("%s", err.message);
	}
	database_close(&database);
}

static void test_mock_key__is_made_once_and_kept(void **state)
{
	uint8_t first[MOCK_KEY_BYTES] = {0}, again[MOCK_KEY_BYTES] = {0};
	static const uint8_t nothing[MOCK_KEY_BYTES];

	load(*state, first);
	assert_memory_not_equal(first, nothing, sizeof(first));
	load(*state, again);
	assert_memory_equal(again, first, sizeof(first));
}

static void test_mock_key__is_another_elsewhere(void **state)
{
	struct place *place = *state;
	uint8_t first[MOCK_KEY_BYTES], other[MOCK_KEY_BYTES];

	load(place, first);
	unlink(place->path);
	load(place, other);
	assert_memory_not_equal(other, first, sizeof(first));
}

static bool spoil(struct sqlite3 *connection, void *context, struct error *err)
{
	return database_execute(connection, context, err);
}

static void test_mock_key__a_spoilt_one_is_an_error(void **state)
{
	static const char *const spoilt[] = {"UPDATE mock_key SET key = ''",
		"UPDATE mock_key SET key = 'ab'",
		"UPDATE mock_key SET key = replace(hex(zeroblob(32)), '0', 'x')"};
	uint8_t key[MOCK_KEY_BYTES];

	load(*state, key);
	for (size_t i = 0; i < sizeof(spoilt) / sizeof(spoilt[0]); i++) {
		struct error err = {0};
		struct database *database = open_at(*state);

		assert_true(database_run(database, spoil, (void *)spoilt[i], &err));
		assert_false(mock_key_load(database, key, &err));
		assert_string_equal(err.message, "invalid key in table \"mock_key\"");
		database_close(&database);
	}
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_mock_key__is_made_once_and_kept),
		TEST(test_mock_key__is_another_elsewhere),
		TEST(test_mock_key__a_spoilt_one_is_an_error),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
