/*
 * fetch_source: a replication connection: who are you, how big is a segment, stream it.
 *
 * A segment is only there when the relay has all of it: the end of the current timeline is asked
 * first, and an older timeline's last segment is cut off by the server at the switch.
 */
#include "upstream/fetch_source.h"

#include "base/memory.h"
#include "base/units.h"
#include "base/wall_clock.h"
#include "protocol/repl_message.h"
#include "spool/timeline_history.h"
#include "spool/wal_segment.h"

#include <inttypes.h>
#include <libpq-fe.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SILENCE_MS 30000
#define SLICE_MS   200

struct fetch_source {
	PGconn *connection;
	const atomic_bool *is_cancelled;
	const struct fetched_name *name;
	uint64_t system_identifier;
	tli_t tli;
	lsn_t end_lsn;
	struct fetched_segment segment;
	uint8_t *bytes;   /* of the segment; owned */
	bool is_complete; /* there was more */
	bool is_streaming;
};

static bool say_lost(struct fetch_source *source, struct error *err)
{
	const char *text = PQerrorMessage(source->connection);
	return error_set(err, ERROR_SYSTEM, "%.*s", (int)strcspn(text, "\n"),
		*text != '\0' ? text : "the connection was lost");
}

static bool wait_for_bytes(struct fetch_source *source, struct error *err)
{
	struct pollfd wanted = {.fd = PQsocket(source->connection), .events = POLLIN};
	for (int waited_ms = 0; poll(&wanted, 1, SLICE_MS) == 0; waited_ms += SLICE_MS) {
		if (source->is_cancelled != NULL && atomic_load(source->is_cancelled)) {
			return error_set(err, ERROR_SYSTEM, "told to end");
		}
		if (waited_ms >= SILENCE_MS) {
			return error_set(err, ERROR_SYSTEM, "the server is silent");
		}
	}
	return PQconsumeInput(source->connection) == 1 || say_lost(source, err);
}

static PGresult *next_result(struct fetch_source *source, struct error *err)
{
	while (PQisBusy(source->connection)) {
		if (!wait_for_bytes(source, err)) {
			return NULL;
		}
	}
	PGresult *result = PQgetResult(source->connection);
	if (result == NULL) {
		(void)say_lost(source, err);
	}
	return result;
}

static void pass_over_results(struct fetch_source *source)
{
	struct error over;
	for (PGresult *rest; (rest = next_result(source, &over)) != NULL;) {
		PQclear(rest);
	}
}

/* The first result of a command; the others of a command that is not a stream are passed over. */
static PGresult *ask(struct fetch_source *source, const char *command, struct error *err)
{
	if (PQsendQuery(source->connection, command) != 1) {
		(void)say_lost(source, err);
		return NULL;
	}
	PGresult *first = next_result(source, err);
	if (first == NULL || PQresultStatus(first) == PGRES_COPY_BOTH) {
		return first;
	}
	pass_over_results(source);
	return first;
}

static bool say_refused(const PGresult *result, struct error *err)
{
	const char *text = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
	return error_set(err, ERROR_SYSTEM, "the server says: %s", text != NULL ? text : "nothing");
}

/* No answer and no timeline of that name are one thing to who asks for a file. */
static bool is_absence(const PGresult *result)
{
	const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
	const char *text = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
	return (state != NULL && strcmp(state, "58P01") == 0) ||
	       (text != NULL && (strstr(text, "has already been removed") != NULL ||
					strstr(text, "is not in this server's history") != NULL));
}

/* --- who is it ----------------------------------------------------------------------------------
 */

static bool take_identity(struct fetch_source *source, const PGresult *rows, struct error *err)
{
	if (PQresultStatus(rows) != PGRES_TUPLES_OK || PQntuples(rows) != 1 ||
		PQnfields(rows) < 3) {
		return say_refused(rows, err);
	}
	const char *lsn = PQgetvalue(rows, 0, 2);
	source->system_identifier = strtoull(PQgetvalue(rows, 0, 0), NULL, 10);
	source->tli = (tli_t)strtoul(PQgetvalue(rows, 0, 1), NULL, 10);
	return lsn_parse(lsn, strlen(lsn), &source->end_lsn) ||
	       error_set(err, ERROR_INVALID, "the server says it is at \"%s\"", lsn);
}

static bool take_segment_size(struct fetch_source *source, const PGresult *rows, struct error *err)
{
	uint64_t bytes;
	if (PQresultStatus(rows) != PGRES_TUPLES_OK || PQntuples(rows) != 1) {
		return say_refused(rows, err);
	}
	if (!units_parse_size(PQgetvalue(rows, 0, 0), &bytes) ||
		!wal_segment_bytes_is_valid(bytes)) {
		return error_set(err, ERROR_INVALID, "the server has segments of \"%s\"",
			PQgetvalue(rows, 0, 0));
	}
	source->segment.segment_bytes = (uint32_t)bytes;
	return true;
}

static bool identify(struct fetch_source *source, struct error *err)
{
	PGresult *identity = ask(source, "IDENTIFY_SYSTEM", err);
	bool ok = identity != NULL && take_identity(source, identity, err);
	PGresult *size = ok ? ask(source, "SHOW wal_segment_size", err) : NULL;
	ok = size != NULL && take_segment_size(source, size, err);
	PQclear(size);
	PQclear(identity);
	return ok;
}

/* --- history ------------------------------------------------------------------------------------
 */

static enum fetch_result take_history(struct fetch_source *source, const PGresult *rows,
	struct fetched_bytes *bytes_out, struct error *err)
{
	struct timeline_history history;
	if (PQresultStatus(rows) != PGRES_TUPLES_OK) {
		(void)say_refused(rows, err);
		return is_absence(rows) ? FETCH_ABSENT : FETCH_FAILED;
	}
	if (PQntuples(rows) != 1 || PQnfields(rows) != 2) {
		(void)say_refused(rows, err);
		return FETCH_FAILED;
	}
	size_t length = (size_t)PQgetlength(rows, 0, 1);
	if (!timeline_history_parse(
		    &history, source->name->tli, PQgetvalue(rows, 0, 1), length, err)) {
		return FETCH_FAILED;
	}
	timeline_history_release(&history);
	bytes_out->bytes = memory_new(length + 1);
	memcpy(bytes_out->bytes, PQgetvalue(rows, 0, 1), length);
	bytes_out->length = length;
	return FETCH_DONE;
}

static enum fetch_result fetch_history(
	struct fetch_source *source, struct fetched_bytes *bytes_out, struct error *err)
{
	char command[64];
	snprintf(command, sizeof(command), "TIMELINE_HISTORY %" PRIu32, source->name->tli);
	PGresult *rows = ask(source, command, err);
	if (rows == NULL) {
		return FETCH_FAILED;
	}
	enum fetch_result result = take_history(source, rows, bytes_out, err);
	PQclear(rows);
	return result;
}

/* --- segments -----------------------------------------------------------------------------------
 */

static bool send_status(struct fetch_source *source, struct error *err)
{
	/* Unknown, all three: nobody is to count on what a restore_command got. */
	const struct standby_status status = {.sent_at = wall_clock_unix_us() - PG_EPOCH_UNIX_US};
	uint8_t payload[STANDBY_STATUS_BYTES];
	size_t length = standby_status_encode(&status, payload);
	return (PQputCopyData(source->connection, (const char *)payload, (int)length) == 1 &&
		       PQflush(source->connection) >= 0) ||
	       say_lost(source, err);
}

static bool take_wal(struct fetch_source *source, const struct wal_data *wal, struct error *err)
{
	struct fetched_segment *segment = &source->segment;
	lsn_t limit = segment->start_lsn + segment->segment_bytes;
	if (wal->start_lsn != segment->end_lsn) {
		return error_set(err, ERROR_INVALID,
			"the server sent WAL at " LSN_FORMAT ", expected " LSN_FORMAT,
			LSN_ARGS(wal->start_lsn), LSN_ARGS(segment->end_lsn));
	}
	size_t length = lsn_min(wal->wal_length, limit - segment->end_lsn);
	memcpy(source->bytes + (segment->end_lsn - segment->start_lsn), wal->wal, length);
	segment->end_lsn += length;
	source->is_complete = segment->end_lsn == limit;
	return true;
}

static bool take_copy(
	struct fetch_source *source, const char *payload, int length, struct error *err)
{
	struct server_copy copy;
	const char *reason = "";
	if (server_copy_decode((const uint8_t *)payload, (size_t)length, &copy, &reason) !=
		DECODE_OK) {
		return error_set(err, ERROR_INVALID, "the server sent nonsense: %s", reason);
	}
	if (copy.kind == SERVER_COPY_WAL) {
		return take_wal(source, &copy.wal, err);
	}
	return !copy.keepalive.reply_requested || send_status(source, err);
}

/* After the stream's end: where the timeline ended, if that is why. What the server sent past the
 * switch belongs to nobody. */
static enum fetch_result take_end(struct fetch_source *source, struct error *err)
{
	/* An answer to the server's CopyDone; after an error there is nothing to end. */
	(void)PQputCopyEnd(source->connection, NULL);
	PGresult *result = next_result(source, err);
	enum fetch_result answer = FETCH_FAILED;
	lsn_t switch_lsn;
	if (result == NULL) {
		return FETCH_FAILED;
	}
	const char *text =
		PQntuples(result) == 1 && PQnfields(result) == 2 ? PQgetvalue(result, 0, 1) : "";
	if (PQresultStatus(result) == PGRES_FATAL_ERROR) {
		answer = is_absence(result) ? FETCH_ABSENT : FETCH_FAILED;
		(void)say_refused(result, err);
	} else if (!lsn_parse(text, strlen(text), &switch_lsn)) {
		(void)error_set(err, ERROR_INVALID, "the server ended the stream");
	} else {
		source->segment.end_lsn = lsn_min(source->segment.end_lsn, switch_lsn);
		answer = FETCH_DONE;
	}
	PQclear(result);
	pass_over_results(source);
	source->is_streaming = false;
	return answer;
}

static enum fetch_result take_stream(struct fetch_source *source, struct error *err)
{
	while (!source->is_complete) {
		char *payload = NULL;
		int length = PQgetCopyData(source->connection, &payload, 1);
		if (length == 0 && wait_for_bytes(source, err)) {
			continue;
		}
		if (length == -1) {
			return take_end(source, err);
		}
		if (length < 0) {
			(void)say_lost(source, err);
		}
		if (length <= 0) {
			return FETCH_FAILED;
		}
		bool ok = take_copy(source, payload, length, err);
		PQfreemem(payload);
		if (!ok) {
			return FETCH_FAILED;
		}
	}
	return FETCH_DONE;
}

static enum fetch_result stream_segment(struct fetch_source *source, struct error *err)
{
	char command[96];
	snprintf(command, sizeof(command),
		"START_REPLICATION PHYSICAL " LSN_FORMAT " TIMELINE %" PRIu32,
		LSN_ARGS(source->segment.start_lsn), source->name->tli);
	PGresult *begun = ask(source, command, err);
	enum fetch_result result = FETCH_FAILED;
	if (begun == NULL) {
		return FETCH_FAILED;
	}
	switch (PQresultStatus(begun)) {
	case PGRES_COPY_BOTH:
		source->is_streaming = true;
		result = take_stream(source, err);
		break;
	/* The timeline ended right there. */
	case PGRES_TUPLES_OK: result = FETCH_ABSENT; break;
	default:
		(void)say_refused(begun, err);
		result = is_absence(begun) ? FETCH_ABSENT : FETCH_FAILED;
	}
	PQclear(begun);
	return result;
}

/* The last segment of a timeline has its own name, as in an archive, so that nobody takes it for
 * the whole one, which goes on as the next timeline's. */
static bool is_what_was_asked(const struct fetch_source *source)
{
	return (source->name->kind == FETCHED_SEGMENT) == source->is_complete &&
	       source->segment.end_lsn > source->segment.start_lsn;
}

static bool may_have_segment(struct fetch_source *source, uint64_t number)
{
	struct fetched_segment *segment = &source->segment;
	segment->start_lsn = number * segment->segment_bytes;
	segment->end_lsn = segment->start_lsn;
	segment->tli = source->name->tli;
	segment->system_identifier = source->system_identifier;
	source->is_complete = false;
	if (source->name->tli == source->tli) {
		return source->name->kind == FETCHED_SEGMENT &&
		       source->end_lsn >= segment->start_lsn + segment->segment_bytes;
	}
	return source->name->tli < source->tli;
}

static enum fetch_result fetch_segment(
	struct fetch_source *source, struct fetched_bytes *bytes_out, struct error *err)
{
	struct fetched_segment *segment = &source->segment;
	uint64_t number;
	tli_t tli;
	if (!wal_segment_name_parse(source->name->segment, segment->segment_bytes, &tli, &number) ||
		!may_have_segment(source, number)) {
		return FETCH_ABSENT;
	}
	free(source->bytes);
	source->bytes = memory_new(segment->segment_bytes);
	segment->bytes = source->bytes;
	enum fetch_result result = stream_segment(source, err);
	if (result != FETCH_DONE) {
		return result;
	}
	if (!is_what_was_asked(source)) {
		return FETCH_ABSENT;
	}
	memset(source->bytes + (segment->end_lsn - segment->start_lsn), 0,
		segment->segment_bytes - (segment->end_lsn - segment->start_lsn));
	if (!fetched_segment_check(segment, err)) {
		return FETCH_FAILED;
	}
	*bytes_out = (struct fetched_bytes){source->bytes, segment->segment_bytes};
	source->bytes = NULL;
	segment->bytes = NULL;
	return FETCH_DONE;
}

/* Of the segment before: the server is told to end, and what it had sent meanwhile is dropped. */
static bool end_stream(struct fetch_source *source, struct error *err)
{
	char *payload;
	int length = 0;
	if (!source->is_streaming) {
		return true;
	}
	(void)PQputCopyEnd(source->connection, NULL);
	(void)PQflush(source->connection);
	while (length != -1) {
		length = PQgetCopyData(source->connection, &payload, 1);
		if (length > 0) {
			PQfreemem(payload);
		} else if (length == -2) {
			return say_lost(source, err);
		} else if (length == 0 && !wait_for_bytes(source, err)) {
			return false;
		}
	}
	pass_over_results(source);
	source->is_streaming = false;
	return PQstatus(source->connection) == CONNECTION_OK || say_lost(source, err);
}

struct fetch_source *fetch_source_open(const char *conninfo, const char *application_name,
	const atomic_bool *is_cancelled, struct error *err)
{
	static const char *const keys[] = {"fallback_application_name", "connect_timeout", "dbname",
		"replication", "dbname", NULL};
	const char *const values[] = {
		application_name, "10", conninfo, "true", "replication", NULL};
	struct fetch_source *source = memory_new(sizeof(*source));
	source->is_cancelled = is_cancelled;
	source->connection = PQconnectdbParams(keys, values, 1);
	if (PQstatus(source->connection) != CONNECTION_OK) {
		(void)say_lost(source, err);
		fetch_source_close(&source);
	}
	return source;
}

void fetch_source_close(struct fetch_source **source)
{
	struct fetch_source *closing = *source;
	if (closing == NULL) {
		return;
	}
	*source = NULL;
	PQfinish(closing->connection);
	free(closing->bytes);
	free(closing);
}

enum fetch_result fetch_source_get(struct fetch_source *source, const struct fetched_name *name,
	struct fetched_bytes *bytes_out, struct error *err)
{
	source->name = name;
	if (!end_stream(source, err)) {
		return FETCH_FAILED;
	}
	if (name->kind == FETCHED_HISTORY) {
		return fetch_history(source, bytes_out, err);
	}
	return identify(source, err) ? fetch_segment(source, bytes_out, err) : FETCH_FAILED;
}

uint64_t fetch_source_system_identifier(const struct fetch_source *source)
{
	return source->system_identifier;
}
