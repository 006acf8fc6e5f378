/* userlist.txt as pgbouncer reads it, and the secrets that are refused. */
#include "downstream/user_list.h"

#include "problems.h"

/* clang-format off */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
/* clang-format on */
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define KEYS                                                                                       \
	"$MVGcczfBZi/7kaszJLScEvkuNefAX9tYEc0xzL5GRCE=:Xou0/Tk8820PJFtok1Ck1/"                     \
	"jURGZKEgykm+7YFfCc6SE="
#define VERIFIER "SCRAM-SHA-256$4096:tKvRIPYCKmz0ZwnUF40eWQ==" KEYS
#define OTHER    "SCRAM-SHA-256$8192:tKvRIPYCKmz0ZwnUF40eWQ==" KEYS
#define LONGEST  "123456789012345678901234567890123456789012345678901234567890123"

static struct user_list *parse(const char *text, struct problems *problems)
{
	*problems = (struct problems){0};
	return user_list_parse("users.txt", text, strlen(text), problems_add, problems);
}

static void test_user_list__finds_users(void **state)
{
	struct problems problems;
	struct user_list *users = parse("; users of the relay\n"
					"# another comment\n"
					"\n"
					"\"zoe\" \"" VERIFIER "\"\n"
					" \t\"rep\"\t\"" OTHER "\" ; ignored\r\n"
					"\"a \"\"b\"\"\" \"" VERIFIER "\" \"\"\n"
					"\"#1\" \"" VERIFIER "\"\n"
					"\"" LONGEST "\" \"" VERIFIER "\"",
		&problems);

	(void)state;
	assert_string_equal(problems.text, "");
	assert_int_equal(user_list_count(users), 5);
	assert_int_equal(user_list_find(users, "zoe")->iterations, 4096);
	assert_int_equal(user_list_find(users, "rep")->iterations, 8192);
	assert_non_null(user_list_find(users, "a \"b\""));
	assert_non_null(user_list_find(users, "#1"));
	assert_non_null(user_list_find(users, LONGEST));
	assert_null(user_list_find(users, "Rep"));
	assert_null(user_list_find(users, ""));
	assert_null(user_list_find(users, "re"));
	assert_ptr_equal(user_list_at(users, 0), user_list_find(users, "#1"));
	user_list_unref(&users);
	assert_null(users);
}

static void test_user_list__an_empty_file_has_nobody(void **state)
{
	struct problems problems;
	struct user_list *users = parse("", &problems);

	(void)state;
	assert_non_null(users);
	assert_int_equal(user_list_count(users), 0);
	assert_null(user_list_find(users, "rep"));
	user_list_unref(&users);
}

static void test_user_list__says_what_is_wrong_with_a_line(void **state)
{
	static const struct {
		const char *line;
		const char *message;
	} cases[] = {
		{"rep secret", "expected a user name in double quotes"},
		{"\"rep\" secret", "expected a secret in double quotes"},
		{"\"rep\"", "expected a secret in double quotes"},
		{"\"rep", "unterminated quoted user name"},
		{"\"rep\" \"SCRAM", "unterminated quoted secret"},
		{"\"rep\" \"SCRAM\"\"", "unterminated quoted secret"},
		{"\"\" \"" VERIFIER "\"", "empty user name"},
		{"\"" LONGEST "4\" \"" VERIFIER "\"", "the user name is too long"},
		{"\"rep\" \"hunter2\"",
			"user \"rep\" has a password in clear; make a SCRAM-SHA-256 verifier with "
			"\"walrelay user rep\""},
		{"\"rep\" \"\"", "user \"rep\" has no secret; make a SCRAM-SHA-256 verifier with "
				 "\"walrelay user rep\""},
		{"\"rep\" \"md5d41d8cd98f00b204e9800998ecf8427e\"",
			"user \"rep\" has an md5 password; make a SCRAM-SHA-256 verifier with "
			"\"walrelay user rep\""},
		{"\"rep\" \"md5sum\"",
			"user \"rep\" has a password in clear; make a SCRAM-SHA-256 verifier with "
			"\"walrelay user rep\""},
		{"\"rep\" \"SCRAM-SHA-256$4096:AAAA$BBBB:CCCC\"",
			"user \"rep\" has a malformed SCRAM-SHA-256 verifier; make a SCRAM-SHA-256 "
			"verifier with \"walrelay user rep\""},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct problems problems;
		char expected[512];

		if (parse(cases[i].line, &problems) != NULL) {
			fail_msg("%s was taken", cases[i].line);
		}
		snprintf(expected, sizeof(expected), "users.txt:1: %s\n", cases[i].message);
		assert_string_equal(problems.text, expected);
	}
}

static void test_user_list__reports_every_problem_and_no_secret(void **state)
{
	struct problems problems;

	(void)state;
	assert_null(parse("\"rep\" \"" VERIFIER "\"\n"
			  "\"a\" \"hunter2\"\n"
			  "nonsense\n"
			  "\"ops\" \"" VERIFIER "\"\n"
			  "\"rep\" \"" OTHER "\"\n"
			  "\"rep\" \"" OTHER "\"\n",
		&problems));
	assert_string_equal(problems.text,
		"users.txt:2: user \"a\" has a password in clear; make a SCRAM-SHA-256 verifier "
		"with \"walrelay user a\"\n"
		"users.txt:3: expected a user name in double quotes\n"
		"users.txt:5: user \"rep\" is in line 1 already\n"
		"users.txt:6: user \"rep\" is in line 5 already\n");
	assert_null(strstr(problems.text, "hunter2"));
}

static void test_user_list__refuses_zero_bytes(void **state)
{
	static const char text[] = "\"re\0p\" \"" VERIFIER "\"\n";
	struct problems problems = {0};

	(void)state;
	assert_null(user_list_parse("x", text, sizeof(text) - 1, problems_add, &problems));
	assert_string_equal(problems.text, "x:1: zero byte in the user name\n");
}

static void test_user_list__every_prefix_is_taken_or_reported(void **state)
{
	static const char text[] = "; x\n\"rep\" \"" VERIFIER "\"\n\"o\"\"s\" \"" OTHER "\"\n";

	(void)state;
	for (size_t length = 0; length < strlen(text); length++) {
		struct problems problems = {0};
		char *copy = malloc(length + 1);
		struct user_list *users;

		memcpy(copy, text, length);
		users = user_list_parse("x", copy, length, problems_add, &problems);
		assert_int_equal(users == NULL, problems.text[0] != '\0');
		user_list_unref(&users);
		free(copy);
	}
}

static void test_user_list__lives_as_long_as_its_last_reference(void **state)
{
	struct problems problems;
	struct user_list *users = parse("\"rep\" \"" VERIFIER "\"\n", &problems);
	struct user_list *other = user_list_ref(users), *none = NULL;

	(void)state;
	user_list_unref(&users);
	assert_non_null(user_list_find(other, "rep"));
	user_list_unref(&other);
	user_list_unref(&none);
}

static void test_user_list__loads_only_a_private_regular_file(void **state)
{
	static const char text[] = "\"rep\" \"" VERIFIER "\"\n";
	static const mode_t open_modes[] = {0604, 0640, 0620, 0610, 0601, 0644, 0666};
	char directory[] = "/tmp/test_user_list_XXXXXX", path[64], expected[256];
	struct problems problems = {0};
	struct user_list *users;
	FILE *file;

	(void)state;
	assert_non_null(mkdtemp(directory));
	snprintf(path, sizeof(path), "%s/users", directory);
	file = fopen(path, "w");
	fputs(text, file);
	fclose(file);
	for (size_t i = 0; i < sizeof(open_modes) / sizeof(open_modes[0]); i++) {
		problems = (struct problems){0};
		assert_int_equal(chmod(path, open_modes[i]), 0);
		assert_null(user_list_load(path, problems_add, &problems));
		snprintf(expected, sizeof(expected),
			"%s:0: group or others have access to this file (mode %04o); make it "
			"0600\n",
			path, open_modes[i]);
		assert_string_equal(problems.text, expected);
	}
	assert_int_equal(chmod(path, 0600), 0);
	users = user_list_load(path, problems_add, &problems);
	assert_non_null(user_list_find(users, "rep"));
	user_list_unref(&users);
	assert_int_equal(unlink(path), 0);

	problems = (struct problems){0};
	assert_null(user_list_load(path, problems_add, &problems));
	assert_non_null(
		strstr(problems.text, ":0: could not open file: No such file or directory"));
	assert_int_equal(mkfifo(path, 0600), 0);
	problems = (struct problems){0};
	assert_null(user_list_load(path, problems_add, &problems));
	assert_non_null(strstr(problems.text, ":0: not a regular file"));
	unlink(path);
	rmdir(directory);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_user_list__finds_users),
		cmocka_unit_test(test_user_list__an_empty_file_has_nobody),
		cmocka_unit_test(test_user_list__says_what_is_wrong_with_a_line),
		cmocka_unit_test(test_user_list__reports_every_problem_and_no_secret),
		cmocka_unit_test(test_user_list__refuses_zero_bytes),
		cmocka_unit_test(test_user_list__every_prefix_is_taken_or_reported),
		cmocka_unit_test(test_user_list__lives_as_long_as_its_last_reference),
		cmocka_unit_test(test_user_list__loads_only_a_private_regular_file),
	};
	return cmocka_run_group_tests_name("user_list", tests, NULL, NULL);
}
