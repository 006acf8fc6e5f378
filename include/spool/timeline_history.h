/*
 * timeline_history: which stretch of WAL belongs to which timeline, for one line of descent.
 *
 * The format is PostgreSQL's NNNNNNNN.history file (src/backend/access/transam/timeline.c): a line a
 * past timeline, "TLI<tab>SWITCHPOINT<tab>reason", oldest first; "#" begins a comment. Timeline 1
 * has no file. Pure functions over text.
 */
#ifndef SPOOL_TIMELINE_HISTORY_H
#define SPOOL_TIMELINE_HISTORY_H

#include "base/error.h"
#include "protocol/lsn.h"

#include <stdbool.h>
#include <stddef.h>

#define TIMELINE_FILE_NAME_SIZE 17 /* "FFFFFFFF.history" and its end */
#define TIMELINE_HISTORY_BYTES_MAX (1u << 20)

struct timeline_entry {
	tli_t tli;
	lsn_t begin; /* 0 for the first */
	lsn_t end;   /* switchpoint to the next; LSN_INVALID for the last: it has no end yet */
};

struct timeline_history {
	struct timeline_entry *entries; /* oldest first; the last is the timeline the file is for */
	size_t count;
};

/* text may be NULL with length 0: a history of tli alone (timeline 1, or a file nobody has). */
bool timeline_history_parse(struct timeline_history *history_out, tli_t tli, const char *text,
	size_t length, struct error *err) MUST_CHECK;
void timeline_history_release(struct timeline_history *history);
/* Leaves the history of tli, which must be in this line of descent: what came after it goes. */
void timeline_history_cut(struct timeline_history *history, tli_t tli);
bool timeline_history_copy(struct timeline_history *copy_out, const struct timeline_history *from);

tli_t timeline_history_current(const struct timeline_history *history);
/* NULL when tli is not in this line of descent. */
const struct timeline_entry *timeline_history_find(
	const struct timeline_history *history, tli_t tli);
/* The timeline that follows tli in this line; NULL for the last or an unknown one. */
const struct timeline_entry *timeline_history_next(
	const struct timeline_history *history, tli_t tli);
/* True when `ours` is a prefix of `theirs`: same timelines, same switchpoints. */
bool timeline_history_is_ancestor(
	const struct timeline_history *ours, const struct timeline_history *theirs);

char *timeline_history_file_name(tli_t tli, char name_out[TIMELINE_FILE_NAME_SIZE]);
bool timeline_history_file_name_parse(const char *name, tli_t *tli_out);

#endif
