/* Tests of cli/status_screen: what of /api/status is on the screen, and what never gets there. */
#include "cli/status_screen.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const char usual[] =
	"{'name':'hub','version':'0.1.0','time':'2026-01-02T03:04:05.678Z','currency':'EUR',"
	"'upstream':{'state':'streaming','host':'db1','port':'5432','slot':'s','last_error':null,"
	"'behind_bytes':104857600,'wal_bytes_per_second':1250000,'catch_up_seconds':75.2},"
	"'spool':{'timeline':2,'oldest_lsn':'0/1000000','received_lsn':'0/3000100',"
	"'flushed_lsn':'0/3000060','bytes':50331648,'disk_free_bytes':1073741824},"
	"'destinations':[{'name':'us-west','state':'ok','wire_bytes_per_second':2500000,"
	"'rate_cap_bytes_per_second':null,'used_day_bytes':1048576,'daily_limit_bytes':20971520,"
	"'used_month_bytes':1048576,'monthly_limit_bytes':null,'forecast_month_bytes':2097152,"
	"'cost_month':0.25,'kinds_summary':'58 % of what goes to it over links is pages'},"
	"{'name':'plain','state':'ok','cost_month':0.5,'kinds_summary':null}],"
	"'standbys':[{'application_name':'s1','peer':'10.0.0.7:4321','destination':'us-west',"
	"'state':'catchup','replay_lsn':'0/3000000','lag_bytes':256,'replay_lag_seconds':1.5,"
	"'wire_bytes_per_second':1250,'catch_up_seconds':200,'backup':null},"
	"{'application_name':'new','peer':'10.0.0.8:1','destination':'other','state':'backup',"
	"'replay_lsn':null,'lag_bytes':null,'replay_lag_seconds':null,'wire_bytes_per_second':null,"
	"'catch_up_seconds':null,'backup':{'phase':'streaming database files',"
	"'done_bytes':26214400,'total_bytes':104857600,'bytes_per_second':5242880,"
	"'seconds_left':15.0}}]}";

static char *replaced(const char *text, const char *old, const char *new)
{
	const char *at = strstr(text, old);
	char *out = calloc(1, strlen(text) + strlen(new) + 1);
	assert_non_null(at);
	sprintf(out, "%.*s%s%s", (int)(at - text), text, new, at + strlen(old));
	return out;
}

/* Single quotes stand for double ones. */
static char *screen_of(const char *text)
{
	char *copy = strdup(text), *screen = NULL;
	size_t length;
	json_error_t error;
	for (char *at = copy; *at != '\0'; at++) {
		*at = *at == '\'' ? '"' : *at;
	}
	json_t *status = json_loads(copy, 0, &error);
	free(copy);
	if (status == NULL) {
		fail_msg("%s", error.text);
	}
	FILE *out = open_memstream(&screen, &length);
	status_screen_write(status, out);
	fclose(out);
	json_decref(status);
	return screen;
}

static void assert_has(const char *screen, const char *expected)
{
	if (strstr(screen, expected) == NULL) {
		fail_msg("no \"%s\" in:\n%s", expected, screen);
	}
}

static void test_status_screen__says_what_there_is(void **state)
{
	(void)state;
	char *screen = screen_of(usual);
	assert_has(screen, "hub   walrelay 0.1.0   2026-01-02T03:04:05.678Z\n");
	assert_has(screen, "upstream  streaming db1:5432  slot s  timeline 2\n"
			   "          100 MB behind, 10.0 Mbit/s of WAL, caught up in 75 s\n");
	assert_has(screen, "0/1000000 to 0/3000100, durable to 0/3000060\n"
			   "          48.0 MB held, 1.00 GB free\n");
	assert_has(screen, "us-west              ok          20.0 Mbit/s            -    1.00 MB"
			   "    20.0 MB    1.00 MB          -    2.00 MB       0.2500\n"
			   "  58 % of what goes to it over links is pages\nplain ");
	assert_has(screen, "s1                   catchup         256 B    1.5 s  10.0 kbit/s"
			   "        3 min 0/3000000      us-west          10.0.0.7:4321\n");
	assert_has(screen,
		"  streaming database files: 25.0 MB of 100 MB, 25 %, 5.00 MB/s, 15 s left\n");
	free(screen);
}

static void test_status_screen__keeps_terminals_from_harm(void **state)
{
	(void)state;
	char *hostile = replaced(usual, "'s1'", "'a\\u001b[2Jb\\u009b1mc\\r\\nd\\u007f'");
	char *screen = screen_of(hostile);
	assert_has(screen, "a?[2Jb?1mc??d?       catchup");
	assert_null(strchr(screen, '\033'));
	assert_null(strchr(screen, '\r'));
	free(screen);
	free(hostile);
}

static void test_status_screen__pads_by_characters(void **state)
{
	(void)state;
	char *umlauts = replaced(usual, "'s1'", "'\\u00fc\\u00fc\\u20ac'");
	char *screen = screen_of(umlauts);
	assert_has(screen, "\xc3\xbc\xc3\xbc\xe2\x82\xac                  catchup");
	free(screen);
	free(umlauts);
}

static void test_status_screen__a_long_name_costs_nobody(void **state)
{
	(void)state;
	char name[2000] = "'";
	memset(name + 1, 'x', 1900);
	strcpy(name + 1901, "'");
	char *longest = replaced(usual, "'s1'", name);
	char *screen = screen_of(longest);
	assert_has(screen, "xxx catchup");
	free(screen);
	free(longest);
}

static void test_status_screen__says_that_it_does_not_know(void **state)
{
	(void)state;
	char *screen = screen_of("{}");
	assert_has(screen, "upstream  - -:-  slot -  timeline 0\n");
	free(screen);
}

/* The alerts of a destination that pays for its words: lines of 80 columns, cut between them. */
static void test_status_screen__folds_what_is_long(void **state)
{
	(void)state;
	static const char alert[] =
		"'alerts':[{'severity':'critical','alert':'slot_lost','since':'2026-01-02T03:04:"
		"05Z',"
		"'text':'slot [s] is lost: \u00fcnter max_size it would have held the WAL that "
		"its standby needs, which is 12 GB 34567 "
		"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
		"xxxxxxxxxxxxxxxxxx'}],"
		"'standbys'";
	char *folded = replaced(usual, "'standbys'", alert);
	char *screen = screen_of(folded);
	assert_has(screen,
		"\ncritical  slot_lost since 2026-01-02T03:04:05Z\n"
		"          slot [s] is lost: \xc3\xbcnter max_size it would have held the WAL "
		"that its\n"
		"          standby needs, which is 12 GB 34567\n"
		"          xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\n"
		"          xxxxxxxxxx\n");
	assert_null(strstr(screen, " \n"));
	free(screen);
	free(folded);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_status_screen__says_what_there_is),
		cmocka_unit_test(test_status_screen__keeps_terminals_from_harm),
		cmocka_unit_test(test_status_screen__pads_by_characters),
		cmocka_unit_test(test_status_screen__a_long_name_costs_nobody),
		cmocka_unit_test(test_status_screen__folds_what_is_long),
		cmocka_unit_test(test_status_screen__says_that_it_does_not_know),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
