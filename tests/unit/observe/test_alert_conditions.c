/* Tests of observe/alert_conditions: from a snapshot to what is wrong, by table. */
#include "support/cmocka_all.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fake_readers.h"
#include "observe/alert_conditions.h"
#include "observe/pace.h"

#define SECOND INT64_C(1000000)
#define DAY    (24 * 3600 * SECOND)
#define NOW    (INT64_C(1772000000) * SECOND) /* 2026-02-25 06:13:20 UTC */
#define MB     (UINT64_C(1) << 20)
#define GB     (UINT64_C(1) << 30)

static struct alert_thresholds thresholds;
static struct alert_watch watch;
static struct alert_standby standby;
static struct alert_certificate certificate;
static size_t certificate_count;
static double per_second;
static struct alert_conditions conditions;

static int setup(void **state)
{
	(void)state;
	fake_readers_reset();
	thresholds = (struct alert_thresholds){0};
	standby = (struct alert_standby){
		.name = "far", .destination = "west", .is_here = true, .is_counted_on = true};
	watch = (struct alert_watch){.standbys = &standby, .count = 1};
	certificate_count = 0;
	per_second = PACE_UNKNOWN;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	alert_conditions_release(&conditions);
	return 0;
}

/* "kind subject: text {figures}" lines; "?" before one that is unknown. */
static void check(const char *expected)
{
	char *found = NULL;
	size_t length;
	struct snapshot snapshot;
	snapshot_take(&(struct snapshot_sources){.relay_name = "r"}, &snapshot);
	snapshot.upstream_pace.wal_per_second = per_second;
	const struct alert_input input = {.snapshot = &snapshot,
		.watch = &watch,
		.thresholds = &thresholds,
		.certificates = &certificate,
		.certificate_count = certificate_count,
		.now_us = NOW};
	alert_conditions_find(&input, &conditions);
	snapshot_release(&snapshot);
	FILE *out = open_memstream(&found, &length);
	for (size_t i = 0; i < conditions.count; i++) {
		const struct alert_condition *condition = &conditions.items[i];
		fprintf(out, "%s%s %s: %s {%s}\n", condition->is_unknown ? "?" : "",
			alert_rule(condition->kind)->name, condition->subject, condition->text,
			condition->figures);
	}
	fclose(out);
	assert_string_equal(found, expected);
	free(found);
}

static void test_alert_conditions__nothing_is_wrong(void **state)
{
	(void)state;
	check("");
	thresholds = (struct alert_thresholds){
		.lag_bytes = GB, .lag_time_us = DAY, .spool_free_bytes = GB, .spool_max_bytes = GB};
	fake_readers_add_slot("s1", 0x3000000);
	check("");
}

static void test_alert_conditions__limits(void **state)
{
	(void)state;
	struct destination_stats *far = fake_readers_add_destination("far");
	far->daily_limit_bytes = 10 * GB;
	far->warn_at_basis_points = 8000;
	far->used.day_bytes = 8 * GB - 1;
	check("");
	far->used.day_bytes = 8 * GB;
	check("daily_limit_warning far: destination \"far\" has used 8.00 GB of its daily limit of "
	      "10.0 GB (80 %) {\"used_bytes\": 8589934592, \"limit_bytes\": 10737418240}\n");
	far->used.day_bytes = 10 * GB;
	far->state.is_throttled = true;
	check("daily_limit_over far: destination \"far\" has used 10.0 GB of its daily limit of "
	      "10.0 GB (100 %); it is throttled until the day ends "
	      "{\"used_bytes\": 10737418240, \"limit_bytes\": 10737418240}\n");
	far->daily_limit_bytes = 0;
	far->monthly_limit_bytes = 5 * GB;
	far->used.month_bytes = 6 * GB;
	far->forecast_bytes = 6 * GB;
	far->state.is_paused = true;
	check("monthly_limit_over far: destination \"far\" has used 6.00 GB of its monthly limit "
	      "of 5.00 GB (120 %); it is paused until the month ends "
	      "{\"used_bytes\": 6442450944, \"limit_bytes\": 5368709120}\n"
	      "?monthly_limit_forecast far: destination \"far\" will end the month with 6.00 GB at "
	      "the present pace, more than its monthly limit of 5.00 GB "
	      "{\"forecast_bytes\": 6442450944, \"used_bytes\": 6442450944, "
	      "\"limit_bytes\": 5368709120}\n");
}

static void test_alert_conditions__a_month_that_will_not_do(void **state)
{
	(void)state;
	struct destination_stats *far = fake_readers_add_destination("far");
	far->monthly_limit_bytes = 100 * GB;
	far->warn_at_basis_points = 8000;
	far->used.month_bytes = 60 * GB;
	far->forecast_bytes = 100 * GB;
	check("");
	far->forecast_bytes = 130 * GB;
	far->has_limit_day = true;
	far->limit_day = calendar_day_of_date(2028, 2, 29);
	check("monthly_limit_forecast far: destination \"far\" will end the month with 130 GB at "
	      "the present pace, more than its monthly limit of 100 GB, which it reaches on "
	      "2028-02-29 {\"forecast_bytes\": 139586437120, \"used_bytes\": 64424509440, "
	      "\"limit_bytes\": 107374182400}\n");
}

static void test_alert_conditions__lag_in_bytes_and_in_time(void **state)
{
	(void)state;
	standby.lag_bytes = 100 * MB;
	standby.lag_us = 90 * SECOND;
	check("");
	thresholds.lag_bytes = 100 * MB + 1;
	thresholds.lag_time_us = 91 * SECOND;
	check("");
	thresholds.lag_bytes = 100 * MB;
	check("standby_lag_bytes far: standby \"far\" (destination \"west\") is 100 MB behind, "
	      "more "
	      "than 100 MB {\"lag_bytes\": 104857600, \"lag_seconds\": 90, "
	      "\"limit_bytes\": 104857600}\n");
	thresholds.lag_bytes = 0;
	thresholds.lag_time_us = 90 * SECOND;
	check("standby_lag_time far: standby \"far\" (destination \"west\") is 90.0 s behind, more "
	      "than 90.0 s {\"lag_bytes\": 104857600, \"lag_seconds\": 90, "
	      "\"limit_seconds\": 90}\n");
}

static void test_alert_conditions__a_standby_that_is_away(void **state)
{
	(void)state;
	standby.is_here = false;
	standby.has_slot = true;
	standby.seen_us = NOW - 7500 * SECOND;
	thresholds.lag_bytes = MB;
	check("?standby_lag_bytes far: standby \"far\" (destination \"west\") is 0 B behind, more "
	      "than 1.00 MB {\"lag_bytes\": 0, \"lag_seconds\": 0, \"limit_bytes\": 1048576}\n"
	      "standby_gone far: standby \"far\" (destination \"west\") has been away for 2 h 5 "
	      "min; its slot holds WAL for it {\"away_seconds\": 7500}\n");
	standby.is_counted_on = false;
	thresholds.lag_bytes = 0;
	check("");
}

static void test_alert_conditions__slots_of_ours(void **state)
{
	(void)state;
	thresholds.spool_max_bytes = 100 * MB;
	fake_readers.store.received_lsn = 200 * MB;
	fake_readers_add_slot("near", 120 * MB);
	fake_readers_add_slot("fine", 120 * MB + 1);
	fake_readers_add_slot("gone", 10 * MB)->lost = true;
	check("slot_near_limit near: slot \"near\" holds 80.0 MB of WAL; max_size is 100 MB "
	      "{\"retained_bytes\": 83886080, \"limit_bytes\": 104857600}\n"
	      "slot_lost gone: slot \"gone\" is lost: max_size took WAL it needs {}\n");
}

static void test_alert_conditions__says_how_much_may_come_before_a_slot_is_lost(void **state)
{
	(void)state;
	thresholds.spool_max_bytes = 100 * MB;
	fake_readers.store.received_lsn = 200 * MB;
	fake_readers.store.room_bytes = 90 * MB;
	fake_readers_add_slot("near", 128 * MB);
	fake_readers_add_slot("fine", 160 * MB);
	check("slot_near_limit near: slot \"near\" holds 72.0 MB of WAL; max_size is 100 MB; it is "
	      "lost when 18.0 MB more have come {\"safe_bytes\": 18874368, "
	      "\"retained_bytes\": 75497472, \"limit_bytes\": 104857600}\n");
}

static void test_alert_conditions__says_how_long_that_takes(void **state)
{
	(void)state;
	thresholds.spool_max_bytes = 100 * MB;
	fake_readers.store.received_lsn = 200 * MB;
	fake_readers.store.room_bytes = 90 * MB;
	fake_readers_add_slot("near", 128 * MB);
	per_second = 1024;
	check("slot_near_limit near: slot \"near\" holds 72.0 MB of WAL; max_size is 100 MB; it is "
	      "lost when 18.0 MB more have come, at the present pace in 5 h 7 min "
	      "{\"safe_seconds\": 18432, \"safe_bytes\": 18874368, \"retained_bytes\": 75497472, "
	      "\"limit_bytes\": 104857600}\n");
}

static void test_alert_conditions__pins(void **state)
{
	(void)state;
	thresholds.spool_max_bytes = 100 * MB;
	fake_readers.store.received_lsn = 200 * MB;
	fake_readers_add_pin("near", 120 * MB)->expires_us = PIN_FOREVER_US;
	fake_readers_add_pin("gone", 10 * MB)->lost = true;
	struct pin_stats *ending = fake_readers_add_pin("ending", 199 * MB);
	/* The stand-in warns an hour before. */
	ending->expires_us = NOW + 3600 * SECOND;
	fake_readers_add_pin("fine", 199 * MB)->expires_us = NOW + 3601 * SECOND;
	check("pin_near_limit near: pin \"near\" holds 80.0 MB of WAL; max_size is 100 MB "
	      "{\"retained_bytes\": 83886080, \"limit_bytes\": 104857600}\n"
	      "pin_lost gone: pin \"gone\" is lost: max_size took WAL it needs {}\n"
	      "pin_ending ending: pin \"ending\" ends in 60 min {}\n");
}

static void test_alert_conditions__acknowledged_wal_that_was_left_behind(void **state)
{
	(void)state;
	struct pin_stats *pin = fake_readers_add_pin("lost-1-0-600000-0-700000", 6 * MB);
	pin->expires_us = PIN_FOREVER_US;
	check("");
	pin->left_tli = 1;
	pin->left_end_lsn = 7 * MB;
	check("acknowledged_wal_lost lost-1-0-600000-0-700000: acknowledged WAL of timeline 1 from "
	      "0/600000 to 0/700000 (1.00 MB) is not part of the timeline that was promoted "
	      "{\"timeline\": 1, \"from_lsn\": 6291456, \"to_lsn\": 7340032, \"lost_bytes\": "
	      "1048576}\n");
}

static void test_alert_conditions__the_upstream(void **state)
{
	(void)state;
	struct upstream_stats *upstream = &fake_readers.upstream;
	strcpy(upstream->last_error, "connection refused");
	fake_readers.store.received_lsn = 0x3000100;
	upstream->max_slot_wal_keep_bytes = -1;
	upstream->state = UPSTREAM_FULL;
	check("");
	static const enum upstream_state lost[] = {
		UPSTREAM_IDLE, UPSTREAM_CONNECTING, UPSTREAM_WAITING};
	for (size_t i = 0; i < sizeof(lost) / sizeof(lost[0]); i++) {
		upstream->state = lost[i];
		check("upstream_lost upstream: the upstream is lost: db1:5432 does not stream: "
		      "connection refused {\"received_lsn\": 50331904}\n");
	}
	upstream->state = UPSTREAM_STOPPED;
	check("upstream_stopped upstream: following the upstream has stopped: db1:5432: "
	      "connection refused {\"received_lsn\": 50331904}\n");
	/* While it looks again whether that is still so. */
	upstream->state = UPSTREAM_CONNECTING;
	upstream->has_diverged = true;
	check("upstream_stopped upstream: following the upstream has stopped: db1:5432: "
	      "connection refused {\"received_lsn\": 50331904}\n");
	upstream->has_diverged = false;
	upstream->has_gap = true;
	check("upstream_stopped upstream: following the upstream has stopped: db1:5432: "
	      "connection refused {\"received_lsn\": 50331904}\n"
	      "upstream_slot_lost upstream: the upstream no longer has the WAL that comes next: "
	      "connection refused {\"received_lsn\": 50331904}\n");
}

static void test_alert_conditions__our_slot_on_the_upstream(void **state)
{
	(void)state;
	struct upstream_stats *upstream = &fake_readers.upstream;
	upstream->server_end_lsn = 1000 * MB;
	fake_readers.store.flushed_lsn = 500 * MB;
	check("");
	upstream->max_slot_wal_keep_bytes = 1000 * MB;
	check("upstream_slot_behind upstream: slot \"walrelay_r\" on the upstream is 500 MB "
	      "behind, more than 500 MB {\"behind_bytes\": 524288000, \"limit_bytes\": "
	      "524288000}\n");
	fake_readers.store.flushed_lsn++;
	check("");
	thresholds.lag_bytes = 400 * MB;
	check("upstream_slot_behind upstream: slot \"walrelay_r\" on the upstream is 500 MB "
	      "behind, more than 400 MB {\"behind_bytes\": 524287999, \"limit_bytes\": "
	      "419430400}\n");
	/* Nobody tells how far it is, and what was last known stays. */
	upstream->state = UPSTREAM_WAITING;
	check("upstream_lost upstream: the upstream is lost: db1:5432 does not stream "
	      "{\"received_lsn\": 50331904}\n"
	      "?upstream_slot_behind upstream: slot \"walrelay_r\" on the upstream is 500 MB "
	      "behind, more than 400 MB {\"behind_bytes\": 524287999, \"limit_bytes\": "
	      "419430400}\n");
	upstream->state = UPSTREAM_STREAMING;
	upstream->slot_remade_us = NOW - 3599 * SECOND;
	check("upstream_slot_remade upstream: slot \"walrelay_r\" was missing on the upstream and "
	      "was made again {}\n");
	upstream->slot_remade_us = NOW - 3600 * SECOND;
	thresholds.lag_bytes = 0;
	check("");
	upstream->slot[0] = '\0';
	upstream->server_end_lsn = 2000 * MB;
	check("");
}

static void test_alert_conditions__the_spool(void **state)
{
	(void)state;
	fake_readers.store.disk_free_bytes = 5 * GB - 1;
	check("");
	thresholds.spool_free_bytes = 5 * GB;
	check("spool_short spool: the disk of the spool has 5.00 GB free, less than 5.00 GB "
	      "{\"limit_bytes\": 5368709120, \"free_bytes\": 5368709119, \"spool_bytes\": "
	      "50331648}\n");
	fake_readers.store.is_full = true;
	strcpy(fake_readers.store.full_reason, "less than min_free is free");
	check("spool_full spool: the spool is full: less than min_free is free "
	      "{\"free_bytes\": 5368709119, \"spool_bytes\": 50331648}\n");
}

static void test_alert_conditions__certificates_within_14_days(void **state)
{
	(void)state;
	certificate = (struct alert_certificate){"/etc/c.pem", "tls_cert", NOW + 14 * DAY};
	certificate_count = 1;
	check("");
	certificate.not_after_us = NOW + 14 * DAY - 1;
	check("certificate_expiring /etc/c.pem: a certificate in \"/etc/c.pem\" (tls_cert) expires "
	      "on 2026-03-11 UTC {\"days_left\": 13}\n");
	certificate.not_after_us = NOW;
	check("certificate_expired /etc/c.pem: a certificate in \"/etc/c.pem\" (tls_cert) expired "
	      "on 2026-02-25 UTC {}\n");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_alert_conditions__nothing_is_wrong),
		TEST(test_alert_conditions__limits),
		TEST(test_alert_conditions__a_month_that_will_not_do),
		TEST(test_alert_conditions__lag_in_bytes_and_in_time),
		TEST(test_alert_conditions__a_standby_that_is_away),
		TEST(test_alert_conditions__slots_of_ours),
		TEST(test_alert_conditions__says_how_much_may_come_before_a_slot_is_lost),
		TEST(test_alert_conditions__says_how_long_that_takes),
		TEST(test_alert_conditions__pins),
		TEST(test_alert_conditions__acknowledged_wal_that_was_left_behind),
		TEST(test_alert_conditions__the_upstream),
		TEST(test_alert_conditions__our_slot_on_the_upstream),
		TEST(test_alert_conditions__the_spool),
		TEST(test_alert_conditions__certificates_within_14_days),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
