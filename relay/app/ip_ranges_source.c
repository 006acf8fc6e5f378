/*
 * ip_ranges_source: one attempt at a time; whatever comes is parsed before it replaces anything.
 */
#include "app/ip_ranges_source.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/durable_file.h"
#include "base/log.h"
#include "base/memory.h"
#include "net/transfer.h"

#define CACHE_NAME     "ip-ranges.json"
#define SIZE_MAX_BYTES (64u << 20)
#define TRANSFER_US    INT64_C(60000000)
#define FETCH_EVERY_US INT64_C(86400000000)
#define FETCH_AGAIN_US INT64_C(600000000)

enum { DEADLINE_FETCH, DEADLINES };

struct ip_ranges_source {
	struct loop *loop;
	char *data_dir;
	ip_ranges_source_got *on_ranges;
	void *context;
	char *place;
	bool has_ranges; /* something good was handed on */
	bool is_fetching;
	struct transfer *transfer; /* opened with the first URL */
	struct deadlines deadlines;
};

static bool read_all(int fd, const char *path, char *bytes, size_t *length_out, struct error *err)
{
	size_t length = 0;
	ssize_t got;
	while ((got = read(fd, bytes + length, SIZE_MAX_BYTES - length)) > 0) {
		length += (size_t)got;
	}
	if (got < 0) {
		return error_set_errno(err, "could not read file \"%s\"", path);
	}
	*length_out = length;
	return true;
}

/* malloc'ed; NULL: err says why. */
static char *read_file(const char *path, size_t *length_out, struct error *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0) {
		error_set_errno(err, "could not open file \"%s\"", path);
		return NULL;
	}
	char *bytes = memory_new(SIZE_MAX_BYTES);
	if (!read_all(fd, path, bytes, length_out, err)) {
		free(bytes);
		bytes = NULL;
	}
	close(fd);
	return bytes;
}

static void keep_copy(struct ip_ranges_source *source, const void *bytes, size_t length)
{
	struct error err = {0};
	struct durable_directory *directory = durable_directory_open(source->data_dir, NULL, &err);
	if (directory == NULL || !durable_file_store(directory, CACHE_NAME, bytes, length, &err)) {
		log_error(LOG_LEVEL_WARNING, "ip_ranges", &err);
	}
	durable_directory_close(&directory);
}

static bool take(
	struct ip_ranges_source *source, const void *bytes, size_t length, struct error *err)
{
	struct ip_ranges *ranges = ip_ranges_parse(bytes, length, err);
	if (ranges == NULL) {
		return false;
	}
	log_info("ip_ranges", "%zu ranges of addresses are known", ip_ranges_count(ranges));
	source->has_ranges = true;
	source->on_ranges(source->context, ranges);
	return true;
}

/* What was good once, where there is nothing better. */
static void fall_back(struct ip_ranges_source *source)
{
	struct error err = {0};
	size_t length;
	char *path;
	if (source->has_ranges) {
		return;
	}
	if (asprintf(&path, "%s/" CACHE_NAME, source->data_dir) < 0) {
		abort();
	}
	char *bytes = read_file(path, &length, &err);
	if (bytes != NULL && take(source, bytes, length, &err)) {
		log_info("ip_ranges", "they are the last good copy");
	} else if (err.saved_errno != ENOENT) {
		log_error(LOG_LEVEL_WARNING, "ip_ranges", &err);
	}
	free(bytes);
	free(path);
}

static void take_file(struct ip_ranges_source *source)
{
	struct error err = {0};
	size_t length;
	char *bytes = read_file(source->place, &length, &err);
	if (bytes != NULL && take(source, bytes, length, &err)) {
		keep_copy(source, bytes, length);
	} else {
		error_wrap(&err, "address ranges of \"%s\"", source->place);
		log_error(LOG_LEVEL_WARNING, "ip_ranges", &err);
		fall_back(source);
	}
	free(bytes);
}

static void on_fetched(void *context, const struct transfer_answer *answer)
{
	struct ip_ranges_source *source = context;
	struct error err = answer->err;
	source->is_fetching = false;
	bool ok = answer->ok && take(source, answer->bytes, answer->length, &err);
	if (ok) {
		keep_copy(source, answer->bytes, answer->length);
	} else {
		error_wrap(&err, "could not get address ranges");
		log_error(LOG_LEVEL_WARNING, "ip_ranges", &err);
	}
	deadlines_set(&source->deadlines, DEADLINE_FETCH,
		loop_now_us(source->loop) + (ok ? FETCH_EVERY_US : FETCH_AGAIN_US));
}

static void fetch(struct ip_ranges_source *source)
{
	struct error err = {0};
	const struct transfer_request request = {
		.kind = TRANSFER_GET,
		.url = source->place,
		.timeout_us = TRANSFER_US,
		.answer_bytes_max = SIZE_MAX_BYTES,
	};
	if (source->is_fetching) {
		return;
	}
	if (source->transfer == NULL) {
		source->transfer = transfer_open(source->loop, &err);
	}
	if (source->transfer == NULL) {
		log_error(LOG_LEVEL_WARNING, "ip_ranges", &err);
		return;
	}
	source->is_fetching = true;
	transfer_submit(source->transfer, &request, on_fetched, source);
}

static void on_deadline(void *context, int reason)
{
	(void)reason;
	fetch(context);
}

void ip_ranges_source_set(struct ip_ranges_source *source, const char *place)
{
	if (strcmp(source->place, place) != 0) {
		free(source->place);
		source->place = memory_copy_text(place);
	}
	deadlines_clear(&source->deadlines, DEADLINE_FETCH);
	if (place[0] == '\0') {
		return;
	}
	if (place[0] == '/') {
		take_file(source);
	} else {
		fall_back(source);
		fetch(source);
	}
}

struct ip_ranges_source *ip_ranges_source_new(struct loop *loop, const char *data_dir,
	ip_ranges_source_got *on_ranges, void *context, struct error *err)
{
	struct ip_ranges_source *source = memory_new(sizeof(*source));
	source->loop = loop;
	source->data_dir = memory_copy_text(data_dir);
	source->place = memory_copy_text("");
	source->on_ranges = on_ranges;
	source->context = context;
	if (!deadlines_init(&source->deadlines, loop, DEADLINES, on_deadline, source, err)) {
		ip_ranges_source_free(&source);
	}
	return source;
}

void ip_ranges_source_free(struct ip_ranges_source **source)
{
	struct ip_ranges_source *gone = *source;
	if (gone == NULL) {
		return;
	}
	*source = NULL;
	transfer_close(&gone->transfer);
	deadlines_release(&gone->deadlines);
	free(gone->data_dir);
	free(gone->place);
	free(gone);
}
