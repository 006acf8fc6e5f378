/*
 * link_image_index: a set-associative table of page -> LSN; one cache line is one set.
 *
 * An entry holds 32 bits of the page's hash and the low 32 bits of LSN / 8, which tell records
 * apart over 32 GB of WAL. newest is the newest record added: entries are read as lying before it.
 */
#include "protocol/link_image_index.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define WAYS 8u

struct entry {
	uint32_t check; /* 0: free */
	uint32_t place; /* LSN / 8 */
};

struct link_image_index {
	struct entry *entries;
	uint64_t set_mask;
	lsn_t newest;
};

struct link_image_index *link_image_index_new(size_t bytes)
{
	struct link_image_index *index = calloc(1, sizeof(*index));
	uint64_t sets = 64;

	if (index == NULL) {
		return NULL;
	}
	while (sets * 2 * WAYS * sizeof(struct entry) <= bytes) {
		sets *= 2;
	}
	index->entries = calloc(sets * WAYS, sizeof(struct entry));
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

static struct entry *set_of(const struct link_image_index *index, uint64_t hash)
{
	return index->entries + (hash >> 32 & index->set_mask) * WAYS;
}

static uint32_t check_of(uint64_t hash)
{
	uint32_t check = (uint32_t)hash;

	return check == 0 ? 1 : check;
}

/* How long ago, in units of 8 bytes. */
static uint32_t age(const struct link_image_index *index, const struct entry *entry)
{
	return (uint32_t)(index->newest / 8) - entry->place;
}

void link_image_index_add(
	struct link_image_index *index, const struct wal_block *block, lsn_t record)
{
	uint64_t hash = page_hash(block);
	struct entry *set = set_of(index, hash), *victim = set;

	assert(record % 8 == 0);
	index->newest = lsn_max(index->newest, record);
	for (uint32_t i = 0; i < WAYS; i++) {
		if (set[i].check == check_of(hash)) {
			victim = &set[i];
			break;
		}
		if (victim->check != 0 &&
			(set[i].check == 0 || age(index, &set[i]) > age(index, victim))) {
			victim = &set[i];
		}
	}
	victim->check = check_of(hash);
	victim->place = (uint32_t)(record / 8);
}

lsn_t link_image_index_find(
	const struct link_image_index *index, const struct wal_block *block, lsn_t before)
{
	uint64_t hash = page_hash(block);
	const struct entry *set = set_of(index, hash);

	for (uint32_t i = 0; i < WAYS; i++) {
		if (set[i].check == check_of(hash)) {
			lsn_t back = (lsn_t)age(index, &set[i]) * 8;

			return back < index->newest && index->newest - back < before
				       ? index->newest / 8 * 8 - back
				       : LSN_INVALID;
		}
	}
	return LSN_INVALID;
}

void link_image_index_purge(struct link_image_index *index, lsn_t fork)
{
	for (uint64_t i = 0; i < (index->set_mask + 1) * WAYS; i++) {
		struct entry *entry = &index->entries[i];

		if (entry->check != 0 && index->newest - (lsn_t)age(index, entry) * 8 >= fork) {
			*entry = (struct entry){0};
		}
	}
	index->newest = lsn_min(index->newest, fork / 8 * 8);
}
