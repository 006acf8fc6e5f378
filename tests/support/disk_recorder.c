/*
 * disk_recorder: one lock around each call, so that the order written down is the order done.
 */
#include "support/disk_recorder.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FDS_MAX   4096
#define FILES_MAX 1024

struct disk_recorder {
	pthread_mutex_t lock;
	struct disk_event *events;
	size_t count;
	size_t capacity;
	int file_of_fd[FDS_MAX];
	int files;
	/* Names as the running program sees them. */
	char names[FILES_MAX][64];
	size_t fail_in; /* 0: never */
	int fail_errno;
	bool is_lasting;
	bool is_full;
	bool has_kind;
	enum disk_event_kind fail_kind;
	bool has_failed;
	enum disk_event_kind failed_kind;
};

struct disk_recorder *disk_recorder_new(void)
{
	struct disk_recorder *recorder = calloc(1, sizeof(*recorder));

	assert(recorder != NULL);
	pthread_mutex_init(&recorder->lock, NULL);
	return recorder;
}

void disk_recorder_free(struct disk_recorder *recorder)
{
	for (size_t i = 0; i < recorder->count; i++) {
		free(recorder->events[i].bytes);
	}
	free(recorder->events);
	pthread_mutex_destroy(&recorder->lock);
	free(recorder);
}

/* Under lock. */
static struct disk_event *add(struct disk_recorder *recorder, enum disk_event_kind kind)
{
	struct disk_event *event;

	if (recorder->count == recorder->capacity) {
		recorder->capacity = recorder->capacity == 0 ? 1024 : 2 * recorder->capacity;
		recorder->events = reallocarray(
			recorder->events, recorder->capacity, sizeof(*recorder->events));
		assert(recorder->events != NULL);
	}
	event = &recorder->events[recorder->count++];
	*event = (struct disk_event){.kind = kind};
	return event;
}

static void set_bytes(struct disk_event *event, const void *bytes, size_t length)
{
	event->bytes = malloc(length + 1);
	assert(event->bytes != NULL);
	if (length > 0) {
		memcpy(event->bytes, bytes, length);
	}
	event->length = length;
}

static void set_name(char target[64], const char *name)
{
	assert(strlen(name) < 64);
	memset(target, 0, 64);
	memcpy(target, name, strlen(name));
}

/* Under lock. */
static bool fails(struct disk_recorder *recorder, enum disk_event_kind kind)
{
	if (recorder->fail_in == 0 || (recorder->has_kind && recorder->fail_kind != kind) ||
		--recorder->fail_in > 0) {
		return false;
	}
	if (recorder->is_lasting) {
		recorder->fail_in = 1;
	}
	if (!recorder->has_failed) {
		recorder->has_failed = true;
		recorder->failed_kind = kind;
	}
	errno = recorder->fail_errno;
	return true;
}

static int find_name(const struct disk_recorder *recorder, const char *name)
{
	for (int i = 0; i < recorder->files; i++) {
		if (strcmp(recorder->names[i], name) == 0) {
			return i;
		}
	}
	return -1;
}

struct disk_recorder *disk_recorder_continue(const struct disk_recorder *from, size_t count)
{
	struct disk_recorder *recorder = disk_recorder_new();

	for (size_t i = 0; i < count; i++) {
		const struct disk_event *event = &from->events[i];
		struct disk_event *copy = add(recorder, event->kind);
		uint8_t *bytes = event->bytes;
		int old;

		*copy = *event;
		copy->bytes = NULL;
		if (bytes != NULL) {
			set_bytes(copy, bytes, event->length);
		}
		if (event->kind == DISK_CREATE || event->kind == DISK_RENAME) {
			const char *name = event->kind == DISK_CREATE ? event->name : event->to;

			old = find_name(recorder, name);
			if (old >= 0) {
				recorder->names[old][0] = '\0';
			}
			recorder->files += event->kind == DISK_CREATE;
			set_name(recorder->names[event->file], name);
		} else if (event->kind == DISK_UNLINK && event->file >= 0) {
			recorder->names[event->file][0] = '\0';
		}
	}
	return recorder;
}

static int record_open(void *context, int directory_fd, const char *name, int flags, mode_t mode)
{
	struct disk_recorder *recorder = context;
	int fd = -1;

	pthread_mutex_lock(&recorder->lock);
	if (!fails(recorder, DISK_CREATE)) {
		fd = openat(directory_fd, name, flags, mode);
	}
	if (fd >= 0 && (flags & O_CREAT) != 0) {
		int old = find_name(recorder, name);
		struct disk_event *event = add(recorder, DISK_CREATE);

		assert(recorder->files < FILES_MAX);
		if (old >= 0) {
			recorder->names[old][0] = '\0';
		}
		event->file = recorder->files;
		set_name(event->name, name);
		set_name(recorder->names[recorder->files], name);
		recorder->file_of_fd[fd] = recorder->files++;
	} else if (fd >= 0) {
		assert(find_name(recorder, name) >= 0);
		recorder->file_of_fd[fd] = find_name(recorder, name);
	}
	pthread_mutex_unlock(&recorder->lock);
	return fd;
}

static int record_close(void *context, int fd)
{
	(void)context;
	return close(fd);
}

static ssize_t record_pwrite(void *context, int fd, const void *bytes, size_t length, off_t offset)
{
	struct disk_recorder *recorder = context;
	ssize_t written = -1;

	pthread_mutex_lock(&recorder->lock);
	if (!fails(recorder, DISK_WRITE)) {
		written = pwrite(fd, bytes, length, offset);
	}
	if (written > 0) {
		struct disk_event *event = add(recorder, DISK_WRITE);

		event->file = recorder->file_of_fd[fd];
		event->offset = (uint64_t)offset;
		set_bytes(event, bytes, (size_t)written);
	}
	pthread_mutex_unlock(&recorder->lock);
	return written;
}

static int record_simple(
	struct disk_recorder *recorder, enum disk_event_kind kind, int fd, off_t length)
{
	int result = -1;

	pthread_mutex_lock(&recorder->lock);
	if (kind == DISK_SIZE && recorder->is_full) {
		errno = ENOSPC;
	} else if (!fails(recorder, kind)) {
		/* Tests run in memory: a real sync would only take time. */
		errno = kind == DISK_SIZE ? posix_fallocate(fd, 0, length) : 0;
		result = errno == 0 ? 0 : -1;
	}
	if (result == 0) {
		struct disk_event *event = add(recorder, kind);

		event->file = recorder->file_of_fd[fd];
		event->offset = (uint64_t)length;
	}
	pthread_mutex_unlock(&recorder->lock);
	return result;
}

static int record_allocate(void *context, int fd, off_t length)
{
	return record_simple(context, DISK_SIZE, fd, length);
}

static int record_fdatasync(void *context, int fd)
{
	return record_simple(context, DISK_SYNC, fd, 0);
}

static int record_fsync(void *context, int fd)
{
	return record_simple(context, DISK_SYNC_NAMES, fd, 0);
}

static int record_rename(void *context, int directory_fd, const char *from, const char *to)
{
	struct disk_recorder *recorder = context;
	int result = -1;

	pthread_mutex_lock(&recorder->lock);
	if (!fails(recorder, DISK_RENAME)) {
		result = renameat(directory_fd, from, directory_fd, to);
	}
	if (result == 0) {
		struct disk_event *event = add(recorder, DISK_RENAME);
		int old = find_name(recorder, to);

		if (old >= 0) {
			recorder->names[old][0] = '\0';
		}
		event->file = find_name(recorder, from);
		assert(event->file >= 0);
		set_name(event->name, from);
		set_name(event->to, to);
		set_name(recorder->names[event->file], to);
	}
	pthread_mutex_unlock(&recorder->lock);
	return result;
}

static int record_unlink(void *context, int directory_fd, const char *name)
{
	struct disk_recorder *recorder = context;
	int result = -1;

	pthread_mutex_lock(&recorder->lock);
	if (!fails(recorder, DISK_UNLINK)) {
		result = unlinkat(directory_fd, name, 0);
	}
	if (result == 0) {
		struct disk_event *event = add(recorder, DISK_UNLINK);
		int file = find_name(recorder, name);

		event->file = file;
		set_name(event->name, name);
		if (file >= 0) {
			recorder->names[file][0] = '\0';
		}
	}
	pthread_mutex_unlock(&recorder->lock);
	return result;
}

struct durable_operations disk_recorder_operations(struct disk_recorder *recorder)
{
	return (struct durable_operations){.context = recorder,
		.open = record_open,
		.close = record_close,
		.pwrite = record_pwrite,
		.allocate = record_allocate,
		.fdatasync = record_fdatasync,
		.fsync = record_fsync,
		.rename = record_rename,
		.unlink = record_unlink};
}

void disk_recorder_mark(struct disk_recorder *recorder, int mark, uint64_t value0, uint64_t value1,
	const void *bytes, size_t length)
{
	struct disk_event *event;

	pthread_mutex_lock(&recorder->lock);
	event = add(recorder, DISK_MARK);
	event->mark = mark;
	event->values[0] = value0;
	event->values[1] = value1;
	set_bytes(event, bytes, length);
	pthread_mutex_unlock(&recorder->lock);
}

size_t disk_recorder_count(const struct disk_recorder *recorder)
{
	return recorder->count;
}

const struct disk_event *disk_recorder_event(const struct disk_recorder *recorder, size_t index)
{
	return &recorder->events[index];
}

void disk_recorder_fail(
	struct disk_recorder *recorder, size_t nth, int error_number, bool is_lasting)
{
	pthread_mutex_lock(&recorder->lock);
	recorder->fail_in = nth;
	recorder->fail_errno = error_number;
	recorder->is_lasting = is_lasting;
	recorder->has_kind = false;
	pthread_mutex_unlock(&recorder->lock);
}

void disk_recorder_fail_kind(
	struct disk_recorder *recorder, enum disk_event_kind kind, size_t nth, int error_number)
{
	pthread_mutex_lock(&recorder->lock);
	recorder->fail_in = nth;
	recorder->fail_errno = error_number;
	recorder->is_lasting = false;
	recorder->has_kind = true;
	recorder->fail_kind = kind;
	pthread_mutex_unlock(&recorder->lock);
}

bool disk_recorder_failed(const struct disk_recorder *recorder, enum disk_event_kind *kind_out)
{
	if (recorder->has_failed) {
		*kind_out = recorder->failed_kind;
	}
	return recorder->has_failed;
}

void disk_recorder_full(struct disk_recorder *recorder, bool is_full)
{
	pthread_mutex_lock(&recorder->lock);
	recorder->is_full = is_full;
	pthread_mutex_unlock(&recorder->lock);
}
