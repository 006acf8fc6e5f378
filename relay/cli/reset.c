/*
 * reset: `walrelay reset -c FILE [--from LSN | --new-system] [--yes]`, while the relay is stopped.
 *
 * Says what it would do, asks, and does it. Nothing is ever deleted: files get other names, and a
 * range that ends stays readable.
 */
#include "base/pid_file.h"
#include "cli/commands.h"
#include "cli/config_file.h"
#include "cli/reset_state.h"
#include "cli/set_aside.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

struct request {
	const char *path;
	lsn_t from_lsn; /* LSN_INVALID: not given */
	bool is_new_system;
	bool is_sure;
};

static void print_help(FILE *out)
{
	(void)fputs(
		"usage: walrelay reset -c FILE [--from LSN | --new-system] [--yes]\n"
		"\n"
		"Begin anew after a gap, or follow another cluster, while the relay is\n"
		"stopped. Says what it would do and asks. Deletes nothing.\n"
		"\n"
		"  -c FILE        the configuration file\n"
		"  --from LSN     end the present range of WAL and begin one at the start of the\n"
		"                 segment that holds LSN; what is held stays and is served\n"
		"  --new-system   set the spool and the state aside, so that the next server met\n"
		"                 is followed whatever its system identifier (after pg_upgrade)\n"
		"                 without either: set the spool aside and begin with an empty\n"
		"                 one, following the same cluster\n"
		"  --yes          do not ask\n"
		"  --help         show this help\n",
		out);
}

static int fail(const struct error *err)
{
	(void)fprintf(stderr, "walrelay reset: %s\n", err->message);
	if (err->detail[0] != '\0') {
		(void)fprintf(stderr, "detail: %s\n", err->detail);
	}
	if (err->hint[0] != '\0') {
		(void)fprintf(stderr, "hint: %s\n", err->hint);
	}
	return CLI_FAILED;
}

static bool confirm(const struct request *request)
{
	char answer[16];

	if (request->is_sure) {
		return true;
	}
	(void)fputs("Go on? (yes/no) ", stdout);
	(void)fflush(stdout);
	return fgets(answer, sizeof(answer), stdin) != NULL && strcmp(answer, "yes\n") == 0;
}

static int refused(void)
{
	(void)puts("Nothing was changed.");
	return CLI_NO;
}

static bool confirm_range(
	void *context, tli_t tli, lsn_t oldest_lsn, lsn_t end_lsn, lsn_t begin_lsn)
{
	(void)printf("The spool holds WAL of timeline %u from " LSN_FORMAT " to " LSN_FORMAT ".\n"
		     "That range ends there, and a new one begins at " LSN_FORMAT ".\n"
		     "What is held stays on disk and is served to its end; no standby is served\n"
		     "across the hole: one that has not got past it must be made anew.\n",
		tli, LSN_ARGS(oldest_lsn), LSN_ARGS(end_lsn), LSN_ARGS(begin_lsn));
	return confirm(context);
}

static int reset_from(struct request *request, const struct config *config)
{
	struct error err = {0};
	bool is_done = false;

	if (!reset_range(config, request->from_lsn, confirm_range, request, &is_done, &err)) {
		return fail(&err);
	}
	if (!is_done) {
		return refused();
	}
	(void)puts("Done.");
	return CLI_DONE;
}

static void explain_set_aside(const struct request *request, const char *data_dir,
	const struct reset_state *state, const struct error *read_err, const char *suffix)
{
	if (!state->is_readable) {
		(void)printf("The state cannot be read (%s).\n", read_err->message);
	}
	(void)printf("These are set aside:\n"
		     "  %s/wal as wal%s\n"
		     "  %s/state.db as state.db%s\n",
		data_dir, suffix, data_dir, suffix);
	if (!request->is_new_system) {
		(void)printf("Kept: system identifier %" PRIu64 ", %zu slots by name.\n",
			state->identity.system_identifier, state->slot_count);
	} else {
		(void)printf("Kept: %zu slots by name. Forgotten: system identifier %" PRIu64 ".\n",
			state->slot_count, state->identity.system_identifier);
	}
	(void)puts(
		"The spool will begin where \"start\" in [upstream] says. Standbys that have not\n"
		"got that far must be made anew.");
}

static int set_all_aside(const struct request *request, const char *data_dir,
	const struct reset_state *state, const char *suffix)
{
	struct error err = {0};

	if (!set_aside(data_dir, suffix, &err) ||
		(state->is_readable &&
			!reset_state_write(data_dir, state, !request->is_new_system, &err))) {
		return fail(&err);
	}
	(void)puts("Done.");
	return CLI_DONE;
}

static int reset_all(const struct request *request, const char *data_dir)
{
	char suffix[SET_ASIDE_SUFFIX_SIZE];
	struct error read_err = {0};
	struct reset_state state;
	int result;

	set_aside_suffix((int64_t)time(NULL), suffix);
	reset_state_read(data_dir, &state, &read_err);
	explain_set_aside(request, data_dir, &state, &read_err, suffix);
	result = confirm(request) ? set_all_aside(request, data_dir, &state, suffix) : refused();
	reset_state_release(&state);
	return result;
}

/* As serve: root would leave files behind that the relay cannot touch. */
static bool may_run(const char *data_dir, struct error *err)
{
	if (geteuid() == 0) {
		(void)error_set(
			err, ERROR_DENIED, "\"root\" execution of walrelay is not permitted");
		return error_hint(err, "Run it as the user that the relay runs as.");
	}
	if (access(data_dir, R_OK | W_OK | X_OK) != 0) {
		return error_set_errno(err, "could not use data directory \"%s\"", data_dir);
	}
	return true;
}

static int reset_locked(struct request *request, const struct config *config)
{
	char path[4096];
	struct pid_file *lock;
	struct error err = {0};
	int result;

	(void)snprintf(path, sizeof(path), "%s/walrelay.pid", config->relay.data_dir);
	if (!may_run(config->relay.data_dir, &err) || !pid_file_acquire(path, &lock, &err)) {
		return fail(&err);
	}
	result = request->from_lsn != LSN_INVALID ? reset_from(request, config)
						  : reset_all(request, config->relay.data_dir);
	pid_file_release(&lock);
	return result;
}

static int reset(struct request *request)
{
	struct config *config = config_file_load(request->path, true);
	int result = CLI_FAILED;

	if (config != NULL) {
		result = reset_locked(request, config);
	}
	config_free(&config);
	return result;
}

/* false: *result_out is the exit code. */
static bool parse_arguments(int argc, char **argv, struct request *request, int *result_out)
{
	static const struct option options[] = {{"config", required_argument, NULL, 'c'},
		{"from", required_argument, NULL, 'f'}, {"new-system", no_argument, NULL, 'n'},
		{"yes", no_argument, NULL, 'y'}, {"help", no_argument, NULL, 'h'},
		{NULL, 0, NULL, 0}};
	int option;

	*result_out = CLI_FAILED;
	while ((option = getopt_long(argc, argv, "c:yh", options, NULL)) != -1) {
		switch (option) {
		case 'c': request->path = optarg; break;
		case 'n': request->is_new_system = true; break;
		case 'y': request->is_sure = true; break;
		case 'f':
			if (!lsn_parse(optarg, strlen(optarg), &request->from_lsn) ||
				request->from_lsn == LSN_INVALID) {
				(void)fprintf(stderr,
					"walrelay reset: \"%s\" is not an LSN such as "
					"16/B374D848\n",
					optarg);
				return false;
			}
			break;
		case 'h':
			print_help(stdout);
			*result_out = CLI_DONE;
			return false;
		default: print_help(stderr); return false;
		}
	}
	if (request->path == NULL || optind < argc ||
		(request->is_new_system && request->from_lsn != LSN_INVALID)) {
		print_help(stderr);
		return false;
	}
	return true;
}

int cli_reset(int argc, char **argv)
{
	struct request request = {.from_lsn = LSN_INVALID};
	int result;

	return parse_arguments(argc, argv, &request, &result) ? reset(&request) : result;
}
