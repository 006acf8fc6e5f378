/*
 * pg_control: reads the file whole, as its server writes it, and trusts it only with its checksum.
 */
#include "cli/pg_control.h"

#include "protocol/crc32c.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define VERSION_OFFSET 8
#define REDO_OFFSET    40
#define TLI_OFFSET     48
#define PATH_BYTES     4096
/* A server may be writing it at this moment. */
#define READ_TRIES 20
#define RETRY_US   10000

static const struct {
	uint32_t version;
	size_t crc_offset;
} layouts[] = {
	{1300, 288}, /* PostgreSQL 13 to 16 */
	{1700, 288},
	{1800, 292},
};

static bool find_crc(uint32_t version, size_t *offset_out, struct error *err)
{
	for (size_t i = 0; i < sizeof(layouts) / sizeof(layouts[0]); i++) {
		if (layouts[i].version == version) {
			*offset_out = layouts[i].crc_offset;
			return true;
		}
	}
	error_set(err, ERROR_INVALID, "pg_control is of an unknown version (%u)", version);
	return error_hint(err, "PostgreSQL 13 to 18 are known; give the LSN instead.");
}

bool pg_control_decode(
	const void *bytes, size_t length, struct pg_control *control_out, struct error *err)
{
	const uint8_t *at = bytes;
	struct pg_control control;
	uint32_t version;
	uint32_t crc;
	size_t crc_offset;
	if (length != PG_CONTROL_BYTES) {
		return error_set(err, ERROR_INVALID, "pg_control has %zu bytes, not %d", length,
			PG_CONTROL_BYTES);
	}
	memcpy(&version, at + VERSION_OFFSET, sizeof(version));
	if (!find_crc(version, &crc_offset, err)) {
		return false;
	}
	memcpy(&crc, at + crc_offset, sizeof(crc));
	if (crc32c_finish(crc32c_update(CRC32C_INIT, at, crc_offset)) != crc) {
		return error_set(err, ERROR_INVALID, "pg_control has a wrong checksum");
	}
	memcpy(&control.system_identifier, at, sizeof(control.system_identifier));
	memcpy(&control.redo_lsn, at + REDO_OFFSET, sizeof(control.redo_lsn));
	memcpy(&control.tli, at + TLI_OFFSET, sizeof(control.tli));
	*control_out = control;
	return true;
}

static bool read_once(const char *path, struct pg_control *control_out, struct error *err)
{
	uint8_t bytes[PG_CONTROL_BYTES];
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0) {
		return error_set_errno(err, "could not open \"%s\"", path);
	}
	ssize_t length = read(fd, bytes, sizeof(bytes));
	if (length < 0) {
		error_set_errno(err, "could not read \"%s\"", path);
		close(fd);
		return false;
	}
	close(fd);
	return pg_control_decode(bytes, (size_t)length, control_out, err);
}

bool pg_control_read(const char *data_directory, struct pg_control *control_out, struct error *err)
{
	char path[PATH_BYTES];
	snprintf(path, sizeof(path), "%s/global/pg_control", data_directory);
	for (int tries = 1; !read_once(path, control_out, err); tries++) {
		if (err->kind != ERROR_INVALID || tries == READ_TRIES) {
			return error_wrap(err, "\"%s\"", data_directory);
		}
		usleep(RETRY_US);
	}
	return true;
}
