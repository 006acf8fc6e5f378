/*
 * walrelay status: upstream, destinations and standbys on one screen.
 */
#include "base/human.h"
#include "cli/api_options.h"
#include "cli/commands.h"
#include "cli/live_screen.h"
#include "cli/status_screen.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define TIMEOUT_SECONDS 10
#define WATCH_MS        2000

enum { OPTION_WATCH = 0x100, OPTION_JSON };

struct watch {
	char url[API_URL_SIZE];
	bool is_watching;
	bool as_json;
	bool is_live;
	char *last; /* as it was drawn; NULL: nothing so far */
	time_t answered_at;
};

static void print_help(FILE *out)
{
	fputs("usage: walrelay status [-c FILE | --url URL] [--watch] [--json]\n"
	      "\n"
	      "What a running relay says of its upstream, destinations and standbys.\n"
	      "\n"
	      "  -c FILE     the relay's configuration file, for its http_listen\n"
	      "  --url URL   where it is; default " API_URL_USUAL "\n"
	      "  --watch     again every two seconds, in place in a terminal; with --json one\n"
	      "              object a line\n"
	      "  --json      all of it, for programs\n"
	      "  --help      show this help\n",
		out);
}

/* malloc'ed. A watcher's program reads one object a line. */
static char *render(const json_t *status, const struct watch *watch)
{
	char *text = NULL;
	size_t length;
	FILE *out = open_memstream(&text, &length);
	if (watch->as_json) {
		json_dumpf(status, out,
			(watch->is_watching ? JSON_COMPACT : JSON_INDENT(2)) |
				JSON_REAL_PRECISION(15));
		fputc('\n', out);
	} else {
		status_screen_write(status, out);
	}
	(void)fclose(out);
	return text;
}

static bool show_once(const struct watch *watch)
{
	struct error err = {0};
	json_t *status = api_get(watch->url, "/api/status", TIMEOUT_SECONDS, &err);
	if (status == NULL) {
		fprintf(stderr, "walrelay status: %s\n", err.message);
		return false;
	}
	char *text = render(status, watch);
	fputs(text, stdout);
	free(text);
	json_decref(status);
	return fflush(stdout) == 0;
}

/* What was seen last, and that it is old. */
static char *render_silence(const struct watch *watch, const char *reason)
{
	char *text = NULL;
	size_t length;
	char since[HUMAN_SIZE];
	char line[sizeof(((struct error *)NULL)->message) + sizeof("NO ANSWER: ")];
	FILE *out = open_memstream(&text, &length);
	double seconds = (double)(time(NULL) - watch->answered_at);
	snprintf(line, sizeof(line), "NO ANSWER: %s", reason);
	status_screen_write_paragraph(line, 0, out);
	if (watch->last != NULL) {
		fprintf(out, "What follows is %s old.\n\n%s", human_duration(seconds, since),
			watch->last);
	}
	(void)fclose(out);
	return text;
}

/* False: nobody reads any more. A relay that is away for a moment does not end the watch. */
static bool look(struct watch *watch)
{
	struct error err = {0};
	json_t *status = api_get(watch->url, "/api/status", TIMEOUT_SECONDS, &err);
	if (status != NULL) {
		free(watch->last);
		watch->last = render(status, watch);
		watch->answered_at = time(NULL);
		json_decref(status);
		return watch->as_json ? fputs(watch->last, stdout) >= 0 && fflush(stdout) == 0
				      : live_screen_draw(watch->last);
	}
	if (!watch->is_live) {
		fprintf(stderr, "walrelay status: %s\n", err.message);
		return true;
	}
	char *text = render_silence(watch, err.message);
	bool ok = live_screen_draw(text);
	free(text);
	return ok;
}

static void keep_watching(struct watch *watch)
{
	watch->is_live = !watch->as_json && live_screen_open();
	while (look(watch)) {
		live_screen_wait(WATCH_MS);
	}
	live_screen_close();
	free(watch->last);
}

int cli_status(int argc, char **argv)
{
	struct watch watch = {0};
	const struct api_option options[] = {
		{"watch", OPTION_WATCH, NULL, &watch.is_watching},
		{"json", OPTION_JSON, NULL, &watch.as_json},
	};
	struct error err = {0};
	enum api_options_result result = api_options_read(
		argc, argv, options, sizeof(options) / sizeof(options[0]), watch.url, &err);
	if (result == API_OPTIONS_HELP) {
		print_help(stdout);
		return CLI_DONE;
	}
	if (result == API_OPTIONS_WRONG) {
		fprintf(stderr, "walrelay status: %s\n", err.message);
		return CLI_FAILED;
	}
	if (!watch.is_watching) {
		return show_once(&watch) ? CLI_DONE : CLI_FAILED;
	}
	keep_watching(&watch);
	return CLI_FAILED;
}
