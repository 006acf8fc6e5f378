/* Tests of observe/alert_book by a fake clock: what is told when. */
#include "support/cmocka_all.h"

#include <stdio.h>
#include <string.h>

#include "observe/alert_book.h"

#define SECOND INT64_C(1000000)
#define HOUR   (3600 * SECOND)
#define BEGIN  (INT64_C(1772000000) * SECOND)

static struct alert_book book;
static char told[1024]; /* "event kind subject\n" each */

static int setup(void **state)
{
	(void)state;
	book = (struct alert_book){.repeat_every_us = 6 * HOUR};
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	alert_book_release(&book);
	return 0;
}

static void tell(void *context, const struct alert_news *news)
{
	size_t length = strlen(told);
	(void)context;
	snprintf(told + length, sizeof(told) - length, "%s %s %s\n", alert_event_name(news->event),
		alert_rule(news->kind)->name, news->subject);
}

struct holding {
	enum alert_kind kind;
	const char *subject;
	bool is_unknown;
};

static void look_all(int64_t seconds, const struct holding *holdings, size_t count)
{
	struct alert_conditions conditions = {0};
	told[0] = '\0';
	for (size_t i = 0; i < count; i++) {
		struct alert_condition *condition =
			alert_conditions_add(&conditions, holdings[i].kind, holdings[i].subject);
		condition->is_unknown = holdings[i].is_unknown;
		alert_condition_say(condition, "seen at %d", (int)seconds);
	}
	bool has_told =
		alert_book_update(&book, &conditions, BEGIN + seconds * SECOND, tell, NULL);
	assert_int_equal(has_told, told[0] != '\0');
	alert_conditions_release(&conditions);
}

static void look(int64_t seconds, enum alert_kind kind, const char *expected)
{
	look_all(seconds, &(struct holding){kind, "far", false}, 1);
	assert_string_equal(told, expected);
}

static void look_at_nothing(int64_t seconds, const char *expected)
{
	look_all(seconds, NULL, 0);
	assert_string_equal(told, expected);
}

static void test_alert_book__tells_once_and_again_after_a_while(void **state)
{
	(void)state;
	look(0, ALERT_DAILY_LIMIT_OVER, "raised daily_limit_over far\n");
	look(1, ALERT_DAILY_LIMIT_OVER, "");
	look(6 * 3600 - 1, ALERT_DAILY_LIMIT_OVER, "");
	look(6 * 3600, ALERT_DAILY_LIMIT_OVER, "repeated daily_limit_over far\n");
	look(6 * 3600 + 1, ALERT_DAILY_LIMIT_OVER, "");
	look(12 * 3600, ALERT_DAILY_LIMIT_OVER, "repeated daily_limit_over far\n");
	look_at_nothing(12 * 3600 + 1, "recovered daily_limit_over far\n");
	look_at_nothing(12 * 3600 + 2, "");
	assert_int_equal(book.count, 0);
}

static void test_alert_book__each_rung_of_a_ladder_is_told_and_one_recovery(void **state)
{
	(void)state;
	look(0, ALERT_DAILY_LIMIT_WARNING, "raised daily_limit_warning far\n");
	look(10, ALERT_DAILY_LIMIT_OVER, "raised daily_limit_over far\n");
	assert_int_equal(book.count, 1);
	assert_int_equal(book.entries[0].since_us, BEGIN + 10 * SECOND);
	/* A higher limit by reload. */
	look(20, ALERT_DAILY_LIMIT_WARNING, "raised daily_limit_warning far\n");
	look_at_nothing(30, "recovered daily_limit_warning far\n");
}

static void test_alert_book__ladders_and_subjects_do_not_mix(void **state)
{
	(void)state;
	const struct holding all[] = {
		{ALERT_DAILY_LIMIT_WARNING, "far", false},
		{ALERT_MONTHLY_LIMIT_OVER, "far", false},
		{ALERT_DAILY_LIMIT_WARNING, "near", false},
	};
	look_all(0, all, 3);
	assert_string_equal(told, "raised daily_limit_warning far\nraised monthly_limit_over far\n"
				  "raised daily_limit_warning near\n");
	look_all(1, all, 2);
	assert_string_equal(told, "recovered daily_limit_warning near\n");
	look_all(2, all + 1, 1);
	assert_string_equal(told, "recovered daily_limit_warning far\n");
	look_all(3, all + 1, 1);
	assert_string_equal(told, "");
}

static void test_alert_book__a_moment_is_no_news(void **state)
{
	(void)state;
	look(0, ALERT_UPSTREAM_LOST, "");
	look(9, ALERT_UPSTREAM_LOST, "");
	look_at_nothing(10, "");
	look(11, ALERT_UPSTREAM_LOST, "");
	look(20, ALERT_UPSTREAM_LOST, "");
	look(21, ALERT_UPSTREAM_LOST, "raised upstream_lost far\n");
	assert_int_equal(book.entries[0].since_us, BEGIN + 11 * SECOND);
	/* What cannot pass by itself is worse, and told at once. */
	look(22, ALERT_UPSTREAM_STOPPED, "raised upstream_stopped far\n");
	/* While it tries again. */
	look(23, ALERT_UPSTREAM_LOST, "");
	look(30, ALERT_UPSTREAM_STOPPED, "");
	look(31, ALERT_UPSTREAM_LOST, "");
	look(90, ALERT_UPSTREAM_LOST, "");
	look(91, ALERT_UPSTREAM_LOST, "raised upstream_lost far\n");
	look_at_nothing(92, "recovered upstream_lost far\n");
}

static void test_alert_book__a_moment_is_no_recovery(void **state)
{
	(void)state;
	look(0, ALERT_STANDBY_LAG_BYTES, "");
	look(5, ALERT_STANDBY_LAG_BYTES, "raised standby_lag_bytes far\n");
	look_at_nothing(6, "");
	look_at_nothing(35, "");
	look(36, ALERT_STANDBY_LAG_BYTES, "");
	look_at_nothing(37, "");
	look_at_nothing(66, "");
	look_at_nothing(67, "recovered standby_lag_bytes far\n");
}

static void test_alert_book__what_cannot_be_told_stays_as_it_is(void **state)
{
	(void)state;
	const struct holding unknown = {ALERT_STANDBY_LAG_BYTES, "far", true};
	look_all(0, &unknown, 1);
	look_all(100, &unknown, 1);
	assert_string_equal(told, "");
	assert_int_equal(book.count, 0);
	look(200, ALERT_STANDBY_LAG_BYTES, "");
	look(205, ALERT_STANDBY_LAG_BYTES, "raised standby_lag_bytes far\n");
	look_at_nothing(206, "");
	for (int i = 207; i < 400; i++) {
		look_all(i, &unknown, 1);
		assert_string_equal(told, "");
	}
	assert_string_equal(book.entries[0].text, "seen at 205");
	look_at_nothing(401, "");
	look_at_nothing(431, "recovered standby_lag_bytes far\n");
}

static void test_alert_book__a_clock_that_steps_back_delays_by_one_interval_at_most(void **state)
{
	(void)state;
	look(86400, ALERT_DAILY_LIMIT_OVER, "raised daily_limit_over far\n");
	/* A day back. */
	look(0, ALERT_DAILY_LIMIT_OVER, "");
	look(6 * 3600 - 1, ALERT_DAILY_LIMIT_OVER, "");
	look(6 * 3600, ALERT_DAILY_LIMIT_OVER, "repeated daily_limit_over far\n");
	assert_int_equal(book.entries[0].since_us, BEGIN);
	look(6 * 3600 - 60, ALERT_UPSTREAM_LOST, "recovered daily_limit_over far\n");
	/* What waits to be raised waits its time from then on. */
	look(100, ALERT_UPSTREAM_LOST, "");
	look(109, ALERT_UPSTREAM_LOST, "");
	look(110, ALERT_UPSTREAM_LOST, "raised upstream_lost far\n");
}

static void test_alert_book__a_restart_is_no_news(void **state)
{
	(void)state;
	const struct alert_entry before = {.kind = ALERT_DAILY_LIMIT_OVER,
		.is_raised = true,
		.since_us = BEGIN - 100 * SECOND,
		.told_us = BEGIN - 100 * SECOND,
		.subject = "far"};
	alert_book_restore(&book, &before);
	look(0, ALERT_DAILY_LIMIT_OVER, "");
	look(6 * 3600 - 101, ALERT_DAILY_LIMIT_OVER, "");
	look(6 * 3600 - 100, ALERT_DAILY_LIMIT_OVER, "repeated daily_limit_over far\n");
	assert_int_equal(book.entries[0].since_us, BEGIN - 100 * SECOND);
	look_at_nothing(6 * 3600, "recovered daily_limit_over far\n");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_alert_book__tells_once_and_again_after_a_while),
		TEST(test_alert_book__each_rung_of_a_ladder_is_told_and_one_recovery),
		TEST(test_alert_book__ladders_and_subjects_do_not_mix),
		TEST(test_alert_book__a_moment_is_no_news),
		TEST(test_alert_book__a_moment_is_no_recovery),
		TEST(test_alert_book__what_cannot_be_told_stays_as_it_is),
		TEST(test_alert_book__a_clock_that_steps_back_delays_by_one_interval_at_most),
		TEST(test_alert_book__a_restart_is_no_news),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
