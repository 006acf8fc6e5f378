/*
 * upstream_survey: one session and one question to each.
 */
#include "upstream/upstream_survey.h"

#include "base/log.h"
#include "base/memory.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define SCOPE "upstream"

enum deadline_reason { DEADLINE_GRACE, DEADLINE_COUNT };

static void end_lines(struct upstream_survey *survey)
{
	for (size_t i = 0; i < survey->hosts.count; i++) {
		upstream_session_close(&survey->lines[i].session);
		survey->lines[i].is_over = true;
	}
	deadlines_clear(&survey->deadlines, DEADLINE_GRACE);
}

static void on_deadline(void *context, int reason)
{
	struct upstream_survey *survey = context;

	assert(reason == DEADLINE_GRACE);
	end_lines(survey);
	survey->options.on_done(survey->options.context);
}

static void end_line(struct upstream_survey_line *line)
{
	struct upstream_survey *survey = line->survey;

	if (line->is_over) {
		return;
	}
	line->is_over = true;
	survey->left--;
	/* Not now: it may be a session's callback that would close the session. */
	if (survey->left == 0) {
		deadlines_set(
			&survey->deadlines, DEADLINE_GRACE, loop_now_us(survey->options.loop));
	}
}

/* --- one server ------------------------------------------------------------------------------ */

static bool read_answer(const PGresult *rows, struct upstream_host *host)
{
	const char *lsn;
	unsigned long tli;

	if (PQresultStatus(rows) != PGRES_TUPLES_OK || PQntuples(rows) != 1 ||
		PQnfields(rows) < 3) {
		return false;
	}
	tli = strtoul(PQgetvalue(rows, 0, 1), NULL, 10);
	lsn = PQgetvalue(rows, 0, 2);
	if (tli == 0 || tli > UINT32_MAX || !lsn_parse(lsn, strlen(lsn), &host->lsn)) {
		return false;
	}
	host->tli = (tli_t)tli;
	host->has_answered = true;
	return true;
}

static void on_result(void *context, const PGresult *result)
{
	struct upstream_survey_line *line = context;
	struct upstream_survey *survey = line->survey;

	if (result == NULL || line->is_over) {
		return;
	}
	if (read_answer(result, &survey->hosts.items[line->host]) &&
		!deadlines_is_set(&survey->deadlines, DEADLINE_GRACE)) {
		deadlines_set(&survey->deadlines, DEADLINE_GRACE,
			loop_now_us(survey->options.loop) + UPSTREAM_SURVEY_GRACE_US);
	}
	end_line(line);
}

static void on_connected(void *context)
{
	struct upstream_survey_line *line = context;
	const struct upstream_query query = {.on_result = on_result, .context = line};
	struct error err;

	if (!upstream_session_query(&line->session, "IDENTIFY_SYSTEM", &query, &err)) {
		end_line(line);
	}
}

static void on_lost(void *context, const struct error *err)
{
	struct upstream_survey_line *line = context;

	log_debug(SCOPE, "%s", err->message);
	end_line(line);
}

static void begin_line(struct upstream_survey_line *line)
{
	struct upstream_survey *survey = line->survey;
	const struct upstream_host *host = &survey->hosts.items[line->host];
	const struct upstream_session_options session = {
		.loop = survey->options.loop,
		.conninfo = survey->options.conninfo,
		.application_name = survey->options.application_name,
		.host = host->name,
		.host_address = host->address,
		.port = host->port,
		.on_connected = on_connected,
		.on_lost = on_lost,
		.context = line,
	};
	struct error err;

	if (!upstream_session_open(&line->session, &session, &err)) {
		log_debug(SCOPE, "%s", err.message);
		end_line(line);
	}
}

/* --- all of them ----------------------------------------------------------------------------- */

static const char *value_of(const PQconninfoOption *options, const char *keyword)
{
	for (; options->keyword != NULL; options++) {
		if (strcmp(options->keyword, keyword) == 0) {
			return options->val;
		}
	}
	return NULL;
}

static void find_hosts(struct upstream_hosts *hosts_out, const char *conninfo)
{
	PQconninfoOption *options = PQconninfoParse(conninfo, NULL);

	if (options != NULL) {
		upstream_hosts_parse(hosts_out, value_of(options, "host"),
			value_of(options, "hostaddr"), value_of(options, "port"));
	}
	PQconninfoFree(options);
}

bool upstream_survey_start(
	struct upstream_survey *survey, const struct upstream_survey_options *options)
{
	struct error err;

	assert(!survey->is_open);
	memset(survey, 0, sizeof(*survey));
	survey->options = *options;
	find_hosts(&survey->hosts, options->conninfo);
	if (survey->hosts.count < 2 || !deadlines_init(&survey->deadlines, options->loop,
					       DEADLINE_COUNT, on_deadline, survey, &err)) {
		upstream_hosts_release(&survey->hosts);
		return false;
	}
	survey->is_open = true;
	survey->left = survey->hosts.count;
	survey->lines = memory_new(survey->hosts.count * sizeof(*survey->lines));
	for (size_t i = 0; i < survey->hosts.count; i++) {
		survey->lines[i].survey = survey;
		survey->lines[i].host = i;
		begin_line(&survey->lines[i]);
	}
	return true;
}

void upstream_survey_close(struct upstream_survey *survey)
{
	if (!survey->is_open) {
		return;
	}
	survey->is_open = false;
	end_lines(survey);
	deadlines_release(&survey->deadlines);
	free(survey->lines);
	upstream_hosts_release(&survey->hosts);
}

bool upstream_survey_is_split(const struct upstream_survey *survey)
{
	tli_t tli = 0;

	for (size_t i = 0; i < survey->hosts.count; i++) {
		const struct upstream_host *host = &survey->hosts.items[i];

		if (host->has_answered && tli != 0 && host->tli != tli) {
			return true;
		}
		tli = host->has_answered ? host->tli : tli;
	}
	return false;
}
