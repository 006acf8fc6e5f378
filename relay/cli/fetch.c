/*
 * walrelay fetch: a restore_command that takes WAL out of a relay.
 *
 * The file is there whole, checked and synced under its name, or not at all. PostgreSQL takes 1 for
 * "not there" and goes on to something else, and shuts down on codes above 125; so a relay that is
 * away is a 2, after some patience.
 */
#include "base/durable_file.h"
#include "base/monotonic_clock.h"
#include "cli/commands.h"
#include "cli/relay_target.h"
#include "upstream/fetch_source.h"

#include <getopt.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define PATIENCE_US (30 * INT64_C(1000000))
#define PATH_BYTES  4096
#define CLI_STRICT  255

enum { OPTION_STRICT = 0x100 };

struct request {
	const char *config_file;
	const char *conninfo;
	bool is_strict;
	const char *name;
	const char *path;
};

static void print_help(FILE *out)
{
	fputs("usage: walrelay fetch [-c FILE | -d CONNINFO] [--strict] NAME PATH\n"
	      "\n"
	      "A file of WAL out of a relay, over its replication port: a segment or a history "
	      "file,\n"
	      "whole and checked or not at all. Made for PostgreSQL:\n"
	      "  restore_command = 'walrelay fetch -d \"host=edge port=6433 user=rep\" %f %p'\n"
	      "\n"
	      "  -d CONNINFO  where the relay is; default host=127.0.0.1 port=6433\n"
	      "  -c FILE      the relay's configuration file, for its listen\n"
	      "  --strict     for point-in-time recovery, where a failure must not read as the "
	      "end\n"
	      "               of the archive: 255 in place of 2\n"
	      "  --help       show this help\n"
	      "\n"
	      "Exit codes: 0 done, 1 the relay has no such file, or not all of it yet, 2 it could\n"
	      "not be reached, or another error, for 30 s.\n",
		out);
}

static bool store(const char *path, const struct fetched_bytes *bytes, struct error *err)
{
	char folder[PATH_BYTES];
	char file[PATH_BYTES];
	if (strlen(path) >= PATH_BYTES) {
		return error_set(err, ERROR_INVALID, "the path is too long");
	}
	strcpy(folder, path);
	strcpy(file, path);
	/* It would be made. */
	if (access(dirname(folder), X_OK) != 0) {
		return error_set_errno(err, "could not use directory \"%s\"", folder);
	}
	struct durable_directory *directory = durable_directory_open(folder, NULL, err);
	if (directory == NULL) {
		return false;
	}
	bool ok = durable_file_store(directory, basename(file), bytes->bytes, bytes->length, err);
	durable_directory_close(&directory);
	return ok;
}

static enum fetch_result try_once(const struct request *request, const char *conninfo,
	const struct fetched_name *name, struct error *err)
{
	struct fetched_bytes bytes = {0};
	struct fetch_source *source = fetch_source_open(conninfo, "walrelay fetch", NULL, err);
	if (source == NULL) {
		return FETCH_FAILED;
	}
	enum fetch_result result = fetch_source_get(source, name, &bytes, err);
	fetch_source_close(&source);
	if (result == FETCH_DONE && !store(request->path, &bytes, err)) {
		result = FETCH_FAILED;
	}
	free(bytes.bytes);
	return result;
}

static int run(const struct request *request, const char *conninfo)
{
	int64_t until_us = monotonic_clock_us() + PATIENCE_US;
	struct fetched_name name;
	fetched_name_parse(request->name, &name);
	if (name.kind == FETCHED_OTHER) {
		return CLI_NO;
	}
	for (;;) {
		struct error err = {0};
		enum fetch_result result = try_once(request, conninfo, &name, &err);
		if (result != FETCH_FAILED) {
			return result == FETCH_DONE ? CLI_DONE : CLI_NO;
		}
		if (monotonic_clock_us() >= until_us) {
			fprintf(stderr, "walrelay fetch: %s: %s\n", request->name, err.message);
			return request->is_strict ? CLI_STRICT : CLI_FAILED;
		}
		sleep(1);
	}
}

int cli_fetch(int argc, char **argv)
{
	static const struct option options[] = {
		{"strict", no_argument, NULL, OPTION_STRICT},
		{"help", no_argument, NULL, 'h'},
		{NULL, 0, NULL, 0},
	};
	struct request request = {0};
	struct error err = {0};
	int found;
	while ((found = getopt_long(argc, argv, "c:d:h", options, NULL)) != -1) {
		switch (found) {
		case 'c': request.config_file = optarg; break;
		case 'd': request.conninfo = optarg; break;
		case OPTION_STRICT: request.is_strict = true; break;
		case 'h': print_help(stdout); return CLI_DONE;
		default: return CLI_FAILED;
		}
	}
	if (argc - optind != 2) {
		fprintf(stderr, "walrelay fetch: give the name of a file and a path\n");
		return CLI_FAILED;
	}
	request.name = argv[optind];
	request.path = argv[optind + 1];
	char *conninfo = relay_target_conninfo(request.config_file, request.conninfo, false, &err);
	if (conninfo == NULL) {
		fprintf(stderr, "walrelay fetch: %s\n", err.message);
		return request.is_strict ? CLI_STRICT : CLI_FAILED;
	}
	int code = run(&request, conninfo);
	free(conninfo);
	return code;
}
