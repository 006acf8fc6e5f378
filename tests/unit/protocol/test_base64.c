/* Vectors of RFC 4648, section 10, and everything that is not quite base64. */
#include "protocol/base64.h"

/* clang-format off */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
/* clang-format on */
#include <string.h>

static const struct {
	const char *bytes;
	const char *text;
} vectors[] = {
	{"f", "Zg=="},
	{"fo", "Zm8="},
	{"foo", "Zm9v"},
	{"foob", "Zm9vYg=="},
	{"fooba", "Zm9vYmE="},
	{"foobar", "Zm9vYmFy"},
	{"\xfb\xff\xbf", "+/+/"},
};

static void test_base64__encodes_the_vectors(void **state)
{
	char text[16];

	(void)state;
	assert_int_equal(base64_encode("", 0, text), 0);
	assert_string_equal(text, "");
	for (size_t i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++) {
		size_t length = strlen(vectors[i].bytes);

		assert_int_equal(
			base64_encode(vectors[i].bytes, length, text), strlen(vectors[i].text));
		assert_string_equal(text, vectors[i].text);
		assert_int_equal(BASE64_SIZE(length), strlen(text) + 1);
	}
}

static void test_base64__decodes_the_vectors(void **state)
{
	uint8_t bytes[16];
	size_t length;

	(void)state;
	for (size_t i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++) {
		assert_true(base64_decode(vectors[i].text, strlen(vectors[i].text), bytes,
			strlen(vectors[i].bytes), &length));
		assert_int_equal(length, strlen(vectors[i].bytes));
		assert_memory_equal(bytes, vectors[i].bytes, length);
	}
}

static void test_base64__refuses_what_encoding_never_makes(void **state)
{
	static const char *const wrong[] = {"", "Z", "Zg",
		"Zg=", "Zg===", "Zg==Zg==", "====", "Z===", "=g==", "Zg=v", " Zg=", "Zm9v\n",
		"Zm9v    ", "Zh==", "Zm9=", "Zm-v", "Zm9v=", "Zm9v===="};
	uint8_t bytes[16];
	size_t length;

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		if (base64_decode(wrong[i], strlen(wrong[i]), bytes, sizeof(bytes), &length)) {
			fail_msg("\"%s\" was taken", wrong[i]);
		}
	}
}

static void test_base64__refuses_more_than_fits(void **state)
{
	uint8_t bytes[5] = {0};
	size_t length = 99;

	(void)state;
	assert_false(base64_decode("Zm9vYmFy", 8, bytes, sizeof(bytes), &length));
	assert_int_equal(length, 99);
	assert_true(base64_decode("Zm9vYmE=", 8, bytes, sizeof(bytes), &length));
	assert_int_equal(length, 5);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_base64__encodes_the_vectors),
		cmocka_unit_test(test_base64__decodes_the_vectors),
		cmocka_unit_test(test_base64__refuses_what_encoding_never_makes),
		cmocka_unit_test(test_base64__refuses_more_than_fits),
	};
	return cmocka_run_group_tests_name("base64", tests, NULL, NULL);
}
