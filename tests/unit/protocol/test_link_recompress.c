#include "protocol/link_recompress.h"

#include "link_wal.h"

#include "protocol/link_codec.h"
#include "protocol/pglz.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <lz4.h>
#include <stdio.h>
#include <zstd.h>

#define LZ4_INFO  0x08
#define ZSTD_INFO 0x10
#define PGLZ_INFO 0x04
#define HAS_HOLE  0x01

static void fill_page(uint8_t *page, size_t length)
{
	for (size_t at = 0; at < length; at++) {
		page[at] = (uint8_t)(at % 64 < 24 ? at * at / 64 : at / 512);
	}
}

static uint16_t compress(uint8_t info, const uint8_t *page, size_t length, uint8_t *image_out)
{
	if ((info & ZSTD_INFO) != 0) {
		return (uint16_t)ZSTD_compress(
			image_out, 2 * WAL_PAGE_BYTES, page, length, ZSTD_CLEVEL_DEFAULT);
	}
	if ((info & PGLZ_INFO) != 0) {
		static struct pglz_finder finder;

		return (uint16_t)pglz_compress(
			&finder, page, length, image_out, 2 * WAL_PAGE_BYTES);
	}
	return (uint16_t)LZ4_compress_default(
		(const char *)page, (char *)image_out, (int)length, 2 * WAL_PAGE_BYTES);
}

static void test_link_recompress__comes_to_the_same_bytes(void **state)
{
	static const struct {
		uint8_t info;
		uint16_t hole_length;
	} cases[] = {{LZ4_INFO, 0}, {LZ4_INFO | HAS_HOLE, 4000}, {ZSTD_INFO, 0},
		{ZSTD_INFO | HAS_HOLE, 4000}, {ZSTD_INFO | HAS_HOLE, 8000}, {PGLZ_INFO, 0},
		{PGLZ_INFO | HAS_HOLE, 4000}};
	struct link_recompressor *recompressor = link_recompressor_new();
	const struct wal_version *version = wal_version_find(0xD110);
	uint8_t page[WAL_PAGE_BYTES], image[2 * WAL_PAGE_BYTES], back[WAL_PAGE_BYTES];

	(void)state;
	assert_non_null(recompressor);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct wal_block block = {.image_info = cases[i].info,
			.image_is_compressed = true,
			.has_hole_length = cases[i].hole_length != 0,
			.hole_length = cases[i].hole_length,
			.hole_offset = 100};
		uint32_t length = wal_block_page_bytes(&block);
		const uint8_t *again;

		fill_page(page, length);
		block.image_length = compress(cases[i].info, page, length, image);
		assert_true(link_image_is_usable(
			LINK_RECOMPRESS_LZ4 | LINK_RECOMPRESS_ZSTD | LINK_RECOMPRESS_PGLZ, version,
			&block));
		assert_true(link_image_expand(recompressor, version, &block, image, back));
		assert_memory_equal(back, page, length);
		again = link_image_recompress(recompressor, version, &block, page);
		assert_non_null(again);
		assert_memory_equal(again, image, block.image_length);
		block.image_length++;
		assert_null(link_image_recompress(recompressor, version, &block, page));
	}
	link_recompressor_free(&recompressor);
}

static void test_link_recompress__refuses_what_is_no_such_page(void **state)
{
	static const struct {
		const char *name;
		uint8_t info, made;
		uint16_t hole_offset, hole_length, shorter;
		uint16_t magic;
	} cases[] = {
		{"a hole larger than the page", LZ4_INFO, LZ4_INFO, 0, 9000, 0, 0xD110},
		{"a hole that is the page", ZSTD_INFO, ZSTD_INFO, 0, 8192, 0, 0xD110},
		{"a hole past the end", LZ4_INFO, LZ4_INFO, 8000, 4000, 0, 0xD110},
		{"more bytes than that", LZ4_INFO, LZ4_INFO, 0, 100, 0, 0xD110},
		{"more bytes than that", ZSTD_INFO, ZSTD_INFO, 0, 100, 0, 0xD110},
		{"an image cut short", LZ4_INFO, LZ4_INFO, 0, 0, 1, 0xD110},
		{"an image cut short", ZSTD_INFO, ZSTD_INFO, 0, 0, 1, 0xD110},
		{"of the other library", ZSTD_INFO, LZ4_INFO, 0, 0, 0, 0xD110},
		{"more bytes than that", PGLZ_INFO, PGLZ_INFO, 0, 100, 0, 0xD110},
		{"an image cut short", PGLZ_INFO, PGLZ_INFO, 0, 0, 1, 0xD110},
		{"of two libraries", LZ4_INFO | ZSTD_INFO, LZ4_INFO, 0, 0, 0, 0xD110},
		{"of a version without lz4", 0x02, LZ4_INFO, 0, 0, 0, 0xD10D},
	};
	struct link_recompressor *recompressor = link_recompressor_new();
	uint8_t page[WAL_PAGE_BYTES], image[2 * WAL_PAGE_BYTES];

	(void)state;
	assert_non_null(recompressor);
	fill_page(page, sizeof(page));
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct wal_block block = {.image_info = cases[i].info,
			.image_is_compressed = true,
			.has_hole_length = cases[i].hole_length != 0,
			.hole_length = cases[i].hole_length,
			.hole_offset = cases[i].hole_offset};
		uint8_t back[WAL_PAGE_BYTES];

		block.image_length = (uint16_t)(compress(cases[i].made, page, sizeof(page), image) -
						cases[i].shorter);
		if (link_image_expand(
			    recompressor, wal_version_find(cases[i].magic), &block, image, back)) {
			fail_msg("%s", cases[i].name);
		}
	}
	link_recompressor_free(&recompressor);
}

static void test_link_recompress__only_the_same_versions_will_do(void **state)
{
	const char *ours = link_recompress_versions();
	char text[256];

	(void)state;
	assert_int_equal(link_recompress_usable(ours),
		LINK_RECOMPRESS_LZ4 | LINK_RECOMPRESS_ZSTD | LINK_RECOMPRESS_PGLZ);
	assert_int_equal(link_recompress_usable(""), 0);
	assert_int_equal(link_recompress_usable("lz4 zstd=1 lz4=0.0.1"), 0);
	snprintf(text, sizeof(text), "lz4=%s zstd=%s0 snappy=1", LZ4_versionString(),
		ZSTD_versionString());
	assert_int_equal(link_recompress_usable(text), LINK_RECOMPRESS_LZ4);
	snprintf(text, sizeof(text), "zstd=%s xlz4=%s", ZSTD_versionString(), LZ4_versionString());
	assert_int_equal(link_recompress_usable(text), LINK_RECOMPRESS_ZSTD);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_link_recompress__comes_to_the_same_bytes),
		cmocka_unit_test(test_link_recompress__refuses_what_is_no_such_page),
		cmocka_unit_test(test_link_recompress__only_the_same_versions_will_do),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
