/*
 * commands: from the words of the command line to the command that is meant.
 */
#include "cli/commands.h"

#include "base/edit_distance.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

static void print_help(const struct cli_command *commands, FILE *out)
{
	(void)fputs(
		"walrelay relays PostgreSQL's WAL: one stream from a server, many to standbys.\n"
		"\n"
		"usage: walrelay COMMAND [OPTION]...\n"
		"\n"
		"commands:\n",
		out);
	for (const struct cli_command *command = commands; command->name != NULL; command++) {
		(void)fprintf(out, "  %-10s %s\n", command->name, command->help);
	}
	(void)fputs("\n"
		    "  walrelay COMMAND --help    what a command takes\n"
		    "  walrelay --version         the version\n"
		    "\n"
		    "Exit codes: 0 done, 1 it ran and the answer is no, 2 wrong use, wrong\n"
		    "configuration, or failed.\n",
		out);
}

static const struct cli_command *find(const struct cli_command *commands, const char *name)
{
	for (const struct cli_command *command = commands; command->name != NULL; command++) {
		if (strcmp(command->name, name) == 0) {
			return command;
		}
	}
	return NULL;
}

static const char *nearest(const struct cli_command *commands, const char *name)
{
	const char *found = commands->name;

	for (const struct cli_command *command = commands; command->name != NULL; command++) {
		if (edit_distance(name, command->name) < edit_distance(name, found)) {
			found = command->name;
		}
	}
	return found;
}

static int run_command(const struct cli_command *command, int argc, char **argv)
{
	char name[64];

	/* So that getopt(3)'s own messages name the command. */
	(void)snprintf(name, sizeof(name), "walrelay %s", command->name);
	argv[1] = name;
	return command->run(argc - 1, argv + 1);
}

int cli_run(const struct cli_command *commands, int argc, char **argv)
{
	const char *word = argc > 1 ? argv[1] : NULL;
	const struct cli_command *command;

	if (word == NULL) {
		print_help(commands, stderr);
		return CLI_FAILED;
	}
	if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0 || strcmp(word, "help") == 0) {
		print_help(commands, stdout);
		return CLI_DONE;
	}
	if (strcmp(word, "--version") == 0 || strcmp(word, "-V") == 0) {
		(void)puts("walrelay " WALRELAY_VERSION);
		return CLI_DONE;
	}
	command = find(commands, word);
	if (command == NULL) {
		(void)fprintf(stderr,
			"walrelay: unknown %s \"%s\"; did you mean \"%s\"? (\"walrelay --help\" "
			"lists them)\n",
			*word == '-' ? "option" : "command", word,
			*word == '-' ? "--help" : nearest(commands, word));
		return CLI_FAILED;
	}
	return run_command(command, argc, argv);
}
