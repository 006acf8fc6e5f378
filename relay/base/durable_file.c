/*
 * durable_file: writes that are on disk when they say so, through replaceable system calls.
 *
 * A write that was cut short or interrupted is carried on; a sync that failed is reported and never
 * tried again here, since the kernel may have dropped the dirty pages with the first failure.
 */
#include "base/durable_file.h"

#include "base/memory.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct durable_directory {
	struct durable_operations operations;
	char *path;
	int fd;
};

struct durable_file {
	struct durable_directory *directory;
	int fd;
	char name[NAME_MAX + 1];
};

static int system_open(void *context, int directory_fd, const char *name, int flags, mode_t mode)
{
	(void)context;
	return openat(directory_fd, name, flags, mode);
}

static int system_close(void *context, int fd)
{
	(void)context;
	return close(fd);
}

static ssize_t system_pwrite(void *context, int fd, const void *bytes, size_t length, off_t offset)
{
	(void)context;
	return pwrite(fd, bytes, length, offset);
}

static int system_allocate(void *context, int fd, off_t length)
{
	(void)context;
	errno = posix_fallocate(fd, 0, length);
	return errno == 0 ? 0 : -1;
}

static int system_fdatasync(void *context, int fd)
{
	(void)context;
	return fdatasync(fd);
}

static int system_fsync(void *context, int fd)
{
	(void)context;
	return fsync(fd);
}

static int system_rename(void *context, int directory_fd, const char *from, const char *to)
{
	(void)context;
	return renameat(directory_fd, from, directory_fd, to);
}

static int system_unlink(void *context, int directory_fd, const char *name)
{
	(void)context;
	return unlinkat(directory_fd, name, 0);
}

const struct durable_operations durable_system_operations = {
	.open = system_open,
	.close = system_close,
	.pwrite = system_pwrite,
	.allocate = system_allocate,
	.fdatasync = system_fdatasync,
	.fsync = system_fsync,
	.rename = system_rename,
	.unlink = system_unlink,
};

/* "could not VERB "DIRECTORY/NAME": strerror(errno)". */
static bool set_file_error(struct error *err, const struct durable_directory *directory,
	const char *verb, const char *name)
{
	int saved_errno = errno;

	(void)error_set_errno(err, "could not %s \"%s/%s\"", verb, directory->path, name);
	if (err != NULL && (saved_errno == ENOSPC || saved_errno == EDQUOT)) {
		err->kind = ERROR_FULL;
	}
	if (err != NULL && saved_errno == ENOENT) {
		err->kind = ERROR_NOT_FOUND;
	}
	return false;
}

/* A new directory's own name is an entry of its parent. */
static bool sync_parent(const struct durable_operations *call, const char *path, struct error *err)
{
	char *copy = memory_copy_text(path);
	const char *parent = dirname(copy);
	int fd = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	bool ok = fd >= 0 && call->fsync(call->context, fd) == 0;

	if (!ok) {
		(void)error_set_errno(err, "could not fsync directory \"%s\"", parent);
	}
	if (fd >= 0) {
		close(fd);
	}
	free(copy);
	return ok;
}

struct durable_directory *durable_directory_open(
	const char *path, const struct durable_operations *operations, struct error *err)
{
	const struct durable_operations *call =
		operations != NULL ? operations : &durable_system_operations;
	struct durable_directory *directory;
	bool is_new = mkdir(path, 0700) == 0;
	int fd;

	if (!is_new && errno != EEXIST) {
		(void)error_set_errno(err, "could not create directory \"%s\"", path);
		return NULL;
	}
	if (is_new && !sync_parent(call, path, err)) {
		return NULL;
	}
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0) {
		(void)error_set_errno(err, "could not open directory \"%s\"", path);
		return NULL;
	}
	directory = memory_new(sizeof(*directory));
	directory->operations = *call;
	directory->path = memory_copy_text(path);
	directory->fd = fd;
	return directory;
}

void durable_directory_close(struct durable_directory **directory)
{
	struct durable_directory *closing = *directory;

	if (closing == NULL) {
		return;
	}
	*directory = NULL;
	close(closing->fd);
	free(closing->path);
	free(closing);
}

const char *durable_directory_path(const struct durable_directory *directory)
{
	return directory->path;
}

int durable_directory_fd(const struct durable_directory *directory)
{
	return directory->fd;
}

bool durable_directory_sync(struct durable_directory *directory, struct error *err)
{
	const struct durable_operations *call = &directory->operations;

	if (call->fsync(call->context, directory->fd) != 0) {
		return error_set_errno(err, "could not fsync directory \"%s\"", directory->path);
	}
	return true;
}

bool durable_directory_rename(
	struct durable_directory *directory, const char *from, const char *to, struct error *err)
{
	const struct durable_operations *call = &directory->operations;

	if (call->rename(call->context, directory->fd, from, to) != 0) {
		(void)set_file_error(err, directory, "rename", from);
		return error_detail(err, "The new name was \"%s\".", to);
	}
	return true;
}

bool durable_directory_unlink(
	struct durable_directory *directory, const char *name, struct error *err)
{
	const struct durable_operations *call = &directory->operations;

	if (call->unlink(call->context, directory->fd, name) != 0) {
		return set_file_error(err, directory, "remove", name);
	}
	return true;
}

static struct durable_file *file_open(
	struct durable_directory *directory, const char *name, int flags, struct error *err)
{
	const struct durable_operations *call = &directory->operations;
	struct durable_file *file;
	int fd;

	fd = call->open(call->context, directory->fd, name, O_RDWR | O_CLOEXEC | flags, 0600);
	if (fd < 0) {
		(void)set_file_error(err, directory, flags == 0 ? "open" : "create", name);
		return NULL;
	}
	file = memory_new(sizeof(*file));
	file->directory = directory;
	file->fd = fd;
	durable_file_set_name(file, name);
	return file;
}

struct durable_file *durable_file_create(
	struct durable_directory *directory, const char *name, uint64_t bytes, struct error *err)
{
	const struct durable_operations *call = &directory->operations;
	struct durable_file *file = file_open(directory, name, O_CREAT | O_TRUNC, err);

	if (file == NULL) {
		return NULL;
	}
	if (bytes > 0 && call->allocate(call->context, file->fd, (off_t)bytes) != 0) {
		(void)set_file_error(err, directory, "allocate", name);
		durable_file_close(&file);
		(void)call->unlink(call->context, directory->fd, name);
		return NULL;
	}
	return file;
}

struct durable_file *durable_file_open(
	struct durable_directory *directory, const char *name, struct error *err)
{
	return file_open(directory, name, 0, err);
}

void durable_file_close(struct durable_file **file)
{
	struct durable_file *closing = *file;

	if (closing == NULL) {
		return;
	}
	*file = NULL;
	(void)closing->directory->operations.close(
		closing->directory->operations.context, closing->fd);
	free(closing);
}

void durable_file_set_name(struct durable_file *file, const char *name)
{
	size_t length = strlen(name);

	assert(length <= NAME_MAX);
	memcpy(file->name, name, length + 1);
}

bool durable_file_write(struct durable_file *file, uint64_t offset, const void *bytes,
	size_t length, struct error *err)
{
	const struct durable_operations *call = &file->directory->operations;
	const char *from = bytes;

	while (length > 0) {
		ssize_t written =
			call->pwrite(call->context, file->fd, from, length, (off_t)offset);

		if (written < 0 && errno == EINTR) {
			continue;
		}
		if (written == 0) {
			errno = ENOSPC;
		}
		if (written <= 0) {
			return set_file_error(err, file->directory, "write", file->name);
		}
		from += written;
		offset += (uint64_t)written;
		length -= (size_t)written;
	}
	return true;
}

bool durable_file_sync(struct durable_file *file, struct error *err)
{
	const struct durable_operations *call = &file->directory->operations;

	if (call->fdatasync(call->context, file->fd) != 0) {
		return set_file_error(err, file->directory, "fdatasync", file->name);
	}
	return true;
}

bool durable_file_store(struct durable_directory *directory, const char *name, const void *bytes,
	size_t length, struct error *err)
{
	const struct durable_operations *call = &directory->operations;
	char temporary[NAME_MAX + 1];
	struct durable_file *file;
	bool ok;

	ok = snprintf(temporary, sizeof(temporary), "%s.tmp", name) < (int)sizeof(temporary);
	assert(ok);
	file = durable_file_create(directory, temporary, 0, err);
	if (file == NULL) {
		return false;
	}
	ok = durable_file_write(file, 0, bytes, length, err) && durable_file_sync(file, err);
	durable_file_close(&file);
	ok = ok && durable_directory_rename(directory, temporary, name, err);
	if (!ok) {
		(void)call->unlink(call->context, directory->fd, temporary);
		return false;
	}
	return durable_directory_sync(directory, err);
}
