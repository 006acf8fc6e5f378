/*
 * pin_prune: asks EC2 about each snapshot that a pin is named by. A pin goes only when EC2 says, to
 * credentials of the account that owns the snapshot, that there is none, or that it has failed: to
 * those of another account everything seems deleted.
 */
#include "cli/commands.h"
#include "cli/pin_cloud.h"
#include "cli/pin_names.h"
#include "cli/pin_request.h"
#include "cli/relay_console.h"
#include "cloud/ec2_snapshots.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

/* What is younger may not be listed by EC2 yet, or is being taken at this moment. */
#define YOUNG_SECONDS 600
#define TIME_SIZE     32

struct pruning {
	const struct pin_request *request;
	struct aws_access access;
	char account[AWS_ACCOUNT_SIZE]; /* "": not asked yet */
	PGconn *connection;
	int64_t now;
	unsigned kept;
	unsigned dropped;
	bool has_failed;
};

struct pin_row {
	const char *text; /* its name */
	struct pin_name name;
	lsn_t lsn;
	int64_t created;
	int64_t expires;
};

static void fail(struct pruning *pruning, const struct pin_row *pin, const struct error *err)
{
	fprintf(stderr, "walrelay pin: pin \"%s\": %s\n", pin->text, err->message);
	if (err->hint[0] != '\0') {
		fprintf(stderr, "hint: %s\n", err->hint);
	}
	pruning->has_failed = true;
}

/* "2026-11-30 22:05:01.5+00", as consoles write it; 0: none. */
static int64_t read_time(const char *text)
{
	struct tm tm = {0};
	return text != NULL && strptime(text, "%Y-%m-%d %H:%M:%S", &tm) != NULL ? timegm(&tm) : 0;
}

static bool drop(struct pruning *pruning, const struct pin_row *pin, const char *why)
{
	struct error err = {0};
	char statement[PIN_STATEMENT_SIZE];
	pin_drop_statement(pin->text, statement);
	if (!relay_console_run(pruning->connection, statement, NULL, &err)) {
		fail(pruning, pin, &err);
		return false;
	}
	printf("snapshot %s %s: pin \"%s\" is dropped\n", pin->name.id, why, pin->text);
	pruning->dropped++;
	return true;
}

/* Of the same account, whatever the region. */
static bool is_ours(struct pruning *pruning, const struct pin_row *pin)
{
	struct error err = {0};
	if (pruning->account[0] == '\0' && !ec2_account(&pruning->access, pruning->account, &err)) {
		fail(pruning, pin, &err);
		return false;
	}
	if (strcmp(pruning->account, pin->name.account) != 0) {
		error_set(&err, ERROR_DENIED, "its snapshot is of account %s, not asked as %s",
			pin->name.account, pruning->account);
		fail(pruning, pin, &err);
		return false;
	}
	return true;
}

static void prune_snapshot(struct pruning *pruning, const struct pin_row *pin)
{
	struct error err = {0};
	struct ec2_snapshot snapshot;
	bool is_there = false;
	if (!is_ours(pruning, pin)) {
		return;
	}
	if (!ec2_snapshot_describe(&pruning->access, pin->name.id, &snapshot, &is_there, &err)) {
		fail(pruning, pin, &err);
	} else if (!is_there && pruning->now - pin->created >= YOUNG_SECONDS) {
		(void)drop(pruning, pin, "is deleted");
	} else if (is_there && strcmp(snapshot.state, "error") == 0) {
		(void)drop(pruning, pin, "has failed");
	} else {
		pruning->kept++;
	}
}

/* Whoever took the snapshot came to no end: its pin gets its name. Where there is none, the pin
 * ends by itself: nobody can tell from here whose account it would be in. */
static void adopt(struct pruning *pruning, const struct pin_row *pin)
{
	struct error err = {0};
	const struct ec2_tag tag = {PIN_TAG, pin->text};
	struct ec2_snapshot snapshot;
	char name[PIN_NAME_SIZE];
	char left[TIME_SIZE];
	bool is_there = false;
	if (pruning->now - pin->created < YOUNG_SECONDS) {
		pruning->kept++;
		return;
	}
	if (!ec2_snapshot_find(&pruning->access, &tag, &snapshot, &is_there, &err)) {
		fail(pruning, pin, &err);
		return;
	}
	pruning->kept++;
	snprintf(left, sizeof(left), "%" PRId64 "s",
		pin->expires > pruning->now ? pin->expires - pruning->now : 1);
	if (!is_there || !pin_name_snapshot(&snapshot, pin->name.region, name)) {
		fprintf(stderr, "walrelay pin: pin \"%s\" has no snapshot\n", pin->text);
	} else if (!pin_replace(pruning->request, &pruning->connection, pin->text, name, pin->lsn,
			   left, &err)) {
		fail(pruning, pin, &err);
	} else {
		printf("snapshot %s: pin \"%s\" is now \"%s\"\n", snapshot.id, pin->text, name);
	}
}

static void prune_row(struct pruning *pruning, const PGresult *pins, int row)
{
	struct pin_row pin = {.text = relay_console_value(pins, row, "pin_name")};
	const char *lsn = relay_console_value(pins, row, "lsn");
	const char *only = pruning->request->region;
	if (pin.text == NULL || lsn == NULL || !lsn_parse(lsn, strlen(lsn), &pin.lsn)) {
		return;
	}
	pin_name_parse(pin.text, &pin.name);
	if (pin.name.kind == PIN_NAME_OTHER ||
		(only != NULL && strcmp(only, pin.name.region) != 0)) {
		return;
	}
	pin.created = read_time(relay_console_value(pins, row, "created"));
	pin.expires = read_time(relay_console_value(pins, row, "expires"));
	pruning->access.region = pin.name.region;
	if (pin.name.kind == PIN_NAME_SNAPSHOT) {
		prune_snapshot(pruning, &pin);
	} else {
		adopt(pruning, &pin);
	}
	pruning->access.region = NULL; /* the pin's own */
}

static int run(struct pruning *pruning)
{
	struct error err = {0};
	PGresult *pins = NULL;
	if (!relay_console_run(pruning->connection, "SHOW PINS", &pins, &err)) {
		return pin_fail(&err);
	}
	for (int row = 0; row < PQntuples(pins) && pruning->connection != NULL; row++) {
		prune_row(pruning, pins, row);
	}
	PQclear(pins);
	printf("pins of snapshots: %u dropped, %u kept\n", pruning->dropped, pruning->kept);
	return pruning->has_failed ? CLI_FAILED : CLI_DONE;
}

int pin_prune(const struct pin_request *request)
{
	struct error err = {0};
	struct pruning pruning = {.request = request, .now = (int64_t)time(NULL)};
	if (request->region != NULL && !aws_is_region(request->region)) {
		error_set(&err, ERROR_INVALID, "\"%s\" is no region", request->region);
		return pin_fail(&err);
	}
	if (!pin_access(request, request->region, &pruning.access, &err)) {
		return pin_fail(&err);
	}
	pruning.connection = relay_console_open(request->config_file, request->conninfo, &err);
	int code = pruning.connection != NULL ? run(&pruning) : pin_fail(&err);
	PQfinish(pruning.connection);
	aws_credentials_release(&pruning.access.credentials);
	return code;
}
