/*
 * backup_progress: counts, unless the server counts.
 */
#include "protocol/backup_progress.h"

#include "protocol/wire.h"

#include <stdlib.h>

#define SIZE_KB_MAX (UINT64_MAX / 1024 / 65536)

const char *backup_phase_name(enum backup_phase phase)
{
	switch (phase) {
	case BACKUP_PHASE_CHECKPOINT: return "waiting for checkpoint to finish";
	case BACKUP_PHASE_STREAMING: return "streaming database files";
	case BACKUP_PHASE_ENDING: return "waiting for wal archiving to finish";
	default: return NULL;
	}
}

void backup_progress_begin(struct backup_progress *progress)
{
	*progress = (struct backup_progress){.phase = BACKUP_PHASE_CHECKPOINT};
}

void backup_progress_on_size(struct backup_progress *progress, const char *kilobytes)
{
	if (kilobytes == NULL) {
		return;
	}
	unsigned long long size = strtoull(kilobytes, NULL, 10);
	progress->total_bytes += (size > SIZE_KB_MAX ? SIZE_KB_MAX : size) * 1024;
}

static void on_letter(struct backup_progress *progress, const uint8_t *bytes, size_t length)
{
	if (bytes[0] == 'd' && !progress->is_reported) {
		progress->done_bytes += length - 1;
	} else if (bytes[0] == 'p' && length == 9) {
		progress->is_reported = 1;
		progress->done_bytes = wire_get_u64(bytes + 1);
	}
}

void backup_progress_on_data(struct backup_progress *progress, const void *body, size_t length)
{
	const uint8_t *bytes = body;
	if (length == 0) {
		return;
	}
	/* A tar of a server up to 14 begins with "backup_label" or "PG_<version>_". */
	if (progress->format == BACKUP_FORMAT_UNKNOWN) {
		progress->format = bytes[0] == 'n' ? BACKUP_FORMAT_LETTERS : BACKUP_FORMAT_PLAIN;
	}
	progress->phase = BACKUP_PHASE_STREAMING;
	if (progress->format == BACKUP_FORMAT_LETTERS) {
		on_letter(progress, bytes, length);
	} else {
		progress->done_bytes += length;
	}
}

void backup_progress_on_copy_done(struct backup_progress *progress)
{
	progress->phase = BACKUP_PHASE_ENDING;
}
