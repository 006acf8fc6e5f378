#include "protocol/wal_record.h"

#include "link_wal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static void test_wal_record__knows_the_flags_of_each_version(void **state)
{
	static const struct {
		uint16_t magic;
		int major;
		uint8_t info;
		bool is_understood, is_compressed;
	} cases[] = {
		{0xD106, 13, 0x02, true, true},  /* IS_COMPRESSED */
		{0xD106, 13, 0x04, true, false}, /* APPLY */
		{0xD10D, 14, 0x07, true, true},
		{0xD10D, 14, 0x08, false, false},
		{0xD110, 15, 0x02, true, false}, /* APPLY */
		{0xD110, 15, 0x04, true, true},  /* pglz */
		{0xD113, 16, 0x08, true, true},  /* lz4 */
		{0xD116, 17, 0x10, true, true},  /* zstd */
		{0xD118, 18, 0x1F, true, true},
		{0xD118, 18, 0x20, false, false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct wal_version *version = wal_version_find(cases[i].magic);
		struct wal_record_head head = {.block_count = 1}, decoded;
		uint8_t bytes[WAL_RECORD_HEAD_MAX];
		enum decode_result result;
		size_t need;

		assert_non_null(version);
		assert_int_equal(version->major, cases[i].major);
		head.blocks[0].flags = WAL_BLOCK_HAS_IMAGE;
		head.blocks[0].image_length = 100;
		head.blocks[0].image_info = cases[i].info;
		head.blocks[0].has_hole_length = cases[i].is_compressed && (cases[i].info & 1) != 0;
		head.length = wal_record_head_bytes(&head);
		head.total = head.length + 100;
		wal_record_head_encode(&head, bytes);
		result = wal_record_head_decode(version, bytes, head.length, &decoded, &need);
		assert_int_equal(result, cases[i].is_understood ? DECODE_OK : DECODE_BAD);
		if (cases[i].is_understood) {
			assert_int_equal(
				decoded.blocks[0].image_is_compressed, cases[i].is_compressed);
		}
	}
	assert_null(wal_version_find(0xD119));
	assert_null(wal_version_find(0));
}

/* Every record of made-up WAL: each prefix asks for more, the whole comes back byte for byte. */
static void test_wal_record__every_prefix_of_a_head_asks_for_more(void **state)
{
	struct link_wal *wal = link_wal_new(1 << 24, 1 << 24, 300000, 1);
	const struct wal_version *version = wal_version_find(wal->magic);

	(void)state;
	while (wal->length < 300000) {
		lsn_t start = link_wal_add_random(wal);
		const uint8_t *bytes = wal->bytes + (start - wal->start);
		size_t room = WAL_PAGE_BYTES - start % WAL_PAGE_BYTES, length = 0, need = 0;
		uint8_t again[WAL_RECORD_HEAD_MAX];
		struct wal_record_head head;

		for (; length <= room; length++) {
			enum decode_result result =
				wal_record_head_decode(version, bytes, length, &head, &need);

			assert_int_not_equal(result, DECODE_BAD);
			if (result == DECODE_OK) {
				break;
			}
			assert_true(need > length && need <= WAL_RECORD_HEAD_MAX);
		}
		if (length <= room) {
			assert_int_equal(length, head.length);
			assert_int_equal(head.length, wal_record_head_bytes(&head));
			assert_int_equal(head.total, head.length + wal_record_payload_bytes(&head));
			wal_record_head_encode(&head, again);
			assert_memory_equal(again, bytes, head.length);
		}
	}
	link_wal_free(wal);
}

/* What is wrong with a record that is otherwise right: one byte of it. */
static void test_wal_record__refuses_what_no_version_writes(void **state)
{
	/* 24 header, 0 id, 1 flags, 2-3 data length, 4-15 relation, 16-19 block, 20 255, 21 length
	 */
	static const struct {
		const char *name;
		size_t at;
		uint8_t value;
	} cases[] = {
		{"total shorter than a header", 0, 23},
		{"total shorter than its parts", 0, 24 + 22 + 10},
		{"total longer than its parts", 0, 24 + 22 + 12},
		{"total beyond any record", 3, 0x40},
		{"padding of the header", 18, 1},
		{"block id between blocks and parts", 24, 33},
		{"data length without data", 25, 0},
		{"same relation as no block", 25, 0xA0},
		{"unknown part", 44, 251},
	};
	struct wal_record_head head = {.block_count = 1, .main_id = WAL_ID_DATA_SHORT}, decoded;
	const struct wal_version *version = wal_version_find(0xD110);
	uint8_t bytes[128] = {0};
	size_t need;

	(void)state;
	head.main_length = 5;
	head.blocks[0].flags = WAL_BLOCK_HAS_DATA;
	head.blocks[0].data_length = 6;
	head.length = wal_record_head_bytes(&head);
	head.total = head.length + 11;
	wal_record_head_encode(&head, bytes);
	assert_int_equal(
		wal_record_head_decode(version, bytes, head.total, &decoded, &need), DECODE_OK);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint8_t kept = bytes[cases[i].at];

		bytes[cases[i].at] = cases[i].value;
		if (wal_record_head_decode(version, bytes, head.total, &decoded, &need) !=
			DECODE_BAD) {
			fail_msg("%s", cases[i].name);
		}
		bytes[cases[i].at] = kept;
	}
}

static void test_wal_record__page_headers_have_to_be_exact(void **state)
{
	struct link_wal *wal = link_wal_new(1 << 24, 1 << 20, 100000, 2);
	struct wal_page_header header;

	(void)state;
	link_wal_fill(wal, 100000);
	assert_true(wal_page_header_decode(wal->bytes, wal->start, 1 << 20, &header));
	assert_int_equal(header.segment_bytes, 1 << 20);
	assert_true(wal_page_header_decode(
		wal->bytes + WAL_PAGE_BYTES, wal->start + WAL_PAGE_BYTES, 1 << 20, &header));
	assert_int_equal(header.lsn, wal->start + WAL_PAGE_BYTES);
	assert_int_equal(header.tli, 1);
	assert_false(
		wal_page_header_decode(wal->bytes, wal->start + WAL_PAGE_BYTES, 1 << 20, &header));
	assert_false(wal_page_header_decode(wal->bytes, wal->start, 1 << 24, &header));
	wal->bytes[2] |= 0x10;
	assert_false(wal_page_header_decode(wal->bytes, wal->start, 1 << 20, &header));
	link_wal_free(wal);
}

static void test_wal_record__a_switch_is_told_from_its_neighbours(void **state)
{
	(void)state;
	assert_true(wal_record_is_switch(&(struct wal_record_head){.rmgr = 0, .info = 0x40}));
	assert_false(wal_record_is_switch(&(struct wal_record_head){.rmgr = 0, .info = 0x30}));
	assert_false(wal_record_is_switch(&(struct wal_record_head){.rmgr = 1, .info = 0x40}));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_wal_record__knows_the_flags_of_each_version),
		cmocka_unit_test(test_wal_record__every_prefix_of_a_head_asks_for_more),
		cmocka_unit_test(test_wal_record__refuses_what_no_version_writes),
		cmocka_unit_test(test_wal_record__page_headers_have_to_be_exact),
		cmocka_unit_test(test_wal_record__a_switch_is_told_from_its_neighbours),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
