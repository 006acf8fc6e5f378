/*
 * disk_recorder: system calls for durable_file that are carried out, written down, and made to
 * fail.
 *
 * From the first n events it builds what a power cut at that moment may have left: everything
 * synced is there; of what was not, each sector of 512 bytes has any of the contents it had since,
 * a file's size may be missing, and each creation, rename and removal may have happened or not. Any
 * thread.
 */
#ifndef SUPPORT_DISK_RECORDER_H
#define SUPPORT_DISK_RECORDER_H

#include "base/durable_file.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum disk_event_kind {
	DISK_CREATE,
	DISK_WRITE,
	DISK_SIZE,
	DISK_SYNC,
	DISK_SYNC_NAMES,
	DISK_RENAME,
	DISK_UNLINK,
	DISK_MARK, /* the test's own */
};

struct disk_event {
	enum disk_event_kind kind;
	int file;
	char name[64];
	char to[64];
	uint64_t offset;
	uint8_t *bytes;
	size_t length;
	/* DISK_MARK */
	int mark;
	uint64_t values[2];
};

enum disk_loss { DISK_LOSES_NOTHING, DISK_LOSES_ALL, DISK_LOSES_SOME };

struct disk_recorder;

struct disk_recorder *disk_recorder_new(void);
/* The machine goes on running but the program starts anew: the first count events of another
 * recorder have happened, and nothing was lost. */
struct disk_recorder *disk_recorder_continue(const struct disk_recorder *from, size_t count);
void disk_recorder_free(struct disk_recorder *recorder);
struct durable_operations disk_recorder_operations(struct disk_recorder *recorder);
/* The bytes are copied. */
void disk_recorder_mark(struct disk_recorder *recorder, int mark, uint64_t value0, uint64_t value1,
	const void *bytes, size_t length);
/* When all threads are done. */
size_t disk_recorder_count(const struct disk_recorder *recorder);
const struct disk_event *disk_recorder_event(const struct disk_recorder *recorder, size_t index);
/* Into an empty directory. */
void disk_recorder_build(const struct disk_recorder *recorder, size_t count, enum disk_loss loss,
	uint64_t seed, const char *directory);

/* The n-th call from now on (1: the next) fails with that errno; with is_lasting all after it too.
 */
void disk_recorder_fail(
	struct disk_recorder *recorder, size_t nth, int error_number, bool is_lasting);
/* The same, counting calls of one kind only, and once. */
void disk_recorder_fail_kind(
	struct disk_recorder *recorder, enum disk_event_kind kind, size_t nth, int error_number);
/* Until told otherwise files cannot be allocated: ENOSPC. */
void disk_recorder_full(struct disk_recorder *recorder, bool is_full);
/* What the call that failed was; false: none did. */
bool disk_recorder_failed(const struct disk_recorder *recorder, enum disk_event_kind *kind_out);

#endif
