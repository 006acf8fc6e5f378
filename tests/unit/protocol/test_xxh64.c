/*
 * xxh64: published values, and what libzstd makes of the same bytes.
 */
#include "protocol/xxh64.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <zstd.h>

static void test_xxh64__gives_the_published_values(void **state)
{
	(void)state;
	assert_int_equal(xxh64("", 0, 0), 0xEF46DB3751D8E999u);
	assert_int_equal(xxh64("a", 1, 0), 0xD24EC4F1A98C6E5Bu);
	assert_int_equal(xxh64("abc", 3, 0), 0x44BC2CF5AD770999u);
}

/* A zstd frame may end with the low half of the XXH64 of its content (RFC 8878, 3.1.1). */
static uint32_t checksum_of_frame(ZSTD_CCtx *zstd, const uint8_t *bytes, size_t length)
{
	uint8_t frame[1024];
	uint32_t checksum;
	size_t count = ZSTD_compress2(zstd, frame, sizeof(frame), bytes, length);

	assert_false(ZSTD_isError(count));
	memcpy(&checksum, frame + count - 4, 4);
	return checksum;
}

static void test_xxh64__is_what_zstd_has_for_it(void **state)
{
	ZSTD_CCtx *zstd = ZSTD_createCCtx();
	uint8_t bytes[300];

	(void)state;
	assert_non_null(zstd);
	assert_false(ZSTD_isError(ZSTD_CCtx_setParameter(zstd, ZSTD_c_checksumFlag, 1)));
	for (size_t i = 0; i < sizeof(bytes); i++) {
		bytes[i] = (uint8_t)(i * 167 + (i >> 3));
	}
	for (size_t start = 0; start < 9; start++) {
		for (size_t length = 0; start + length <= sizeof(bytes); length++) {
			assert_int_equal((uint32_t)xxh64(bytes + start, length, 0),
				checksum_of_frame(zstd, bytes + start, length));
		}
	}
	ZSTD_freeCCtx(zstd);
}

static void test_xxh64__depends_on_the_seed(void **state)
{
	(void)state;
	assert_int_not_equal(xxh64("abc", 3, 0), xxh64("abc", 3, 1));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_xxh64__gives_the_published_values),
		cmocka_unit_test(test_xxh64__is_what_zstd_has_for_it),
		cmocka_unit_test(test_xxh64__depends_on_the_seed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
