/* What a startup packet asks for, and what its client is told. */
#include "downstream/session_settings.h"

#include "cmocka_all.h"

#include <stdio.h>
#include <string.h>

struct parameters {
	uint8_t bytes[2048];
	size_t length;
};

/* "name=value;name=value" as a StartupMessage's parameters; ~ stands for = in a value. */
static struct startup_packet packet_of(const char *text, struct parameters *parameters)
{
	parameters->length = 0;
	for (const char *at = text; *at != '\0'; at++) {
		bool is_end = *at == ';' || *at == '=';
		parameters->bytes[parameters->length++] = is_end ? '\0' : (uint8_t)*at;
	}
	parameters->bytes[parameters->length++] = '\0';
	parameters->bytes[parameters->length++] = '\0';
	for (size_t i = 0; i < parameters->length; i++) {
		if (parameters->bytes[i] == '~') {
			parameters->bytes[i] = '=';
		}
	}
	return (struct startup_packet){.kind = STARTUP_MESSAGE,
		.version = PG_PROTOCOL(3, 0),
		.parameters = parameters->bytes,
		.parameters_length = parameters->length};
}

static void test_session_settings__identity(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		const char *user;
		const char *database;
		enum startup_replication replication;
	} rows[] = {
		{"user=u;database=replication;replication=true", "u", "replication",
			REPLICATION_PHYSICAL},
		{"user=u;replication=1", "u", "u", REPLICATION_PHYSICAL},
		{"user=u;replication=database;database=d", "u", "d", REPLICATION_LOGICAL},
		{"user=u;database=walrelay", "u", "walrelay", REPLICATION_NONE},
		{"user=u;replication=off", "u", "u", REPLICATION_NONE},
		{"user=123456789012345678901234567890123456789012345678901234567890123x;"
		 "replication=on",
			"123456789012345678901234567890123456789012345678901234567890123",
			"123456789012345678901234567890123456789012345678901234567890123",
			REPLICATION_PHYSICAL},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct parameters parameters;
		struct session_settings settings;
		struct startup_packet packet = packet_of(rows[i].text, &parameters);
		assert_true(session_settings_read_identity(&packet, &settings, NULL));
		assert_string_equal(settings.user, rows[i].user);
		assert_string_equal(settings.database, rows[i].database);
		assert_int_equal(settings.replication, rows[i].replication);
	}
}

static void test_session_settings__refusals_of_identity(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		const char *sqlstate;
		const char *message;
	} rows[] = {
		{"replication=true", "28000",
			"no PostgreSQL user name specified in startup packet"},
		{"user=;replication=true", "28000",
			"no PostgreSQL user name specified in startup packet"},
		{"user=u;replication=maybe", "22023",
			"invalid value for parameter \"replication\": \"maybe\""},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct parameters parameters;
		struct session_settings settings;
		struct error err = {0};
		struct startup_packet packet = packet_of(rows[i].text, &parameters);
		assert_false(session_settings_read_identity(&packet, &settings, &err));
		assert_string_equal(err.sqlstate, rows[i].sqlstate);
		assert_string_equal(err.message, rows[i].message);
	}
}

static bool read_rest(const char *text, struct session_settings *settings, struct error *err)
{
	struct parameters parameters;
	struct startup_packet packet = packet_of(text, &parameters);
	assert_true(session_settings_read_identity(&packet, settings, NULL));
	return session_settings_read_rest(&packet, settings, err);
}

static void test_session_settings__known_settings_are_tolerated(void **state)
{
	(void)state;
	static const char *const rows[] = {
		"user=u;application_name=walreceiver;client_encoding=UTF8",
		"user=u;DateStyle=ISO;INTERVALSTYLE=postgres;TimeZone=UTC",
		"user=u;extra_float_digits=2;search_path=public;statement_timeout=0",
		"user=u;options=-c datestyle~ISO -c intervalstyle~postgres -c extra_float_digits~3",
		"user=u;options=-cdatestyle~iso",
		"user=u;options=--application-name~x --search_path~a\\ b",
		"user=u;myextension.setting=1",
		"user=u;_pq_.future=1",
		"user=u;options=",
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct session_settings settings;
		struct error err = {0};
		if (!read_rest(rows[i], &settings, &err)) {
			fail_msg("%s: %s", rows[i], err.message);
		}
	}
}

static void test_session_settings__refusals_of_settings(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		const char *sqlstate;
		const char *message;
	} rows[] = {
		{"user=u;nosuch=1", "42704", "unrecognized configuration parameter \"nosuch\""},
		{"user=u;options=-c nosuch~1", "42704",
			"unrecognized configuration parameter \"nosuch\""},
		{"user=u;wal_sender_timeout=soon", "22023",
			"invalid value for parameter \"wal_sender_timeout\": \"soon\""},
		{"user=u;options=-x", "42601", "invalid command-line argument for server process"},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct session_settings settings;
		struct error err = {0};
		assert_false(read_rest(rows[i].text, &settings, &err));
		assert_string_equal(err.sqlstate, rows[i].sqlstate);
		assert_string_equal(err.message, rows[i].message);
	}
}

static void test_session_settings__wal_sender_timeout(void **state)
{
	(void)state;
	struct session_settings settings;
	assert_true(read_rest("user=u", &settings, NULL));
	assert_int_equal(settings.wal_sender_timeout_us, SETTING_TIMEOUT_UNSET);
	assert_true(read_rest("user=u;options=-c wal_sender_timeout~5s", &settings, NULL));
	assert_int_equal(settings.wal_sender_timeout_us, 5000000);
	assert_true(read_rest(
		"user=u;options=-c wal_sender_timeout~5s;wal_sender_timeout=0", &settings, NULL));
	assert_int_equal(settings.wal_sender_timeout_us, 0);
}

static void test_session_settings__times(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		int64_t us; /* -1: refused */
	} rows[] = {
		{"5000", 5000000},
		{"5s", 5000000},
		{" 5 s ", 5000000},
		{"1.5s", 1500000},
		{"1min", 60000000},
		{"1h", INT64_C(3600000000)},
		{"1d", INT64_C(86400000000)},
		{"2500us", 3000},
		{"0", 0},
		{"+7ms", 7000},
		{"24d", INT64_C(2073600000000)},
		{"25d", -1},
		{"-1", -1},
		{"", -1},
		{"s", -1},
		{"5 seconds", -1},
		{"5s s", -1},
		{"inf", -1},
		{"nan", -1},
		{"1e30", -1},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		int64_t us = -1;
		bool ok = setting_time_parse(rows[i].text, &us);
		if (ok != (rows[i].us >= 0) || us != rows[i].us) {
			fail_msg("\"%s\": %d %lld", rows[i].text, ok, (long long)us);
		}
	}
}

static void test_session_settings__names_are_shown_in_printable_ascii(void **state)
{
	(void)state;
	struct session_settings settings;
	assert_true(read_rest("user=u;application_name=a\nb\xc3\xa4", &settings, NULL));
	assert_string_equal(settings.application_name, "a?b??");
}

/* The names of the ParameterStatus messages a client is sent, one after the other. */
static void names_told(int server_version_num, const char *in_hot_standby, char *out, size_t size)
{
	struct session_settings settings = {.user = "u", .application_name = "w"};
	struct cluster_parameters cluster = {.server_version_num = server_version_num,
		.server_version = "x",
		.time_zone = "UTC"};
	struct wire_writer writer;
	snprintf(cluster.in_hot_standby, sizeof(cluster.in_hot_standby), "%s", in_hot_standby);
	wire_writer_init(&writer);
	session_settings_write_parameters(&settings, &cluster, &writer);
	out[0] = '\0';
	for (size_t at = 0; at < writer.length;) {
		struct pg_message message;
		const char *reason;
		assert_int_equal(pg_message_decode(writer.bytes + at, writer.length - at, 1000,
					 &message, &reason),
			DECODE_OK);
		assert_int_equal(message.type, 'S');
		size_t length = strlen(out);
		snprintf(out + length, size - length, "%s ", (const char *)message.body);
		at += message.consumed;
	}
	wire_writer_release(&writer);
}

static void test_session_settings__parameters_by_version(void **state)
{
	(void)state;
	char names[1000];
	names_told(130000, "", names, sizeof(names));
	assert_string_equal(names,
		"application_name client_encoding DateStyle integer_datetimes IntervalStyle "
		"is_superuser server_encoding server_version session_authorization "
		"standard_conforming_strings TimeZone ");
	names_told(150018, "off", names, sizeof(names));
	assert_non_null(strstr(names, "default_transaction_read_only in_hot_standby "));
	assert_null(strstr(names, "scram_iterations"));
	names_told(160000, "off", names, sizeof(names));
	assert_non_null(strstr(names, "scram_iterations "));
	assert_null(strstr(names, "search_path"));
	names_told(180000, "on", names, sizeof(names));
	assert_non_null(strstr(names, "search_path "));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_session_settings__identity),
		cmocka_unit_test(test_session_settings__refusals_of_identity),
		cmocka_unit_test(test_session_settings__known_settings_are_tolerated),
		cmocka_unit_test(test_session_settings__refusals_of_settings),
		cmocka_unit_test(test_session_settings__wal_sender_timeout),
		cmocka_unit_test(test_session_settings__times),
		cmocka_unit_test(test_session_settings__names_are_shown_in_printable_ascii),
		cmocka_unit_test(test_session_settings__parameters_by_version),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
