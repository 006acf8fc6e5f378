/* Verifiers as PostgreSQL 15 made them, and texts that are none. */
#include "protocol/scram_verifier.h"

/* clang-format off */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
/* clang-format on */
#include <stdio.h>
#include <string.h>

/* create role ... password ...; select rolpassword from pg_authid */
static const struct {
	const char *password;
	const char *verifier;
} from_postgres[] = {
	{"secret",
		"SCRAM-SHA-256$4096:tKvRIPYCKmz0ZwnUF40eWQ==$MVGcczfBZi/7kaszJLScEvkuNefAX9tYEc0x"
		"zL5GRCE=:Xou0/Tk8820PJFtok1Ck1/jURGZKEgykm+7YFfCc6SE="},
	{"p\u00e4ssw\u00f6rd \u2603", "SCRAM-SHA-256$4096:FNAMDQv77dftfQQXUHrwMw==$"
				      "EBE1ondSajQRo1VlY8itRSr4htonewGLN86twJb"
				      "ilNk=:PfH4d2qmfMJiYrQ7sli/KVOfsfvQCBDKNeWOuJY+N4E="},
};

static void test_scram_verifier__agrees_with_postgres(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(from_postgres) / sizeof(from_postgres[0]); i++) {
		const char *text = from_postgres[i].verifier, *password = from_postgres[i].password;
		struct scram_verifier parsed, made;
		char formatted[SCRAM_VERIFIER_SIZE];

		assert_true(scram_verifier_parse(text, strlen(text), &parsed));
		assert_int_equal(parsed.iterations, SCRAM_ITERATIONS);
		assert_int_equal(parsed.salt_length, SCRAM_SALT_BYTES);
		assert_true(scram_verifier_from_password(password, strlen(password), parsed.salt,
			parsed.salt_length, parsed.iterations, &made));
		assert_memory_equal(made.stored_key, parsed.stored_key, SCRAM_KEY_BYTES);
		assert_memory_equal(made.server_key, parsed.server_key, SCRAM_KEY_BYTES);
		scram_verifier_format(&made, formatted);
		assert_string_equal(formatted, text);
	}
}

static void test_scram_verifier__formats_the_longest(void **state)
{
	struct scram_verifier longest = {
		.iterations = INT32_MAX, .salt_length = SCRAM_SALT_BYTES_MAX};
	struct scram_verifier parsed;
	char text[SCRAM_VERIFIER_SIZE];

	(void)state;
	memset(longest.salt, 0xfe, sizeof(longest.salt));
	scram_verifier_format(&longest, text);
	assert_true(strlen(text) < sizeof(text));
	assert_true(scram_verifier_parse(text, strlen(text), &parsed));
	assert_int_equal(parsed.iterations, INT32_MAX);
	assert_int_equal(parsed.salt_length, SCRAM_SALT_BYTES_MAX);
	assert_memory_equal(parsed.salt, longest.salt, sizeof(longest.salt));
}

#define KEY   "MVGcczfBZi/7kaszJLScEvkuNefAX9tYEc0xzL5GRCE="
#define SALT  "tKvRIPYCKmz0ZwnUF40eWQ=="
#define SHORT "MVGcczfBZi/7kaszJLScEvkuNefAX9tYEc0xzL5G"
#define LONG  "MVGcczfBZi/7kaszJLScEvkuNefAX9tYEc0xzL5GRCEA"

static void test_scram_verifier__refuses_malformed_text(void **state)
{
	static const char *const wrong[] = {
		"",
		"SCRAM-SHA-256",
		"SCRAM-SHA-256$",
		"scram-sha-256$4096:" SALT "$" KEY ":" KEY,
		"SCRAM-SHA-1$4096:" SALT "$" KEY ":" KEY,
		"SCRAM-SHA-256$0:" SALT "$" KEY ":" KEY,
		"SCRAM-SHA-256$-1:" SALT "$" KEY ":" KEY,
		"SCRAM-SHA-256$+1:" SALT "$" KEY ":" KEY,
		"SCRAM-SHA-256$:" SALT "$" KEY ":" KEY,
		"SCRAM-SHA-256$2147483648:" SALT "$" KEY ":" KEY,
		"SCRAM-SHA-256$18446744073709551617:" SALT "$" KEY ":" KEY,
		"SCRAM-SHA-256$4096:$" KEY ":" KEY,
		"SCRAM-SHA-256$4096:" SALT "!$" KEY ":" KEY,
		"SCRAM-SHA-256$4096:" SALT "$" KEY,
		"SCRAM-SHA-256$4096:" SALT "$" KEY ":",
		"SCRAM-SHA-256$4096:" SALT "$" SHORT ":" KEY,
		"SCRAM-SHA-256$4096:" SALT "$" KEY ":" LONG,
		"SCRAM-SHA-256$4096:" SALT "$" KEY ":" KEY " ",
		"SCRAM-SHA-256$4096:" SALT "$" KEY ":" KEY ":" KEY,
		"SCRAM-SHA-256$4096:" LONG LONG "$" KEY ":" KEY,
	};
	struct scram_verifier verifier = {.iterations = 77};

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		if (scram_verifier_parse(wrong[i], strlen(wrong[i]), &verifier)) {
			fail_msg("\"%s\" was taken", wrong[i]);
		}
	}
	assert_int_equal(verifier.iterations, 77);
}

static void test_scram_verifier__refuses_every_prefix(void **state)
{
	const char *text = from_postgres[0].verifier;
	struct scram_verifier verifier;

	(void)state;
	for (size_t length = 0; length < strlen(text); length++) {
		assert_false(scram_verifier_parse(text, length, &verifier));
	}
}

static void test_scram_verifier__mock_is_stable_and_its_own(void **state)
{
	const uint8_t key[32] = {1}, other_key[32] = {2};
	struct scram_verifier first, again, other_user, other_relay;

	(void)state;
	scram_verifier_mock(key, "nobody", &first);
	scram_verifier_mock(key, "nobody", &again);
	scram_verifier_mock(key, "somebody", &other_user);
	scram_verifier_mock(other_key, "nobody", &other_relay);
	assert_int_equal(first.iterations, SCRAM_ITERATIONS);
	assert_int_equal(first.salt_length, SCRAM_SALT_BYTES);
	assert_memory_equal(first.salt, again.salt, sizeof(first.salt));
	assert_memory_equal(first.stored_key, again.stored_key, SCRAM_KEY_BYTES);
	assert_memory_not_equal(first.salt, other_user.salt, SCRAM_SALT_BYTES);
	assert_memory_not_equal(first.salt, other_relay.salt, SCRAM_SALT_BYTES);
	assert_memory_not_equal(first.stored_key, other_user.stored_key, SCRAM_KEY_BYTES);
	assert_memory_not_equal(first.salt, first.salt + 32, 32);
	assert_memory_not_equal(first.stored_key, first.server_key, SCRAM_KEY_BYTES);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_scram_verifier__agrees_with_postgres),
		cmocka_unit_test(test_scram_verifier__formats_the_longest),
		cmocka_unit_test(test_scram_verifier__refuses_malformed_text),
		cmocka_unit_test(test_scram_verifier__refuses_every_prefix),
		cmocka_unit_test(test_scram_verifier__mock_is_stable_and_its_own),
	};
	return cmocka_run_group_tests_name("scram_verifier", tests, NULL, NULL);
}
