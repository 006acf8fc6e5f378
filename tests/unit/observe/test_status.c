/* Tests of observe/status: the JSON read back. */
#include "support/cmocka_all.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "fake_readers.h"
#include "observe/status.h"

static int setup(void **state)
{
	(void)state;
	fake_readers_reset();
	return 0;
}

static json_t *read_back(void)
{
	struct snapshot snapshot;
	struct snapshot_sources sources = {.relay_name = "relay \"one\""};
	snapshot_take(&sources, &snapshot);
	snapshot.time_us = 1767323045678901;
	char *text = status_format(&snapshot, NULL);
	snapshot_release(&snapshot);
	json_error_t error;
	json_t *root = json_loads(text, 0, &error);
	if (root == NULL) {
		fail_msg("%s in %s", error.text, text);
	}
	free(text);
	return root;
}

static const char *text_at(json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));
	return text == NULL ? "(no text)" : text;
}

static long long number_at(json_t *object, const char *key)
{
	json_t *value = json_object_get(object, key);
	assert_true(json_is_integer(value));
	return json_integer_value(value);
}

static void test_status__tells_relay_upstream_and_spool(void **state)
{
	(void)state;
	json_t *root = read_back();
	json_t *upstream = json_object_get(root, "upstream");
	json_t *spool = json_object_get(root, "spool");
	json_t *cluster = json_object_get(root, "cluster");
	assert_string_equal(text_at(root, "name"), "relay \"one\"");
	assert_string_equal(text_at(root, "version"), WALRELAY_VERSION);
	assert_string_equal(text_at(root, "time"), "2026-01-02T03:04:05.678Z");
	assert_string_equal(text_at(upstream, "state"), "streaming");
	assert_string_equal(text_at(upstream, "host"), "db1");
	assert_string_equal(text_at(upstream, "server_end_lsn"), "0/3000100");
	assert_true(json_is_null(json_object_get(upstream, "last_error")));
	assert_true(json_is_false(json_object_get(upstream, "has_gap")));
	assert_int_equal(number_at(upstream, "max_slot_wal_keep_bytes"), -1);
	assert_string_equal(text_at(cluster, "system_identifier"), "7600000000000000001");
	assert_string_equal(text_at(spool, "received_lsn"), "0/3000100");
	assert_string_equal(text_at(spool, "flushed_lsn"), "0/3000060");
	assert_int_equal(number_at(spool, "disk_free_bytes"), 1234567890123);
	assert_string_equal(text_at(spool, "horizon_reason"), "retain_size");
	assert_int_equal(json_array_size(json_object_get(root, "slots")), 0);
	json_decref(root);
}

static void test_status__tells_standbys_and_slots(void **state)
{
	(void)state;
	fake_readers_add_slot("sl", 0x2000100)->active_pid = 101;
	json_t *root = read_back();
	json_t *standby = json_array_get(json_object_get(root, "standbys"), 0);
	json_t *slot = json_array_get(json_object_get(root, "slots"), 0);
	assert_int_equal(number_at(standby, "pid"), 101);
	assert_string_equal(text_at(standby, "application_name"), "s1");
	assert_string_equal(text_at(standby, "state"), "streaming");
	assert_string_equal(text_at(standby, "replay_lsn"), "0/3000000");
	assert_int_equal(number_at(standby, "lag_bytes"), 256);
	assert_true(json_real_value(json_object_get(standby, "write_lag_seconds")) == 0.25);
	assert_true(json_real_value(json_object_get(standby, "flush_lag_seconds")) == 0.5);
	assert_true(json_real_value(json_object_get(standby, "replay_lag_seconds")) == 1.5);
	assert_true(json_is_null(json_object_get(standby, "slot")));
	assert_true(json_is_null(json_object_get(standby, "last_reply_at")));
	assert_string_equal(text_at(slot, "name"), "sl");
	assert_int_equal(number_at(slot, "active_pid"), 101);
	assert_string_equal(text_at(slot, "restart_lsn"), "0/2000100");
	assert_int_equal(number_at(slot, "retained_bytes"), 16777216);
	assert_true(json_is_false(json_object_get(slot, "lost")));
	assert_string_equal(text_at(slot, "wal_status"), "extended");
	assert_true(json_is_null(json_object_get(slot, "safe_wal_bytes")));
	assert_true(json_is_null(json_object_get(slot, "safe_seconds")));
	json_decref(root);
}

static void test_status__tells_pins(void **state)
{
	(void)state;
	fake_readers_add_pin("snap-1", 0x2000100);
	fake_readers_add_pin("snap-2", 0x100)->lost = true;
	fake_readers.pins[1].expires_us = INT64_C(1767323045000000);
	json_t *root = read_back();
	json_t *first = json_array_get(json_object_get(root, "pins"), 0);
	json_t *second = json_array_get(json_object_get(root, "pins"), 1);
	assert_string_equal(text_at(first, "name"), "snap-1");
	assert_string_equal(text_at(first, "lsn"), "0/2000100");
	assert_true(json_is_null(json_object_get(first, "expires")));
	assert_true(json_is_false(json_object_get(first, "lost")));
	assert_int_equal(number_at(first, "retained_bytes"), 16777216);
	assert_string_equal(text_at(second, "expires"), "2026-01-02T03:04:05.000Z");
	assert_true(json_is_true(json_object_get(second, "lost")));
	assert_int_equal(number_at(second, "retained_bytes"), 0);
	json_decref(root);
}

static void test_status__before_anything_is_known_says_null(void **state)
{
	(void)state;
	memset(&fake_readers, 0, sizeof(fake_readers));
	fake_readers.upstream.max_slot_wal_keep_bytes = -2;
	json_t *root = read_back();
	json_t *upstream = json_object_get(root, "upstream");
	json_t *spool = json_object_get(root, "spool");
	json_t *cluster = json_object_get(root, "cluster");
	assert_true(json_is_null(json_object_get(upstream, "max_slot_wal_keep_bytes")));
	assert_true(json_is_null(json_object_get(upstream, "last_message")));
	assert_true(json_is_null(json_object_get(upstream, "host")));
	assert_true(json_is_null(json_object_get(spool, "received_lsn")));
	assert_true(json_is_null(json_object_get(spool, "timeline")));
	assert_true(json_is_null(json_object_get(cluster, "system_identifier")));
	assert_int_equal(json_array_size(json_object_get(root, "standbys")), 0);
	json_decref(root);
}

static void test_status__a_backup_has_no_lag(void **state)
{
	(void)state;
	fake_readers.standbys[0].state = STANDBY_BACKUP;
	json_t *root = read_back();
	json_t *standby = json_array_get(json_object_get(root, "standbys"), 0);
	assert_true(json_is_null(json_object_get(standby, "lag_bytes")));
	assert_true(json_is_null(json_object_get(standby, "replay_lag_seconds")));
	json_decref(root);
}

static void test_status__stays_json_with_hostile_names(void **state)
{
	(void)state;
	fake_readers_add_standby("\"},{\"a\":\"\\u0000\xff</script>\n", 5);
	json_t *root = read_back();
	json_t *standbys = json_object_get(root, "standbys");
	assert_int_equal(json_array_size(standbys), 2);
	assert_string_equal(text_at(json_array_get(standbys, 1), "application_name"),
		"\"},{\"a\":\"\\u0000?</script>?");
	json_decref(root);
}

static void test_status__links_say_what_goes_over_them(void **state)
{
	(void)state;
	json_t *root = read_back();
	assert_true(json_is_null(json_object_get(root, "link")));
	assert_true(json_is_null(json_object_get(root, "upstream_link")));
	json_decref(root);
	fake_readers.is_link_offered = true;
	fake_readers.link.batch_bytes = 1000;
	fake_readers.link.sent[LINK_KIND_IMAGE_NEW] = 500;
	fake_readers.link.sent[LINK_KIND_IMAGE_REFERRED] = 80;
	fake_readers.upstream.link_version = 1;
	fake_readers.upstream.link_batches = 7;
	root = read_back();
	json_t *link = json_object_get(root, "link");
	assert_string_equal(
		text_at(link, "summary"), "58 % of what goes over links is full-page images");
	assert_int_equal(number_at(json_object_get(json_object_get(link, "kinds"), "image_new"),
				 "encoded_bytes"),
		500);
	assert_int_equal(number_at(json_object_get(root, "upstream_link"), "batches"), 7);
	json_decref(root);
}

static void test_status__destinations_say_what_goes_to_them_over_links(void **state)
{
	(void)state;
	struct destination_stats *far = fake_readers_add_destination("far");
	far->kinds.wal_bytes[LINK_KIND_HEAP] = 900;
	far->kinds.encoded_bytes[LINK_KIND_IMAGE_NEW] = 500;
	far->kinds.encoded_bytes[LINK_KIND_IMAGE_REFERRED] = 80;
	far->kinds.encoded_bytes[LINK_KIND_INDEX] = 119;
	far->kinds.encoded_bytes[LINK_KIND_HEAP] = 210;
	far->kinds.encoded_bytes[LINK_KIND_COMMIT] = 91;
	fake_readers_add_destination("zeros")->kinds.wal_bytes[LINK_KIND_ZERO] = 1;
	json_t *root = read_back();
	const json_t *list = json_object_get(root, "destinations");
	const json_t *other = json_array_get(list, 0);
	json_t *item = json_array_get(list, 1);
	json_t *heap = json_object_get(json_object_get(item, "kinds"), "heap");
	assert_true(json_is_null(json_object_get(other, "kinds")));
	assert_true(json_is_null(json_object_get(other, "kinds_summary")));
	assert_int_equal(json_object_size(json_object_get(item, "kinds")), LINK_KIND_COUNT);
	assert_int_equal(number_at(heap, "wal_bytes"), 900);
	assert_int_equal(number_at(heap, "encoded_bytes"), 210);
	assert_string_equal(text_at(item, "kinds_summary"),
		"58 % of what goes to it over links is full-page images, "
		"21 % changes to tables");
	assert_string_equal(text_at(json_array_get(list, 2), "kinds_summary"),
		"0 % of what goes to it over links is full-page images");
	json_decref(root);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_status__tells_relay_upstream_and_spool, setup),
		cmocka_unit_test_setup(test_status__tells_standbys_and_slots, setup),
		cmocka_unit_test_setup(test_status__tells_pins, setup),
		cmocka_unit_test_setup(test_status__before_anything_is_known_says_null, setup),
		cmocka_unit_test_setup(test_status__a_backup_has_no_lag, setup),
		cmocka_unit_test_setup(test_status__stays_json_with_hostile_names, setup),
		cmocka_unit_test_setup(test_status__links_say_what_goes_over_them, setup),
		cmocka_unit_test_setup(
			test_status__destinations_say_what_goes_to_them_over_links, setup),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
