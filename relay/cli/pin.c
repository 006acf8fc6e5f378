/*
 * walrelay pin: keeps WAL for something that is not connected yet, by way of the relay's console.
 */
#include "base/units.h"
#include "cli/commands.h"
#include "cli/pin_request.h"
#include "cli/relay_console.h"

#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define USUAL_TIME     "7d"
#define NAME_MAX_BYTES 63

enum {
	OPTION_LSN = 0x100,
	OPTION_PGDATA,
	OPTION_FOR,
	OPTION_VOLUME,
	OPTION_REGION,
	OPTION_PROFILE,
	OPTION_ENDPOINT_URL,
	OPTION_WAIT,
};

static void print_help(FILE *out)
{
	fputs("usage: walrelay pin add NAME [--lsn LSN | --pgdata DIR] [--for " USUAL_TIME "]\n"
	      "       walrelay pin list\n"
	      "       walrelay pin drop NAME\n"
	      "       walrelay pin snapshot --volume VOL --region R [--lsn LSN | --pgdata DIR]\n"
	      "       walrelay pin prune [--region R]\n"
	      "\n"
	      "Keep WAL for something that is not connected yet: a standby that will be started\n"
	      "from a snapshot or a backup. \"snapshot\" takes one of an EBS volume and pins what\n"
	      "it will need; \"prune\" ends the pins of snapshots that were deleted.\n"
	      "\n"
	      "  --lsn LSN     keep WAL from here on\n"
	      "  --pgdata DIR  keep it from where recovery of this data directory begins: the "
	      "redo\n"
	      "                location of the last checkpoint in its pg_control\n"
	      "                without either: from the last checkpoint the relay has seen; for a\n"
	      "                snapshot also from where its standbys and slots are\n"
	      "  --for TIME    and for so long; default " USUAL_TIME "\n"
	      "  --volume VOL  the EBS volume that holds the data directory, and pg_wal\n"
	      "  --region R    where it is; default AWS_REGION, AWS_DEFAULT_REGION\n"
	      "  --wait        until EC2 has completed the snapshot\n"
	      "  --profile P   credentials of this profile; default as the AWS tools: "
	      "environment,\n"
	      "                ~/.aws/credentials, the role of the instance\n"
	      "  --endpoint-url URL  where EC2 is; default AWS_ENDPOINT_URL_EC2, AWS's own\n"
	      "  -c FILE       the relay's configuration file, for its listen and admin_users\n"
	      "  -d CONNINFO   where it is; default host=127.0.0.1 port=6433\n"
	      "  --help        show this help\n",
		out);
}

int pin_fail(const struct error *err)
{
	fprintf(stderr, "walrelay pin: %s\n", err->message);
	if (err->hint[0] != '\0') {
		fprintf(stderr, "hint: %s\n", err->hint);
	}
	return err->kind == ERROR_DENIED ? CLI_NO : CLI_FAILED;
}

/* --- the statement ------------------------------------------------------------------------------
 */

bool pin_request_lsn(struct pin_request *request, lsn_t *lsn_out, struct error *err)
{
	int64_t time_us;
	*lsn_out = LSN_INVALID;
	if (request->lsn_text != NULL && request->data_directory != NULL) {
		return error_set(err, ERROR_INVALID, "give either --lsn LSN or --pgdata DIR");
	}
	if (!units_parse_time(request->time, &time_us) || time_us <= 0) {
		return error_set(
			err, ERROR_INVALID, "\"%s\" is no time, such as 7d or 12h", request->time);
	}
	if (request->lsn_text != NULL &&
		!lsn_parse(request->lsn_text, strlen(request->lsn_text), lsn_out)) {
		return error_set(err, ERROR_INVALID, "\"%s\" is no LSN, such as 16/B374D848",
			request->lsn_text);
	}
	if (request->data_directory != NULL) {
		if (!pg_control_read(request->data_directory, &request->control, err)) {
			return false;
		}
		*lsn_out = request->control.redo_lsn;
	}
	return true;
}

void pin_statement(
	const char *name, lsn_t lsn, const char *time, char statement_out[PIN_STATEMENT_SIZE])
{
	char at[LSN_TEXT_SIZE + 4] = "";
	char text[LSN_TEXT_SIZE];
	if (lsn != LSN_INVALID) {
		snprintf(at, sizeof(at), " AT %s", lsn_format(lsn, text));
	}
	snprintf(statement_out, PIN_STATEMENT_SIZE, "PIN \"%s\"%s FOR '%s'", name, at, time);
}

void pin_drop_statement(const char *name, char statement_out[PIN_STATEMENT_SIZE])
{
	snprintf(statement_out, PIN_STATEMENT_SIZE, "UNPIN \"%s\"", name);
}

static bool make_statement(
	struct pin_request *request, char statement_out[PIN_STATEMENT_SIZE], struct error *err)
{
	lsn_t lsn = LSN_INVALID;
	if (strcmp(request->action, "list") == 0) {
		snprintf(statement_out, PIN_STATEMENT_SIZE, "SHOW PINS");
		return true;
	}
	if (strlen(request->name) > NAME_MAX_BYTES || strpbrk(request->name, "\"\\;") != NULL) {
		return error_set(err, ERROR_INVALID, "\"%s\" is no name for a pin", request->name);
	}
	if (strcmp(request->action, "drop") == 0) {
		pin_drop_statement(request->name, statement_out);
		return true;
	}
	if (!pin_request_lsn(request, &lsn, err)) {
		return false;
	}
	pin_statement(request->name, lsn, request->time, statement_out);
	return true;
}

/* --- asking -------------------------------------------------------------------------------------
 */

static int max_width(const PGresult *result, int column)
{
	int width = (int)strlen(PQfname(result, column));
	for (int row = 0; row < PQntuples(result); row++) {
		int length = PQgetlength(result, row, column);
		width = length > width ? length : width;
	}
	return width;
}

static void print_table(const PGresult *result)
{
	for (int row = -1; row < PQntuples(result); row++) {
		for (int column = 0; column < PQnfields(result); column++) {
			const char *text =
				row < 0 ? PQfname(result, column) : PQgetvalue(result, row, column);
			bool is_last = column + 1 == PQnfields(result);
			printf("%-*s%s", is_last ? 0 : max_width(result, column), text,
				is_last ? "\n" : "  ");
		}
	}
}

static int ask(const struct pin_request *request, const char *statement)
{
	struct error err = {0};
	PGresult *result = NULL;
	PGconn *connection = relay_console_open(request->config_file, request->conninfo, &err);
	if (connection == NULL) {
		return pin_fail(&err);
	}
	bool ok = relay_console_run(connection, statement, &result, &err);
	if (ok && PQresultStatus(result) == PGRES_TUPLES_OK) {
		print_table(result);
	}
	PQclear(result);
	PQfinish(connection);
	return ok ? CLI_DONE : pin_fail(&err);
}

/* --- the command line ---------------------------------------------------------------------------
 */

static bool is_action(const struct pin_request *request, const char *action)
{
	return strcmp(request->action, action) == 0;
}

static bool check_options(const struct pin_request *request, struct error *err)
{
	bool is_snapshot = is_action(request, "snapshot");
	bool is_cloud = is_snapshot || is_action(request, "prune");
	if (!is_snapshot && !is_action(request, "add") &&
		(request->lsn_text != NULL || request->data_directory != NULL)) {
		return error_set(
			err, ERROR_INVALID, "--lsn and --pgdata go with \"add\" and \"snapshot\"");
	}
	if (!is_snapshot && (request->volume != NULL || request->is_waited)) {
		return error_set(err, ERROR_INVALID, "--volume and --wait go with \"snapshot\"");
	}
	if (!is_cloud && (request->region != NULL || request->profile != NULL ||
				 request->endpoint_url != NULL)) {
		return error_set(err, ERROR_INVALID,
			"--region, --profile and --endpoint-url go with \"snapshot\" and "
			"\"prune\"");
	}
	return true;
}

static bool read_words(int argc, char **argv, struct pin_request *request, struct error *err)
{
	int words = argc - optind;
	request->action = words > 0 ? argv[optind] : "";
	request->name = words > 1 ? argv[optind + 1] : "";
	bool is_named = is_action(request, "add") || is_action(request, "drop");
	bool is_other = is_action(request, "list") || is_action(request, "snapshot") ||
			is_action(request, "prune");
	if (!is_other && !is_named) {
		return error_set(
			err, ERROR_INVALID, "say what to do: add, list, drop, snapshot or prune");
	}
	if (words != (is_named ? 2 : 1)) {
		return error_set(err, ERROR_INVALID, "\"%s\" takes %s", request->action,
			is_named ? "the name of a pin" : "nothing more");
	}
	return check_options(request, err);
}

static const struct option options[] = {
	{"lsn", required_argument, NULL, OPTION_LSN},
	{"pgdata", required_argument, NULL, OPTION_PGDATA},
	{"for", required_argument, NULL, OPTION_FOR},
	{"volume", required_argument, NULL, OPTION_VOLUME},
	{"region", required_argument, NULL, OPTION_REGION},
	{"profile", required_argument, NULL, OPTION_PROFILE},
	{"endpoint-url", required_argument, NULL, OPTION_ENDPOINT_URL},
	{"wait", no_argument, NULL, OPTION_WAIT},
	{"help", no_argument, NULL, 'h'},
	{NULL, 0, NULL, 0},
};

int cli_pin(int argc, char **argv)
{
	struct pin_request request = {.time = USUAL_TIME};
	struct error err = {0};
	char statement[PIN_STATEMENT_SIZE];
	int found;
	while ((found = getopt_long(argc, argv, "c:d:h", options, NULL)) != -1) {
		switch (found) {
		case 'c': request.config_file = optarg; break;
		case 'd': request.conninfo = optarg; break;
		case OPTION_LSN: request.lsn_text = optarg; break;
		case OPTION_PGDATA: request.data_directory = optarg; break;
		case OPTION_FOR: request.time = optarg; break;
		case OPTION_VOLUME: request.volume = optarg; break;
		case OPTION_REGION: request.region = optarg; break;
		case OPTION_PROFILE: request.profile = optarg; break;
		case OPTION_ENDPOINT_URL: request.endpoint_url = optarg; break;
		case OPTION_WAIT: request.is_waited = true; break;
		case 'h': print_help(stdout); return CLI_DONE;
		default: return CLI_FAILED;
		}
	}
	if (!read_words(argc, argv, &request, &err)) {
		return pin_fail(&err);
	}
	if (is_action(&request, "snapshot")) {
		return pin_snapshot(&request);
	}
	if (is_action(&request, "prune")) {
		return pin_prune(&request);
	}
	return make_statement(&request, statement, &err) ? ask(&request, statement)
							 : pin_fail(&err);
}
