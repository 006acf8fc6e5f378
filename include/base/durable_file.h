/*
 * durable_file: files whose bytes and names survive a power cut once a call says so.
 *
 * All the write side's system calls on such files go through one table of operations, so that a
 * test can make the n-th one fail or record them and build what a power cut may leave behind. What
 * is promised: after durable_file_sync() the bytes and size written before it, after
 * durable_directory_sync() the names created, renamed and removed before it. Nothing earlier.
 * Disk full and quota are ERROR_FULL, other failures ERROR_SYSTEM. Different files may be used on
 * different threads.
 */
#ifndef BASE_DURABLE_FILE_H
#define BASE_DURABLE_FILE_H

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Each answers like the system call it is named after: -1 and errno on failure. */
struct durable_operations {
	void *context;
	int (*open)(void *context, int directory_fd, const char *name, int flags, mode_t mode);
	int (*close)(void *context, int fd);
	ssize_t (*pwrite)(void *context, int fd, const void *bytes, size_t length, off_t offset);
	int (*allocate)(void *context, int fd, off_t length); /* posix_fallocate() from 0 */
	int (*fdatasync)(void *context, int fd);
	int (*fsync)(void *context, int fd);
	int (*rename)(void *context, int directory_fd, const char *from, const char *to);
	int (*unlink)(void *context, int directory_fd, const char *name);
};

extern const struct durable_operations durable_system_operations;

struct durable_directory;
struct durable_file;

/* Creates the directory (0700), durably, when missing, but not its parents. operations NULL: the
 * system's. The table is copied. */
struct durable_directory *durable_directory_open(const char *path,
	const struct durable_operations *operations, struct error *err) MUST_CHECK;
/* Accepts NULL, sets NULL. Its files must be closed. */
void durable_directory_close(struct durable_directory **directory);
const char *durable_directory_path(const struct durable_directory *directory);
int durable_directory_fd(const struct durable_directory *directory);
bool durable_directory_sync(struct durable_directory *directory, struct error *err) MUST_CHECK;
bool durable_directory_rename(struct durable_directory *directory, const char *from, const char *to,
	struct error *err) MUST_CHECK;
/* A name that does not exist is ERROR_NOT_FOUND. */
bool durable_directory_unlink(
	struct durable_directory *directory, const char *name, struct error *err) MUST_CHECK;

/* A new file (0600) of `bytes` bytes of allocated zeros, replacing one of that name. On failure
 * nothing of the name is left. */
struct durable_file *durable_file_create(struct durable_directory *directory, const char *name,
	uint64_t bytes, struct error *err) MUST_CHECK;
/* An existing file, for writing. */
struct durable_file *durable_file_open(
	struct durable_directory *directory, const char *name, struct error *err) MUST_CHECK;
/* Accepts NULL, sets NULL. Does not sync. */
void durable_file_close(struct durable_file **file);
/* The file follows a durable_directory_rename(): what its errors call it. */
void durable_file_set_name(struct durable_file *file, const char *name);
bool durable_file_write(struct durable_file *file, uint64_t offset, const void *bytes,
	size_t length, struct error *err) MUST_CHECK;
bool durable_file_sync(struct durable_file *file, struct error *err) MUST_CHECK;

/* A whole small file, replaced as one: written under a temporary name, synced, renamed, and the
 * directory synced. */
bool durable_file_store(struct durable_directory *directory, const char *name, const void *bytes,
	size_t length, struct error *err) MUST_CHECK;

#endif
