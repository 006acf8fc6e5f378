/*
 * upstream_survey: before one of several servers is followed, each of them is asked where it
 * stands.
 *
 * A connection of its own to each that conninfo itself names, all at once, under its terms: one
 * that is not writable does not answer where target_session_attrs asks for it. Over when all have
 * answered or failed, and at most UPSTREAM_SURVEY_GRACE_US after the first answer, so that a server
 * that is gone without a word holds up no failover. Lives on one loop; embedded in its owner.
 */
#ifndef UPSTREAM_UPSTREAM_SURVEY_H
#define UPSTREAM_UPSTREAM_SURVEY_H

#include "base/error.h"
#include "net/loop.h"
#include "upstream/upstream_hosts.h"
#include "upstream/upstream_session.h"

#include <stdbool.h>
#include <stdint.h>

#define UPSTREAM_SURVEY_GRACE_US INT64_C(2000000)

struct upstream_survey_options {
	struct loop *loop;
	const char *conninfo; /* must outlive the survey */
	const char *application_name;
	void (*on_done)(void *context); /* once; never before upstream_survey_start() returns */
	void *context;
};

struct upstream_survey;

struct upstream_survey_line {
	struct upstream_survey *survey;
	struct upstream_session session;
	size_t host;
	bool is_over;
};

struct upstream_survey {
	struct upstream_survey_options options;
	struct upstream_hosts hosts;
	struct upstream_survey_line *lines; /* one each */
	struct deadlines deadlines;
	size_t left;
	bool is_open;
};

/* The survey must be zeroed or closed. true: on_done will be called. false: conninfo names one
 * server alone, and there is nothing to ask. */
bool upstream_survey_start(
	struct upstream_survey *survey, const struct upstream_survey_options *options);
/* Nothing is called any more; hosts are forgotten. A closed one stays closed. */
void upstream_survey_close(struct upstream_survey *survey);
/* Of those who answered: is there more than one timeline? */
bool upstream_survey_is_split(const struct upstream_survey *survey);

#endif
