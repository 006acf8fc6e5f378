/*
 * wal_segment: names, and the cache of mappings.
 *
 * The cache holds no reference of its own: it finds the mapping that is in use, so that a hundred
 * readers of a segment share one. Whoever gives up the last reference takes it off the list under
 * the cache's lock, so a mapping found on the list is always alive.
 *
 * Who reads old WAL must not push the tail that everybody reads out of memory: what was not in the
 * page cache when a reader behind the tip came to a segment is dropped again when the last one
 * left.
 */
#include "spool/wal_segment.h"

#include "base/memory.h"
#include "base/monotonic_clock.h"
#include "spool/wal_store.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ 22
#endif

#define WINDOW_BYTES      (1u << 20)
#define WINDOWS_MAX       (WAL_SEGMENT_MAX / WINDOW_BYTES)
#define READ_AHEAD_BYTES  (4u << 20)
#define COLD_SAMPLE_BYTES (16u << 20)
#define SAMPLED_WINDOWS   (COLD_SAMPLE_BYTES / WINDOW_BYTES)
#define SAMPLE_HOLDS_US   1000000

struct wal_segment {
	atomic_uint references;
	tli_t tli;
	uint64_t number;
	uint32_t length;
	uint8_t *bytes;
	int fd;
	bool is_listed;
	atomic_bool is_sampled;
	atomic_bool was_cold;
	/* Windows of which the sample found every page, and when that was. */
	_Atomic uint64_t found_windows;
	_Atomic int64_t sampled_at_us;
	struct wal_segment_cache *cache;
	struct wal_segment *next;
	_Atomic uint64_t populated[WINDOWS_MAX / 64];
};

/* Lives until it was freed and its last mapping has gone. */
struct wal_segment_cache {
	pthread_mutex_t lock;
	int directory_fd;
	struct wal_segment *first;
	size_t segments; /* alive, listed or not */
	bool is_freed;
};

char *wal_segment_name(
	tli_t tli, uint64_t number, uint32_t segment_bytes, char name_out[WAL_SEGMENT_NAME_SIZE])
{
	uint64_t per_id = (UINT64_C(1) << 32) / segment_bytes;

	(void)snprintf(name_out, WAL_SEGMENT_NAME_SIZE, "%08X%08X%08X", tli,
		(uint32_t)(number / per_id), (uint32_t)(number % per_id));
	return name_out;
}

bool wal_segment_name_parse(
	const char *name, uint32_t segment_bytes, tli_t *tli_out, uint64_t *number_out)
{
	uint64_t per_id = (UINT64_C(1) << 32) / segment_bytes;
	uint32_t tli, id, segment;

	if (strlen(name) != WAL_SEGMENT_NAME_SIZE - 1 ||
		strspn(name, "0123456789ABCDEF") != WAL_SEGMENT_NAME_SIZE - 1 ||
		sscanf(name, "%8" SCNx32 "%8" SCNx32 "%8" SCNx32, &tli, &id, &segment) != 3 ||
		segment >= per_id || tli == 0) {
		return false;
	}
	*tli_out = tli;
	*number_out = id * per_id + segment;
	return true;
}

struct wal_segment_cache *wal_segment_cache_new(int directory_fd)
{
	struct wal_segment_cache *cache = memory_new(sizeof(*cache));

	pthread_mutex_init(&cache->lock, NULL);
	cache->directory_fd = directory_fd;
	return cache;
}

static void cache_release(struct wal_segment_cache *cache)
{
	pthread_mutex_destroy(&cache->lock);
	free(cache);
}

void wal_segment_cache_free(struct wal_segment_cache **cache)
{
	struct wal_segment_cache *freeing = *cache;
	bool is_last;

	if (freeing == NULL) {
		return;
	}
	*cache = NULL;
	pthread_mutex_lock(&freeing->lock);
	freeing->is_freed = true;
	is_last = freeing->segments == 0;
	pthread_mutex_unlock(&freeing->lock);
	if (is_last) {
		cache_release(freeing);
	}
}

static struct wal_segment *cache_find(struct wal_segment_cache *cache, tli_t tli, uint64_t number)
{
	struct wal_segment *segment = cache->first;

	while (segment != NULL && (segment->tli != tli || segment->number != number)) {
		segment = segment->next;
	}
	return segment;
}

static void cache_unlist(struct wal_segment_cache *cache, struct wal_segment *segment)
{
	struct wal_segment **at = &cache->first;

	if (!segment->is_listed) {
		return;
	}
	while (*at != segment) {
		at = &(*at)->next;
	}
	*at = segment->next;
	segment->is_listed = false;
}

void wal_segment_cache_forget(struct wal_segment_cache *cache, tli_t tli, uint64_t number)
{
	struct wal_segment *segment;

	pthread_mutex_lock(&cache->lock);
	segment = cache_find(cache, tli, number);
	if (segment != NULL) {
		cache_unlist(cache, segment);
	}
	pthread_mutex_unlock(&cache->lock);
}

static bool map_file(
	struct wal_segment *segment, int directory_fd, const char *name, struct error *err)
{
	struct stat status;
	void *map;

	segment->fd = openat(directory_fd, name, O_RDONLY | O_CLOEXEC);
	if (segment->fd < 0) {
		bool is_missing = errno == ENOENT;

		(void)error_set_errno(err, "could not open WAL segment \"%s\"", name);
		if (is_missing && err != NULL) {
			err->kind = ERROR_NOT_FOUND;
		}
		return false;
	}
	if (fstat(segment->fd, &status) != 0) {
		return error_set_errno(err, "could not stat WAL segment \"%s\"", name);
	}
	if (status.st_size != segment->length) {
		return error_set(err, ERROR_NOT_FOUND,
			"WAL segment \"%s\" has %jd bytes instead of %u", name,
			(intmax_t)status.st_size, segment->length);
	}
	map = mmap(NULL, segment->length, PROT_READ, MAP_SHARED, segment->fd, 0);
	if (map == MAP_FAILED) {
		return error_set_errno(err, "could not map WAL segment \"%s\"", name);
	}
	segment->bytes = map;
	return true;
}

static void segment_free(struct wal_segment *segment)
{
	if (segment->bytes != NULL) {
		munmap(segment->bytes, segment->length);
	}
	if (segment->fd >= 0) {
		if (atomic_load(&segment->was_cold)) {
			(void)posix_fadvise(segment->fd, 0, 0, POSIX_FADV_DONTNEED);
		}
		close(segment->fd);
	}
	free(segment);
}

static struct wal_segment *segment_map(struct wal_segment_cache *cache, tli_t tli, uint64_t number,
	uint32_t segment_bytes, struct error *err)
{
	struct wal_segment *segment = memory_new(sizeof(*segment));
	char name[WAL_SEGMENT_NAME_SIZE];

	assert(wal_segment_bytes_is_valid(segment_bytes));
	atomic_init(&segment->references, 1);
	segment->tli = tli;
	segment->number = number;
	segment->length = segment_bytes;
	segment->cache = cache;
	if (!map_file(segment, cache->directory_fd,
		    wal_segment_name(tli, number, segment_bytes, name), err)) {
		segment_free(segment);
		return NULL;
	}
	return segment;
}

struct wal_segment *wal_segment_cache_get(struct wal_segment_cache *cache, tli_t tli,
	uint64_t number, uint32_t segment_bytes, struct error *err)
{
	struct wal_segment *found, *mapped = NULL;

	pthread_mutex_lock(&cache->lock);
	found = cache_find(cache, tli, number);
	if (found == NULL) {
		/* Mapping may wait for the disk: not while holding everybody up. */
		pthread_mutex_unlock(&cache->lock);
		mapped = segment_map(cache, tli, number, segment_bytes, err);
		if (mapped == NULL) {
			return NULL;
		}
		pthread_mutex_lock(&cache->lock);
		found = cache_find(cache, tli, number);
	}
	if (found != NULL) {
		atomic_fetch_add(&found->references, 1);
	} else {
		found = mapped;
		mapped = NULL;
		found->next = cache->first;
		found->is_listed = true;
		cache->first = found;
		cache->segments++;
	}
	pthread_mutex_unlock(&cache->lock);
	if (mapped != NULL) {
		segment_free(mapped);
	}
	return found;
}

struct wal_segment *wal_segment_ref(struct wal_segment *segment)
{
	unsigned before = atomic_fetch_add_explicit(&segment->references, 1, memory_order_relaxed);

	assert(before > 0);
	return segment;
}

void wal_segment_unref(struct wal_segment *segment)
{
	struct wal_segment_cache *cache = segment->cache;
	unsigned count = atomic_load_explicit(&segment->references, memory_order_relaxed);
	bool is_last, frees_cache;

	while (count > 1) {
		if (atomic_compare_exchange_weak_explicit(&segment->references, &count, count - 1,
			    memory_order_release, memory_order_relaxed)) {
			return;
		}
	}
	pthread_mutex_lock(&cache->lock);
	is_last = atomic_fetch_sub(&segment->references, 1) == 1;
	if (is_last) {
		cache_unlist(cache, segment);
		cache->segments--;
	}
	frees_cache = is_last && cache->is_freed && cache->segments == 0;
	pthread_mutex_unlock(&cache->lock);
	if (is_last) {
		segment_free(segment);
	}
	if (frees_cache) {
		cache_release(cache);
	}
}

const uint8_t *wal_segment_bytes(const struct wal_segment *segment)
{
	return segment->bytes;
}

int wal_segment_fd(const struct wal_segment *segment)
{
	return segment->fd;
}

static void sample(struct wal_segment *segment)
{
	uint32_t length = segment->length < COLD_SAMPLE_BYTES ? segment->length : COLD_SAMPLE_BYTES;
	unsigned char resident[COLD_SAMPLE_BYTES / 4096];
	size_t page_bytes = (size_t)sysconf(_SC_PAGESIZE);
	size_t pages = length / page_bytes;
	size_t found = 0;
	uint64_t windows = (UINT64_C(1) << (length / WINDOW_BYTES)) - 1;

	if (mincore(segment->bytes, length, resident) != 0) {
		return;
	}
	for (size_t i = 0; i < pages; i++) {
		found += resident[i] & 1;
		if ((resident[i] & 1) == 0) {
			windows &= ~(UINT64_C(1) << (i * page_bytes / WINDOW_BYTES));
		}
	}
	atomic_store(&segment->was_cold, found < pages / 2);
	atomic_store(&segment->sampled_at_us, monotonic_clock_us());
	atomic_store(&segment->found_windows, windows);
}

/* Before the first byte is read by our doing. */
static void sample_once(struct wal_segment *segment)
{
	if (!atomic_exchange(&segment->is_sampled, true)) {
		sample(segment);
	}
}

bool wal_segment_read_piece(
	struct wal_segment *segment, uint32_t offset, uint32_t length, struct error *err)
{
	char name[WAL_SEGMENT_NAME_SIZE];

	assert(length > 0 && offset + length <= segment->length);
	/* EINVAL: a kernel before 5.14, which reads when the bytes are touched. */
	if (madvise(segment->bytes + offset, length, MADV_POPULATE_READ) != 0 && errno != EINVAL &&
		errno != EINTR && errno != EAGAIN) {
		return error_set_errno(err, "could not read WAL segment \"%s\"",
			wal_segment_name(segment->tli, segment->number, segment->length, name));
	}
	return true;
}

/* At most a window. */
static bool are_pages_resident(const uint8_t *first, size_t length)
{
	unsigned char resident[WINDOW_BYTES / 4096];
	size_t page_bytes = (size_t)sysconf(_SC_PAGESIZE);
	size_t pages = (length + page_bytes - 1) / page_bytes;

	assert(pages <= sizeof(resident));
	if (mincore((void *)(uintptr_t)first, length, resident) != 0) {
		return false;
	}
	for (size_t i = 0; i < pages; i++) {
		if ((resident[i] & 1) == 0) {
			return false;
		}
	}
	return true;
}

bool wal_segment_has_piece(struct wal_segment *segment, uint32_t offset, uint32_t length)
{
	uint32_t end = offset + length;

	assert(length > 0 && end <= segment->length);
	offset -= offset % (uint32_t)sysconf(_SC_PAGESIZE);
	while (offset < end) {
		uint32_t part = end - offset < WINDOW_BYTES ? end - offset : WINDOW_BYTES;

		if (!are_pages_resident(segment->bytes + offset, part)) {
			return false;
		}
		offset += part;
	}
	return true;
}

static bool window_populate(struct wal_segment *segment, uint32_t window, struct error *err)
{
	uint64_t bit = UINT64_C(1) << (window % 64);
	_Atomic uint64_t *word = &segment->populated[window / 64];
	uint32_t offset = window * WINDOW_BYTES;
	uint32_t ahead = offset + WINDOW_BYTES;

	if ((atomic_load_explicit(word, memory_order_relaxed) & bit) != 0) {
		return true;
	}
	sample_once(segment);
	if (atomic_load(&segment->was_cold) && ahead < segment->length) {
		uint32_t left = segment->length - ahead;

		(void)madvise(segment->bytes + ahead,
			left < READ_AHEAD_BYTES ? left : READ_AHEAD_BYTES, MADV_WILLNEED);
	}
	if (!wal_segment_read_piece(segment, offset, WINDOW_BYTES, err)) {
		return false;
	}
	atomic_fetch_or_explicit(word, bit, memory_order_relaxed);
	return true;
}

/* What was there a moment ago still is. */
static bool window_was_found(struct wal_segment *segment, uint32_t window)
{
	sample_once(segment);
	return window < SAMPLED_WINDOWS &&
	       (atomic_load(&segment->found_windows) & UINT64_C(1) << window) != 0 &&
	       monotonic_clock_us() - atomic_load(&segment->sampled_at_us) < SAMPLE_HOLDS_US;
}

static bool window_is_resident(struct wal_segment *segment, uint32_t window)
{
	uint64_t populated =
		atomic_load_explicit(&segment->populated[window / 64], memory_order_relaxed);

	return (populated & UINT64_C(1) << (window % 64)) != 0 ||
	       window_was_found(segment, window) ||
	       are_pages_resident(segment->bytes + (size_t)window * WINDOW_BYTES, WINDOW_BYTES);
}

bool wal_segment_is_resident(struct wal_segment *segment, uint32_t offset, uint32_t length)
{
	uint32_t first = offset / WINDOW_BYTES;
	uint32_t last = (offset + length - 1) / WINDOW_BYTES;

	assert(length > 0 && offset + length <= segment->length);
	for (uint32_t window = first; window <= last; window++) {
		if (!window_is_resident(segment, window)) {
			return false;
		}
	}
	return true;
}

bool wal_segment_populate(
	struct wal_segment *segment, uint32_t offset, uint32_t length, struct error *err)
{
	uint32_t first = offset / WINDOW_BYTES;
	uint32_t last = (offset + length - 1) / WINDOW_BYTES;

	assert(length > 0 && offset + length <= segment->length);
	for (uint32_t window = first; window <= last; window++) {
		if (!window_populate(segment, window, err)) {
			return false;
		}
	}
	return true;
}

void wal_segment_read_ahead(struct wal_segment *segment)
{
	uint32_t length = segment->length < READ_AHEAD_BYTES ? segment->length : READ_AHEAD_BYTES;

	if ((atomic_load_explicit(&segment->populated[0], memory_order_relaxed) & 1) == 0) {
		sample_once(segment);
		(void)madvise(segment->bytes, length, MADV_WILLNEED);
	}
}
