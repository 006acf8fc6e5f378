/* Whole files: lines, continuations, order, the built-in rules. */
#include "downstream/hba.h"

#include "problems.h"

/* clang-format off */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
/* clang-format on */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <unistd.h>

static struct hba *parse(const char *text)
{
	struct problems problems = {0};
	struct hba *hba = hba_parse("hba.conf", text, strlen(text), problems_add, &problems);

	if (hba == NULL) {
		fail_msg("%s", problems.text);
	}
	return hba;
}

/* database NULL: replication; peer NULL: a Unix socket. */
static const struct hba_rule *find(
	const struct hba *hba, const char *database, const char *user, const char *peer)
{
	struct sockaddr_storage address = {0};
	struct sockaddr_in *in = (struct sockaddr_in *)&address;
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&address;
	struct hba_connection connection = {.user = user,
		.database = database,
		.is_replication = database == NULL,
		.is_local = peer == NULL,
		.peer = &address};

	if (peer != NULL && inet_pton(AF_INET, peer, &in->sin_addr) == 1) {
		in->sin_family = AF_INET;
	} else if (peer != NULL) {
		assert_int_equal(inet_pton(AF_INET6, peer, &in6->sin6_addr), 1);
		in6->sin6_family = AF_INET6;
	}
	return hba_find(hba, &connection);
}

static void assert_line(const struct hba_rule *rule, unsigned line)
{
	assert_non_null(rule);
	assert_int_equal(hba_rule_line(rule), line);
}

static void test_hba__first_match_wins(void **state)
{
	struct hba *hba = parse("# who follows\n"
				"host replication bad 10.0.0.0/8 reject\n"
				"host replication all 10.0.0.0/8 scram-sha-256\n"
				"\n"
				"host replication all 10.1.0.0/16 trust\n"
				"host all         ops all         scram-sha-256");

	(void)state;
	assert_line(find(hba, NULL, "bad", "10.1.0.1"), 2);
	assert_line(find(hba, NULL, "rep", "10.1.0.1"), 3);
	assert_line(find(hba, "walrelay", "ops", "192.0.2.1"), 6);
	assert_null(find(hba, NULL, "ops", "192.0.2.1"));
	assert_null(find(hba, NULL, "rep", NULL));
	assert_string_equal(hba_file(hba), "hba.conf");
	hba_unref(&hba);
	assert_null(hba);
}

static void test_hba__joins_continuation_lines(void **state)
{
	struct hba *hba = parse("host replication \\\r\n"
				"  rep\\\n"
				"lica \\\n"
				"  10.0.0.0/8 trust\r\n"
				"# a comment goes on, too \\\n"
				"host all all all trust\n"
				"local all all trust \\\n");

	(void)state;
	assert_line(find(hba, NULL, "replica", "10.0.0.1"), 1);
	assert_null(find(hba, "walrelay", "x", "10.0.0.1"));
	assert_line(find(hba, "walrelay", "x", NULL), 7);
	hba_unref(&hba);
}

static void test_hba__reports_every_bad_line(void **state)
{
	static const char text[] = "local all all trust\n"
				   "host all all\n"
				   "\n"
				   "host all all all \\\n"
				   "  md5\n"
				   "host all +a all trust\n";
	struct problems problems = {0};

	(void)state;
	assert_null(hba_parse("/etc/hba.conf", text, strlen(text), problems_add, &problems));
	assert_string_equal(problems.text,
		"/etc/hba.conf:2: end-of-line before IP address specification\n"
		"/etc/hba.conf:4: authentication method \"md5\" is not supported; use "
		"\"scram-sha-256\"\n"
		"/etc/hba.conf:6: role groups are not supported: \"+a\"\n");
}

static void test_hba__refuses_a_file_without_rules(void **state)
{
	static const char *const texts[] = {"", "\n", "# nothing\n", "\\", "\\\n\\\n", "\n\r\n"};

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		struct problems problems = {0};

		assert_null(hba_parse("x", texts[i], strlen(texts[i]), problems_add, &problems));
		assert_non_null(strstr(problems.text, "x:"));
	}
}

static void test_hba__default_is_local_trust_and_loopback_scram(void **state)
{
	static const char *const databases[] = {NULL, "walrelay"};
	static const char *const loopback[] = {"127.0.0.1", "::1", "::ffff:127.0.0.1"};
	struct hba *hba = hba_default();

	(void)state;
	assert_non_null(hba);
	for (size_t i = 0; i < 2; i++) {
		const struct hba_rule *rule = find(hba, databases[i], "anybody", NULL);

		assert_non_null(rule);
		assert_int_equal(hba_rule_method(rule), HBA_TRUST);
		for (size_t j = 0; j < 3; j++) {
			rule = find(hba, databases[i], "anybody", loopback[j]);
			assert_non_null(rule);
			assert_int_equal(hba_rule_method(rule), HBA_SCRAM_SHA_256);
		}
		assert_null(find(hba, databases[i], "anybody", "127.0.0.2"));
		assert_null(find(hba, databases[i], "anybody", "10.0.0.1"));
		assert_null(find(hba, databases[i], "anybody", "::2"));
	}
	hba_unref(&hba);
}

static void test_hba__lives_as_long_as_its_last_reference(void **state)
{
	struct hba *hba = parse("local all all trust\n"), *other = hba_ref(hba), *none = NULL;

	(void)state;
	hba_unref(&hba);
	assert_line(find(other, "walrelay", "x", NULL), 1);
	hba_unref(&other);
	hba_unref(&none);
}

static void test_hba__loads_a_file(void **state)
{
	static const char text[] = "local all all trust\nhost all all ::1/128 reject\n";
	char path[] = "/tmp/test_hba_XXXXXX";
	struct problems problems = {0};
	int fd = mkstemp(path);
	struct hba *hba;

	(void)state;
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
	hba = hba_load(path, problems_add, &problems);
	assert_string_equal(problems.text, "");
	assert_line(find(hba, "walrelay", "x", "::1"), 2);
	assert_string_equal(hba_file(hba), path);
	hba_unref(&hba);
	unlink(path);

	assert_null(hba_load("/nonexistent/hba.conf", problems_add, &problems));
	assert_string_equal(problems.text,
		"/nonexistent/hba.conf:0: could not open file: No such file or directory\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_hba__first_match_wins),
		cmocka_unit_test(test_hba__joins_continuation_lines),
		cmocka_unit_test(test_hba__reports_every_bad_line),
		cmocka_unit_test(test_hba__refuses_a_file_without_rules),
		cmocka_unit_test(test_hba__default_is_local_trust_and_loopback_scram),
		cmocka_unit_test(test_hba__lives_as_long_as_its_last_reference),
		cmocka_unit_test(test_hba__loads_a_file),
	};
	return cmocka_run_group_tests_name("hba", tests, NULL, NULL);
}
