/*
 * pg_control: what a data directory's global/pg_control says of its last checkpoint.
 *
 * Layouts of PostgreSQL 13 to 18 (src/include/catalog/pg_control.h); others are refused, and so is
 * a file whose CRC is wrong or that another byte order wrote.
 *   bytes  0  system identifier, 8   bytes 48  timeline of the checkpoint, 4
 *          8  pg_control_version, 4       288  CRC-32C of what is before it, 4 (1300, 1700)
 *         40  redo location, 8            292  likewise (1800)
 */
#ifndef CLI_PG_CONTROL_H
#define CLI_PG_CONTROL_H

#include "base/error.h"
#include "protocol/lsn.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PG_CONTROL_BYTES 8192

struct pg_control {
	uint64_t system_identifier;
	lsn_t redo_lsn; /* recovery begins here */
	tli_t tli;
};

bool pg_control_decode(const void *bytes, size_t length, struct pg_control *control_out,
	struct error *err) MUST_CHECK;
/* Of a data directory, in use or not. */
bool pg_control_read(
	const char *data_directory, struct pg_control *control_out, struct error *err) MUST_CHECK;

#endif
