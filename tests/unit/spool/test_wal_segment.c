/*
 * wal_segment: names as PostgreSQL makes them, and one mapping for all readers.
 */
#include "spool/wal_segment.h"

#include "spool/wal_store.h"
#include "support/wal_fixture.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define SEGMENT WAL_SEGMENT_MIN

/* As pg_walfile_name() and XLogFileName() tell them. */
static const struct {
	tli_t tli;
	lsn_t lsn;
	uint32_t segment_bytes;
	const char *name;
} names[] = {
	{1, 0x01000000, 16 << 20, "000000010000000000000001"},
	{1, 0xFFFFFFFFFF, 16 << 20, "00000001000000FF000000FF"},
	{0xAB, UINT64_C(0x1600000000), 16 << 20, "000000AB0000001600000000"},
	{2, UINT64_C(0x2FFF00000), 1 << 20, "000000020000000200000FFF"},
	{2, UINT64_C(0x2C0000000), 1 << 30, "000000020000000200000003"},
	{3, UINT64_C(0x504000000), 64 << 20, "000000030000000500000001"},
};

static void test_wal_segment__is_named_as_in_pg_wal(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		uint64_t number = wal_segment_number(names[i].lsn, names[i].segment_bytes);
		char name[WAL_SEGMENT_NAME_SIZE];
		uint64_t parsed_number;
		tli_t tli;

		wal_segment_name(names[i].tli, number, names[i].segment_bytes, name);
		assert_string_equal(name, names[i].name);
		assert_true(
			wal_segment_name_parse(name, names[i].segment_bytes, &tli, &parsed_number));
		assert_int_equal(tli, names[i].tli);
		assert_int_equal(parsed_number, number);
	}
}

static void test_wal_segment__knows_what_is_no_segments_name(void **state)
{
	static const char *const wrong[] = {"", "00000001000000000000000",
		"0000000100000000000000010", "00000001000000000000000a", "00000001.history",
		"000000010000000000000001.partial", "000000000000000000000001",
		"000000010000000000000100", " 0000001000000000000001", "next_segment.tmp"};
	uint64_t number;
	tli_t tli;

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		assert_false(wal_segment_name_parse(wrong[i], 16 << 20, &tli, &number));
	}
}

struct files {
	char path[64];
	int fd;
	struct wal_segment_cache *cache;
};

static void write_segment(const struct files *files, const char *name, off_t length, char first)
{
	int fd = openat(files->fd, name, O_RDWR | O_CREAT | O_TRUNC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, length), 0);
	assert_int_equal(pwrite(fd, &first, 1, 0), 1);
	close(fd);
}

static void files_open(struct files *files)
{
	(void)snprintf(files->path, sizeof(files->path), "/tmp/walrelay_test_XXXXXX");
	assert_non_null(mkdtemp(files->path));
	files->fd = open(files->path, O_RDONLY | O_DIRECTORY);
	files->cache = wal_segment_cache_new(files->fd);
}

static void files_close(struct files *files)
{
	wal_segment_cache_free(&files->cache);
	close(files->fd);
	fixture_remove_files(files->path);
	assert_int_equal(rmdir(files->path), 0);
}

static struct wal_segment *get(struct files *files, uint64_t number)
{
	struct error err = {0};
	struct wal_segment *segment = wal_segment_cache_get(files->cache, 1, number, SEGMENT, &err);

	if (segment == NULL) {
		fail_msg("%s", err.message);
	}
	return segment;
}

static void test_wal_segment__is_mapped_once_for_all(void **state)
{
	struct wal_segment *one, *two, *other;
	struct files files;

	(void)state;
	files_open(&files);
	write_segment(&files, "000000010000000000000005", SEGMENT, 'a');
	write_segment(&files, "000000010000000000000006", SEGMENT, 'b');
	one = get(&files, 5);
	two = get(&files, 5);
	other = get(&files, 6);
	assert_ptr_equal(one, two);
	assert_ptr_not_equal(one, other);
	assert_int_equal(wal_segment_bytes(one)[0], 'a');
	assert_int_equal(wal_segment_bytes(other)[0], 'b');
	wal_segment_unref(one);
	assert_int_equal(wal_segment_bytes(two)[0], 'a');
	/* What pwrite brings is seen at once. */
	write_segment(&files, "000000010000000000000006", SEGMENT, 'c');
	assert_int_equal(wal_segment_bytes(other)[0], 'c');
	wal_segment_unref(two);
	wal_segment_unref(other);
	files_close(&files);
}

static void test_wal_segment__outlives_its_name_and_its_cache(void **state)
{
	struct wal_segment *old, *new, *last;
	struct files files;
	char path[128];

	(void)state;
	files_open(&files);
	write_segment(&files, "000000010000000000000005", SEGMENT, 'a');
	old = get(&files, 5);
	(void)snprintf(path, sizeof(path), "%s/000000010000000000000005", files.path);
	assert_int_equal(unlink(path), 0);
	write_segment(&files, "000000010000000000000005", SEGMENT, 'b');
	wal_segment_cache_forget(files.cache, 1, 5);
	new = get(&files, 5);
	assert_int_equal(wal_segment_bytes(old)[0], 'a');
	assert_int_equal(wal_segment_bytes(new)[0], 'b');
	last = wal_segment_ref(new);
	wal_segment_unref(new);
	files_close(&files);
	wal_segment_unref(old);
	assert_int_equal(wal_segment_bytes(last)[0], 'b');
	wal_segment_unref(last);
}

static void test_wal_segment__has_to_be_there_and_whole(void **state)
{
	struct error err = {0};
	struct files files;

	(void)state;
	files_open(&files);
	assert_null(wal_segment_cache_get(files.cache, 1, 5, SEGMENT, &err));
	assert_int_equal(err.kind, ERROR_NOT_FOUND);
	write_segment(&files, "000000010000000000000005", SEGMENT - 1, 'a');
	assert_null(wal_segment_cache_get(files.cache, 1, 5, SEGMENT, &err));
	assert_int_equal(err.kind, ERROR_NOT_FOUND);
	assert_string_equal(err.message,
		"WAL segment \"000000010000000000000005\" has 1048575 bytes instead of 1048576");
	files_close(&files);
}

static void test_wal_segment__turns_bytes_the_disk_cannot_give_into_an_error(void **state)
{
	struct wal_segment *segment;
	struct error err = {0};
	struct files files;
	char path[128];

	(void)state;
	files_open(&files);
	write_segment(&files, "000000010000000000000005", SEGMENT, 'a');
	segment = get(&files, 5);
	assert_true(wal_segment_populate(segment, 100, SEGMENT - 100, &err));
	wal_segment_unref(segment);
	segment = get(&files, 5);
	/* A file cut short under the mapping: its pages cannot be had any more. */
	(void)snprintf(path, sizeof(path), "%s/000000010000000000000005", files.path);
	assert_int_equal(truncate(path, 4096), 0);
	assert_false(wal_segment_populate(segment, 0, SEGMENT, &err));
	assert_string_equal(err.message,
		"could not read WAL segment \"000000010000000000000005\": Bad address");
	wal_segment_unref(segment);
	files_close(&files);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_wal_segment__is_named_as_in_pg_wal),
		cmocka_unit_test(test_wal_segment__knows_what_is_no_segments_name),
		cmocka_unit_test(test_wal_segment__is_mapped_once_for_all),
		cmocka_unit_test(test_wal_segment__outlives_its_name_and_its_cache),
		cmocka_unit_test(test_wal_segment__has_to_be_there_and_whole),
		cmocka_unit_test(test_wal_segment__turns_bytes_the_disk_cannot_give_into_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
