/*
 * api_options: builds getopt's two tables from one.
 */
#include "cli/api_options.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#define OPTIONS_MAX 16
#define FIRST_LONG  0x100

enum { OPTION_URL = 0x1000 };

struct tables {
	struct option options[OPTIONS_MAX];
	char letters[2 * OPTIONS_MAX];
};

static void build(struct tables *tables, const struct api_option *own, size_t count)
{
	char *letter = tables->letters + sprintf(tables->letters, "c:h");
	struct option *option = tables->options;
	*option++ = (struct option){"config", required_argument, NULL, 'c'};
	*option++ = (struct option){"url", required_argument, NULL, OPTION_URL};
	*option++ = (struct option){"help", no_argument, NULL, 'h'};
	assert(count + 4 <= OPTIONS_MAX);
	for (size_t i = 0; i < count; i++) {
		int argument = own[i].value != NULL ? required_argument : no_argument;
		*option++ = (struct option){own[i].name, argument, NULL, own[i].short_name};
		if (own[i].short_name < FIRST_LONG) {
			letter += sprintf(
				letter, own[i].value != NULL ? "%c:" : "%c", own[i].short_name);
		}
	}
}

static bool take_own(const struct api_option *own, size_t count, int found)
{
	for (size_t i = 0; i < count; i++) {
		if (own[i].short_name == found) {
			if (own[i].value != NULL) {
				*own[i].value = optarg;
			} else {
				*own[i].flag = true;
			}
			return true;
		}
	}
	return false;
}

enum api_options_result api_options_read(int argc, char **argv, const struct api_option *own,
	size_t own_count, char url_out[API_URL_SIZE], struct error *err)
{
	struct tables tables = {0};
	const char *config = NULL;
	const char *url = NULL;
	int found;
	build(&tables, own, own_count);
	while ((found = getopt_long(argc, argv, tables.letters, tables.options, NULL)) != -1) {
		switch (found) {
		case 'c': config = optarg; break;
		case OPTION_URL: url = optarg; break;
		case 'h': return API_OPTIONS_HELP;
		default:
			if (!take_own(own, own_count, found)) {
				error_set(err, ERROR_INVALID, "wrong use");
				return API_OPTIONS_WRONG;
			}
		}
	}
	if (optind < argc) {
		error_set(err, ERROR_INVALID, "unexpected argument \"%s\"", argv[optind]);
		return API_OPTIONS_WRONG;
	}
	if (config != NULL && url != NULL) {
		error_set(err, ERROR_INVALID, "give either -c FILE or --url URL");
		return API_OPTIONS_WRONG;
	}
	if (config != NULL) {
		return api_url_of_config(config, url_out, err) ? API_OPTIONS_OK : API_OPTIONS_WRONG;
	}
	snprintf(url_out, API_URL_SIZE, "%s", url != NULL ? url : API_URL_USUAL);
	return API_OPTIONS_OK;
}
