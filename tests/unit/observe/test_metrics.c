/* Tests of observe/metrics: names, values, escapes, no series twice. */
#include "support/cmocka_all.h"

#include <event2/buffer.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fake_readers.h"
#include "observe/metrics.h"

static int setup(void **state)
{
	(void)state;
	fake_readers_reset();
	return 0;
}

static char *render(void)
{
	struct snapshot snapshot;
	struct snapshot_sources sources = {.relay_name = "r"};
	struct evbuffer *out = evbuffer_new();
	snapshot_take(&sources, &snapshot);
	metrics_write(&snapshot, out);
	size_t length = evbuffer_get_length(out);
	char *text = malloc(length + 1);
	assert_non_null(text);
	evbuffer_remove(out, text, length);
	text[length] = '\0';
	evbuffer_free(out);
	snapshot_release(&snapshot);
	return text;
}

/* line stands in text as a whole line. */
static bool has_line(const char *text, const char *line)
{
	size_t length = strlen(line);
	for (const char *at = text; (at = strstr(at, line)) != NULL; at++) {
		if ((at == text || at[-1] == '\n') && at[length] == '\n') {
			return true;
		}
	}
	return false;
}

static void assert_lines(const char *text, const char *const *lines, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (!has_line(text, lines[i])) {
			fail_msg("no line \"%s\" in\n%s", lines[i], text);
		}
	}
}
#define ASSERT_LINES(text, lines) assert_lines(text, lines, sizeof(lines) / sizeof(lines[0]))

static void test_metrics__tell_what_the_modules_say(void **state)
{
	(void)state;
	fake_readers_add_slot("sl", 0x2000100);
	static const char lag_line[] = "walrelay_standby_replay_lag_seconds{standby=\"s1\","
				       "destination=\"other\"} 1.500000";
	static const char *const lines[] = {
		"walrelay_build_info{version=\"" WALRELAY_VERSION "\"} 1",
		"walrelay_upstream_connected 1",
		"walrelay_upstream_received_lsn_bytes 50331904",
		"walrelay_upstream_flushed_lsn_bytes 50331744",
		"# TYPE walrelay_upstream_reconnects_total counter",
		"walrelay_upstream_reconnects_total 3",
		"walrelay_upstream_wal_bytes_total 1000",
		"walrelay_upstream_wire_bytes_total 1100",
		"walrelay_timeline 2",
		"# TYPE walrelay_spool_bytes gauge",
		"walrelay_spool_bytes 50331648",
		"walrelay_spool_oldest_lsn_bytes 16777216",
		"walrelay_spool_free_bytes 1234567890123",
		"walrelay_standbys{destination=\"other\"} 1",
		"walrelay_standby_sent_lsn_bytes{standby=\"s1\",destination=\"other\"} 50331904",
		"walrelay_standby_write_lsn_bytes{standby=\"s1\",destination=\"other\"} 50331904",
		"walrelay_standby_flush_lsn_bytes{standby=\"s1\",destination=\"other\"} 50331776",
		"walrelay_standby_replay_lsn_bytes{standby=\"s1\",destination=\"other\"} 50331648",
		"walrelay_standby_lag_bytes{standby=\"s1\",destination=\"other\"} 256",
		lag_line,
		"walrelay_slot_retained_bytes{slot=\"sl\"} 16777216",
		"# TYPE process_cpu_seconds_total counter",
	};
	char *text = render();
	ASSERT_LINES(text, lines);
	free(text);
}

static void test_metrics__tell_what_destinations_use(void **state)
{
	(void)state;
	struct destination_stats *far = fake_readers_add_destination("far");
	far->counted = (struct meter_counts){{1, 2, 3, 4, 5, 6, 7}};
	far->cost_nanos = 1200000003;
	far->used = (struct quota_used){.day_bytes = 10, .month_bytes = 20};
	far->monthly_limit_bytes = 30;
	far->forecast_bytes = 40;
	far->state = (struct quota_state){
		.rung = QUOTA_OVER, .is_paused = true, .cap_bytes = QUOTA_PAUSED};
	fake_readers_add_standby("s2", 102)->destination = "far";
	static const char *const lines[] = {
		"walrelay_standbys{destination=\"far\"} 1",
		"# TYPE walrelay_destination_wal_bytes_total counter",
		"walrelay_destination_wal_bytes_total{destination=\"far\"} 1",
		"walrelay_destination_wal_bytes_total{destination=\"other\"} 0",
		"walrelay_destination_wire_bytes_total{destination=\"far\"} 3",
		"walrelay_destination_wire_received_bytes_total{destination=\"far\"} 4",
		"walrelay_destination_billed_bytes_total{destination=\"far\"} 5",
		("walrelay_destination_cost_total{destination=\"far\",currency=\"EUR\"} "
		 "1.200000003"),
		"walrelay_destination_used_bytes{destination=\"far\",period=\"day\"} 10",
		"walrelay_destination_used_bytes{destination=\"far\",period=\"month\"} 20",
		"walrelay_destination_limit_bytes{destination=\"far\",period=\"month\"} 30",
		"walrelay_destination_forecast_bytes{destination=\"far\",period=\"month\"} 40",
		"walrelay_destination_rate_cap_bytes_per_second{destination=\"far\"} 0",
		"walrelay_destination_state{destination=\"far\",state=\"ok\"} 0",
		"walrelay_destination_state{destination=\"far\",state=\"warning\"} 0",
		"walrelay_destination_state{destination=\"far\",state=\"throttled\"} 0",
		"walrelay_destination_state{destination=\"far\",state=\"paused\"} 1",
		"walrelay_destination_state{destination=\"other\",state=\"ok\"} 1",
	};
	char *text = render();
	ASSERT_LINES(text, lines);
	assert_null(strstr(text, "limit_bytes{destination=\"far\",period=\"day\"}"));
	assert_null(strstr(text, "per_second{destination=\"other\"}"));
	free(text);
}

static void test_metrics__leave_out_what_is_not_known(void **state)
{
	(void)state;
	struct standby_stats *standby = &fake_readers.standbys[0];
	standby->write_lsn = standby->flush_lsn = standby->replay_lsn = LSN_INVALID;
	standby->replay_lag_us = -1;
	fake_readers.upstream.state = UPSTREAM_WAITING;
	static const char *const lines[] = {
		"walrelay_upstream_connected 0",
		"# TYPE walrelay_standby_replay_lag_seconds gauge",
		"walrelay_standby_lag_bytes{standby=\"s1\",destination=\"other\"} 0",
	};
	char *text = render();
	ASSERT_LINES(text, lines);
	assert_null(strstr(text, "walrelay_standby_write_lsn_bytes{"));
	assert_null(strstr(text, "walrelay_standby_flush_lsn_bytes{"));
	assert_null(strstr(text, "walrelay_standby_replay_lsn_bytes{"));
	assert_null(strstr(text, "walrelay_standby_replay_lag_seconds{"));
	free(text);
}

static void test_metrics__a_backup_is_no_standby(void **state)
{
	(void)state;
	fake_readers.standbys[0].state = STANDBY_BACKUP;
	fake_readers_add_standby("new", 5)->state = STANDBY_STARTUP;
	char *text = render();
	assert_true(has_line(text, "walrelay_standbys{destination=\"other\"} 0"));
	assert_null(strstr(text, "standby=\""));
	free(text);
}

static void test_metrics__escape_hostile_names(void **state)
{
	(void)state;
	fake_readers_add_standby("a\"} 1\nwalrelay_x{y=\"\\", 5);
	char *text = render();
	assert_true(has_line(text,
		"walrelay_standby_lag_bytes{standby=\"a\\\"} 1?walrelay_x{y=\\\"\\\\\",destination="
		"\"other\"} 256"));
	free(text);
}

static int compare_lines(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static void test_metrics__no_series_comes_twice(void **state)
{
	(void)state;
	static const char *const names[] = {
		"walreceiver", "walreceiver", "walreceiver#7", "", "", "a\nb", "a\tb", "a?b"};
	for (uint32_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		fake_readers_add_standby(names[i], 7 + i);
	}
	char *text = render();
	char *series[2000];
	size_t count = 0;
	for (char *line = strtok(text, "\n"); line != NULL; line = strtok(NULL, "\n")) {
		char *value = strrchr(line, ' ');
		assert_non_null(value);
		if (line[0] != '#') {
			*value = '\0';
		}
		series[count++] = line;
	}
	qsort(series, count, sizeof(*series), compare_lines);
	for (size_t i = 1; i < count; i++) {
		assert_string_not_equal(series[i - 1], series[i]);
	}
	free(text);
}

static void test_metrics__each_family_has_help_and_type_first(void **state)
{
	(void)state;
	char *text = render();
	char name[128] = "";
	char *rest = NULL;
	for (char *line = strtok_r(text, "\n", &rest); line != NULL;
		line = strtok_r(NULL, "\n", &rest)) {
		char type[128];
		char kind[16];
		if (strncmp(line, "# HELP ", 7) == 0) {
			assert_int_equal(sscanf(line, "# HELP %127s %15s", name, kind), 2);
			line = strtok_r(NULL, "\n", &rest);
			assert_int_equal(sscanf(line, "# TYPE %127s %15s", type, kind), 2);
			assert_string_equal(type, name);
			size_t length = strlen(name);
			bool is_total = length > 6 && strcmp(name + length - 6, "_total") == 0;
			assert_string_equal(kind, is_total ? "counter" : "gauge");
		} else {
			assert_int_equal(strcspn(line, "{ "), strlen(name));
			assert_memory_equal(line, name, strlen(name));
		}
	}
	free(text);
}

static void test_metrics__links_are_told_by_kind_of_wal(void **state)
{
	(void)state;
	static const char *const lines[] = {
		"# TYPE walrelay_link_wal_bytes_total counter",
		"walrelay_link_wal_bytes_total{kind=\"image_referred\"} 600",
		"walrelay_link_encoded_bytes_total{kind=\"image_referred\"} 20",
		"walrelay_link_wal_bytes_total{kind=\"heap\"} 400",
		("walrelay_destination_link_wal_bytes_total{destination=\"far\",kind=\"zero\"} "
		 "70"),
		("walrelay_destination_link_encoded_bytes_total{destination=\"far\","
		 "kind=\"image_new\"} 30"),
		"walrelay_link_encode_cpu_seconds_total 1.234567",
		"walrelay_link_level 3",
		"walrelay_link_upstream_version 1",
		"walrelay_link_decode_cpu_seconds_total 0.000500",
	};
	char *text = render();
	assert_null(strstr(text, "walrelay_link_level"));
	assert_null(strstr(text, "walrelay_destination_link_wal_bytes_total{"));
	free(text);
	fake_readers.is_link_offered = true;
	fake_readers.link.raw[LINK_KIND_IMAGE_REFERRED] = 600;
	fake_readers.link.sent[LINK_KIND_IMAGE_REFERRED] = 20;
	fake_readers.link.raw[LINK_KIND_HEAP] = 400;
	fake_readers.link.encode_cpu_us = 1234567;
	fake_readers.link.level = 3;
	fake_readers.upstream.link_version = 1;
	fake_readers.upstream.link_decode_us = 500;
	struct destination_stats *far = fake_readers_add_destination("far");
	far->kinds.wal_bytes[LINK_KIND_ZERO] = 70;
	far->kinds.encoded_bytes[LINK_KIND_IMAGE_NEW] = 30;
	text = render();
	ASSERT_LINES(text, lines);
	assert_null(strstr(text, "link_wal_bytes_total{destination=\"other\""));
	assert_null(strstr(text, "link_encoded_bytes_total{destination=\"other\""));
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_metrics__tell_what_the_modules_say, setup),
		cmocka_unit_test_setup(test_metrics__tell_what_destinations_use, setup),
		cmocka_unit_test_setup(test_metrics__links_are_told_by_kind_of_wal, setup),
		cmocka_unit_test_setup(test_metrics__leave_out_what_is_not_known, setup),
		cmocka_unit_test_setup(test_metrics__a_backup_is_no_standby, setup),
		cmocka_unit_test_setup(test_metrics__escape_hostile_names, setup),
		cmocka_unit_test_setup(test_metrics__no_series_comes_twice, setup),
		cmocka_unit_test_setup(test_metrics__each_family_has_help_and_type_first, setup),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
