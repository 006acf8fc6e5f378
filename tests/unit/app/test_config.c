/*
 * config: what a file means as a whole: sections, keys, defaults, paths, lines of faults.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "app/config.h"
#include "config_helpers.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MINUTE 60000000ll
#define HOUR   (60 * MINUTE)
#define GB     (1ull << 30)

static void test_config__has_the_manuals_defaults(void **state)
{
	struct config *config = parse_valid(MINIMAL);

	(void)state;
	assert_string_equal(config->relay.name, "hub");
	assert_string_equal(config->relay.listen, "0.0.0.0:6433");
	assert_string_equal(config->relay.http_listen, "127.0.0.1:9871");
	assert_string_equal(config->relay.hba_file, "");
	assert_int_equal(config->relay.max_connections, 1000);
	assert_int_equal(config->relay.max_connections_per_address, 0);
	assert_int_equal(config->relay.authentication_timeout_us, MINUTE);
	assert_int_equal(config->relay.wal_sender_timeout_us, MINUTE);
	assert_false(config->relay.proxy_protocol);
	assert_int_equal(config->relay.log_level, LOG_LEVEL_INFO);
	assert_string_equal(config->upstream.slot, "walrelay_hub");
	assert_int_equal(config->upstream.start.kind, UPSTREAM_START_REDO);
	assert_int_equal(config->upstream.acknowledge.standbys, 0);
	assert_int_equal(config->upstream.acknowledge_timeout_us, MINUTE / 6);
	assert_int_equal(config->upstream.forward, CONFIG_FORWARD_RECEIVED);
	assert_int_equal(config->upstream.wal_receiver_timeout_us, MINUTE);
	assert_int_equal(config->upstream.wal_receiver_status_interval_us, MINUTE / 6);
	assert_true(config->spool.retain_bytes == 16 * GB);
	assert_int_equal(config->spool.retain_us, 24 * HOUR);
	assert_true(config->spool.max_bytes == 100 * GB);
	assert_true(config->spool.min_free_bytes == GB);
	assert_true(config->link.level.is_auto);
	assert_string_equal(config->link.congestion, "bbr");
	assert_int_equal(config->destination_count, 0);
	assert_int_equal(config->egress.rate_cap_bytes, 0);
	assert_string_equal(config->egress.time_zone, "UTC");
	assert_int_equal(config->egress.billing_gb_bytes, GB);
	assert_int_equal(config->alerts.repeat_every_us, 6 * HOUR);
	config_free(&config);
	assert_null(config);
}

static void test_config__reads_a_destination(void **state)
{
	struct config *config = parse_valid(MINIMAL
		"[destination us-west-2]\n"
		"match = address 10.2.0.0/16, address aws:us-west-2, user rep, application dr 1\n"
		"provider = aws\n"
		"rate_cap = 50Mbit/s\n"
		"rate_schedule = 08:00-18:00 mon-fri 20Mbit/s, 22:00-06:00 40Mbit/s\n"
		"daily_limit = 20GB\nmonthly_limit = 500GB\nwarn_at = 80%\n"
		"over_limit = throttle 1MB/s\n"
		"price_per_gb = 0 to 100GB, 0.09 to 10TB, 0.085\npriority = -3\n"
		"[destination lan]\nmatch = address ::1\n");
	const struct config_destination *west = &config->destinations[0];
	const struct config_destination *lan = &config->destinations[1];

	(void)state;
	assert_int_equal(config->destination_count, 2);
	assert_string_equal(west->name, "us-west-2");
	assert_int_equal(west->match.count, 4);
	assert_int_equal(west->match.items[0].kind, CONFIG_MATCH_NETWORK);
	assert_int_equal(west->match.items[0].network.family, AF_INET);
	assert_int_equal(west->match.items[0].network.prefix_bits, 16);
	assert_memory_equal(west->match.items[0].network.address, "\x0a\x02\0\0", 4);
	assert_int_equal(west->match.items[1].kind, CONFIG_MATCH_AWS_REGION);
	assert_string_equal(west->match.items[1].text, "us-west-2");
	assert_int_equal(west->match.items[2].kind, CONFIG_MATCH_USER);
	assert_string_equal(west->match.items[2].text, "rep");
	assert_int_equal(west->match.items[3].kind, CONFIG_MATCH_APPLICATION);
	assert_string_equal(west->match.items[3].text, "dr 1");
	assert_int_equal(west->provider, CONFIG_PROVIDER_AWS);
	assert_int_equal(west->rate_cap_bytes, 6250000);
	assert_int_equal(west->rate_schedule.count, 2);
	assert_int_equal(west->rate_schedule.items[0].start_minute, 480);
	assert_int_equal(west->rate_schedule.items[0].end_minute, 1080);
	assert_int_equal(west->rate_schedule.items[0].days, 0x1f);
	assert_int_equal(west->rate_schedule.items[0].bytes_per_second, 2500000);
	assert_int_equal(west->rate_schedule.items[1].days, 0x7f);
	assert_true(west->daily_limit_bytes == 20 * GB);
	assert_int_equal(west->warn_at_basis_points, 8000);
	assert_int_equal(west->over_limit.action, CONFIG_THROTTLE);
	assert_int_equal(west->over_limit.bytes_per_second, 1048576);
	assert_int_equal(west->price_per_gb.count, 3);
	assert_int_equal(west->price_per_gb.items[0].price_nanos, 0);
	assert_true(west->price_per_gb.items[0].up_to_bytes == 100 * GB);
	assert_int_equal(west->price_per_gb.items[1].price_nanos, 90000000);
	assert_true(west->price_per_gb.items[2].up_to_bytes == UINT64_MAX);
	assert_int_equal(west->price_in_per_gb.count, 1);
	assert_int_equal(west->priority, -3);
	assert_string_equal(lan->name, "lan");
	assert_int_equal(lan->match.items[0].network.prefix_bits, 128);
	assert_int_equal(lan->over_limit.action, CONFIG_ALERT);
	config_free(&config);
}

static void test_config__makes_paths_absolute(void **state)
{
	struct config *config = parse_valid("[relay]\nname=a\ndata_dir = data\n"
					    "auth_file = users.txt\nhba_file = ../hba.conf\n"
					    "tls_cert = /c.pem\ntls_key = k.pem\n"
					    "[upstream]\nconninfo = host=x\n"
					    "[egress]\nip_ranges = https://x.example/r.json\n");

	(void)state;
	assert_string_equal(config->relay.data_dir, "/etc/walrelay/data");
	assert_string_equal(config->relay.auth_file, "/etc/walrelay/users.txt");
	assert_string_equal(config->relay.hba_file, "/etc/walrelay/../hba.conf");
	assert_string_equal(config->relay.tls_cert, "/c.pem");
	assert_string_equal(config->relay.tls_client_ca, "");
	assert_string_equal(config->egress.ip_ranges, "https://x.example/r.json");
	config_free(&config);
}

static void test_config__makes_a_valid_slot_name(void **state)
{
	static const char *const examples[][2] = {{"hub", "walrelay_hub"},
		{"Hub-Virginia 1", "walrelay_hub_virginia_1"}, {"gr\xc3\xbcn", "walrelay_gr__n"},
		{"x2345678901234567890123456789012345678901234567890123456789012",
			"walrelay_x23456789012345678901234567890123456789012345678901234"}};

	(void)state;
	for (size_t i = 0; i < sizeof(examples) / sizeof(examples[0]); i++) {
		char text[256];
		struct config *config;

		(void)snprintf(text, sizeof(text),
			"[relay]\nname=%s\ndata_dir=/d\n[upstream]\nconninfo=host=x\n",
			examples[i][0]);
		config = parse_valid(text);
		assert_string_equal(config->upstream.slot, examples[i][1]);
		config_free(&config);
	}
}

static void test_config__an_empty_slot_means_none(void **state)
{
	struct config *config =
		parse_valid(MINIMAL "slot =\nstart = 1/ABC\nacknowledge = standbys 2\n");

	(void)state;
	assert_string_equal(config->upstream.slot, "");
	assert_int_equal(config->upstream.start.kind, UPSTREAM_START_LSN);
	assert_true(config->upstream.start.lsn == 0x100000abc);
	assert_int_equal(config->upstream.acknowledge.standbys, 2);
	config_free(&config);
}

static void test_config__names_the_nearest_key_and_section(void **state)
{
	(void)state;
	check_refused(MINIMAL "slott = x\n[spol]\nretain_size = 1GB\nnonsense\n"
			      "[spool]\nretain_sise = 1GB\n[destinaton x]\n[relay x]\n",
		"w.ini:6: unknown key \"slott\" in [upstream]; the nearest known key is \"slot\"\n"
		"w.ini:7: unknown section [spol]; the nearest known section is [spool]\n"
		"w.ini:9: expected \"key = value\" or \"[section]\"\n"
		"w.ini:11: unknown key \"retain_sise\" in [spool]; the nearest known key is "
		"\"retain_size\"\n"
		"w.ini:12: unknown section [destinaton x]; the nearest known section is "
		"[destination NAME]\n"
		"w.ini:13: unknown section [relay x]; the nearest known section is [relay]\n");
}

static void test_config__says_where_a_key_belongs(void **state)
{
	(void)state;
	check_refused(MINIMAL "max_size = 1GB\nListen = x\n",
		"w.ini:6: unknown key \"max_size\" in [upstream]; a key of that name belongs in "
		"[spool]\n"
		"w.ini:7: unknown key \"Listen\" in [upstream]; the nearest known key is "
		"\"slot\"\n");
}

static void test_config__wants_the_required_keys(void **state)
{
	(void)state;
	check_refused("", "w.ini:1: missing required key \"name\" in [relay]\n"
			  "w.ini:1: missing required key \"data_dir\" in [relay]\n"
			  "w.ini:1: missing required key \"conninfo\" in [upstream]\n");
	check_refused("\n[upstream]\n\n[relay]\nname = x\n[destination d]\n",
		"w.ini:2: missing required key \"conninfo\" in [upstream]\n"
		"w.ini:4: missing required key \"data_dir\" in [relay]\n"
		"w.ini:6: missing required key \"match\" in [destination d]\n");
	check_refused("[relay]\nname =\ndata_dir =\n[upstream]\nconninfo =\n",
		"w.ini:2: invalid value \"\" for \"name\" in [relay]: expected a name of 1 to 63 "
		"bytes of UTF-8 without control characters\n"
		"w.ini:3: invalid value \"\" for \"data_dir\" in [relay]: expected a path\n"
		"w.ini:5: invalid value for \"conninfo\" in [upstream]: expected a connection "
		"string such as \"host=db1 user=replicator\"\n");
}

static void test_config__refuses_what_is_there_twice(void **state)
{
	(void)state;
	check_refused(MINIMAL
		"slot = a\nslot = b\n[relay]\nname = y\n"
		"[destination d]\nmatch = user a\n[ destination   d ]\nmatch = user b\n",
		"w.ini:7: \"slot\" in [upstream] is already set on line 6\n"
		"w.ini:8: section [relay] is already there on line 1\n"
		"w.ini:12: section [destination   d] is already there on line 10\n");
}

static void test_config__refuses_names_of_destinations(void **state)
{
	(void)state;
	check_refused(MINIMAL "[destination]\n[destination a b]\n[destination other]\n",
		"w.ini:6: section [destination] has no name: expected [destination NAME]\n"
		"w.ini:7: invalid name of section [destination a b]: expected at most 63 bytes "
		"without blanks\n"
		"w.ini:8: invalid name of section [destination other]: \"other\" is the "
		"destination of what matches no other\n");
}

static void test_config__reports_keys_before_any_section(void **state)
{
	(void)state;
	check_refused("name = x\nslot = y\n" MINIMAL,
		"w.ini:1: key \"name\" stands before any [section]\n"
		"w.ini:2: key \"slot\" stands before any [section]\n");
	check_refused(
		"[relay\nname = x\n" MINIMAL, "w.ini:1: missing \"]\" after the section's name\n");
}

static void test_config__never_repeats_a_secret(void **state)
{
	(void)state;
	check_refused("[relay]\nname=a\ndata_dir=/d\n[upstream]\nconninfo = verysecret\n"
		      "[alerts]\nwebhook_url = ftp://token@host/secret\n",
		"w.ini:5: invalid value for \"conninfo\" in [upstream]: expected a connection "
		"string: no \"=\" in it\n"
		"w.ini:7: invalid value for \"webhook_url\" in [alerts]: expected a URL with "
		"https:// or http:// and a host\n");
}

static void test_config__knows_the_lines(void **state)
{
	struct config *config = parse_valid(MINIMAL "\n[spool]\n\nmin_free = 2GB\n");

	(void)state;
	assert_int_equal(config_line(config, "relay", "name"), 2);
	assert_int_equal(config_line(config, "relay", "listen"), 1);
	assert_int_equal(config_line(config, "spool", "min_free"), 9);
	assert_int_equal(config_line(config, "spool", "max_size"), 7);
	assert_int_equal(config_line(config, "egress", "currency"), 1);
	assert_true(config_is_set(config, "spool", "min_free"));
	assert_false(config_is_set(config, "spool", "max_size"));
	config_free(&config);
}

static void test_config__loads_a_file(void **state)
{
	char directory[] = "/tmp/test_config.XXXXXX";
	char path[64], data_dir[64];
	struct config_report report = {0};
	struct config *config;
	FILE *file;

	(void)state;
	assert_non_null(mkdtemp(directory));
	(void)snprintf(path, sizeof(path), "%s/w.ini", directory);
	(void)snprintf(data_dir, sizeof(data_dir), "%s/data", directory);
	file = fopen(path, "w");
	(void)fputs("[relay]\nname=a\ndata_dir=data\n[upstream]\nconninfo=host=x\n", file);
	(void)fclose(file);
	assert_int_equal(chdir(directory), 0);
	config = config_load("w.ini", &fake_conninfo, &report);
	assert_non_null(config);
	assert_string_equal(config->file, "w.ini");
	assert_string_equal(config->relay.data_dir, data_dir);
	config_free(&config);
	assert_int_equal(unlink(path), 0);
	assert_null(config_load("w.ini", &fake_conninfo, &report));
	assert_null(config_load(directory, &fake_conninfo, &report));
	assert_int_equal(report.count, 2);
	assert_string_equal(report.problems[0].message,
		"could not read the configuration file: No such file or directory");
	assert_string_equal(report.problems[1].message,
		"could not read the configuration file: Is a directory");
	config_report_release(&report);
	assert_int_equal(chdir("/"), 0);
	assert_int_equal(rmdir(directory), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_config__has_the_manuals_defaults),
		cmocka_unit_test(test_config__reads_a_destination),
		cmocka_unit_test(test_config__makes_paths_absolute),
		cmocka_unit_test(test_config__makes_a_valid_slot_name),
		cmocka_unit_test(test_config__an_empty_slot_means_none),
		cmocka_unit_test(test_config__names_the_nearest_key_and_section),
		cmocka_unit_test(test_config__says_where_a_key_belongs),
		cmocka_unit_test(test_config__wants_the_required_keys),
		cmocka_unit_test(test_config__refuses_what_is_there_twice),
		cmocka_unit_test(test_config__refuses_names_of_destinations),
		cmocka_unit_test(test_config__reports_keys_before_any_section),
		cmocka_unit_test(test_config__never_repeats_a_secret),
		cmocka_unit_test(test_config__knows_the_lines),
		cmocka_unit_test(test_config__loads_a_file),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
