/*
 * console_prepared: two short lists.
 */
#include "observe/console_prepared.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

void console_prepared_init(struct console_prepared_set *set)
{
	*set = (struct console_prepared_set){.statement_count = 0};
	LIST_INIT(&set->statements);
	LIST_INIT(&set->portals);
}

void console_prepared_release(struct console_prepared_set *set)
{
	console_portal_close_all(set);
	console_prepared_close_all(set);
}

static void unref(struct console_statement *statement)
{
	if (--statement->references == 0) {
		free(statement->query);
		free(statement);
	}
}

/* --- statements --------------------------------------------------------------------------------
 */

static struct console_prepared *find_prepared(
	const struct console_prepared_set *set, const char *name)
{
	struct console_prepared *prepared = LIST_FIRST(&set->statements);
	while (prepared != NULL && strcmp(prepared->name, name) != 0) {
		prepared = LIST_NEXT(prepared, link);
	}
	return prepared;
}

static void drop_prepared(struct console_prepared_set *set, struct console_prepared *prepared)
{
	LIST_REMOVE(prepared, link);
	set->statement_count--;
	set->statement_bytes -= strlen(prepared->name) + strlen(prepared->statement->query);
	unref(prepared->statement);
	free(prepared->name);
	free(prepared);
}

bool console_prepared_add(struct console_prepared_set *set, const char *name, const char *query,
	struct console_statement **statement_out, struct error *err)
{
	size_t bytes = strlen(name) + strlen(query);
	if (name[0] == '\0') {
		console_prepared_close(set, name);
	} else if (find_prepared(set, name) != NULL) {
		error_set(err, ERROR_CONFLICT, "prepared statement \"%s\" already exists", name);
		return error_sqlstate(err, "42P05");
	}
	if (set->statement_count >= CONSOLE_STATEMENTS_MAX ||
		bytes > CONSOLE_STATEMENT_BYTES_MAX - set->statement_bytes) {
		error_set(err, ERROR_FULL, "too many prepared statements");
		error_hint(err, "DEALLOCATE ALL forgets them.");
		return error_sqlstate(err, "53400");
	}
	struct console_prepared *prepared = memory_new(sizeof(*prepared));
	prepared->name = memory_copy_text(name);
	prepared->statement = memory_new(sizeof(*prepared->statement));
	prepared->statement->references = 1;
	prepared->statement->query = memory_copy_text(query);
	LIST_INSERT_HEAD(&set->statements, prepared, link);
	set->statement_count++;
	set->statement_bytes += bytes;
	*statement_out = prepared->statement;
	return true;
}

bool console_prepared_find(const struct console_prepared_set *set, const char *name,
	struct console_statement **statement_out, struct error *err)
{
	struct console_prepared *prepared = find_prepared(set, name);
	if (prepared == NULL) {
		error_set(err, ERROR_NOT_FOUND,
			name[0] == '\0' ? "unnamed prepared statement does not exist%s"
					: "prepared statement \"%s\" does not exist",
			name);
		return error_sqlstate(err, "26000");
	}
	*statement_out = prepared->statement;
	return true;
}

void console_prepared_close(struct console_prepared_set *set, const char *name)
{
	struct console_prepared *prepared = find_prepared(set, name);
	if (prepared != NULL) {
		drop_prepared(set, prepared);
	}
}

void console_prepared_close_all(struct console_prepared_set *set)
{
	while (!LIST_EMPTY(&set->statements)) {
		/* It does not see that LIST_REMOVE() moved the head on. */
		/* NOLINTNEXTLINE(clang-analyzer-unix.Malloc) */
		drop_prepared(set, LIST_FIRST(&set->statements));
	}
}

/* --- portals -----------------------------------------------------------------------------------
 */

static struct console_portal *find_portal(const struct console_prepared_set *set, const char *name)
{
	struct console_portal *portal = LIST_FIRST(&set->portals);
	while (portal != NULL && strcmp(portal->name, name) != 0) {
		portal = LIST_NEXT(portal, link);
	}
	return portal;
}

static void drop_portal(struct console_prepared_set *set, struct console_portal *portal)
{
	LIST_REMOVE(portal, link);
	set->portal_count--;
	console_result_release(&portal->result);
	unref(portal->statement);
	free(portal->name);
	free(portal);
}

bool console_portal_add(struct console_prepared_set *set, const struct pg_bind *bind,
	struct console_statement *statement, struct console_portal **portal_out, struct error *err)
{
	if (bind->portal[0] == '\0') {
		console_portal_close(set, bind->portal);
	} else if (find_portal(set, bind->portal) != NULL) {
		error_set(err, ERROR_CONFLICT, "cursor \"%s\" already exists", bind->portal);
		return error_sqlstate(err, "42P03");
	}
	if (set->portal_count >= CONSOLE_PORTALS_MAX) {
		error_set(err, ERROR_FULL, "too many open portals");
		return error_sqlstate(err, "53400");
	}
	struct console_portal *portal = memory_new(sizeof(*portal));
	portal->name = memory_copy_text(bind->portal);
	portal->statement = statement;
	statement->references++;
	memcpy(portal->formats, bind->formats, bind->format_count * sizeof(portal->formats[0]));
	portal->format_count = bind->format_count;
	LIST_INSERT_HEAD(&set->portals, portal, link);
	set->portal_count++;
	*portal_out = portal;
	return true;
}

bool console_portal_find(const struct console_prepared_set *set, const char *name,
	struct console_portal **portal_out, struct error *err)
{
	struct console_portal *portal = find_portal(set, name);
	if (portal == NULL) {
		error_set(err, ERROR_NOT_FOUND, "portal \"%s\" does not exist", name);
		return error_sqlstate(err, "34000");
	}
	*portal_out = portal;
	return true;
}

void console_portal_close(struct console_prepared_set *set, const char *name)
{
	struct console_portal *portal = find_portal(set, name);
	if (portal != NULL) {
		drop_portal(set, portal);
	}
}

void console_portal_close_all(struct console_prepared_set *set)
{
	while (!LIST_EMPTY(&set->portals)) {
		/* It does not see that LIST_REMOVE() moved the head on. */
		/* NOLINTNEXTLINE(clang-analyzer-unix.Malloc) */
		drop_portal(set, LIST_FIRST(&set->portals));
	}
}
