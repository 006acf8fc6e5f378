/*
 * wal_catalogue: which segment files are on disk, in order of age. Any thread.
 */
#ifndef SPOOL_WAL_CATALOGUE_H
#define SPOOL_WAL_CATALOGUE_H

#include "protocol/lsn.h"

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WAL_FILE_IS_GROWING INT64_MAX

struct wal_file_entry {
	tli_t tli;
	uint64_t number;
	int64_t complete_us; /* Unix time of the last write; WAL_FILE_IS_GROWING */
};

struct wal_catalogue {
	pthread_mutex_t lock;
	struct wal_file_entry *entries; /* in order of number, then timeline */
	size_t count;
	size_t capacity;
};

void wal_catalogue_init(struct wal_catalogue *catalogue);
void wal_catalogue_release(struct wal_catalogue *catalogue);
/* Adds, or changes the time of what is there. */
void wal_catalogue_put(
	struct wal_catalogue *catalogue, tli_t tli, uint64_t number, int64_t complete_us);
void wal_catalogue_remove(struct wal_catalogue *catalogue, tli_t tli, uint64_t number);
bool wal_catalogue_has(struct wal_catalogue *catalogue, tli_t tli, uint64_t number);
size_t wal_catalogue_count(struct wal_catalogue *catalogue);
/* The index-th file in order; false: there are not that many. */
bool wal_catalogue_at(
	struct wal_catalogue *catalogue, size_t index, struct wal_file_entry *entry_out);
/* The first file written at or after since_us; false: none. */
bool wal_catalogue_first_since(
	struct wal_catalogue *catalogue, int64_t since_us, struct wal_file_entry *entry_out);

#endif
