/*
 * slot_memory: which slots this relay once had on its upstream.
 *
 * A slot that was there and is missing later has let go of WAL: it is made again, but never in
 * silence. Remembered per name and system identifier in the state database. Every call blocks on
 * the disk.
 */
#ifndef UPSTREAM_SLOT_MEMORY_H
#define UPSTREAM_SLOT_MEMORY_H

#include "base/database.h"
#include "base/error.h"

#include <stdbool.h>
#include <stdint.h>

/* Creates the table on first use. */
bool slot_memory_open(struct database *database, struct error *err) MUST_CHECK;
bool slot_memory_find(struct database *database, const char *slot, uint64_t system_identifier,
	bool *is_known_out, struct error *err) MUST_CHECK;
bool slot_memory_store(struct database *database, const char *slot, uint64_t system_identifier,
	struct error *err) MUST_CHECK;

#endif
