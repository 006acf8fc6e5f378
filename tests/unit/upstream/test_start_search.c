/*
 * The search for the oldest segment, against servers that hold every possible run.
 */
#include "upstream/start_search.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define SEGMENT (16u << 20)

/* What the search finds on a server that holds segments oldest to end; *questions_out of them. */
static lsn_t search(uint64_t oldest, lsn_t end_lsn, unsigned *questions_out)
{
	struct start_search search;
	lsn_t lsn;

	*questions_out = 0;
	start_search_begin(&search, end_lsn, SEGMENT);
	while (start_search_next(&search, &lsn)) {
		assert_int_equal(lsn % SEGMENT, 0);
		assert_true(lsn < end_lsn);
		start_search_answer(&search, lsn / SEGMENT >= oldest);
		(*questions_out)++;
		assert_true(*questions_out < 200);
	}
	return lsn;
}

static void test_start_search__finds_every_oldest_segment(void **state)
{
	unsigned questions;

	(void)state;
	for (uint64_t end = 1; end <= 70; end++) {
		for (uint64_t oldest = 1; oldest <= end; oldest++) {
			assert_int_equal(
				search(oldest, end * SEGMENT + 8192, &questions), oldest * SEGMENT);
		}
	}
}

static void test_start_search__asks_few_questions(void **state)
{
	unsigned questions;

	(void)state;
	assert_int_equal(search(1, UINT64_C(100000) * SEGMENT, &questions), SEGMENT);
	assert_true(questions <= 18);
	assert_int_equal(
		search(51234, UINT64_C(100000) * SEGMENT, &questions), UINT64_C(51234) * SEGMENT);
	assert_true(questions <= 34);
	assert_int_equal(
		search(100000, UINT64_C(100000) * SEGMENT, &questions), UINT64_C(100000) * SEGMENT);
	assert_true(questions <= 1);
}

static void test_start_search__takes_a_new_cluster_without_a_question(void **state)
{
	unsigned questions;

	(void)state;
	assert_int_equal(search(1, SEGMENT + 1, &questions), SEGMENT);
	assert_int_equal(questions, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_start_search__finds_every_oldest_segment),
		cmocka_unit_test(test_start_search__asks_few_questions),
		cmocka_unit_test(test_start_search__takes_a_new_cluster_without_a_question),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
