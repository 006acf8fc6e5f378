/* What a PostgreSQL 15 decided, connection by connection, for generated rules: argv[1]. */
#include "downstream/hba.h"

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

static const char *decisions_path;

static void on_problem(void *context, const char *file, unsigned line, const char *message)
{
	fail_msg("%s:%u: %s in\n%s", file, line, message, (const char *)context);
}

static char decide(const struct hba *hba, const char *user, const char *database, const char *peer)
{
	struct sockaddr_storage address = {0};
	struct sockaddr_in *in = (struct sockaddr_in *)&address;
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&address;
	const struct hba_connection connection = {.user = user,
		.database = database,
		.is_replication = strcmp(database, "-") == 0,
		.is_local = strcmp(peer, "local") == 0,
		.peer = &address};
	const struct hba_rule *rule;

	if (inet_pton(AF_INET, peer, &in->sin_addr) == 1) {
		in->sin_family = AF_INET;
	} else if (inet_pton(AF_INET6, peer, &in6->sin6_addr) == 1) {
		in6->sin6_family = AF_INET6;
	}
	rule = hba_find(hba, &connection);
	if (rule == NULL) {
		return 'N';
	}
	switch (hba_rule_method(rule)) {
	case HBA_TRUST: return 'T';
	case HBA_REJECT: return 'R';
	case HBA_SCRAM_SHA_256: return 'S';
	case HBA_CERT: break;
	}
	return '?';
}

/* The lines up to "ask"; false at the end of the file. */
static bool read_rules(FILE *file, char rules[4096])
{
	char line[512];

	rules[0] = '\0';
	while (fgets(line, sizeof(line), file) != NULL) {
		if (strcmp(line, "ask\n") == 0) {
			return true;
		}
		assert_true(strlen(rules) + strlen(line) < 4096);
		strcat(rules, line);
	}
	return false;
}

/* The connections up to "rules"; returns how many. */
static unsigned check_answers(FILE *file, const struct hba *hba, const char *rules)
{
	char line[512], decision, user[64], database[64], peer[64];
	unsigned count = 0;

	while (fgets(line, sizeof(line), file) != NULL && strcmp(line, "rules\n") != 0) {
		assert_int_equal(
			sscanf(line, "%c %63s %63s %63s", &decision, user, database, peer), 4);
		if (decide(hba, user, database, peer) != decision) {
			fail_msg("decided %c, PostgreSQL %sfor\n%s",
				decide(hba, user, database, peer), line, rules);
		}
		count++;
	}
	return count;
}

static void test_hba__decides_as_postgres_did(void **state)
{
	FILE *file = fopen(decisions_path, "r");
	char rules[4096], line[512];
	unsigned count = 0;

	(void)state;
	assert_non_null(file);
	do {
		assert_non_null(fgets(line, sizeof(line), file));
	} while (strcmp(line, "rules\n") != 0);
	while (read_rules(file, rules)) {
		struct hba *hba = hba_parse("rules", rules, strlen(rules), on_problem, rules);

		count += check_answers(file, hba, rules);
		hba_unref(&hba);
	}
	fclose(file);
	assert_true(count > 300);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_hba__decides_as_postgres_did),
	};

	assert_int_equal(argc, 2);
	decisions_path = argv[1];
	return cmocka_run_group_tests_name("hba_decisions", tests, NULL, NULL);
}
