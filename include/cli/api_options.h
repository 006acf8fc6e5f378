/*
 * api_options: what the commands that ask a relay have in common on their command line.
 */
#ifndef CLI_API_OPTIONS_H
#define CLI_API_OPTIONS_H

#include "base/error.h"
#include "cli/api_client.h"

#include <getopt.h>
#include <stdbool.h>
#include <stddef.h>

/* One a long option; short_name is also what getopt_long() answers. */
struct api_option {
	const char *name;
	int short_name;     /* 0x100 and up: none */
	const char **value; /* NULL: a flag */
	bool *flag;
};

enum api_options_result { API_OPTIONS_OK, API_OPTIONS_HELP, API_OPTIONS_WRONG };

/* Reads -c FILE, --url URL, --help and what own names; getopt(3) says on standard error what is
 * wrong. url_out: where the relay is, also by -c; err is set when that cannot be had (WRONG). */
enum api_options_result api_options_read(int argc, char **argv, const struct api_option *own,
	size_t own_count, char url_out[API_URL_SIZE], struct error *err);

#endif
