/*
 * commands: what `walrelay COMMAND` runs, one function and one file a command.
 *
 * argv[0] is "walrelay COMMAND". The result is the exit code: 0 done, 1 it ran and the answer is
 * no, 2 wrong use, wrong configuration, or failed.
 */
#ifndef CLI_COMMANDS_H
#define CLI_COMMANDS_H

enum cli_exit { CLI_DONE = 0, CLI_NO = 1, CLI_FAILED = 2 };

struct cli_command {
	const char *name; /* NULL ends a table */
	int (*run)(int argc, char **argv);
	const char *help; /* one line */
};

/* Finds argv[1] in the table and runs it with what follows; --help and --version are answered
 * here. */
int cli_run(const struct cli_command *commands, int argc, char **argv);

int cli_serve(int argc, char **argv);
int cli_check(int argc, char **argv);
int cli_status(int argc, char **argv);
int cli_usage(int argc, char **argv);
int cli_nagios(int argc, char **argv);
int cli_user(int argc, char **argv);
int cli_fetch(int argc, char **argv);
int cli_pin(int argc, char **argv);
int cli_reset(int argc, char **argv);

#endif
