/*
 * disk_image: what a power cut may leave of the events that a disk_recorder wrote down.
 */
#include "support/disk_recorder.h"

#include <assert.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SECTOR    512u
#define NAMES_MAX 256

struct image {
	const struct disk_recorder *recorder;
	size_t count;
	enum disk_loss loss;
	uint64_t random;
	struct {
		char name[64];
		int file;
	} names[NAMES_MAX];
	size_t name_count;
};

static uint64_t next_random(struct image *image)
{
	image->random ^= image->random << 13;
	image->random ^= image->random >> 7;
	image->random ^= image->random << 17;
	return image->random;
}

static bool survives(struct image *image)
{
	switch (image->loss) {
	case DISK_LOSES_NOTHING: return true;
	case DISK_LOSES_ALL: return false;
	case DISK_LOSES_SOME: break;
	}
	return next_random(image) % 2 == 0;
}

static void forget_name(struct image *image, const char *name, int file)
{
	for (size_t i = 0; i < image->name_count; i++) {
		if (strcmp(image->names[i].name, name) == 0 &&
			(file < 0 || image->names[i].file == file)) {
			image->names[i] = image->names[--image->name_count];
			return;
		}
	}
}

static void give_name(struct image *image, const char *name, int file)
{
	forget_name(image, name, -1);
	assert(image->name_count < NAMES_MAX);
	memcpy(image->names[image->name_count].name, name, 64);
	image->names[image->name_count++].file = file;
}

static void apply_name(struct image *image, const struct disk_event *event)
{
	switch (event->kind) {
	case DISK_CREATE: give_name(image, event->name, event->file); break;
	case DISK_UNLINK: forget_name(image, event->name, -1); break;
	case DISK_RENAME:
		forget_name(image, event->name, event->file);
		give_name(image, event->to, event->file);
		break;
	default: break;
	}
}

/* Names synced for certain, then each later change or not. */
static void build_names(struct image *image)
{
	size_t synced = 0;

	for (size_t i = 0; i < image->count; i++) {
		if (disk_recorder_event(image->recorder, i)->kind == DISK_SYNC_NAMES) {
			synced = i;
		}
	}
	for (size_t i = 0; i < image->count; i++) {
		const struct disk_event *event = disk_recorder_event(image->recorder, i);

		if (event->kind == DISK_CREATE || event->kind == DISK_UNLINK ||
			event->kind == DISK_RENAME) {
			if (i < synced || survives(image)) {
				apply_name(image, event);
			}
		}
	}
}

struct content {
	uint8_t *bytes;
	uint64_t size;
	uint64_t capacity;
};

static void reach(struct content *content, uint64_t size)
{
	if (size > content->capacity) {
		uint64_t capacity = size > 65536 ? size : 65536;

		content->bytes = realloc(content->bytes, capacity);
		assert(content->bytes != NULL);
		memset(content->bytes + content->capacity, 0, capacity - content->capacity);
		content->capacity = capacity;
	}
	content->size = size > content->size ? size : content->size;
}

/* How many of the writes since the last sync a sector has seen. */
static uint64_t sector_age(const struct image *image, int file, uint64_t sector, uint64_t writes)
{
	uint64_t mixed = (image->random + sector * 0x9E3779B97F4A7C15u) ^ ((uint64_t)file << 32);

	mixed = (mixed ^ (mixed >> 29)) * 0xBF58476D1CE4E5B9u;
	mixed ^= mixed >> 32;
	switch (image->loss) {
	case DISK_LOSES_NOTHING: return writes;
	case DISK_LOSES_ALL: return 0;
	case DISK_LOSES_SOME: break;
	}
	/* All, none and something in between are equally likely. */
	return mixed % 3 == 0 ? writes : mixed % 3 == 1 ? 0 : (mixed >> 8) % (writes + 1);
}

static void apply_write(const struct image *image, struct content *content,
	const struct disk_event *event, uint64_t index, uint64_t writes)
{
	uint64_t at = event->offset, end = event->offset + event->length;

	while (at < end) {
		uint64_t stop = (at / SECTOR + 1) * SECTOR;

		stop = stop < end ? stop : end;
		if (index < sector_age(image, event->file, at / SECTOR, writes)) {
			reach(content, stop);
			memcpy(content->bytes + at, event->bytes + (at - event->offset), stop - at);
		}
		at = stop;
	}
}

static struct content build_content(struct image *image, int file)
{
	struct content content = {0};
	uint64_t writes = 0, index = 0;
	size_t synced = 0;

	for (size_t i = 0; i < image->count; i++) {
		const struct disk_event *event = disk_recorder_event(image->recorder, i);

		if (event->file == file && event->kind == DISK_SYNC) {
			synced = i;
			writes = 0;
		}
		writes += event->file == file && event->kind == DISK_WRITE;
	}
	for (size_t i = 0; i < image->count; i++) {
		const struct disk_event *event = disk_recorder_event(image->recorder, i);

		if (event->file != file) {
			continue;
		}
		if (event->kind == DISK_SIZE && (i < synced || survives(image))) {
			reach(&content, event->offset);
		}
		if (event->kind == DISK_WRITE && i < synced) {
			reach(&content, event->offset + event->length);
			memcpy(content.bytes + event->offset, event->bytes, event->length);
		} else if (event->kind == DISK_WRITE) {
			apply_write(image, &content, event, index++, writes);
		}
	}
	return content;
}

static void write_file(const char *directory, const char *name, const struct content *content)
{
	char path[512];
	int fd;

	(void)snprintf(path, sizeof(path), "%s/%s", directory, name);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	assert(fd >= 0);
	if (content->size > 0) {
		ssize_t written = pwrite(fd, content->bytes, content->size, 0);

		assert(written == (ssize_t)content->size);
	}
	close(fd);
}

void disk_recorder_build(const struct disk_recorder *recorder, size_t count, enum disk_loss loss,
	uint64_t seed, const char *directory)
{
	struct image image = {
		.recorder = recorder, .count = count, .loss = loss, .random = seed * 2 + 1};

	(void)next_random(&image);
	build_names(&image);
	for (size_t i = 0; i < image.name_count; i++) {
		struct content content = build_content(&image, image.names[i].file);

		write_file(directory, image.names[i].name, &content);
		free(content.bytes);
	}
}
