/*
 * backup_progress: how far a base backup is, from what the server says while it passes.
 *
 * Fed with the answer to BASE_BACKUP in order: the two results before the data, each CopyData, the
 * end. Bytes are those of the files, before any compression by the server where it reports its
 * progress itself. Pure. Sources (PostgreSQL 13 to 18): src/backend/backup/basebackup.c,
 * basebackup_copy.c and protocol.sgml, "BASE_BACKUP": up to 14 the data of each tablespace come in
 * a COPY of their own, from 15 on in one, whose messages begin with a letter: n archive, d data, m
 * manifest, p progress. Sizes (kB, third column of the second result) and 'p' come with PROGRESS
 * only.
 */
#ifndef PROTOCOL_BACKUP_PROGRESS_H
#define PROTOCOL_BACKUP_PROGRESS_H

#include <stddef.h>
#include <stdint.h>

/* Named as pg_stat_progress_basebackup names them. */
enum backup_phase {
	BACKUP_PHASE_NONE,
	BACKUP_PHASE_CHECKPOINT, /* asked for; the server's checkpoint, and its estimate */
	BACKUP_PHASE_STREAMING,
	BACKUP_PHASE_ENDING, /* the files are through; the server waits for WAL to be archived */
};

struct backup_progress {
	enum backup_phase phase;
	uint64_t done_bytes;
	uint64_t total_bytes; /* 0: the server did not say; an estimate, which done may pass */
	enum { BACKUP_FORMAT_UNKNOWN, BACKUP_FORMAT_PLAIN, BACKUP_FORMAT_LETTERS } format;
	int is_reported; /* done_bytes are the server's own */
};

/* NULL for BACKUP_PHASE_NONE. */
const char *backup_phase_name(enum backup_phase phase);

void backup_progress_begin(struct backup_progress *progress);
/* A row of the tablespaces: its size in kB as text; NULL: none. */
void backup_progress_on_size(struct backup_progress *progress, const char *kilobytes);
void backup_progress_on_data(struct backup_progress *progress, const void *body, size_t length);
/* The end of one COPY. */
void backup_progress_on_copy_done(struct backup_progress *progress);

#endif
