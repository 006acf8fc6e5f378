/*
 * wal_catalogue: a sorted array under a lock. New files come at its end and old ones leave at its
 * start, a few a second at most.
 */
#include "spool/wal_catalogue.h"

#include "base/memory.h"

#include <stdlib.h>
#include <string.h>

void wal_catalogue_init(struct wal_catalogue *catalogue)
{
	*catalogue = (struct wal_catalogue){0};
	pthread_mutex_init(&catalogue->lock, NULL);
}

void wal_catalogue_release(struct wal_catalogue *catalogue)
{
	free(catalogue->entries);
	pthread_mutex_destroy(&catalogue->lock);
}

static bool is_before(const struct wal_file_entry *entry, tli_t tli, uint64_t number)
{
	return entry->number < number || (entry->number == number && entry->tli < tli);
}

/* Where the file is or would be. */
static size_t find(const struct wal_catalogue *catalogue, tli_t tli, uint64_t number, bool *found)
{
	size_t low = 0, high = catalogue->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (is_before(&catalogue->entries[middle], tli, number)) {
			low = middle + 1;
		} else {
			high = middle;
		}
	}
	*found = low < catalogue->count && catalogue->entries[low].tli == tli &&
		 catalogue->entries[low].number == number;
	return low;
}

static void insert(struct wal_catalogue *catalogue, size_t at, struct wal_file_entry entry)
{
	if (catalogue->count == catalogue->capacity) {
		size_t capacity = catalogue->capacity == 0 ? 64 : 2 * catalogue->capacity;
		struct wal_file_entry *entries = memory_new(capacity * sizeof(*entries));

		if (catalogue->count > 0) {
			memcpy(entries, catalogue->entries, catalogue->count * sizeof(*entries));
		}
		free(catalogue->entries);
		catalogue->entries = entries;
		catalogue->capacity = capacity;
	}
	memmove(&catalogue->entries[at + 1], &catalogue->entries[at],
		(catalogue->count - at) * sizeof(entry));
	catalogue->entries[at] = entry;
	catalogue->count++;
}

void wal_catalogue_put(
	struct wal_catalogue *catalogue, tli_t tli, uint64_t number, int64_t complete_us)
{
	struct wal_file_entry entry = {tli, number, complete_us};
	bool found;
	size_t at;

	pthread_mutex_lock(&catalogue->lock);
	at = find(catalogue, tli, number, &found);
	if (found) {
		catalogue->entries[at] = entry;
	} else {
		insert(catalogue, at, entry);
	}
	pthread_mutex_unlock(&catalogue->lock);
}

void wal_catalogue_remove(struct wal_catalogue *catalogue, tli_t tli, uint64_t number)
{
	bool found;
	size_t at;

	pthread_mutex_lock(&catalogue->lock);
	at = find(catalogue, tli, number, &found);
	if (found) {
		catalogue->count--;
		memmove(&catalogue->entries[at], &catalogue->entries[at + 1],
			(catalogue->count - at) * sizeof(*catalogue->entries));
	}
	pthread_mutex_unlock(&catalogue->lock);
}

bool wal_catalogue_has(struct wal_catalogue *catalogue, tli_t tli, uint64_t number)
{
	bool found;

	pthread_mutex_lock(&catalogue->lock);
	(void)find(catalogue, tli, number, &found);
	pthread_mutex_unlock(&catalogue->lock);
	return found;
}

size_t wal_catalogue_count(struct wal_catalogue *catalogue)
{
	size_t count;

	pthread_mutex_lock(&catalogue->lock);
	count = catalogue->count;
	pthread_mutex_unlock(&catalogue->lock);
	return count;
}

bool wal_catalogue_at(
	struct wal_catalogue *catalogue, size_t index, struct wal_file_entry *entry_out)
{
	bool is_there;

	pthread_mutex_lock(&catalogue->lock);
	is_there = index < catalogue->count;
	if (is_there) {
		*entry_out = catalogue->entries[index];
	}
	pthread_mutex_unlock(&catalogue->lock);
	return is_there;
}

bool wal_catalogue_first_since(
	struct wal_catalogue *catalogue, int64_t since_us, struct wal_file_entry *entry_out)
{
	bool is_found = false;

	pthread_mutex_lock(&catalogue->lock);
	for (size_t i = 0; i < catalogue->count && !is_found; i++) {
		is_found = catalogue->entries[i].complete_us >= since_us;
		if (is_found) {
			*entry_out = catalogue->entries[i];
		}
	}
	pthread_mutex_unlock(&catalogue->lock);
	return is_found;
}
