/*
 * commands: what `walrelay COMMAND` runs, one function and one file a command.
 *
 * argv[0] is the command's name. The result is the exit code: 0 done, 1 it ran and the answer is no,
 * 2 wrong use, wrong configuration, or failed.
 */
#ifndef CLI_COMMANDS_H
#define CLI_COMMANDS_H

enum cli_exit { CLI_DONE = 0, CLI_NO = 1, CLI_FAILED = 2 };

int cli_serve(int argc, char **argv);
int cli_check(int argc, char **argv);
int cli_user(int argc, char **argv);
int cli_reset(int argc, char **argv);

#endif
