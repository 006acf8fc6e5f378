/*
 * pin_snapshot: WAL is pinned first, under a name that the snapshot then has as a tag, and only
 * then is the snapshot asked for: what it holds is never older than the pin. Once its id is known
 * the pin is named by it. The first pin goes when it is certain that there is no snapshot.
 */
#include "cli/commands.h"
#include "cli/pin_cloud.h"
#include "cli/pin_names.h"
#include "cli/pin_request.h"
#include "cli/relay_console.h"
#include "cloud/ec2_snapshots.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define NUMBER_SIZE   24
#define POLL_WAIT_MAX 15

/* What a snapshot is of. */
struct subject {
	char first_name[PIN_NAME_SIZE];
	char name[PIN_NAME_SIZE];
	char system_identifier[NUMBER_SIZE];
	char timeline[NUMBER_SIZE];
	lsn_t lsn;
};

/* --- from where on -----------------------------------------------------------------------------
 */

static void take_lower(const PGresult *result, int row, const char *column, lsn_t *lowest)
{
	const char *text = relay_console_value(result, row, column);
	lsn_t lsn;
	if (text != NULL && lsn_parse(text, strlen(text), &lsn) && lsn != LSN_INVALID &&
		(*lowest == LSN_INVALID || lsn < *lowest)) {
		*lowest = lsn;
	}
}

static bool is_text(const PGresult *result, int row, const char *column, const char *text)
{
	const char *value = relay_console_value(result, row, column);
	return value != NULL && strcmp(value, text) == 0;
}

/* A volume with pg_wal on it holds all from its redo to where its server was, so what it will need
 * begins there; the last checkpoint is what the primary's own volume has, and a server's whose WAL
 * we do not carry. */
static bool lowest_of_relay(PGconn *connection, lsn_t *lsn_out, struct error *err)
{
	PGresult *spool = NULL;
	PGresult *standbys = NULL;
	PGresult *slots = NULL;
	lsn_t lowest = LSN_INVALID;
	bool ok = relay_console_run(connection, "SHOW SPOOL", &spool, err) &&
		  relay_console_run(connection, "SHOW STANDBYS", &standbys, err) &&
		  relay_console_run(connection, "SHOW SLOTS", &slots, err);
	for (int row = 0; ok && row < PQntuples(spool); row++) {
		if (is_text(spool, row, "item", "checkpoint")) {
			take_lower(spool, row, "lsn", &lowest);
		}
	}
	for (int row = 0; ok && row < PQntuples(standbys); row++) {
		take_lower(standbys, row, "flush_lsn", &lowest);
	}
	for (int row = 0; ok && row < PQntuples(slots); row++) {
		if (!is_text(slots, row, "is_lost", "t")) {
			take_lower(slots, row, "restart_lsn", &lowest);
		}
	}
	PQclear(spool);
	PQclear(standbys);
	PQclear(slots);
	if (ok && lowest == LSN_INVALID) {
		return error_set(err, ERROR_DENIED, "the relay has seen no checkpoint yet");
	}
	*lsn_out = lowest;
	return ok;
}

/* Of another cluster nothing is held here. */
static bool read_cluster(PGconn *connection, const struct pin_request *request,
	struct subject *subject, struct error *err)
{
	PGresult *result = NULL;
	char given[NUMBER_SIZE];
	if (!relay_console_run(connection, "SHOW UPSTREAM", &result, err)) {
		return false;
	}
	const char *identifier = relay_console_value(result, 0, "system_identifier");
	const char *timeline = relay_console_value(result, 0, "timeline");
	snprintf(subject->system_identifier, NUMBER_SIZE, "%s", identifier ? identifier : "");
	snprintf(subject->timeline, NUMBER_SIZE, "%s", timeline ? timeline : "");
	PQclear(result);
	if (subject->system_identifier[0] == '\0' || subject->timeline[0] == '\0') {
		return error_set(err, ERROR_DENIED, "the relay has received nothing yet");
	}
	if (request->data_directory == NULL) {
		return true;
	}
	snprintf(given, sizeof(given), "%" PRIu64, request->control.system_identifier);
	snprintf(subject->timeline, NUMBER_SIZE, "%" PRIu32, request->control.tli);
	return strcmp(given, subject->system_identifier) == 0 ||
	       error_set(err, ERROR_DENIED,
		       "\"%s\" is of system %s, and the relay keeps WAL of system %s",
		       request->data_directory, given, subject->system_identifier);
}

static bool pin_first(
	PGconn *connection, struct pin_request *request, struct subject *subject, struct error *err)
{
	char statement[PIN_STATEMENT_SIZE];
	if (!pin_request_lsn(request, &subject->lsn, err) ||
		!read_cluster(connection, request, subject, err) ||
		(subject->lsn == LSN_INVALID && !lowest_of_relay(connection, &subject->lsn, err))) {
		return false;
	}
	if (!pin_name_begun(pin_region(request), request->volume, (int64_t)time(NULL),
		    subject->first_name)) {
		return error_set(err, ERROR_INVALID, "\"%s\" is no volume", request->volume);
	}
	pin_statement(subject->first_name, subject->lsn, request->time, statement);
	return relay_console_run(connection, statement, NULL, err);
}

/* --- the snapshot ------------------------------------------------------------------------------
 */

static bool take(const struct pin_request *request, const struct aws_access *access,
	const struct subject *subject, struct ec2_snapshot *snapshot_out, bool *is_unsure_out,
	struct error *err)
{
	char lsn[LSN_TEXT_SIZE];
	char description[160];
	const struct ec2_tag tags[] = {
		{PIN_TAG, subject->first_name},
		{"walrelay:lsn", lsn_format(subject->lsn, lsn)},
		{"walrelay:timeline", subject->timeline},
		{"walrelay:system-identifier", subject->system_identifier},
	};
	const struct ec2_snapshot_order order = {
		.volume = request->volume,
		.description = description,
		.tags = tags,
		.tag_count = sizeof(tags) / sizeof(tags[0]),
	};
	snprintf(description, sizeof(description), "PostgreSQL system %s, WAL needed from %s",
		subject->system_identifier, lsn);
	return ec2_snapshot_create(access, &order, snapshot_out, is_unsure_out, err);
}

/* What is said of the pin that stays. */
static void say_kept(const struct subject *subject, const char *why)
{
	fprintf(stderr, "walrelay pin: %s: pin \"%s\" stays\n", why, subject->first_name);
	fprintf(stderr, "hint: \"walrelay pin prune\" names it by the snapshot once there is one; "
			"else drop it.\n");
}

static void unpin(const struct pin_request *request, PGconn **connection, const char *name)
{
	struct error err = {0};
	char statement[PIN_STATEMENT_SIZE];
	if (PQstatus(*connection) != CONNECTION_OK) {
		PQfinish(*connection);
		*connection = relay_console_open(request->config_file, request->conninfo, &err);
	}
	pin_drop_statement(name, statement);
	if (*connection == NULL || !relay_console_run(*connection, statement, NULL, &err)) {
		fprintf(stderr, "walrelay pin: could not drop pin \"%s\": %s\n", name, err.message);
	}
}

static int wait_completed(const struct pin_request *request, const struct aws_access *access,
	PGconn **connection, const struct subject *subject, struct ec2_snapshot *snapshot)
{
	struct error err = {0};
	unsigned pause = 1;
	bool is_there = true;
	while (strcmp(snapshot->state, "completed") != 0) {
		sleep(pause);
		pause = pause * 2 < POLL_WAIT_MAX ? pause * 2 : POLL_WAIT_MAX;
		if (!ec2_snapshot_describe(access, snapshot->id, snapshot, &is_there, &err)) {
			return pin_fail(&err);
		}
		if (strcmp(snapshot->state, "error") == 0 ||
			(!is_there && pause == POLL_WAIT_MAX)) {
			unpin(request, connection, subject->name);
			error_set(&err, ERROR_DENIED, "snapshot \"%s\" %s, its pin is dropped",
				snapshot->id, is_there ? "has failed" : "was deleted");
			return pin_fail(&err);
		}
	}
	return CLI_DONE;
}

static int name_by_snapshot(const struct pin_request *request, const struct aws_access *access,
	PGconn **connection, struct subject *subject, struct ec2_snapshot *snapshot)
{
	struct error err = {0};
	char lsn[LSN_TEXT_SIZE];
	bool ok = pin_name_snapshot(snapshot, access->region, subject->name) ||
		  error_set(&err, ERROR_INVALID, "its names are too long");
	if (!ok || !pin_replace(request, connection, subject->first_name, subject->name,
			   subject->lsn, request->time, &err)) {
		(void)pin_fail(&err);
		printf("snapshot %s of %s\n", snapshot->id, request->volume);
		say_kept(subject, "the snapshot could not be pinned by its own name");
		return CLI_FAILED;
	}
	printf("snapshot %s of %s: WAL from %s is kept for %s by pin \"%s\"\n", snapshot->id,
		request->volume, lsn_format(subject->lsn, lsn), request->time, subject->name);
	fflush(stdout);
	return request->is_waited ? wait_completed(request, access, connection, subject, snapshot)
				  : CLI_DONE;
}

static int run(struct pin_request *request, const struct aws_access *access, PGconn **connection)
{
	struct error err = {0};
	struct subject subject = {0};
	struct ec2_snapshot snapshot;
	bool is_unsure = false;
	if (!pin_first(*connection, request, &subject, &err)) {
		return pin_fail(&err);
	}
	if (take(request, access, &subject, &snapshot, &is_unsure, &err)) {
		return name_by_snapshot(request, access, connection, &subject, &snapshot);
	}
	int code = pin_fail(&err);
	if (is_unsure) {
		say_kept(&subject, "whether there is a snapshot is not known");
		return CLI_FAILED;
	}
	unpin(request, connection, subject.first_name);
	return code;
}

static bool check(const struct pin_request *request, struct error *err)
{
	const char *region = pin_region(request);
	if (request->volume == NULL || !aws_is_id(request->volume, "vol")) {
		return error_set(
			err, ERROR_INVALID, "say which volume: --volume vol-0123456789abcdef0");
	}
	if (region == NULL || !aws_is_region(region)) {
		return error_set(err, ERROR_INVALID, "say in which region: --region us-east-1");
	}
	return true;
}

int pin_snapshot(struct pin_request *request)
{
	struct error err = {0};
	struct aws_access access = {0};
	lsn_t ignored;
	if (!check(request, &err) || !pin_request_lsn(request, &ignored, &err) ||
		!pin_access(request, pin_region(request), &access, &err)) {
		return pin_fail(&err);
	}
	PGconn *connection = relay_console_open(request->config_file, request->conninfo, &err);
	int code = connection != NULL ? run(request, &access, &connection) : pin_fail(&err);
	PQfinish(connection);
	aws_credentials_release(&access.credentials);
	return code;
}
