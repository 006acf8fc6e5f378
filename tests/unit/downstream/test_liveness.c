/* The walsender's keepalive and timeout rules, at the microsecond. */
#include "downstream/liveness.h"

#include "cmocka_all.h"

#define SECOND INT64_C(1000000)
#define BEGAN  (1000 * SECOND)

static struct liveness begun(int64_t timeout_us)
{
	struct liveness liveness;
	liveness_begin(&liveness, timeout_us, BEGAN);
	return liveness;
}

static void test_liveness__asks_after_half_of_the_timeout(void **state)
{
	(void)state;
	struct liveness liveness = begun(4 * SECOND);
	assert_int_equal(liveness_next_check_us(&liveness, BEGAN), BEGAN + 2 * SECOND);
	assert_int_equal(liveness_check(&liveness, BEGAN + 2 * SECOND - 1), LIVENESS_NOTHING);
	assert_int_equal(liveness_check(&liveness, BEGAN + 2 * SECOND), LIVENESS_ASK);
}

static void test_liveness__asks_once_for_one_silence(void **state)
{
	(void)state;
	struct liveness liveness = begun(4 * SECOND);
	liveness_on_asked(&liveness, BEGAN + 2 * SECOND);
	assert_int_equal(liveness_check(&liveness, BEGAN + 3 * SECOND), LIVENESS_NOTHING);
	assert_int_equal(liveness_next_check_us(&liveness, BEGAN + 3 * SECOND), BEGAN + 4 * SECOND);
	liveness_on_reply(&liveness, BEGAN + 3 * SECOND);
	assert_int_equal(liveness_check(&liveness, BEGAN + 5 * SECOND - 1), LIVENESS_NOTHING);
	assert_int_equal(liveness_check(&liveness, BEGAN + 5 * SECOND), LIVENESS_ASK);
}

static void test_liveness__gives_up_at_the_timeout_after_a_second_look(void **state)
{
	(void)state;
	struct liveness liveness = begun(4 * SECOND);
	liveness_on_asked(&liveness, BEGAN + 2 * SECOND);
	int64_t due = BEGAN + 4 * SECOND;
	assert_int_equal(liveness_check(&liveness, due), LIVENESS_NOTHING);
	assert_int_equal(liveness_next_check_us(&liveness, due), due + LIVENESS_GRACE_US);
	assert_int_equal(liveness_check(&liveness, due + LIVENESS_GRACE_US), LIVENESS_DEAD);
}

static void test_liveness__a_process_held_up_reads_before_it_judges(void **state)
{
	(void)state;
	struct liveness liveness = begun(4 * SECOND);
	int64_t late = BEGAN + 100 * SECOND;
	assert_int_equal(liveness_check(&liveness, late), LIVENESS_NOTHING);
	liveness_on_reply(&liveness, late + 1);
	assert_int_equal(liveness_check(&liveness, late + LIVENESS_GRACE_US), LIVENESS_KEEPALIVE);
	assert_int_equal(liveness.expires_us, 0);
}

static void test_liveness__never_gives_up_without_a_timeout(void **state)
{
	(void)state;
	struct liveness liveness = begun(0);
	assert_int_equal(liveness_next_check_us(&liveness, BEGAN), BEGAN + LIVENESS_IDLE_US);
	assert_int_equal(liveness_check(&liveness, BEGAN + 86400 * SECOND), LIVENESS_KEEPALIVE);
}

static void test_liveness__speaks_when_idle_whatever_the_client_says(void **state)
{
	(void)state;
	struct liveness liveness = begun(60 * SECOND);
	liveness_on_sent(&liveness, BEGAN + SECOND);
	liveness_on_reply(&liveness, BEGAN + 9 * SECOND);
	int64_t due = BEGAN + SECOND + LIVENESS_IDLE_US;
	assert_int_equal(liveness_check(&liveness, due - 1), LIVENESS_NOTHING);
	assert_int_equal(liveness_next_check_us(&liveness, BEGAN + 9 * SECOND), due);
	assert_int_equal(liveness_check(&liveness, due), LIVENESS_KEEPALIVE);
}

static void test_liveness__the_next_check_is_always_ahead(void **state)
{
	(void)state;
	struct liveness liveness = begun(4 * SECOND);
	assert_int_equal(
		liveness_next_check_us(&liveness, BEGAN + 50 * SECOND), BEGAN + 50 * SECOND + 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_liveness__asks_after_half_of_the_timeout),
		cmocka_unit_test(test_liveness__asks_once_for_one_silence),
		cmocka_unit_test(test_liveness__gives_up_at_the_timeout_after_a_second_look),
		cmocka_unit_test(test_liveness__a_process_held_up_reads_before_it_judges),
		cmocka_unit_test(test_liveness__never_gives_up_without_a_timeout),
		cmocka_unit_test(test_liveness__speaks_when_idle_whatever_the_client_says),
		cmocka_unit_test(test_liveness__the_next_check_is_always_ahead),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
