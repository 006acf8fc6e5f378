/*
 * upstream_failure: the table of failures and the reading of a server's errors.
 */
#include "upstream/upstream_failure.h"

#include <assert.h>
#include <ctype.h>
#include <stddef.h>
#include <string.h>

#define SEGMENT_NAME_LENGTH 24

static const struct upstream_failure_rule rules[] = {
	[UPSTREAM_FAILURE_LOST] = {"lost", UPSTREAM_WAITING, LOG_LEVEL_WARNING, false, false},
	[UPSTREAM_FAILURE_SHUTDOWN] = {"shutdown", UPSTREAM_WAITING, LOG_LEVEL_INFO, false, false},
	[UPSTREAM_FAILURE_NO_SLOT] = {"no slot", UPSTREAM_WAITING, LOG_LEVEL_WARNING, false, false},
	[UPSTREAM_FAILURE_BEHIND] = {"behind", UPSTREAM_WAITING, LOG_LEVEL_WARNING, false, false},
	[UPSTREAM_FAILURE_STALE] = {"stale", UPSTREAM_WAITING, LOG_LEVEL_WARNING, false, false},
	[UPSTREAM_FAILURE_GAP] = {"gap", UPSTREAM_STOPPED, LOG_LEVEL_ERROR, true, false},
	[UPSTREAM_FAILURE_DIVERGED] = {"diverged", UPSTREAM_STOPPED, LOG_LEVEL_ERROR, false, true},
	[UPSTREAM_FAILURE_IDENTITY] = {"identity", UPSTREAM_STOPPED, LOG_LEVEL_ERROR, false, false},
	[UPSTREAM_FAILURE_UNUSABLE] = {"unusable", UPSTREAM_STOPPED, LOG_LEVEL_ERROR, false, false},
	[UPSTREAM_FAILURE_FULL] = {"full", UPSTREAM_FULL, LOG_LEVEL_ERROR, false, false},
};

const struct upstream_failure_rule *upstream_failure_rule(enum upstream_failure failure)
{
	assert(failure < sizeof(rules) / sizeof(rules[0]));
	return &rules[failure];
}

static bool is_refusal(enum upstream_failure failure)
{
	switch (failure) {
	case UPSTREAM_FAILURE_BEHIND:
	case UPSTREAM_FAILURE_STALE:
	case UPSTREAM_FAILURE_GAP:
	case UPSTREAM_FAILURE_DIVERGED:
	case UPSTREAM_FAILURE_IDENTITY:
	case UPSTREAM_FAILURE_UNUSABLE: return true;
	default: return false;
	}
}

const struct upstream_failure_rule *upstream_failure_judge(
	enum upstream_failure failure, size_t candidates, unsigned *refusals)
{
	static const struct upstream_failure_rule passed_over = {
		"passed over", UPSTREAM_WAITING, LOG_LEVEL_WARNING, false, false};

	if (!is_refusal(failure)) {
		return upstream_failure_rule(failure);
	}
	*refusals += 1;
	return *refusals < candidates ? &passed_over : upstream_failure_rule(failure);
}

/* The server's messages may be in any language; a segment's name is the same in all. */
static bool names_a_segment(const char *message)
{
	size_t run = 0;

	for (const char *c = message;; c++) {
		if (isdigit((unsigned char)*c) || (*c >= 'A' && *c <= 'F')) {
			run++;
			continue;
		}
		if (run == SEGMENT_NAME_LENGTH) {
			return true;
		}
		if (*c == '\0') {
			return false;
		}
		run = 0;
	}
}

enum upstream_failure upstream_failure_of_server(const char *sqlstate, const char *message)
{
	if (sqlstate == NULL || message == NULL) {
		return UPSTREAM_FAILURE_LOST;
	}
	if (strcmp(sqlstate, "58P01") == 0 || strcmp(sqlstate, "XX000") == 0) {
		if (strstr(message, "already been removed") != NULL || names_a_segment(message)) {
			return UPSTREAM_FAILURE_GAP;
		}
		if (strstr(message, "ahead of the WAL flush position") != NULL) {
			return UPSTREAM_FAILURE_BEHIND;
		}
	}
	/* 55000 is also "cannot execute new commands while WAL sender is in stopping mode". */
	if (strcmp(sqlstate, "55000") == 0 && strstr(message, "replication slot \"") != NULL) {
		return UPSTREAM_FAILURE_GAP;
	}
	if (strcmp(sqlstate, "42704") == 0) {
		return UPSTREAM_FAILURE_NO_SLOT;
	}
	return UPSTREAM_FAILURE_LOST;
}

enum upstream_failure upstream_failure_of_error(const struct error *err)
{
	switch (err->kind) {
	case ERROR_DIVERGED: return UPSTREAM_FAILURE_DIVERGED;
	case ERROR_FULL: return UPSTREAM_FAILURE_FULL;
	case ERROR_CONFLICT: return UPSTREAM_FAILURE_IDENTITY;
	default: return UPSTREAM_FAILURE_LOST;
	}
}
