/*
 * link_image_index: a set-associative table of page -> LSN; one cache line is one set.
 *
 * An entry holds 32 bits of the page's hash and the low 32 bits of LSN / 8, which tell records
 * apart over 32 GB of WAL. newest is the newest record added: entries are read as lying before it.
 */
#include "protocol/link_image_index.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define WAYS 8u

/* check << 32 | place, 0: free. place is LSN / 8. */
typedef _Atomic uint64_t entry;

struct link_image_index {
	entry *entries;
	uint64_t set_mask;
	_Atomic uint64_t newest;
};

struct link_image_index *link_image_index_new(size_t bytes)
{
	struct link_image_index *index = calloc(1, sizeof(*index));
	uint64_t sets = 64;

	if (index == NULL) {
		return NULL;
	}
	while (sets * 2 * WAYS * sizeof(entry) <= bytes) {
		sets *= 2;
	}
	index->entries = calloc(sets * WAYS, sizeof(entry));
	index->set_mask = sets - 1;
	if (index->entries == NULL) {
		free(index);
		return NULL;
	}
	return index;
}

void link_image_index_free(struct link_image_index **index)
{
	if (*index != NULL) {
		free((*index)->entries);
		free(*index);
		*index = NULL;
	}
}

static uint64_t mix(uint64_t value)
{
	value *= 0x9E3779B97F4A7C15u;
	return value ^ value >> 29;
}

static uint64_t page_hash(const struct wal_block *block)
{
	const struct wal_relation *relation = &block->relation;
	uint64_t hash = mix((uint64_t)relation->relation << 32 | relation->database);

	hash = mix(hash ^ ((uint64_t)(block->flags & WAL_BLOCK_FORK_MASK) << 32 | block->number));
	return mix(hash ^ relation->tablespace);
}

static entry *set_of(const struct link_image_index *index, uint64_t hash)
{
	return index->entries + (hash >> 32 & index->set_mask) * WAYS;
}

static uint64_t entry_of(uint64_t hash, lsn_t record)
{
	uint32_t check = (uint32_t)hash;

	return (uint64_t)(check == 0 ? 1 : check) << 32 | (uint32_t)(record / 8);
}

/* How long before newest, in bytes. */
static lsn_t age(lsn_t newest, uint64_t value)
{
	return (lsn_t)((uint32_t)(newest / 8) - (uint32_t)value) * 8;
}

static uint64_t load(const entry *from)
{
	return atomic_load_explicit(from, memory_order_relaxed);
}

static lsn_t raise_newest(struct link_image_index *index, lsn_t record)
{
	lsn_t newest = load(&index->newest);

	while (newest < record && !atomic_compare_exchange_weak_explicit(&index->newest, &newest,
					  record, memory_order_relaxed, memory_order_relaxed)) {
	}
	return lsn_max(newest, record);
}

void link_image_index_add(
	struct link_image_index *index, const struct wal_block *block, lsn_t record)
{
	uint64_t hash = page_hash(block);
	uint64_t value = entry_of(hash, record);
	entry *set = set_of(index, hash), *victim = set;
	lsn_t newest = raise_newest(index, record);
	uint64_t oldest = load(victim);

	assert(record % 8 == 0);
	for (uint32_t i = 0; i < WAYS; i++) {
		uint64_t other = load(&set[i]);

		if (other == value) {
			return;
		}
		if (oldest != 0 && (other == 0 || age(newest, other) > age(newest, oldest))) {
			victim = &set[i];
			oldest = other;
		}
	}
	atomic_store_explicit(victim, value, memory_order_relaxed);
}

lsn_t link_image_index_find(
	const struct link_image_index *index, const struct wal_block *block, lsn_t before)
{
	uint64_t hash = page_hash(block);
	const entry *set = set_of(index, hash);
	lsn_t newest = load(&index->newest);
	lsn_t last = LSN_INVALID;

	for (uint32_t i = 0; i < WAYS; i++) {
		uint64_t value = load(&set[i]);
		lsn_t back = age(newest, value);

		if (value >> 32 == entry_of(hash, 0) >> 32 && back < newest &&
			newest - back < before) {
			last = lsn_max(last, newest / 8 * 8 - back);
		}
	}
	return last;
}

void link_image_index_purge(struct link_image_index *index, lsn_t fork)
{
	lsn_t newest = load(&index->newest);

	for (uint64_t i = 0; i < (index->set_mask + 1) * WAYS; i++) {
		uint64_t value = load(&index->entries[i]);

		if (value != 0 && newest - age(newest, value) >= fork) {
			atomic_store_explicit(&index->entries[i], 0, memory_order_relaxed);
		}
	}
	atomic_store_explicit(&index->newest, lsn_min(newest, fork / 8 * 8), memory_order_relaxed);
}
