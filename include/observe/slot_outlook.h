/*
 * slot_outlook: what is to become of a slot or pin: how it is held, and how much more may be
 * written, for how long, before max_size takes what it needs.
 *
 * The states are those of pg_replication_slots.wal_status, the room left its safe_wal_size. Pure.
 */
#ifndef OBSERVE_SLOT_OUTLOOK_H
#define OBSERVE_SLOT_OUTLOOK_H

#include "observe/snapshot.h"

#include <stdbool.h>
#include <stdint.h>

enum slot_wal_status {
	SLOT_WAL_NONE,       /* it holds nothing yet */
	SLOT_WAL_RESERVED,   /* retain_size keeps it anyway */
	SLOT_WAL_EXTENDED,   /* kept for it alone */
	SLOT_WAL_UNRESERVED, /* taken as soon as more comes */
	SLOT_WAL_LOST,
};

struct slot_outlook {
	enum slot_wal_status status;
	bool has_limit;      /* else what follows is not known, or without bounds */
	uint64_t safe_bytes; /* of WAL that may still come; 0 when lost */
	double safe_seconds; /* at the pace of the last ten seconds; PACE_UNKNOWN */
};

/* lsn: first byte it needs. */
void slot_outlook_find(
	const struct snapshot *snapshot, lsn_t lsn, bool is_lost, struct slot_outlook *outlook_out);
/* reserved, extended, unreserved, lost; NULL: none. */
const char *slot_wal_status_name(enum slot_wal_status status);

#endif
