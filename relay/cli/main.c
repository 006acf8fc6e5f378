/*
 * main: the commands there are.
 */
#include "cli/commands.h"

#include <stddef.h>

static const struct cli_command commands[] = {
	{"serve", cli_serve, "run the relay in the foreground"},
	{"check", cli_check, "validate the configuration and print what would be in force"},
	{"status", cli_status, "show upstream, destinations and standbys of a running relay"},
	{"usage", cli_usage, "show bytes and cost per destination"},
	{"nagios", cli_nagios, "check a running relay, as a Nagios plugin"},
	{"user", cli_user, "make a line for auth_file from a password"},
	{"fetch", cli_fetch, "take a file of WAL out of a relay, as a restore_command"},
	{"pin", cli_pin, "keep WAL for something that is not connected yet"},
	{"reset", cli_reset, "begin a new range of WAL, or follow another cluster (offline)"},
	{NULL, NULL, NULL},
};

int main(int argc, char **argv)
{
	return cli_run(commands, argc, argv);
}
