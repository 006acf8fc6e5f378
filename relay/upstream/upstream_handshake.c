/*
 * upstream_handshake: runs the table of steps, one query at a time.
 *
 * Owns what the steps learn until the next start or release. A failed step ends the run; the
 * connection is the owner's to close.
 */
#include "upstream/handshake_step.h"

#include "upstream/server_error.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct handshake_step *const steps[] = {
	&handshake_identify_system,
	&handshake_show_segment_size,
	&handshake_show_directory_mode,
	&handshake_show_slot_keep_size,
	&handshake_show_link,
	&handshake_pin,
	&handshake_current_history,
	&handshake_refuse_history,
	&handshake_missing_histories,
	&handshake_follow,
	&handshake_check_overlap,
	&handshake_find_slot,
	&handshake_check_wal,
	&handshake_create_slot,
	&handshake_read_slot,
	&handshake_first_point,
};
#define STEP_COUNT ((int)(sizeof(steps) / sizeof(steps[0])))

static void fail(struct upstream_handshake *handshake, const struct error *err)
{
	handshake->step = STEP_COUNT;
	handshake->options.on_failed(handshake->options.context, handshake->failure, err);
}

static void advance(struct upstream_handshake *handshake)
{
	struct error err = {0};

	while (handshake->step < STEP_COUNT) {
		switch (steps[handshake->step]->begin(handshake, &err)) {
		case STEP_ASKED: return;
		case STEP_FAILED: fail(handshake, &err); return;
		case STEP_DONE:
			handshake->step++;
			handshake->has_asked = false;
			break;
		}
	}
	handshake->options.on_ready(handshake->options.context);
}

static bool take_server_error(
	struct upstream_handshake *handshake, const PGresult *result, struct error *err)
{
	const struct handshake_step *step = steps[handshake->step];
	const char *sqlstate = PQresultErrorField(result, PG_DIAG_SQLSTATE);
	const char *message = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);

	if (step->on_error != NULL && sqlstate != NULL && message != NULL &&
		step->on_error(handshake, sqlstate, message)) {
		return true;
	}
	server_error_set(err, result, "upstream refused %s", step->command);
	return false;
}

static bool take_result(
	struct upstream_handshake *handshake, const PGresult *result, struct error *err)
{
	const struct handshake_step *step = steps[handshake->step];

	switch (PQresultStatus(result)) {
	case PGRES_TUPLES_OK: return step->on_rows == NULL || step->on_rows(handshake, result, err);
	case PGRES_COMMAND_OK:
	case PGRES_COPY_IN: return true;
	case PGRES_COPY_BOTH:
		if (step->on_copy != NULL) {
			return true;
		}
		return error_set(
			err, ERROR_INVALID, "upstream answered %s with a stream", step->command);
	default: return take_server_error(handshake, result, err);
	}
}

static void on_result(void *context, const PGresult *result)
{
	struct upstream_handshake *handshake = context;
	struct error err = {0};

	if (handshake->step == STEP_COUNT) {
		return;
	}
	if (result == NULL) {
		advance(handshake);
	} else if (!take_result(handshake, result, &err)) {
		fail(handshake, &err);
	}
}

static void on_copy(void *context, const uint8_t *payload, size_t length)
{
	struct upstream_handshake *handshake = context;
	struct error err = {0};

	if (handshake->step < STEP_COUNT &&
		!steps[handshake->step]->on_copy(handshake, payload, length, &err)) {
		fail(handshake, &err);
	}
}

static void on_copy_pause(void *context)
{
	(void)context;
}

enum step_begin handshake_ask(
	struct upstream_handshake *handshake, struct error *err, const char *format, ...)
{
	const struct upstream_query query = {on_result, on_copy, on_copy_pause, handshake};
	char sql[256];
	va_list arguments;
	int length;

	va_start(arguments, format);
	length = vsnprintf(sql, sizeof(sql), format, arguments);
	va_end(arguments);
	assert(length > 0);
	assert((size_t)length < sizeof(sql));
	handshake->has_asked = true;
	handshake->asked_us = loop_now_us(handshake->options.loop);
	return upstream_session_query(handshake->options.session, sql, &query, err) ? STEP_ASKED
										    : STEP_FAILED;
}

bool handshake_refuse(struct upstream_handshake *handshake, enum upstream_failure failure)
{
	handshake->failure = failure;
	return false;
}

void upstream_handshake_release(struct upstream_handshake *handshake)
{
	timeline_history_release(&handshake->theirs);
	free(handshake->history_text);
	handshake->history_text = NULL;
	handshake->history_length = 0;
}

void upstream_handshake_start(struct upstream_handshake *handshake,
	const struct upstream_handshake_options *options, bool is_again)
{
	upstream_handshake_release(handshake);
	if (!is_again) {
		memset(handshake, 0, sizeof(*handshake));
		handshake->max_slot_wal_keep_bytes = -2;
	}
	handshake->options = *options;
	handshake->is_again = is_again;
	handshake->failure = UPSTREAM_FAILURE_LOST;
	handshake->step = 0;
	handshake->has_asked = false;
	handshake->begin_lsn = LSN_INVALID;
	handshake->has_search = false;
	advance(handshake);
}

void upstream_handshake_read_stats(
	const struct upstream_handshake *handshake, struct upstream_stats *stats_out)
{
	_Static_assert(sizeof(stats_out->page_url) == sizeof(handshake->page_url), "same size");
	stats_out->max_slot_wal_keep_bytes = handshake->max_slot_wal_keep_bytes;
	stats_out->link_version = handshake->has_link ? handshake->link.version : 0;
	stats_out->slot_remade_us = handshake->slot_remade_us;
	memcpy(stats_out->page_url, handshake->page_url, sizeof(stats_out->page_url));
}
