/*
 * wal_prefetch: what only the disk has is in memory when it says so, in the order of asking.
 */
#include "spool/wal_prefetch.h"

#include "spool/wal_segment.h"
#include "spool/wal_store.h"
#include "support/wal_fixture.h"

#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define SEGMENT  WAL_SEGMENT_MIN
#define SEGMENTS 4

struct files {
	char path[64];
	int fd;
	struct wal_segment_cache *cache;
	struct wal_prefetch *prefetch;
};

/* What was answered, on the prefetch's thread. */
static struct {
	pthread_mutex_t lock;
	pthread_cond_t more;
	char order[64];
} answers = {.lock = PTHREAD_MUTEX_INITIALIZER, .more = PTHREAD_COND_INITIALIZER};

static void on_done(void *context)
{
	const char *name = context;

	pthread_mutex_lock(&answers.lock);
	answers.order[strlen(answers.order)] = *name;
	pthread_cond_signal(&answers.more);
	pthread_mutex_unlock(&answers.lock);
}

static void wait_for_answers(size_t count)
{
	struct timespec until;
	int failed = 0;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += 10;
	pthread_mutex_lock(&answers.lock);
	while (strlen(answers.order) < count && failed == 0) {
		failed = pthread_cond_timedwait(&answers.more, &answers.lock, &until);
	}
	pthread_mutex_unlock(&answers.lock);
	assert_int_equal(failed, 0);
}

static void segment_path(const struct files *files, uint64_t number, char path_out[128])
{
	char name[WAL_SEGMENT_NAME_SIZE];

	wal_segment_name(1, number, SEGMENT, name);
	(void)snprintf(path_out, 128, "%s/%s", files->path, name);
}

/* On disk and, where the file system can do that, not in memory. */
static void write_segment(const struct files *files, uint64_t number)
{
	uint8_t *bytes = malloc(SEGMENT);
	char path[128];
	int fd;

	assert_non_null(bytes);
	memset(bytes, (int)('a' + number), SEGMENT);
	segment_path(files, number, path);
	fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
	assert_int_equal(write(fd, bytes, SEGMENT), SEGMENT);
	assert_int_equal(fsync(fd), 0);
	assert_int_equal(posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED), 0);
	close(fd);
	free(bytes);
}

static void files_open(struct files *files)
{
	struct error err = {0};

	(void)snprintf(files->path, sizeof(files->path), "/tmp/walrelay_test_XXXXXX");
	assert_non_null(mkdtemp(files->path));
	files->fd = open(files->path, O_RDONLY | O_DIRECTORY);
	files->cache = wal_segment_cache_new(files->fd);
	for (uint64_t number = 0; number < SEGMENTS; number++) {
		write_segment(files, number);
	}
	memset(answers.order, 0, sizeof(answers.order));
	files->prefetch = wal_prefetch_new(&err);
	assert_non_null(files->prefetch);
}

static void files_close(struct files *files)
{
	wal_prefetch_free(&files->prefetch);
	wal_segment_cache_free(&files->cache);
	close(files->fd);
	fixture_remove_files(files->path);
	assert_int_equal(rmdir(files->path), 0);
}

static struct wal_segment *get(struct files *files, uint64_t number)
{
	struct error err = {0};
	struct wal_segment *segment = wal_segment_cache_get(files->cache, 1, number, SEGMENT, &err);

	assert_non_null(segment);
	return segment;
}

static void test_wal_prefetch__brings_into_memory_what_only_the_disk_has(void **state)
{
	struct wal_on_disk stretch = {.offset = SEGMENT / 2, .length = 8192};
	struct files files;
	bool was_resident;

	(void)state;
	files_open(&files);
	stretch.segment = get(&files, 0);
	was_resident = wal_segment_is_resident(stretch.segment, stretch.offset, stretch.length);
	wal_prefetch_read(files.prefetch, &stretch, on_done, "0");
	wait_for_answers(1);
	assert_true(wal_segment_is_resident(stretch.segment, stretch.offset, stretch.length));
	assert_int_equal(wal_segment_bytes(stretch.segment)[stretch.offset], 'a');
	wal_segment_unref(stretch.segment);
	files_close(&files);
	if (was_resident) {
		skip();
	}
}

static void test_wal_prefetch__answers_in_order_and_before_its_end(void **state)
{
	static const char *const names[SEGMENTS] = {"0", "1", "2", "3"};
	struct files files;

	(void)state;
	files_open(&files);
	for (uint64_t number = 0; number < SEGMENTS; number++) {
		struct wal_on_disk stretch = {.segment = get(&files, number), .length = 1};

		wal_prefetch_read(files.prefetch, &stretch, on_done, (void *)names[number]);
		/* It has its own reference. */
		wal_segment_unref(stretch.segment);
	}
	wal_prefetch_free(&files.prefetch);
	assert_string_equal(answers.order, "0123");
	files_close(&files);
}

static void test_wal_prefetch__answers_also_when_the_disk_cannot(void **state)
{
	struct wal_on_disk stretch = {.length = SEGMENT};
	struct error err = {0};
	struct files files;
	char path[128];

	(void)state;
	files_open(&files);
	stretch.segment = get(&files, 2);
	segment_path(&files, 2, path);
	assert_int_equal(truncate(path, 0), 0);
	wal_prefetch_read(files.prefetch, &stretch, on_done, "2");
	wait_for_answers(1);
	assert_false(wal_segment_is_resident(stretch.segment, 0, SEGMENT));
	assert_false(wal_segment_populate(stretch.segment, 0, SEGMENT, &err));
	wal_segment_unref(stretch.segment);
	files_close(&files);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_wal_prefetch__brings_into_memory_what_only_the_disk_has),
		cmocka_unit_test(test_wal_prefetch__answers_in_order_and_before_its_end),
		cmocka_unit_test(test_wal_prefetch__answers_also_when_the_disk_cannot),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
