/* When more than one connection helps. */
#include "downstream/lane_watch.h"

#include <string.h>

#include "cmocka_all.h"

#define MS INT64_C(1000)

static const struct tcp_path before = {.is_tcp = true,
	.congestion = "cubic",
	.busy_us = 5000 * MS,
	.window_limited_us = 70 * MS,
	.space_limited_us = 70 * MS,
	.segments_resent = 4,
	.round_trip_us = 80 * MS};
/* Three seconds later. */
static const struct tcp_path lossy = {.is_tcp = true,
	.congestion = "cubic",
	.busy_us = 8000 * MS,
	.window_limited_us = 80 * MS,
	.space_limited_us = 80 * MS,
	.segments_resent = 7,
	.round_trip_us = 81 * MS};

static bool is_helped(const struct tcp_path *path)
{
	struct lane_watch watch = {0};
	assert_true(lane_watch_is_due(&watch, 1000 * MS));
	assert_false(lane_watch_look(&watch, &before, 1000 * MS));
	assert_false(lane_watch_is_due(&watch, 3999 * MS));
	assert_true(lane_watch_is_due(&watch, 4000 * MS));
	return lane_watch_look(&watch, path, 4000 * MS);
}

static void test_lane_watch__several_help_where_a_loss_costs_much(void **state)
{
	(void)state;
	struct tcp_path path = lossy;
	assert_true(is_helped(&path));
	path.busy_us = 7700 * MS;
	assert_true(is_helped(&path));
}

static void test_lane_watch__one_will_do_elsewhere(void **state)
{
	(void)state;
	struct tcp_path paths[] = {lossy, lossy, lossy, lossy, lossy, lossy, lossy};
	paths[0].is_tcp = false;
	strcpy(paths[1].congestion, "bbr2");
	paths[2].busy_us = 7600 * MS; /* it had nothing to send */
	paths[3].window_limited_us = 400 * MS;
	paths[4].space_limited_us = 400 * MS;
	paths[5].segments_resent = 4;
	paths[6].round_trip_us = 9 * MS;
	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		if (is_helped(&paths[i])) {
			fail_msg("%zu", i);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lane_watch__several_help_where_a_loss_costs_much),
		cmocka_unit_test(test_lane_watch__one_will_do_elsewhere),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
