/* Who comes in and in which words the others are refused, as PostgreSQL 15 would. */
#include "auth_peer.h"

/* clang-format off */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
/* clang-format on */
#include <stdio.h>
#include <string.h>

/* "secret", made by PostgreSQL 15, and the same with other iterations and salt. */
#define KEYS                                                                                       \
	"$MVGcczfBZi/7kaszJLScEvkuNefAX9tYEc0xzL5GRCE=:Xou0/Tk8820PJFtok1Ck1/"                     \
	"jURGZKEgykm+7YFfCc6SE="
#define REP   "\"rep\" \"SCRAM-SHA-256$4096:tKvRIPYCKmz0ZwnUF40eWQ==" KEYS "\"\n"
#define OPS   "\"ops\" \"SCRAM-SHA-256$77:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA" KEYS "\"\n"
#define SCRAM "host replication all all scram-sha-256\n"

static struct scram_client client_with(const char *password)
{
	return (struct scram_client){.password = password, .gs2_header = "n,,", .nonce = "abcdef"};
}

static struct scram_client client_with_binding(const char *password)
{
	return (struct scram_client){.password = password,
		.gs2_header = "p=tls-server-end-point,,",
		.binding = auth_peer_certificate,
		.binding_length = sizeof(auth_peer_certificate),
		.nonce = "abcdef"};
}

static void assert_refused(const struct auth_peer *peer, const char *sqlstate, const char *message)
{
	assert_string_equal(peer->err.sqlstate, sqlstate);
	assert_string_equal(peer->err.message, message);
	assert_int_equal(peer->err.hint[0], '\0');
}

static void test_client_auth__trust_lets_in(void **state)
{
	struct auth_peer peer;

	(void)state;
	auth_peer_init(&peer, "local replication all trust\n", NULL);
	peer.request.is_local = true;
	assert_int_equal(auth_peer_begin(&peer), CLIENT_AUTH_OK);
	assert_int_equal(peer.out.length, 9);
	assert_memory_equal(peer.out.bytes, "R\0\0\0\x08\0\0\0\0", 9);
	assert_string_equal(
		client_auth_log_detail(peer.auth), "connection matched relay_hba.conf line 1");
	auth_peer_release(&peer);
}

static void test_client_auth__refuses_connections_with_the_words_of_postgres(void **state)
{
	static const struct {
		const char *rules;
		const char *address; /* NULL: a Unix socket */
		bool is_tls;
		const char *database; /* NULL: replication */
		const char *message;
	} cases[] = {
		{"local all all trust", "10.0.0.1", false, NULL,
			"no pg_hba.conf entry for replication connection from host \"10.0.0.1\", "
			"user \"rep\", no encryption"},
		{"local all all trust", NULL, false, NULL,
			"no pg_hba.conf entry for replication connection from host \"[local]\", "
			"user \"rep\", no encryption"},
		{"local all all trust", "2001:db8::1", true, NULL,
			"no pg_hba.conf entry for replication connection from host "
			"\"2001:db8::1\", "
			"user \"rep\", SSL encryption"},
		{"local all all trust", "::ffff:10.0.0.9", true, "walrelay",
			"no pg_hba.conf entry for host \"10.0.0.9\", user \"rep\", database "
			"\"walrelay\", SSL encryption"},
		{"host all all all reject", "10.0.0.1", false, "postgres",
			"pg_hba.conf rejects connection for host \"10.0.0.1\", user \"rep\", "
			"database \"postgres\", no encryption"},
		{"host replication all all reject", "10.0.0.1", false, NULL,
			"pg_hba.conf rejects replication connection for host \"10.0.0.1\", user "
			"\"rep\", no encryption"},
		{"local replication all reject", NULL, false, NULL,
			"pg_hba.conf rejects replication connection for host \"[local]\", user "
			"\"rep\", no encryption"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct auth_peer peer;

		auth_peer_init(&peer, cases[i].rules, NULL);
		peer.request.is_local = cases[i].address == NULL;
		peer.request.is_tls = cases[i].is_tls;
		peer.request.database = cases[i].database;
		peer.request.is_replication = cases[i].database == NULL;
		if (cases[i].address != NULL) {
			auth_peer_set_address(&peer, cases[i].address);
		}
		assert_int_equal(auth_peer_begin(&peer), CLIENT_AUTH_REFUSED);
		assert_refused(&peer, "28000", cases[i].message);
		assert_int_equal(peer.out.length, 0);
		auth_peer_release(&peer);
	}
}

static void test_client_auth__offers_plus_first_over_tls_only(void **state)
{
	static const char plain[] = "SCRAM-SHA-256\0";
	static const char both[] = "SCRAM-SHA-256-PLUS\0SCRAM-SHA-256\0";
	struct auth_peer peer;
	const char *offer;
	size_t length;

	(void)state;
	auth_peer_init(&peer, SCRAM, REP);
	assert_int_equal(auth_peer_begin(&peer), CLIENT_AUTH_CONTINUE);
	offer = auth_peer_received(&peer, 10, &length);
	assert_int_equal(length, sizeof(plain));
	assert_memory_equal(offer, plain, length);
	auth_peer_release(&peer);

	auth_peer_init(&peer, SCRAM, REP);
	auth_peer_set_tls(&peer, NULL);
	assert_int_equal(auth_peer_begin(&peer), CLIENT_AUTH_CONTINUE);
	offer = auth_peer_received(&peer, 10, &length);
	assert_int_equal(length, sizeof(both));
	assert_memory_equal(offer, both, length);
	auth_peer_release(&peer);
}

static void test_client_auth__scram_lets_the_right_password_in(void **state)
{
	static const struct {
		bool is_tls;
		bool is_plus;
	} cases[] = {{false, false}, {true, false}, {true, true}};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct scram_client client =
			cases[i].is_plus ? client_with_binding("secret") : client_with("secret");
		struct auth_peer peer;

		auth_peer_init(&peer, SCRAM, OPS REP);
		if (cases[i].is_tls) {
			auth_peer_set_tls(&peer, NULL);
		}
		assert_int_equal(auth_peer_begin(&peer), CLIENT_AUTH_CONTINUE);
		assert_int_equal(
			auth_peer_log_in(&peer,
				cases[i].is_plus ? "SCRAM-SHA-256-PLUS" : "SCRAM-SHA-256", &client),
			CLIENT_AUTH_OK);
		auth_peer_release(&peer);
	}
}

static void test_client_auth__takes_the_first_data_later(void **state)
{
	struct scram_client client = client_with("secret");
	char text[SCRAM_CLIENT_TEXT_SIZE];
	struct auth_peer peer;
	const char *answer;
	size_t length;

	(void)state;
	auth_peer_init(&peer, SCRAM, REP);
	auth_peer_begin(&peer);
	assert_int_equal(auth_peer_choose(&peer, "SCRAM-SHA-256", NULL), CLIENT_AUTH_CONTINUE);
	auth_peer_received(&peer, 11, &length);
	assert_int_equal(length, 0);
	scram_client_first(&client, text);
	assert_int_equal(auth_peer_send(&peer, text, strlen(text)), CLIENT_AUTH_CONTINUE);
	answer = auth_peer_received(&peer, 11, &length);
	assert_true(scram_client_final(&client, answer, length, text));
	assert_int_equal(auth_peer_send(&peer, text, strlen(text)), CLIENT_AUTH_OK);
	auth_peer_release(&peer);
}

static void test_client_auth__a_wrong_password_is_28P01(void **state)
{
	struct scram_client client = client_with("wrong");
	struct auth_peer peer;

	(void)state;
	auth_peer_init(&peer, SCRAM, REP);
	auth_peer_begin(&peer);
	assert_int_equal(auth_peer_log_in(&peer, "SCRAM-SHA-256", &client), CLIENT_AUTH_REFUSED);
	assert_refused(&peer, "28P01", "password authentication failed for user \"rep\"");
	assert_string_equal(
		client_auth_log_detail(peer.auth), "connection matched relay_hba.conf line 1");
	auth_peer_release(&peer);
}

/* server-first-message for a user, without its nonce: ",s=...,i=..." */
static void ask_salt(const char *user, const char *users, char salt_out[128])
{
	struct scram_client client = client_with("secret");
	char text[SCRAM_CLIENT_TEXT_SIZE];
	struct auth_peer peer;
	const char *answer;
	size_t length;

	auth_peer_init(&peer, SCRAM, users);
	peer.request.user = user;
	auth_peer_begin(&peer);
	scram_client_first(&client, text);
	assert_int_equal(auth_peer_choose(&peer, "SCRAM-SHA-256", text), CLIENT_AUTH_CONTINUE);
	answer = auth_peer_received(&peer, 11, &length);
	assert_memory_equal(answer, "r=abcdef", 8);
	assert_int_equal(answer[2 + 6 + 24], ',');
	snprintf(salt_out, 128, "%.*s", (int)length - 32, answer + 32);
	auth_peer_release(&peer);
}

static void test_client_auth__an_unknown_user_looks_like_a_wrong_password(void **state)
{
	static const char *const lists[] = {NULL, "", OPS, REP OPS};

	(void)state;
	for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
		struct scram_client client = client_with("secret");
		struct auth_peer peer;

		auth_peer_init(&peer, SCRAM, lists[i]);
		peer.request.user = "nobody";
		assert_int_equal(auth_peer_begin(&peer), CLIENT_AUTH_CONTINUE);
		assert_int_equal(
			auth_peer_log_in(&peer, "SCRAM-SHA-256", &client), CLIENT_AUTH_REFUSED);
		assert_refused(
			&peer, "28P01", "password authentication failed for user \"nobody\"");
		assert_string_equal(client_auth_log_detail(peer.auth),
			"user \"nobody\" does not exist; connection matched relay_hba.conf line 1");
		auth_peer_release(&peer);
	}
}

static void test_client_auth__an_unknown_user_has_a_steady_salt_like_others(void **state)
{
	char first[128], again[128], other[128];

	(void)state;
	ask_salt("nobody", REP, first);
	ask_salt("nobody", REP, again);
	ask_salt("noone", REP, other);
	assert_string_equal(first, again);
	assert_string_not_equal(first, other);
	assert_int_equal(strlen(first), strlen(",s=tKvRIPYCKmz0ZwnUF40eWQ==,i=4096"));
	assert_non_null(strstr(first, ",i=4096"));
	ask_salt("nobody", OPS, first);
	assert_int_equal(strlen(first), strlen(",s=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA,i=77"));
	assert_non_null(strstr(first, ",i=77"));
	ask_salt("rep", REP OPS, first);
	assert_string_equal(first, ",s=tKvRIPYCKmz0ZwnUF40eWQ==,i=4096");
}

static void test_client_auth__refuses_malformed_messages(void **state)
{
	static const struct {
		bool is_tls;
		const char *body;
		size_t length;
		const char *sqlstate;
		const char *message;
	} cases[] = {
		{false, "", 0, "08P01", "invalid string in message"},
		{false, "SCRAM-SHA-256", 13, "08P01", "invalid string in message"},
		{false, "SCRAM-SHA-256\0\0\0\0", 17, "08P01",
			"insufficient data left in message"},
		{false, "SCRAM-SHA-256\0\0\0\0\x09n,,", 21, "08P01",
			"insufficient data left in message"},
		{false, "SCRAM-SHA-256\0\x7f\xff\xff\xffn,,", 21, "08P01",
			"insufficient data left in message"},
		{false, "SCRAM-SHA-256\0\0\0\0\x02n,,", 21, "08P01", "invalid message format"},
		{false, "SCRAM-SHA-256\0\0\0\0\0", 18, "08P01", "malformed SCRAM message"},
		{false, "SCRAM-SHA-256\0\0\0\0\x01x", 19, "08P01", "malformed SCRAM message"},
		{false, "SCRAM-SHA-1\0\xff\xff\xff\xff", 16, "08P01",
			"client selected an invalid SASL authentication mechanism"},
		{false, "SCRAM-SHA-256-PLUS\0\xff\xff\xff\xff", 23, "08P01",
			"client selected an invalid SASL authentication mechanism"},
		{true, "SCRAM-SHA-256\0\0\0\0\x0by,,n=,r=abc", 29, "28000",
			"SCRAM channel binding negotiation error"},
		{true, "SCRAM-SHA-256-PLUS\0\0\0\0\x0bn,,n=,r=abc", 34, "08P01",
			"malformed SCRAM message"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct auth_peer peer;

		auth_peer_init(&peer, SCRAM, REP);
		if (cases[i].is_tls) {
			auth_peer_set_tls(&peer, NULL);
		}
		auth_peer_begin(&peer);
		assert_int_equal(
			auth_peer_send(&peer, cases[i].body, cases[i].length), CLIENT_AUTH_REFUSED);
		assert_refused(&peer, cases[i].sqlstate, cases[i].message);
		assert_int_equal(peer.out.length, 0);
		auth_peer_release(&peer);
	}
}

static void test_client_auth__refuses_long_messages(void **state)
{
	struct auth_peer peer;
	char body[1025];

	(void)state;
	memset(body, 'a', sizeof(body));
	auth_peer_init(&peer, SCRAM, REP);
	auth_peer_begin(&peer);
	assert_int_equal(auth_peer_send(&peer, body, sizeof(body)), CLIENT_AUTH_REFUSED);
	assert_refused(&peer, "28P01", "password authentication failed for user \"rep\"");
	auth_peer_release(&peer);
}

static void test_client_auth__no_mutation_of_a_choice_lets_in(void **state)
{
	static const char good[] = "SCRAM-SHA-256\0\0\0\0\x0bn,,n=,r=abc";
	const size_t length = sizeof(good) - 1;

	(void)state;
	for (size_t at = 0; at < 8 * length; at++) {
		char body[sizeof(good)];
		struct auth_peer peer;

		memcpy(body, good, sizeof(good));
		body[at / 8] = (char)(body[at / 8] ^ 1 << at % 8);
		auth_peer_init(&peer, SCRAM, REP);
		auth_peer_begin(&peer);
		assert_int_not_equal(auth_peer_send(&peer, body, length), CLIENT_AUTH_OK);
		auth_peer_release(&peer);
	}
}

static void test_client_auth__cert_goes_by_the_certificate_of_the_user(void **state)
{
	static const struct {
		const char *tls_user;
		enum client_auth_step step;
		const char *message;
	} cases[] = {
		{"rep", CLIENT_AUTH_OK, ""},
		{"ops", CLIENT_AUTH_REFUSED, "certificate authentication failed for user \"rep\""},
		{"Rep", CLIENT_AUTH_REFUSED, "certificate authentication failed for user \"rep\""},
		{"", CLIENT_AUTH_REFUSED, "certificate authentication failed for user \"rep\""},
		{NULL, CLIENT_AUTH_REFUSED, "connection requires a valid client certificate"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct auth_peer peer;

		auth_peer_init(&peer, "hostssl replication all all cert\n", NULL);
		auth_peer_set_tls(&peer, cases[i].tls_user);
		assert_int_equal(auth_peer_begin(&peer), cases[i].step);
		if (cases[i].step == CLIENT_AUTH_REFUSED) {
			assert_refused(&peer, "28000", cases[i].message);
		}
		auth_peer_release(&peer);
	}
}

static void test_client_auth__clientcert_comes_on_top_of_the_password(void **state)
{
	static const struct {
		const char *clientcert;
		const char *tls_user;
		const char *password;
		enum client_auth_step begin;
		enum client_auth_step end;
	} cases[] = {
		{"verify-ca", NULL, "secret", CLIENT_AUTH_REFUSED, 0},
		{"verify-ca", "", "secret", CLIENT_AUTH_CONTINUE, CLIENT_AUTH_OK},
		{"verify-ca", "ops", "secret", CLIENT_AUTH_CONTINUE, CLIENT_AUTH_OK},
		{"verify-ca", "rep", "wrong", CLIENT_AUTH_CONTINUE, CLIENT_AUTH_REFUSED},
		{"verify-full", NULL, "secret", CLIENT_AUTH_REFUSED, 0},
		{"verify-full", "ops", "secret", CLIENT_AUTH_CONTINUE, CLIENT_AUTH_REFUSED},
		{"verify-full", "rep", "secret", CLIENT_AUTH_CONTINUE, CLIENT_AUTH_OK},
		{"verify-full", "rep", "wrong", CLIENT_AUTH_CONTINUE, CLIENT_AUTH_REFUSED},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct scram_client client = client_with(cases[i].password);
		struct auth_peer peer;
		char rule[128];

		snprintf(rule, sizeof(rule),
			"hostssl replication all all scram-sha-256 clientcert=%s",
			cases[i].clientcert);
		auth_peer_init(&peer, rule, REP);
		auth_peer_set_tls(&peer, cases[i].tls_user);
		assert_int_equal(auth_peer_begin(&peer), cases[i].begin);
		if (cases[i].begin == CLIENT_AUTH_REFUSED) {
			assert_refused(
				&peer, "28000", "connection requires a valid client certificate");
		} else {
			assert_int_equal(
				auth_peer_log_in(&peer, "SCRAM-SHA-256", &client), cases[i].end);
		}
		if (cases[i].begin != CLIENT_AUTH_REFUSED && cases[i].end == CLIENT_AUTH_REFUSED) {
			assert_refused(
				&peer, "28P01", "password authentication failed for user \"rep\"");
		}
		auth_peer_release(&peer);
	}
}

static void test_client_auth__trust_may_ask_for_the_certificate_of_the_user(void **state)
{
	struct auth_peer peer;

	(void)state;
	auth_peer_init(&peer, "hostssl replication all all trust clientcert=verify-full", REP);
	auth_peer_set_tls(&peer, "rep");
	assert_int_equal(auth_peer_begin(&peer), CLIENT_AUTH_OK);
	auth_peer_release(&peer);
	auth_peer_init(&peer, "hostssl replication all all trust clientcert=verify-full", REP);
	auth_peer_set_tls(&peer, "ops");
	assert_int_equal(auth_peer_begin(&peer), CLIENT_AUTH_REFUSED);
	assert_refused(&peer, "28000", "\"trust\" authentication failed for user \"rep\"");
	auth_peer_release(&peer);
}

static void test_client_auth__refuses_a_man_in_the_middle(void **state)
{
	static const uint8_t his_certificate[32] = {0xba, 0xd0};
	struct scram_client client = client_with_binding("secret");
	struct auth_peer peer;

	(void)state;
	client.binding = his_certificate;
	auth_peer_init(&peer, SCRAM, REP);
	auth_peer_set_tls(&peer, NULL);
	auth_peer_begin(&peer);
	assert_int_equal(
		auth_peer_log_in(&peer, "SCRAM-SHA-256-PLUS", &client), CLIENT_AUTH_REFUSED);
	assert_refused(&peer, "28000", "SCRAM channel binding check failed");
	auth_peer_release(&peer);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_client_auth__trust_lets_in),
		cmocka_unit_test(test_client_auth__refuses_connections_with_the_words_of_postgres),
		cmocka_unit_test(test_client_auth__offers_plus_first_over_tls_only),
		cmocka_unit_test(test_client_auth__scram_lets_the_right_password_in),
		cmocka_unit_test(test_client_auth__takes_the_first_data_later),
		cmocka_unit_test(test_client_auth__a_wrong_password_is_28P01),
		cmocka_unit_test(test_client_auth__an_unknown_user_looks_like_a_wrong_password),
		cmocka_unit_test(test_client_auth__an_unknown_user_has_a_steady_salt_like_others),
		cmocka_unit_test(test_client_auth__refuses_malformed_messages),
		cmocka_unit_test(test_client_auth__refuses_long_messages),
		cmocka_unit_test(test_client_auth__no_mutation_of_a_choice_lets_in),
		cmocka_unit_test(test_client_auth__cert_goes_by_the_certificate_of_the_user),
		cmocka_unit_test(test_client_auth__clientcert_comes_on_top_of_the_password),
		cmocka_unit_test(
			test_client_auth__trust_may_ask_for_the_certificate_of_the_user),
		cmocka_unit_test(test_client_auth__refuses_a_man_in_the_middle),
	};
	return cmocka_run_group_tests_name("client_auth", tests, NULL, NULL);
}
