/*
 * console_prepared: the prepared statements and portals of one session of the console.
 *
 * Bounded in number and in bytes. Errors carry PostgreSQL's SQLSTATEs and words: 42P05, 26000,
 * 42P03, 34000; 53400 past the bounds.
 */
#ifndef OBSERVE_CONSOLE_PREPARED_H
#define OBSERVE_CONSOLE_PREPARED_H

#include "base/error.h"
#include "observe/console_job.h"
#include "observe/console_result.h"
#include "protocol/console_command.h"
#include "protocol/pg_extended.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/queue.h>

#define CONSOLE_STATEMENTS_MAX      1024u
#define CONSOLE_STATEMENT_BYTES_MAX ((size_t)256 * 1024) /* of all of them */
#define CONSOLE_PORTALS_MAX         64u

/* A portal holds its statement, which may be closed before it. */
struct console_statement {
	unsigned references;
	char *query;
	bool is_empty; /* then there is no command */
	struct console_command command;
};

struct console_prepared {
	LIST_ENTRY(console_prepared) link;
	char *name;
	struct console_statement *statement;
};

struct console_portal {
	LIST_ENTRY(console_portal) link;
	char *name;
	struct console_statement *statement;
	int16_t formats[PG_RESULT_FORMATS_MAX];
	size_t format_count;
	bool has_run;
	char tag[CONSOLE_TAG_SIZE];
	struct console_result result;
	size_t row_next; /* the first that was not sent yet */
};

struct console_prepared_set {
	LIST_HEAD(console_prepared_list, console_prepared) statements;
	LIST_HEAD(console_portal_list, console_portal) portals;
	unsigned statement_count;
	size_t statement_bytes;
	unsigned portal_count;
};

void console_prepared_init(struct console_prepared_set *set);
void console_prepared_release(struct console_prepared_set *set);

/* A statement with an empty command; query is copied. The unnamed one takes the place of the one
 * before. */
bool console_prepared_add(struct console_prepared_set *set, const char *name, const char *query,
	struct console_statement **statement_out, struct error *err) MUST_CHECK;
bool console_prepared_find(const struct console_prepared_set *set, const char *name,
	struct console_statement **statement_out, struct error *err) MUST_CHECK;
/* One that is not there is no error. */
void console_prepared_close(struct console_prepared_set *set, const char *name);
void console_prepared_close_all(struct console_prepared_set *set);

bool console_portal_add(struct console_prepared_set *set, const struct pg_bind *bind,
	struct console_statement *statement, struct console_portal **portal_out,
	struct error *err) MUST_CHECK;
bool console_portal_find(const struct console_prepared_set *set, const char *name,
	struct console_portal **portal_out, struct error *err) MUST_CHECK;
void console_portal_close(struct console_prepared_set *set, const char *name);
/* The end of a transaction. */
void console_portal_close_all(struct console_prepared_set *set);

#endif
