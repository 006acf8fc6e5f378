/*
 * durable_file: what the calls do, in which order, and what is left when one fails.
 */
#include "base/durable_file.h"

#include "support/disk_recorder.h"

#include <errno.h>
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

struct fixture {
	char path[64];
	struct disk_recorder *recorder;
	struct durable_operations operations;
	struct durable_directory *directory;
};

static void fixture_open(struct fixture *fixture)
{
	struct error err;

	(void)snprintf(fixture->path, sizeof(fixture->path), "/tmp/walrelay_test_XXXXXX");
	assert_non_null(mkdtemp(fixture->path));
	fixture->recorder = disk_recorder_new();
	fixture->operations = disk_recorder_operations(fixture->recorder);
	fixture->directory = durable_directory_open(fixture->path, &fixture->operations, &err);
	assert_non_null(fixture->directory);
}

static void fixture_close(struct fixture *fixture)
{
	durable_directory_close(&fixture->directory);
	disk_recorder_free(fixture->recorder);
	assert_int_equal(rmdir(fixture->path), 0);
}

static void check_events(
	const struct fixture *fixture, const enum disk_event_kind *kinds, size_t count)
{
	assert_int_equal(disk_recorder_count(fixture->recorder), count);
	for (size_t i = 0; i < count; i++) {
		assert_int_equal(disk_recorder_event(fixture->recorder, i)->kind, kinds[i]);
	}
}

static void check_file(const struct fixture *fixture, const char *name, const char *expected)
{
	char path[128], text[64] = "";
	struct stat status;
	int fd;

	(void)snprintf(path, sizeof(path), "%s/%s", fixture->path, name);
	fd = open(path, O_RDONLY);
	assert_true(fd >= 0);
	assert_int_equal(fstat(fd, &status), 0);
	assert_int_equal(status.st_mode & 0777, 0600);
	assert_int_equal(read(fd, text, sizeof(text)), strlen(expected));
	assert_string_equal(text, expected);
	close(fd);
}

static bool has_file(const struct fixture *fixture, const char *name)
{
	char path[128];

	(void)snprintf(path, sizeof(path), "%s/%s", fixture->path, name);
	return access(path, F_OK) == 0;
}

static void test_durable_file__creates_a_private_directory(void **state)
{
	char path[] = "/tmp/walrelay_test_XXXXXX";
	struct durable_directory *directory;
	struct error err;
	struct stat status;

	(void)state;
	assert_non_null(mkdtemp(path));
	assert_int_equal(rmdir(path), 0);
	directory = durable_directory_open(path, NULL, &err);
	assert_non_null(directory);
	assert_int_equal(stat(path, &status), 0);
	assert_int_equal(status.st_mode & 0777, 0700);
	assert_true(durable_directory_sync(directory, &err));
	durable_directory_close(&directory);
	assert_null(directory);
	assert_int_equal(rmdir(path), 0);
	assert_null(durable_directory_open("/tmp/walrelay_no/such", NULL, &err));
	assert_string_equal(err.message,
		"could not create directory \"/tmp/walrelay_no/such\": No such file or directory");
}

static void test_durable_file__allocates_writes_and_syncs(void **state)
{
	static const enum disk_event_kind kinds[] = {
		DISK_CREATE, DISK_SIZE, DISK_WRITE, DISK_SYNC, DISK_RENAME, DISK_SYNC_NAMES};
	struct durable_file *file;
	struct fixture fixture;
	struct error err;
	struct stat status;
	char path[128];

	(void)state;
	fixture_open(&fixture);
	file = durable_file_create(fixture.directory, "new", 10000, &err);
	assert_non_null(file);
	assert_true(durable_file_write(file, 5000, "abc", 3, &err));
	assert_true(durable_file_sync(file, &err));
	assert_true(durable_directory_rename(fixture.directory, "new", "old", &err));
	assert_true(durable_directory_sync(fixture.directory, &err));
	durable_file_close(&file);
	check_events(&fixture, kinds, 6);
	(void)snprintf(path, sizeof(path), "%s/old", fixture.path);
	assert_int_equal(stat(path, &status), 0);
	assert_int_equal(status.st_size, 10000);
	assert_true(durable_directory_unlink(fixture.directory, "old", &err));
	assert_false(durable_directory_unlink(fixture.directory, "old", &err));
	assert_int_equal(err.kind, ERROR_NOT_FOUND);
	fixture_close(&fixture);
}

static void test_durable_file__stores_a_file_as_one(void **state)
{
	static const enum disk_event_kind kinds[] = {
		DISK_CREATE, DISK_WRITE, DISK_SYNC, DISK_RENAME, DISK_SYNC_NAMES};
	struct fixture fixture;
	struct error err;

	(void)state;
	fixture_open(&fixture);
	assert_true(durable_file_store(fixture.directory, "file", "first", 5, &err));
	check_events(&fixture, kinds, 5);
	check_file(&fixture, "file", "first");
	for (size_t nth = 1; nth <= 5; nth++) {
		disk_recorder_fail(fixture.recorder, nth, ENOSPC, false);
		assert_false(durable_file_store(fixture.directory, "file", "second", 6, &err));
		/* Only the directory's own sync comes after the replacement. */
		check_file(&fixture, "file", nth < 5 ? "first" : "second");
		assert_false(has_file(&fixture, "file.tmp"));
	}
	assert_true(durable_directory_unlink(fixture.directory, "file", &err));
	fixture_close(&fixture);
}

static void test_durable_file__tells_full_from_broken(void **state)
{
	struct durable_file *file;
	struct fixture fixture;
	char expected[128];
	struct error err;

	(void)state;
	fixture_open(&fixture);
	disk_recorder_fail(fixture.recorder, 2, ENOSPC, false);
	assert_null(durable_file_create(fixture.directory, "new", 10000, &err));
	assert_int_equal(err.kind, ERROR_FULL);
	(void)snprintf(expected, sizeof(expected),
		"could not allocate \"%s/new\": No space left on device", fixture.path);
	assert_string_equal(err.message, expected);
	assert_false(has_file(&fixture, "new"));
	file = durable_file_create(fixture.directory, "new", 10000, &err);
	assert_non_null(file);
	disk_recorder_fail(fixture.recorder, 1, EDQUOT, false);
	assert_false(durable_file_write(file, 0, "abc", 3, &err));
	assert_int_equal(err.kind, ERROR_FULL);
	disk_recorder_fail(fixture.recorder, 1, EINTR, false);
	assert_true(durable_file_write(file, 0, "abc", 3, &err));
	disk_recorder_fail(fixture.recorder, 1, EIO, false);
	assert_false(durable_file_sync(file, &err));
	assert_int_equal(err.kind, ERROR_SYSTEM);
	assert_int_equal(err.saved_errno, EIO);
	durable_file_close(&file);
	assert_null(durable_file_open(fixture.directory, "none", &err));
	assert_int_equal(err.kind, ERROR_NOT_FOUND);
	assert_true(durable_directory_unlink(fixture.directory, "new", &err));
	fixture_close(&fixture);
}

static ssize_t write_little(void *context, int fd, const void *bytes, size_t length, off_t offset)
{
	(void)context;
	return pwrite(fd, bytes, length < 2 ? length : 2, offset);
}

static void test_durable_file__carries_on_a_short_write(void **state)
{
	char path[] = "/tmp/walrelay_test_XXXXXX";
	struct durable_operations operations = durable_system_operations;
	struct fixture fixture;
	struct error err;

	(void)state;
	assert_non_null(mkdtemp(path));
	operations.pwrite = write_little;
	fixture.directory = durable_directory_open(path, &operations, &err);
	assert_non_null(fixture.directory);
	memcpy(fixture.path, path, sizeof(path));
	assert_true(durable_file_store(fixture.directory, "file", "0123456", 7, &err));
	check_file(&fixture, "file", "0123456");
	assert_true(durable_directory_unlink(fixture.directory, "file", &err));
	durable_directory_close(&fixture.directory);
	assert_int_equal(rmdir(path), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_durable_file__creates_a_private_directory),
		cmocka_unit_test(test_durable_file__allocates_writes_and_syncs),
		cmocka_unit_test(test_durable_file__stores_a_file_as_one),
		cmocka_unit_test(test_durable_file__tells_full_from_broken),
		cmocka_unit_test(test_durable_file__carries_on_a_short_write),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
