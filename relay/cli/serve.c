/*
 * walrelay serve: run the relay in the foreground.
 */
#include "app/relay.h"
#include "app/relay_options.h"
#include "app/relay_replace.h"
#include "app/signals.h"
#include "base/log.h"
#include "cli/commands.h"
#include "cli/config_file.h"

#include <getopt.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

static void print_help(FILE *out)
{
	fputs("usage: walrelay serve -c FILE\n"
	      "\n"
	      "Run the relay in the foreground.\n"
	      "\n"
	      "  -c FILE   the configuration file\n"
	      "  --help    show this help\n"
	      "\n"
	      "Signals: SIGTERM, SIGINT stop; SIGHUP reload the configuration; SIGUSR1 reopen the\n"
	      "log; SIGUSR2 start the binary anew in place.\n",
		out);
}

/* Fills path_out; CLI_DONE with a NULL path: help was asked for. */
static int parse_arguments(int argc, char **argv, const char **path_out)
{
	static const struct option options[] = {
		{"config", required_argument, NULL, 'c'},
		{"help", no_argument, NULL, 'h'},
		{NULL, 0, NULL, 0},
	};
	*path_out = NULL;
	int option;
	while ((option = getopt_long(argc, argv, "c:h", options, NULL)) != -1) {
		switch (option) {
		case 'c': *path_out = optarg; break;
		case 'h': print_help(stdout); return CLI_DONE;
		default: print_help(stderr); return CLI_FAILED;
		}
	}
	if (*path_out == NULL || optind < argc) {
		fputs("walrelay serve: give the configuration file with -c FILE\n", stderr);
		return CLI_FAILED;
	}
	return CLI_DONE;
}

/* Every connection takes a descriptor, and every reader far behind up to two segments more; the
 * usual soft limit of 1024 is for programs that use select(). */
static void raise_descriptor_limit(void)
{
	struct rlimit limit;
	if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
		limit.rlim_cur = limit.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &limit);
	}
}

/* Passwords, keys and WAL stay out of core files. A limit of 0 does not keep the kernel from
 * handing one to a program (core(5)), so the process may not be dumped at all; but by root, it
 * cannot be traced or read in /proc/PID/mem then either. */
static void forbid_dumps(void)
{
	const struct rlimit no_core = {0, 0};
	(void)setrlimit(RLIMIT_CORE, &no_core);
	(void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
}

/* A relay that has nothing to do with root's rights runs without them; what it holds in memory
 * is not shown, and what it writes is its own. */
static bool prepare_process(struct error *err)
{
	if (geteuid() == 0) {
		error_set(err, ERROR_DENIED, "\"root\" execution of walrelay is not permitted");
		return error_hint(err,
			"Start it as an ordinary user of its own, as one does with PostgreSQL.");
	}
	umask(077);
	forbid_dumps();
	raise_descriptor_limit();
	/* libpq allocates each message of 128 kB: keep those blocks instead of mapping anew. */
	mallopt(M_MMAP_THRESHOLD, 4 << 20);
	mallopt(M_TRIM_THRESHOLD, 16 << 20);
	signals_block();
	return true;
}

static int fail(const struct error *err)
{
	log_error(LOG_LEVEL_ERROR, NULL, err);
	return CLI_FAILED;
}

static int run(const char *path, struct config *config)
{
	struct error err = {0};
	struct relay *relay = relay_new(path, config, &err);
	if (relay == NULL) {
		return fail(&err);
	}
	enum relay_outcome outcome = relay_run(relay);
	int *kept_fds = NULL;
	size_t kept_count = 0;
	relay_free(&relay, &kept_fds, &kept_count);
	if (outcome == RELAY_REPLACE && !relay_replace_now(kept_fds, kept_count, &err)) {
		free(kept_fds);
		return fail(&err);
	}
	free(kept_fds);
	if (outcome == RELAY_FAILED) {
		return CLI_FAILED;
	}
	log_tell_repeats(true);
	log_info(NULL, "stopped");
	return CLI_DONE;
}

int cli_serve(int argc, char **argv)
{
	const char *path;
	int status = parse_arguments(argc, argv, &path);
	if (path == NULL || status != CLI_DONE) {
		return status;
	}
	struct error err = {0};
	struct config *config = config_file_load(path, true);
	if (config == NULL) {
		return CLI_FAILED;
	}
	struct log_options log = relay_log_options(config);
	if (!prepare_process(&err) || !log_configure(&log, &err) ||
		!relay_replace_remember(argc, argv, &err)) {
		config_free(&config);
		return fail(&err);
	}
	return run(path, config);
}
