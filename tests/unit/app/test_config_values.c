/*
 * config: what each option takes, how it is written back, and what is said of what it does not
 * take.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "app/config.h"
#include "config_helpers.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

struct example {
	const char *section;
	const char *key;
	const char *value;
	const char *result; /* as config_each() tells it, or what was expected */
};

static void write_section(FILE *out, const struct example *example, const char *section,
	const char *key, const char *value)
{
	bool is_here = strcmp(example->section, section) == 0;

	(void)fprintf(out, "[%s]\n", section);
	if (!is_here || strcmp(example->key, key) != 0) {
		(void)fprintf(out, "%s = %s\n", key, value);
	}
	if (is_here) {
		(void)fprintf(out, "%s = %s\n", example->key, example->value);
	}
}

/* A file that sets only this, and what has to be there; free() it. */
static char *file_with(const struct example *example)
{
	char *text;
	size_t length;
	FILE *out = open_memstream(&text, &length);

	write_section(out, example, "upstream", "conninfo", "host=x");
	write_section(out, example, "relay", "name", "hub");
	if (strcmp(example->key, "data_dir") != 0) {
		(void)fputs("data_dir = /d\n", out);
	}
	if (strncmp(example->section, "destination", strlen("destination")) == 0) {
		write_section(out, example, example->section, "match", "user u");
		(void)fputs("daily_limit = 1GB\n", out);
	} else if (strcmp(example->section, "relay") != 0 &&
		   strcmp(example->section, "upstream") != 0) {
		(void)fprintf(
			out, "[%s]\n%s = %s\n", example->section, example->key, example->value);
	}
	if (strcmp(example->key, "mail_to") == 0) {
		(void)fputs("smtp_url = smtp://m\nmail_from = a@x.example\n", out);
	}
	(void)fclose(out);
	return text;
}

struct found {
	const struct example *example;
	char value[2048];
	int times;
};

static void find_value(
	void *context, const char *section, const char *key, const char *value, bool is_default)
{
	struct found *found = context;

	if (strcmp(section, found->example->section) == 0 &&
		strcmp(key, found->example->key) == 0) {
		(void)snprintf(found->value, sizeof(found->value), "%s", value);
		found->times++;
		assert_false(is_default);
	}
}

static void check_accepted(const struct example *example)
{
	struct found found = {.example = example};
	char *text = file_with(example), *problems;
	struct config *config = parse_text(text, &problems);

	free(text);
	if (config == NULL) {
		fail_msg("%s = %s: %s", example->key, example->value, problems);
	}
	free(problems);
	config_each(config, find_value, &found);
	assert_int_equal(found.times, 1);
	if (strcmp(found.value, example->result) != 0) {
		fail_msg("%s = %s became %s", example->key, example->value, found.value);
	}
	config_free(&config);
}

static void test_config__takes_and_writes_back_what_is_the_relays(void **state)
{
	static const struct example examples[] = {
		{"relay", "name", "Hub Virginia", "Hub Virginia"},
		{"relay", "listen", "*:6433 , [::1]:5 ,/run/walrelay, db.example.com:0",
			"*:6433,[::1]:5,/run/walrelay,db.example.com:0"},
		{"relay", "listen", "127.0.0.1:0, 127.0.0.1:0", "127.0.0.1:0,127.0.0.1:0"},
		{"relay", "http_listen", "", ""},
		{"relay", "data_dir", "a b", "/etc/walrelay/a b"},
		{"relay", "admin_users", "ops , dba", "ops,dba"},
		{"relay", "tls_min_version", "1.3", "1.3"},
		{"relay", "max_connections", "65536", "65536"},
		{"relay", "authentication_timeout", "1.5s", "1500ms"},
		{"relay", "wal_sender_timeout", "0", "0"},
		{"relay", "sender_threads", "256", "256"},
		{"relay", "proxy_protocol", "no", "off"},
		{"relay", "proxy_from", "10.0.0.1, 10.0.0.0/8,2001:DB8::/32",
			"10.0.0.1/32,10.0.0.0/8,2001:db8::/32"},
		{"relay", "log_level", "debug", "debug"},
		{"relay", "log_format", "json", "json"},
		{"relay", "log_file", "w.log", "/etc/walrelay/w.log"},
		{"upstream", "conninfo", "'host=a password=''b c'''", "host=a password=********"},
		{"upstream", "slot", "", ""},
		{"upstream", "slot", "a_1", "a_1"},
		{"upstream", "start", "oldest", "oldest"},
		{"upstream", "start", "16/b374d848", "16/B374D848"},
		{"upstream", "acknowledge", "standbys  2", "standbys 2"},
		{"upstream", "acknowledge", "relay", "relay"},
		{"upstream", "acknowledge_timeout", "100ms", "100ms"},
		{"upstream", "remote_apply", "flush", "flush"},
		{"upstream", "forward", "flushed", "flushed"},
		{"upstream", "wal_receiver_timeout", "24d", "24d"},
		{"upstream", "wal_receiver_status_interval", "1s", "1s"},
		{"spool", "retain_size", "0", "0"},
		{"spool", "retain_time", "36h", "36h"},
		{"spool", "max_size", "1.5TB", "1536GB"},
		{"spool", "min_free", "64 MB", "64MB"},
		{"link", "compression", "none", "none"},
		{"link", "level", "-7", "-7"},
		{"link", "level", "auto", "auto"},
		{"link", "lanes", "auto", "auto"},
		{"link", "lanes", "1", "1"},
		{"link", "lanes", "16", "16"},
		{"link", "congestion", "", ""},
		{"link", "reference", "512MB", "512MB"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(examples); i++) {
		check_accepted(&examples[i]);
	}
}

static void test_config__takes_and_writes_back_what_is_a_destinations(void **state)
{
	static const struct example examples[] = {
		{"destination a", "match", "address 10.2.0.0/16,address aws:eu-central-1",
			"address 10.2.0.0/16, address aws:eu-central-1"},
		{"destination a", "match", "user  x y, application z", "user x y, application z"},
		{"destination a", "provider", "rackspace", "rackspace"},
		{"destination a", "rate_cap", "", ""},
		{"destination a", "rate_cap", "1000kbit/s", "1Mbit/s"},
		{"destination a", "rate_schedule", "08:00-18:00 mon-fri 20Mbit/s",
			"08:00-18:00 mon-fri 20Mbit/s"},
		{"destination a", "rate_schedule", "22:00-06:00 1MB/s, 00:00-24:00 SUN 8kbit/s",
			"22:00-06:00 1MB/s, 00:00-24:00 sun 8kbit/s"},
		{"destination a", "rate_schedule", "01:30-02:00  sat-mon 1 Gbit/s",
			"01:30-02:00 sat-mon 1Gbit/s"},
		{"destination a", "rate_schedule", "01:30-02:00 wed-tue 1Gbit/s",
			"01:30-02:00 1Gbit/s"},
		{"destination a", "monthly_limit", "500GB", "500GB"},
		{"destination a", "warn_at", "99.5%", "99.5%"},
		{"destination a", "over_limit", "throttle 1Mbit/s", "throttle 1Mbit/s"},
		{"destination a", "over_limit", "pause", "pause"},
		{"destination a", "price_per_gb", "0.020", "0.02"},
		{"destination a", "price_per_gb", "0 to 100GB, 0.09 to 10TB, 0.085",
			"0 to 100GB, 0.09 to 10TB, 0.085"},
		{"destination a", "price_in_per_gb", "0", "0"},
		{"destination a", "priority", "-1000", "-1000"},
		{"egress", "rate_cap", "200Mbit/s", "200Mbit/s"},
		{"egress", "currency", "EUR", "EUR"},
		{"egress", "billing_gb", "10^9", "10^9"},
		{"egress", "time_zone", "UTC", "UTC"},
		{"egress", "ip_ranges", "r.json", "/etc/walrelay/r.json"},
		{"egress", "ip_ranges", "https://ip.example/r.json", "https://ip.example/r.json"},
		{"alerts", "webhook_url", "https://h.example/T0/SECRET",
			"https://h.example/********"},
		{"alerts", "webhook_url", "http://u:p@h.example", "http://********@h.example"},
		{"alerts", "webhook_url", "http://u:p@ss@h.example/@",
			"http://********@h.example/********"},
		{"alerts", "mail_to", "a@x.example, b@y.example", "a@x.example,b@y.example"},
		{"alerts", "repeat_every", "1min", "1min"},
		{"alerts", "lag_bytes", "", ""},
		{"alerts", "lag_time", "90s", "90s"},
		{"alerts", "spool_free", "5GB", "5GB"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(examples); i++) {
		check_accepted(&examples[i]);
	}
}

/* The report has one line, and it ends in result. */
static void check_rejected(const struct example *example)
{
	char *text = file_with(example), *problems, *message, expected[1024];
	struct config *config = parse_text(text, &problems);

	free(text);
	if (config != NULL) {
		fail_msg("%s = %s was taken", example->key, example->value);
	}
	(void)snprintf(expected, sizeof(expected),
		"invalid value \"%.200s\" for \"%s\" in [%s]: %s\n", example->value, example->key,
		example->section, example->result);
	message = strstr(problems, ": ") + 2;
	assert_string_equal(message, expected);
	free(problems);
}

#define LISTEN "expected host:port, [IPv6]:port, *:port or an absolute directory"
#define MATCH                                                                                      \
	"expected \"address CIDR\", \"address aws:REGION\", \"user NAME\" or \"application NAME\""
#define WINDOW                                                                                     \
	"expected \"HH:MM-HH:MM [DAY[-DAY]] RATE\" such as \"08:00-18:00 mon-fri 20Mbit/s\", not "
#define PRICE "expected a price, or tiers such as \"0 to 100GB, 0.09 to 10TB, 0.085\", not "
#define OVER_LIMIT                                                                                 \
	"expected \"alert\", \"throttle RATE\" (kbit/s Mbit/s Gbit/s kB/s MB/s) or \"pause\""
#define START "expected \"redo\", \"oldest\" or an LSN such as 16/B374D848"
#define RATE                                                                                       \
	"expected a rate with a unit (kbit/s Mbit/s Gbit/s kB/s MB/s), 8kbit/s or more, or "       \
	"nothing"

static void test_config__says_what_it_expected_of_numbers(void **state)
{
	static const struct example examples[] = {
		{"relay", "max_connections", "0", "expected an integer from 1 to 65536"},
		{"relay", "max_connections", "", "expected an integer from 1 to 65536"},
		{"relay", "max_connections", "+5", "expected an integer from 1 to 65536"},
		{"relay", "max_connections", "5x", "expected an integer from 1 to 65536"},
		{"relay", "max_connections", "99999999999999999999",
			"expected an integer from 1 to 65536"},
		{"relay", "sender_threads", "-1", "expected an integer from 0 to 256"},
		{"relay", "authentication_timeout", "60",
			"expected a time with a unit (ms s min h d) from 1s to 10min"},
		{"relay", "authentication_timeout", "1h",
			"expected a time with a unit (ms s min h d) from 1s to 10min"},
		{"relay", "wal_sender_timeout", "1m",
			"expected a time with a unit (ms s min h d) from 0 to 24d"},
		{"relay", "proxy_protocol", "maybe", "expected \"on\" or \"off\""},
		{"relay", "log_level", "verbose",
			"expected \"debug\", \"info\", \"warning\" or \"error\""},
		{"relay", "tls_min_version", "1.1", "expected \"1.2\" or \"1.3\""},
		{"spool", "retain_size", "16gb",
			"expected a size with a unit (B kB MB GB TB), 0 or more"},
		{"spool", "max_size", "1MB",
			"expected a size with a unit (B kB MB GB TB), 4MB or more"},
		{"spool", "max_size", "0",
			"expected a size with a unit (B kB MB GB TB), 4MB or more"},
		{"spool", "min_free", "-1GB",
			"expected a size with a unit (B kB MB GB TB), 0 or more"},
		{"spool", "min_free", "9999999999TB",
			"expected a size with a unit (B kB MB GB TB), 0 or more"},
		{"link", "level", "20", "expected \"auto\" or an integer from -7 to 19"},
		{"link", "lanes", "0", "expected \"auto\" or an integer from 1 to 16"},
		{"link", "lanes", "17", "expected \"auto\" or an integer from 1 to 16"},
		{"link", "level", "", "expected \"auto\" or an integer from -7 to 19"},
		{"destination a", "rate_cap", "1kbit/s", RATE},
		{"destination a", "rate_cap", "0", RATE},
		{"destination a", "rate_cap", "5Mbit", RATE},
		{"destination a", "warn_at", "101%", "expected a percentage from 1% to 100%"},
		{"destination a", "warn_at", "80", "expected a percentage from 1% to 100%"},
		{"destination a", "monthly_limit", "0",
			"expected a size with a unit (B kB MB GB TB), 1B or more, or nothing"},
		{"destination a", "priority", "1001", "expected an integer from -1000 to 1000"},
		{"egress", "billing_gb", "1GB", "expected \"2^30\" or \"10^9\""},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(examples); i++) {
		check_rejected(&examples[i]);
	}
}

static void test_config__says_what_it_expected_of_texts(void **state)
{
	static const struct example examples[] = {
		{"relay", "listen", "", LISTEN},
		{"relay", "listen", "6433", LISTEN ", not \"6433\""},
		{"relay", "listen", "a:b", LISTEN ", not \"a:b\""},
		{"relay", "listen", "a:65536", LISTEN ", not \"a:65536\""},
		{"relay", "listen", ":6433", LISTEN ", not \":6433\""},
		{"relay", "listen", "::1:6433", LISTEN ", not \"::1:6433\""},
		{"relay", "listen", "[::g]:6433", LISTEN ", not \"[::g]:6433\""},
		{"relay", "listen", "run/w", LISTEN ", not \"run/w\""},
		{"relay", "listen", "a:1,,b:2", "nothing stands beside a comma"},
		{"relay", "listen", "a:1,", "nothing stands beside a comma"},
		{"relay", "listen", "a:1,b:2,a:1", "\"a:1\" is there twice"},
		{"relay", "listen",
			"/a123456789012345678901234567890123456789012345678901234567890123456789"
			"0123456789012345678901234",
			"the directory's name is too long for a Unix socket"},
		{"relay", "proxy_from", "10.0.0.0/33",
			"expected an address or network such as 10.2.0.0/16, not \"10.0.0.0/33\""},
		{"relay", "proxy_from", "10.0.0.0/",
			"expected an address or network such as 10.2.0.0/16, not \"10.0.0.0/\""},
		{"relay", "proxy_from", "10.0.0.1/8",
			"\"10.0.0.1/8\" has bits to the right of its prefix"},
		{"upstream", "slot", "Hub",
			"expected at most 63 lower case letters, digits and underscores"},
		{"upstream", "start", "latest", START},
		{"upstream", "start", "0/0", START},
		{"upstream", "start", "16/B374D848x", START},
		{"upstream", "acknowledge", "standbys",
			"expected \"relay\" or \"standbys N\" with N from 1 to 1000"},
		{"upstream", "acknowledge", "standbys 0",
			"expected \"relay\" or \"standbys N\" with N from 1 to 1000"},
		{"link", "congestion", "b b r",
			"expected at most 15 letters, digits, underscores and hyphens"},
		{"egress", "currency", "usd", "expected three capital letters such as \"USD\""},
		{"egress", "time_zone", "../../etc/passwd",
			"expected \"UTC\" or a time zone that /usr/share/zoneinfo/ has, such as "
			"\"Europe/Berlin\""},
		{"alerts", "mail_to", "a@x.example,b", "expected mail addresses between commas"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(examples); i++) {
		check_rejected(&examples[i]);
	}
}

static void test_config__says_what_it_expected_of_destinations(void **state)
{
	static const struct example examples[] = {
		{"destination a", "match", "", MATCH},
		{"destination a", "match", "address", MATCH ", not \"address\""},
		{"destination a", "match", "10.0.0.0/8", MATCH ", not \"10.0.0.0/8\""},
		{"destination a", "match", "users x", MATCH ", not \"users x\""},
		{"destination a", "match", "address aws:",
			"expected a region such as aws:us-west-2, not \"address aws:\""},
		{"destination a", "match", "user a, address 10.2/16",
			"expected an address or network such as 10.2.0.0/16, not \"10.2/16\""},
		{"destination a", "rate_schedule", "08:00-18:00", WINDOW "\"08:00-18:00\""},
		{"destination a", "rate_schedule", "8:00-18:00 1MB/s",
			WINDOW "\"8:00-18:00 1MB/s\""},
		{"destination a", "rate_schedule", "08:00-24:01 1MB/s",
			WINDOW "\"08:00-24:01 1MB/s\""},
		{"destination a", "rate_schedule", "08:00-08:00 1MB/s",
			WINDOW "\"08:00-08:00 1MB/s\""},
		{"destination a", "rate_schedule", "08:00-09:00 mon-xyz 1MB/s",
			WINDOW "\"08:00-09:00 mon-xyz 1MB/s\""},
		{"destination a", "rate_schedule", "08:00-09:00 mon 0",
			WINDOW "\"08:00-09:00 mon 0\""},
		{"destination a", "over_limit", "throttle", OVER_LIMIT},
		{"destination a", "over_limit", "throttle 0", OVER_LIMIT},
		{"destination a", "over_limit", "stop", OVER_LIMIT},
		{"destination a", "over_limit", "pause 1MB/s", OVER_LIMIT},
		{"destination a", "price_per_gb", "free", PRICE "\"free\""},
		{"destination a", "price_per_gb", "0.1 up 5GB, 0", PRICE "\"0.1 up 5GB\""},
		{"destination a", "price_per_gb", "0.1 to 5GB",
			"expected a price, or tiers whose last has no end, such as \"0 to 100GB, "
			"0.09\""},
		{"destination a", "price_per_gb", "0.1 to 5GB, 0.2 to 5GB, 0",
			"tier \"0.2 to 5GB\" does not reach further than the one before it"},
		{"destination a", "price_per_gb", "0.1, 0.2",
			"tier \"0.2\" does not reach further than the one before it"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(examples); i++) {
		check_rejected(&examples[i]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_config__takes_and_writes_back_what_is_the_relays),
		cmocka_unit_test(test_config__takes_and_writes_back_what_is_a_destinations),
		cmocka_unit_test(test_config__says_what_it_expected_of_numbers),
		cmocka_unit_test(test_config__says_what_it_expected_of_texts),
		cmocka_unit_test(test_config__says_what_it_expected_of_destinations),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
