/*
 * check_upstream: a short connection to every server of the conninfo.
 *
 * Each is asked how much WAL a slot may hold there, and a standby among them whether it has the
 * slot that would be wanted after a failover. A server that is away is a warning: a relay starts
 * without it too.
 */
#include "cli/check_rules.h"

#include "base/memory.h"
#include "base/monotonic_clock.h"

#include <libpq-fe.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define TIMEOUT_S  "3"
#define TIMEOUT_MS 3000

/* One server of several; an empty text leaves the conninfo's own. */
struct candidate {
	char *host;
	char *address;
	char *port;
};

struct candidates {
	struct candidate *items;
	size_t count;
};

struct server {
	const struct config *config;
	struct config_report *report;
	const struct candidate *candidate;
	bool has_others; /* the conninfo names more than one */
	PGconn *connection;
};

static void warn(const struct server *server, const char *format, ...) PRINTF_LIKE(2, 3);

static void warn(const struct server *server, const char *format, ...)
{
	const struct candidate *candidate = server->candidate;
	va_list arguments;
	char *text;

	va_start(arguments, format);
	if (vasprintf(&text, format, arguments) < 0) {
		abort();
	}
	va_end(arguments);
	config_report_warning(server->report, server->config->file,
		config_line(server->config, "upstream", "conninfo"), "upstream%s%s%s%s: %s",
		*candidate->host != '\0' || *candidate->address != '\0' ? " " : "",
		*candidate->host != '\0' ? candidate->host : candidate->address,
		*candidate->port != '\0' ? ":" : "", candidate->port, text);
	free(text);
}

/* The index-th piece between commas, malloc'ed; a single piece stands for every index, as in
 * libpq. */
static char *piece_at(const char *list, size_t index)
{
	const char *at = list == NULL ? "" : list;

	if (strchr(at, ',') == NULL) {
		return memory_copy_text(at);
	}
	for (; index > 0; index--) {
		at += strcspn(at, ",");
		at += *at == ',' ? 1 : 0;
	}
	return memory_copy_bytes(at, strcspn(at, ","));
}

static size_t piece_count(const char *list)
{
	size_t count = 1;

	for (const char *at = list == NULL ? "" : list; *at != '\0'; at++) {
		count += *at == ',' ? 1 : 0;
	}
	return count;
}

static const char *option_value(const PQconninfoOption *options, const char *keyword)
{
	for (; options->keyword != NULL; options++) {
		if (strcmp(options->keyword, keyword) == 0) {
			return options->val;
		}
	}
	return NULL;
}

static struct candidates candidates_of(const char *conninfo)
{
	PQconninfoOption *options = PQconninfoParse(conninfo, NULL);
	struct candidates candidates = {0};
	const char *host, *address, *port;

	if (options == NULL) {
		return candidates;
	}
	host = option_value(options, "host");
	address = option_value(options, "hostaddr");
	port = option_value(options, "port");
	candidates.count = piece_count(address != NULL ? address : host);
	candidates.items = memory_new(candidates.count * sizeof(*candidates.items));
	for (size_t i = 0; i < candidates.count; i++) {
		candidates.items[i].host = piece_at(host, i);
		candidates.items[i].address = piece_at(address, i);
		candidates.items[i].port = piece_at(port, i);
	}
	PQconninfoFree(options);
	return candidates;
}

static void candidates_release(struct candidates *candidates)
{
	for (size_t i = 0; i < candidates->count; i++) {
		free(candidates->items[i].host);
		free(candidates->items[i].address);
		free(candidates->items[i].port);
	}
	free(candidates->items);
}

static void warn_with_server_error(const struct server *server, const char *what)
{
	const char *message = PQerrorMessage(server->connection);

	warn(server, "%s: %.*s", what, (int)strcspn(message, "\n"), message);
}

static bool connect_to(struct server *server)
{
	/* What comes later wins over the conninfo; empty texts are as if not given, so that a
	 * conninfo without host keeps its default. */
	const char *const keywords[] = {"dbname", "host", "hostaddr", "port", "replication",
		"target_session_attrs", "connect_timeout", "fallback_application_name", NULL};
	const char *const values[] = {server->config->upstream.conninfo, server->candidate->host,
		server->candidate->address, server->candidate->port, "true", "any", TIMEOUT_S,
		server->config->relay.name, NULL};

	server->connection = PQconnectdbParams(keywords, values, 1);
	if (PQstatus(server->connection) != CONNECTION_OK) {
		warn_with_server_error(server, "could not connect");
		return false;
	}
	return true;
}

/* false: nothing came in time, or the connection is lost. */
static bool wait_for_result(const struct server *server, int64_t deadline_ms)
{
	while (PQisBusy(server->connection) != 0) {
		struct pollfd wait = {.fd = PQsocket(server->connection), .events = POLLIN};
		int64_t left_ms = deadline_ms - monotonic_clock_us() / 1000;

		if (left_ms <= 0 || poll(&wait, 1, (int)left_ms) <= 0 ||
			PQconsumeInput(server->connection) == 0) {
			return false;
		}
	}
	return true;
}

/* NULL: no answer in time, or the connection is lost. */
static PGresult *query(const struct server *server, const char *sql)
{
	int64_t deadline_ms = monotonic_clock_us() / 1000 + TIMEOUT_MS;
	PGresult *result = NULL, *next;

	if (PQsendQuery(server->connection, sql) == 0) {
		return NULL;
	}
	while (wait_for_result(server, deadline_ms)) {
		next = PQgetResult(server->connection);
		if (next == NULL) {
			return result;
		}
		PQclear(result);
		result = next;
	}
	PQclear(result);
	return NULL;
}

/* malloc'ed; NULL: no such value, or null. */
static char *query_value(const struct server *server, const char *sql, bool *is_answered_out)
{
	PGresult *result = query(server, sql);
	char *value = NULL;

	*is_answered_out = result != NULL && PQresultStatus(result) == PGRES_TUPLES_OK;
	if (*is_answered_out && PQntuples(result) == 1 && PQnfields(result) >= 1 &&
		PQgetisnull(result, 0, 0) == 0) {
		value = memory_copy_text(PQgetvalue(result, 0, 0));
	}
	PQclear(result);
	return value;
}

static void check_keep_size(const struct server *server)
{
	bool is_answered;
	char *value = query_value(server, "SHOW max_slot_wal_keep_size", &is_answered);

	/* From 13 on; another relay need not know it. */
	if (value != NULL && strcmp(value, "-1") == 0 && *server->config->upstream.slot != '\0') {
		warn(server, "max_slot_wal_keep_size is -1: while this relay is away, its slot may "
			     "fill that server's disk");
	}
	free(value);
}

static void check_slot(const struct server *server)
{
	const char *standby = PQparameterStatus(server->connection, "in_hot_standby");
	const char *slot = server->config->upstream.slot;
	char sql[128], *value;
	bool is_answered;

	/* The primary's is made on first contact. READ_REPLICATION_SLOT came with 15. */
	if (!server->has_others || *slot == '\0' || PQserverVersion(server->connection) < 150000 ||
		standby == NULL || strcmp(standby, "on") != 0) {
		return;
	}
	(void)snprintf(sql, sizeof(sql), "READ_REPLICATION_SLOT %s", slot);
	value = query_value(server, sql, &is_answered);
	if (is_answered && value == NULL) {
		warn(server,
			"this standby has no slot \"%s\": after a failover to it, WAL from before "
			"the first contact may be gone",
			slot);
	}
	free(value);
}

static void check_candidate(struct server *server)
{
	if (connect_to(server)) {
		check_keep_size(server);
		check_slot(server);
	}
	PQfinish(server->connection);
}

void check_upstream(const struct config *config, struct config_report *report)
{
	struct candidates candidates = candidates_of(config->upstream.conninfo);

	for (size_t i = 0; i < candidates.count; i++) {
		struct server server = {.config = config,
			.report = report,
			.candidate = &candidates.items[i],
			.has_others = candidates.count > 1};

		check_candidate(&server);
	}
	candidates_release(&candidates);
}
