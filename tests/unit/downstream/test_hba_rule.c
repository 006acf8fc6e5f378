/* One line at a time: what PostgreSQL 15 says in pg_hba_file_rules, and where this is stricter. */
#include "downstream/hba_rule.h"

/* clang-format off */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
/* clang-format on */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

static struct hba_rule *parse(const char *line)
{
	struct hba_rule *rule = NULL;
	struct error err = {0};

	if (hba_rule_parse(line, strlen(line), 7, &rule, &err) != HBA_LINE_RULE) {
		fail_msg("\"%s\": %s", line, err.message);
	}
	return rule;
}

static struct sockaddr_storage address_of(const char *text)
{
	struct sockaddr_storage address = {0};
	struct sockaddr_in *in = (struct sockaddr_in *)&address;
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&address;

	if (inet_pton(AF_INET, text, &in->sin_addr) == 1) {
		in->sin_family = AF_INET;
	} else if (inet_pton(AF_INET6, text, &in6->sin6_addr) == 1) {
		in6->sin6_family = AF_INET6;
	}
	return address;
}

static void test_hba_rule__refuses_with_the_words_of_postgres(void **state)
{
	static const struct {
		const char *line;
		const char *message;
	} cases[] = {
		{"foo all all trust", "invalid connection type \"foo\""},
		{"HOST all all all trust", "invalid connection type \"HOST\""},
		{"host", "end-of-line before database specification"},
		{"host all # all all trust", "end-of-line before role specification"},
		{"host all all", "end-of-line before IP address specification"},
		{"local all all", "end-of-line before authentication method"},
		{"host all all all", "end-of-line before authentication method"},
		{"host,local all all all trust", "multiple values specified for connection type"},
		{"host all all 10.0.0.1",
			"end-of-line before netmask specification; specify an address range in "
			"CIDR notation, or provide a separate netmask"},
		{"host all all 10.0.0.1 trust", "invalid IP mask \"trust\""},
		{"host all all 10.0.0.0/33 trust", "invalid CIDR mask in address \"10.0.0.0/33\""},
		{"host all all ::/129 trust", "invalid CIDR mask in address \"::/129\""},
		{"host all all 10.0.0.0/ trust", "invalid CIDR mask in address \"10.0.0.0/\""},
		{"host all all 10.0.0.0/-1 trust", "invalid CIDR mask in address \"10.0.0.0/-1\""},
		{"host all all 10.0.0.0/8x trust", "invalid CIDR mask in address \"10.0.0.0/8x\""},
		{"host all all 10.0.0.0/4294967304 trust",
			"invalid CIDR mask in address \"10.0.0.0/4294967304\""},
		{"host all all ::1 255.255.255.0 trust", "IP address and mask do not match"},
		{"host all all 10.0.0.0/8,11.0.0.0/8 trust",
			"multiple values specified for host address; specify one address range per "
			"line"},
		{"host all all 10.0.0.1 255.0.0.0,255.0.0.0 trust",
			"multiple values specified for netmask"},
		{"host all all all foo", "invalid authentication method \"foo\""},
		{"host all all all trust,reject",
			"multiple values specified for authentication type; specify exactly one "
			"authentication type per line"},
		{"host all all all cert",
			"cert authentication is only supported on hostssl connections"},
		{"local all all cert",
			"cert authentication is only supported on hostssl connections"},
		{"host all all all trust foo",
			"authentication option not in name=value format: foo"},
		{"host all all all trust foo=bar",
			"unrecognized authentication option name: \"foo\""},
		{"hostssl all all all cert map=m",
			"unrecognized authentication option name: \"map\""},
		{"host all all all trust clientcert=verify-ca",
			"clientcert can only be configured for \"hostssl\" rows"},
		{"hostssl all all all trust clientcert=1", "invalid value for clientcert: \"1\""},
		{"hostssl all all all cert clientcert=verify-ca",
			"clientcert can only be set to \"verify-full\" when using \"cert\" "
			"authentication"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct hba_rule *rule = NULL;
		struct error err = {0};
		const char *line = cases[i].line;

		if (hba_rule_parse(line, strlen(line), 1, &rule, &err) != HBA_LINE_BAD) {
			fail_msg("\"%s\" was taken", line);
		}
		assert_string_equal(err.message, cases[i].message);
		assert_int_equal(err.kind, ERROR_INVALID);
		assert_null(rule);
	}
}

static void test_hba_rule__refuses_what_a_relay_cannot_look_up(void **state)
{
	static const struct {
		const char *line;
		const char *message;
	} cases[] = {
		{"host all +ops all trust", "role groups are not supported: \"+ops\""},
		{"host all rep,+ops all trust", "role groups are not supported: \"+ops\""},
		{"host all @names all trust", "files of names are not supported: \"@names\""},
		{"host @names all all trust", "files of names are not supported: \"@names\""},
		{"host all /^rep all trust", "regular expressions are not supported: \"/^rep\""},
		{"host all \"/^a,b\" all trust",
			"regular expressions are not supported: \"/^a,b\""},
		{"host /x all all trust", "regular expressions are not supported: \"/x\""},
		{"host sameuser all all trust", "database \"sameuser\" is not supported"},
		{"host all,samerole all all trust", "database \"samerole\" is not supported"},
		{"host samegroup all all trust", "database \"samegroup\" is not supported"},
		{"host \"\" all all trust", "empty name"},
		{"host all all db1.example.com trust",
			"host names are not supported: \"db1.example.com\"; specify an address "
			"range"},
		{"host all all .example.com trust",
			"host names are not supported: \".example.com\"; specify an address range"},
		{"host all all db1/24 trust",
			"host names are not supported: \"db1/24\"; specify an address range"},
		{"host all all \"all\" trust",
			"host names are not supported: \"all\"; specify an address range"},
		{"host all all 10.0.0.999/8 trust", "invalid IP address \"10.0.0.999/8\""},
		{"host all all 10/8 trust", "invalid IP address \"10/8\""},
		{"host all all fe80::1%lo/64 trust", "invalid IP address \"fe80::1%lo/64\""},
		{"host all all 0000:0000:0000:0000:0000:0000:0000:0000:0000:0000/64 trust",
			"invalid IP address "
			"\"0000:0000:0000:0000:0000:0000:0000:0000:0000:0000/64\""},
		{"host all all all md5",
			"authentication method \"md5\" is not supported; use \"scram-sha-256\""},
		{"host all all all password",
			"authentication method \"password\" is not supported; use "
			"\"scram-sha-256\""},
		{"local all all peer", "authentication method \"peer\" is not supported"},
		{"host all all all ldap ldapserver=x",
			"authentication method \"ldap\" is not supported"},
		{"hostgssenc all all all trust",
			"connection type \"hostgssenc\" is not supported: there is no GSSAPI here"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct hba_rule *rule = NULL;
		struct error err = {0};
		const char *line = cases[i].line;

		if (hba_rule_parse(line, strlen(line), 1, &rule, &err) != HBA_LINE_BAD) {
			fail_msg("\"%s\" was taken", line);
		}
		assert_string_equal(err.message, cases[i].message);
	}
}

static void test_hba_rule__skips_comments_and_empty_lines(void **state)
{
	static const char *const lines[] = {
		"", " ", "\t\r", "# host all all all trust", "  # x", ",", " , "};

	(void)state;
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		struct hba_rule *rule = NULL;
		struct error err = {0};

		assert_int_equal(
			hba_rule_parse(lines[i], strlen(lines[i]), 1, &rule, &err), HBA_LINE_EMPTY);
		assert_null(rule);
	}
}

static void test_hba_rule__refuses_a_zero_byte(void **state)
{
	static const char line[] = "host all al\0l all trust";
	struct hba_rule *rule = NULL;
	struct error err = {0};

	(void)state;
	assert_int_equal(hba_rule_parse(line, sizeof(line) - 1, 1, &rule, &err), HBA_LINE_BAD);
	assert_string_equal(err.message, "zero byte in the line");
}

static void test_hba_rule__reads_methods_and_options(void **state)
{
	static const struct {
		const char *line;
		enum hba_method method;
		enum hba_client_cert client_cert;
	} cases[] = {
		{"local all all trust", HBA_TRUST, HBA_CLIENT_CERT_OFF},
		{"host all all all reject", HBA_REJECT, HBA_CLIENT_CERT_OFF},
		{"host all all all \"scram-sha-256\"#x", HBA_SCRAM_SHA_256, HBA_CLIENT_CERT_OFF},
		{"hostssl all all all cert", HBA_CERT, HBA_CLIENT_CERT_VERIFY_FULL},
		{"hostssl all all all cert clientcert=verify-full", HBA_CERT,
			HBA_CLIENT_CERT_VERIFY_FULL},
		{"hostssl all all all scram-sha-256 clientcert=verify-ca", HBA_SCRAM_SHA_256,
			HBA_CLIENT_CERT_VERIFY_CA},
		{"hostssl all all 10.0.0.1 255.0.0.0 trust clientcert=verify-full", HBA_TRUST,
			HBA_CLIENT_CERT_VERIFY_FULL},
		{"host all all 10.0.0.0/8 \"trust", HBA_TRUST, HBA_CLIENT_CERT_OFF},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct hba_rule *rule = parse(cases[i].line);

		assert_int_equal(hba_rule_method(rule), cases[i].method);
		assert_int_equal(hba_rule_client_cert(rule), cases[i].client_cert);
		assert_int_equal(hba_rule_line(rule), 7);
		hba_rule_free(&rule);
		assert_null(rule);
	}
}

static bool matches(const char *line, const char *database, const char *user, const char *peer)
{
	const struct sockaddr_storage address = address_of(peer != NULL ? peer : "");
	const struct hba_connection connection = {.user = user,
		.database = database,
		.is_replication = database == NULL,
		.is_local = peer == NULL,
		.peer = &address};
	struct hba_rule *rule = parse(line);
	bool result = hba_rule_matches(rule, &connection);

	hba_rule_free(&rule);
	return result;
}

static void test_hba_rule__matches_databases_and_users(void **state)
{
	static const struct {
		const char *line;
		const char *database; /* NULL: replication */
		const char *user;
		bool matches;
	} cases[] = {
		{"local all all trust", "walrelay", "rep", true},
		{"local all all trust", "postgres", "rep", true},
		{"local all all trust", NULL, "rep", false},
		{"local \"all\" all trust", "walrelay", "rep", false},
		{"local \"all\" all trust", "all", "rep", true},
		{"local replication all trust", NULL, "rep", true},
		{"local \"replication\" all trust", NULL, "rep", false},
		{"local replication all trust", "replication", "rep", false},
		{"local \"replication\" all trust", "replication", "rep", true},
		{"local replication all trust", "walrelay", "rep", false},
		{"local replication,walrelay all trust", "walrelay", "rep", true},
		{"local walrelay,replication all trust", NULL, "rep", true},
		{"local all,replication all trust", NULL, "rep", true},
		{"local walrelay all trust", "postgres", "rep", false},
		{"local walrelay all trust", "Walrelay", "rep", false},
		{"local all rep trust", "walrelay", "rep", true},
		{"local all rep trust", "walrelay", "Rep", false},
		{"local all rep trust", "walrelay", "reps", false},
		{"local all \"all\" trust", "walrelay", "rep", false},
		{"local all \"all\" trust", "walrelay", "all", true},
		{"local all a,b,rep trust", "walrelay", "rep", true},
		{"local all a,b,all trust", "walrelay", "rep", true},
		{"local all \"a b\",\"c\"\"d\" trust", "walrelay", "a b", true},
		{"local all \"a b\",\"c\"\"d\" trust", "walrelay", "c\"d", true},
		{"local all \"a,b\" trust", "walrelay", "a", false},
		{"local all \"a#b\" trust", "walrelay", "a#b", true},
		{"local all \"+ops\" trust", "walrelay", "+ops", true},
		{"local all \"@ops\" trust", "walrelay", "@ops", true},
		{"local all r\"e\"p trust", "walrelay", "rep", true},
		{"local all a\"l\"l trust", "walrelay", "rep", true},
		{",local ,all ,rep ,trust", "walrelay", "rep", true},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		if (matches(cases[i].line, cases[i].database, cases[i].user, NULL) !=
			cases[i].matches) {
			fail_msg("\"%s\" for database %s and user %s", cases[i].line,
				cases[i].database, cases[i].user);
		}
	}
}

static void test_hba_rule__matches_addresses(void **state)
{
	static const struct {
		const char *address;
		const char *peer; /* NULL: a Unix socket */
		bool matches;
	} cases[] = {
		{"all", "10.1.2.3", true},
		{"all", "2001:db8::1", true},
		{"all", NULL, false},
		{"0.0.0.0/0", "10.1.2.3", true},
		{"0.0.0.0/0", "2001:db8::1", false},
		{"::/0", "2001:db8::1", true},
		{"::/0", "10.1.2.3", false},
		{"10.0.0.0/8", "10.255.255.255", true},
		{"10.0.0.0/8", "11.0.0.0", false},
		{"10.1.2.3/8", "10.9.9.9", true},
		{"10.1.2.3/32", "10.1.2.3", true},
		{"10.1.2.3/32", "10.1.2.2", false},
		{"10.1.2.0/23", "10.1.3.7", true},
		{"10.1.2.0/23", "10.1.4.7", false},
		{"10.1.2.3 255.255.0.0", "10.1.9.9", true},
		{"10.1.2.3 255.255.0.0", "10.2.2.3", false},
		{"10.1.2.3 255.0.0.255", "10.9.9.3", true},
		{"10.1.2.3 255.0.0.255", "10.9.9.4", false},
		{"2001:db8::/33", "2001:db8:7fff::1", true},
		{"2001:db8::/33", "2001:db8:8000::1", false},
		{"2001:db8:: ffff:ffff::", "2001:db8:1::1", true},
		{"2001:db8:: ffff:ffff::", "2001:db9::1", false},
		/* what a dual-stack socket calls an IPv4 peer */
		{"10.0.0.0/8", "::ffff:10.1.2.3", true},
		{"10.0.0.0/8", "::ffff:11.1.2.3", false},
		{"::/0", "::ffff:10.1.2.3", false},
		{"samehost", "127.0.0.1", true},
		{"samehost", "::ffff:127.0.0.1", true},
		{"samehost", "127.0.0.2", false},
		{"samehost", "240.0.0.1", false},
		{"samehost", NULL, false},
		{"samenet", "127.0.0.1", true},
		{"samenet", "127.9.9.9", true},
		{"samenet", "240.0.0.1", false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char line[128];

		snprintf(line, sizeof(line), "host all all %s trust", cases[i].address);
		if (matches(line, "walrelay", "rep", cases[i].peer) != cases[i].matches) {
			fail_msg("%s for %s", cases[i].address, cases[i].peer);
		}
	}
	assert_false(matches("local all all trust", "walrelay", "rep", "127.0.0.1"));
}

static void test_hba_rule__matches_by_encryption(void **state)
{
	const struct sockaddr_storage peer = address_of("127.0.0.1");
	static const struct {
		const char *type;
		bool with_tls;
		bool without_tls;
	} cases[] = {{"host", true, true}, {"hostssl", true, false}, {"hostnossl", false, true}};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct hba_connection connection = {
			.user = "rep", .is_replication = true, .peer = &peer};
		struct hba_rule *rule;
		char line[64];

		snprintf(line, sizeof(line), "%s replication all all trust", cases[i].type);
		rule = parse(line);
		assert_int_equal(hba_rule_matches(rule, &connection), cases[i].without_tls);
		connection.is_tls = true;
		assert_int_equal(hba_rule_matches(rule, &connection), cases[i].with_tls);
		connection.is_local = true;
		assert_false(hba_rule_matches(rule, &connection));
		hba_rule_free(&rule);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_hba_rule__refuses_with_the_words_of_postgres),
		cmocka_unit_test(test_hba_rule__refuses_what_a_relay_cannot_look_up),
		cmocka_unit_test(test_hba_rule__skips_comments_and_empty_lines),
		cmocka_unit_test(test_hba_rule__refuses_a_zero_byte),
		cmocka_unit_test(test_hba_rule__reads_methods_and_options),
		cmocka_unit_test(test_hba_rule__matches_databases_and_users),
		cmocka_unit_test(test_hba_rule__matches_addresses),
		cmocka_unit_test(test_hba_rule__matches_by_encryption),
	};
	return cmocka_run_group_tests_name("hba_rule", tests, NULL, NULL);
}
