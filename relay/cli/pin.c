/*
 * walrelay pin: keeps WAL for something that is not connected yet, by way of the relay's console.
 */
#include "base/units.h"
#include "cli/commands.h"
#include "cli/pg_control.h"
#include "cli/relay_target.h"

#include <getopt.h>
#include <inttypes.h>
#include <libpq-fe.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STATEMENT_SIZE 512
#define USUAL_TIME     "7d"
#define NAME_MAX_BYTES 63

enum { OPTION_LSN = 0x100, OPTION_PGDATA, OPTION_FOR };

struct request {
	const char *config_file;
	const char *conninfo;
	const char *lsn_text;
	const char *data_directory;
	const char *time;
	const char *action; /* add, list, drop */
	const char *name;
	struct pg_control control; /* with data_directory */
};

static void print_help(FILE *out)
{
	fputs("usage: walrelay pin add NAME [--lsn LSN | --pgdata DIR] [--for " USUAL_TIME "]\n"
	      "       walrelay pin list\n"
	      "       walrelay pin drop NAME\n"
	      "\n"
	      "Keep WAL for something that is not connected yet: a standby that will be started\n"
	      "from a snapshot or a backup.\n"
	      "\n"
	      "  --lsn LSN     keep WAL from here on\n"
	      "  --pgdata DIR  keep it from where recovery of this data directory begins: the "
	      "redo\n"
	      "                location of the last checkpoint in its pg_control\n"
	      "                without either: from the last checkpoint the relay has seen\n"
	      "  --for TIME    and for so long; default " USUAL_TIME "\n"
	      "  -c FILE       the relay's configuration file, for its listen and admin_users\n"
	      "  -d CONNINFO   where it is; default host=127.0.0.1 port=6433\n"
	      "  --help        show this help\n",
		out);
}

static int fail(const struct error *err)
{
	fprintf(stderr, "walrelay pin: %s\n", err->message);
	if (err->hint[0] != '\0') {
		fprintf(stderr, "hint: %s\n", err->hint);
	}
	return CLI_FAILED;
}

/* --- the statement ------------------------------------------------------------------------------
 */

static bool check_add(struct request *request, lsn_t *lsn_out, struct error *err)
{
	int64_t time_us;
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

static bool make_statement(
	struct request *request, char statement_out[STATEMENT_SIZE], struct error *err)
{
	lsn_t lsn = LSN_INVALID;
	char at[LSN_TEXT_SIZE + 4] = "";
	char text[LSN_TEXT_SIZE];
	if (strcmp(request->action, "list") == 0) {
		snprintf(statement_out, STATEMENT_SIZE, "SHOW PINS");
		return true;
	}
	if (strlen(request->name) > NAME_MAX_BYTES || strpbrk(request->name, "\"\\;") != NULL) {
		return error_set(err, ERROR_INVALID, "\"%s\" is no name for a pin", request->name);
	}
	if (strcmp(request->action, "drop") == 0) {
		snprintf(statement_out, STATEMENT_SIZE, "UNPIN \"%s\"", request->name);
		return true;
	}
	if (!check_add(request, &lsn, err)) {
		return false;
	}
	if (lsn != LSN_INVALID) {
		snprintf(at, sizeof(at), " AT %s", lsn_format(lsn, text));
	}
	snprintf(statement_out, STATEMENT_SIZE, "PIN \"%s\"%s FOR '%s'", request->name, at,
		request->time);
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

/* The statement did not do what it says: the answer is no. */
static int refused(const PGresult *result)
{
	const char *message = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
	const char *hint = PQresultErrorField(result, PG_DIAG_MESSAGE_HINT);
	fprintf(stderr, "walrelay pin: %s\n", message != NULL ? message : "no answer");
	if (hint != NULL) {
		fprintf(stderr, "hint: %s\n", hint);
	}
	return CLI_NO;
}

static int run_statement(PGconn *connection, const char *statement)
{
	PGresult *result = PQexec(connection, statement);
	ExecStatusType status = PQresultStatus(result);
	int code = CLI_DONE;
	if (status == PGRES_TUPLES_OK) {
		print_table(result);
	} else if (status != PGRES_COMMAND_OK) {
		code = PQstatus(connection) == CONNECTION_OK ? refused(result) : CLI_FAILED;
		if (code == CLI_FAILED) {
			fprintf(stderr, "walrelay pin: %s", PQerrorMessage(connection));
		}
	}
	PQclear(result);
	return code;
}

static PGconn *connect_console(const char *conninfo)
{
	/* The last one wins, and dbname, when it holds a conninfo, is taken apart where it stands.
	 */
	static const char *const keys[] = {
		"fallback_application_name", "connect_timeout", "dbname", "dbname", NULL};
	const char *const values[] = {"walrelay pin", "10", conninfo, "walrelay", NULL};
	return PQconnectdbParams(keys, values, 1);
}

static int ask(const struct request *request, const char *statement)
{
	struct error err = {0};
	char *conninfo = relay_target_conninfo(request->config_file, request->conninfo, true, &err);
	if (conninfo == NULL) {
		return fail(&err);
	}
	PGconn *connection = connect_console(conninfo);
	int code = CLI_FAILED;
	free(conninfo);
	if (PQstatus(connection) == CONNECTION_OK) {
		code = run_statement(connection, statement);
	} else {
		fprintf(stderr, "walrelay pin: %s", PQerrorMessage(connection));
	}
	PQfinish(connection);
	return code;
}

/* --- the command line ---------------------------------------------------------------------------
 */

static bool read_words(int argc, char **argv, struct request *request, struct error *err)
{
	int words = argc - optind;
	request->action = words > 0 ? argv[optind] : "";
	request->name = words > 1 ? argv[optind + 1] : "";
	bool is_list = strcmp(request->action, "list") == 0;
	bool is_named = strcmp(request->action, "add") == 0 || strcmp(request->action, "drop") == 0;
	if (!is_list && !is_named) {
		return error_set(err, ERROR_INVALID, "say what to do: add, list or drop");
	}
	if (words != (is_named ? 2 : 1)) {
		return error_set(err, ERROR_INVALID, "\"%s\" takes %s", request->action,
			is_named ? "the name of a pin" : "nothing more");
	}
	if (strcmp(request->action, "add") != 0 &&
		(request->lsn_text != NULL || request->data_directory != NULL)) {
		return error_set(err, ERROR_INVALID, "--lsn and --pgdata go with \"add\"");
	}
	return true;
}

int cli_pin(int argc, char **argv)
{
	static const struct option options[] = {
		{"lsn", required_argument, NULL, OPTION_LSN},
		{"pgdata", required_argument, NULL, OPTION_PGDATA},
		{"for", required_argument, NULL, OPTION_FOR},
		{"help", no_argument, NULL, 'h'},
		{NULL, 0, NULL, 0},
	};
	struct request request = {.time = USUAL_TIME};
	struct error err = {0};
	char statement[STATEMENT_SIZE];
	int found;
	while ((found = getopt_long(argc, argv, "c:d:h", options, NULL)) != -1) {
		switch (found) {
		case 'c': request.config_file = optarg; break;
		case 'd': request.conninfo = optarg; break;
		case OPTION_LSN: request.lsn_text = optarg; break;
		case OPTION_PGDATA: request.data_directory = optarg; break;
		case OPTION_FOR: request.time = optarg; break;
		case 'h': print_help(stdout); return CLI_DONE;
		default: return CLI_FAILED;
		}
	}
	if (!read_words(argc, argv, &request, &err) || !make_statement(&request, statement, &err)) {
		return fail(&err);
	}
	return ask(&request, statement);
}
