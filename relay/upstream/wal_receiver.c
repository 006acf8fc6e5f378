/*
 * wal_receiver: decodes what comes inside COPY BOTH, appends it, and answers.
 *
 * Per message: one decode and one append. Replies are looked at only when something can make one
 * due: news of a flush or a replay, a request of the server, a deadline.
 */
#include "upstream/wal_receiver.h"

#include "base/log.h"
#include "base/wall_clock.h"
#include "protocol/repl_command.h"
#include "upstream/server_error.h"
#include "upstream/wal_receiver_link.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define COPY_DATA_HEADER_BYTES 5

enum deadline_reason { DEADLINE_REPLY, DEADLINE_COUNT };

static void fail(
	struct wal_receiver *receiver, enum upstream_failure failure, const struct error *err)
{
	receiver->options.on_failed(receiver->options.context, failure, err);
}

/* --- replies --------------------------------------------------------------------------------- */

static bool is_streaming(const struct wal_receiver *receiver)
{
	return receiver->is_open && receiver->options.session->state == UPSTREAM_SESSION_COPY;
}

/* On the timeline that streams, as the next two. */
static lsn_t received_now(const struct wal_receiver *receiver)
{
	struct wal_position received = wal_store_received(receiver->options.store);

	return received.tli == receiver->options.tli ? received.lsn : LSN_INVALID;
}

static lsn_t synced_now(const struct wal_receiver *receiver)
{
	struct wal_position synced = wal_store_synced(receiver->options.store);

	return synced.tli == receiver->options.tli ? synced.lsn : LSN_INVALID;
}

static lsn_t flushed_now(const struct wal_receiver *receiver)
{
	struct wal_position flushed = wal_store_flushed(receiver->options.store);

	return flushed.tli == receiver->options.tli ? flushed.lsn : LSN_INVALID;
}

/* Of what is flushed here, what may be said to be: standbys may have to hold it too. */
static lsn_t acknowledged_now(struct wal_receiver *receiver)
{
	const struct wal_receiver_options *options = &receiver->options;
	unsigned standbys = options->acknowledge_limits.standbys;
	lsn_t standbys_lsn = standbys == 0 || options->standbys_flushed_lsn == NULL
				     ? LSN_INVALID
				     : options->standbys_flushed_lsn(
					       options->source_context, options->tli, standbys);
	struct acknowledge_decision decision =
		acknowledge_decide(options->acknowledge, &options->acknowledge_limits, options->tli,
			flushed_now(receiver), standbys_lsn, loop_now_us(options->loop));

	acknowledge_log(&decision, &options->acknowledge_limits);
	atomic_store(options->is_alone, options->acknowledge->is_alone);
	receiver->acknowledge_us = decision.next_us;
	return decision.flush_lsn;
}

static struct reply_positions positions_now(struct wal_receiver *receiver)
{
	const struct wal_receiver_options *options = &receiver->options;
	lsn_t flushed_lsn = acknowledged_now(receiver);
	lsn_t replayed_lsn = LSN_INVALID;

	if (options->remote_apply_flush) {
		replayed_lsn = lsn_min(flushed_lsn, receiver->rules.stream_lsn);
	} else if (options->replayed_lsn != NULL) {
		replayed_lsn = options->replayed_lsn(options->source_context, options->tli);
	}
	return reply_rules_positions(&receiver->rules, flushed_lsn, replayed_lsn);
}

static bool send_status(struct wal_receiver *receiver, const struct reply_positions *positions,
	bool wants_answer, struct error *err)
{
	const struct standby_status status = {
		.write_lsn = positions->write_lsn,
		.flush_lsn = positions->flush_lsn,
		.apply_lsn = positions->apply_lsn,
		.sent_at = wall_clock_unix_us() - PG_EPOCH_UNIX_US,
		.reply_requested = wants_answer,
	};
	uint8_t payload[STANDBY_STATUS_BYTES];
	size_t length = standby_status_encode(&status, payload);

	reply_rules_sent(
		&receiver->rules, positions, wants_answer, loop_now_us(receiver->options.loop));
	return upstream_session_put_copy(receiver->options.session, payload, length, err);
}

static bool send_feedback_if_due(struct wal_receiver *receiver, struct error *err)
{
	const struct wal_receiver_options *options = &receiver->options;
	struct standby_feedback feedback = {0};
	uint8_t payload[FEEDBACK_BYTES];
	int64_t now_us = loop_now_us(options->loop);
	uint64_t xmin = 0;
	uint64_t catalog_xmin = 0;

	if (options->oldest_xmin == NULL || !feedback_rules_may_look(&receiver->feedback, now_us)) {
		return true;
	}
	options->oldest_xmin(options->source_context, &xmin, &catalog_xmin);
	if (!feedback_rules_is_due(&receiver->feedback, xmin, catalog_xmin, now_us)) {
		return true;
	}
	feedback.sent_at = wall_clock_unix_us() - PG_EPOCH_UNIX_US;
	feedback.xmin = (uint32_t)xmin;
	feedback.xmin_epoch = (uint32_t)(xmin >> 32);
	feedback.catalog_xmin = (uint32_t)catalog_xmin;
	feedback.catalog_xmin_epoch = (uint32_t)(catalog_xmin >> 32);
	feedback_rules_sent(&receiver->feedback, xmin != 0 || catalog_xmin != 0, now_us);
	return upstream_session_put_copy(
		options->session, payload, standby_feedback_encode(&feedback, payload), err);
}

/* --- when it counts as streaming -------------------------------------------------------------- */

static bool has_settled(const struct wal_receiver *receiver)
{
	const struct wal_receiver_options *options = &receiver->options;

	if (!receiver->has_message || receiver->rules.stream_lsn < receiver->overlap_lsn) {
		return false;
	}
	return options->doubted_lsn == LSN_INVALID ||
	       flushed_now(receiver) > options->doubted_lsn ||
	       synced_now(receiver) >= options->server_lsn;
}

static void settle(struct wal_receiver *receiver)
{
	if (!receiver->is_settled && has_settled(receiver)) {
		receiver->is_settled = true;
		receiver->options.on_streaming(receiver->options.context);
		if (receiver->lanes != NULL) {
			link_lanes_settle(receiver->lanes);
		}
	}
}

/* One that is due. */
static bool reply(struct wal_receiver *receiver, const struct reply_positions *positions,
	bool wants_answer, struct error *err)
{
	struct reply_positions told = *positions;

	if (reply_rules_must_yield(
		    &receiver->rules, positions, receiver->server_end_lsn, synced_now(receiver))) {
		told.flush_lsn = LSN_INVALID;
	}
	return send_status(receiver, &told, wants_answer, err) &&
	       send_feedback_if_due(receiver, err);
}

/* false: the receiver failed. */
static bool reply_if_due(struct wal_receiver *receiver)
{
	int64_t now_us = loop_now_us(receiver->options.loop);
	struct reply_positions positions = positions_now(receiver);
	struct reply_decision decision = reply_rules_decide(&receiver->rules, &positions, now_us);
	struct error err;

	if (decision.has_timed_out) {
		error_set(&err, ERROR_SYSTEM, "no message from the upstream for %" PRId64 " ms",
			(now_us - receiver->rules.heard_us) / 1000);
		fail(receiver, UPSTREAM_FAILURE_LOST, &err);
		return false;
	}
	if (decision.wants_flush) {
		wal_store_request_flush(receiver->options.store);
	}
	if (decision.is_due) {
		if (!reply(receiver, &positions, decision.wants_answer, &err)) {
			fail(receiver, UPSTREAM_FAILURE_LOST, &err);
			return false;
		}
		decision = reply_rules_decide(&receiver->rules, &positions, now_us);
	}
	decision.next_us = reply_earliest_us(decision.next_us, receiver->acknowledge_us);
	if (decision.next_us != 0) {
		deadlines_set(&receiver->deadlines, DEADLINE_REPLY, decision.next_us);
	}
	return true;
}

/* Only while stopping: the last word, once all that came is on disk or time is up. What lies past
 * the last whole record is not waited for: its rest does not come any more. */
static void finish_if_synced(struct wal_receiver *receiver)
{
	int64_t now_us = loop_now_us(receiver->options.loop);

	if (synced_now(receiver) < receiver->rules.stream_lsn && now_us < receiver->stop_by_us) {
		deadlines_set(&receiver->deadlines, DEADLINE_REPLY, receiver->stop_by_us);
		return;
	}
	wal_receiver_end(receiver, true);
	receiver->options.on_stopped(receiver->options.context);
}

static void look(struct wal_receiver *receiver)
{
	if (!is_streaming(receiver)) {
		return;
	}
	settle(receiver);
	if (receiver->stop_by_us != 0) {
		finish_if_synced(receiver);
	} else if (wal_receiver_promise_if_due(receiver)) {
		(void)reply_if_due(receiver);
	}
}

void wal_receiver_on_news(struct wal_receiver *receiver)
{
	look(receiver);
}

static void on_deadline(void *context, int reason)
{
	assert(reason == DEADLINE_REPLY);
	look(context);
}

/* --- what comes ------------------------------------------------------------------------------ */

static bool begin_store(struct wal_receiver *receiver, struct error *err)
{
	struct wal_receiver_options *options = &receiver->options;

	if (options->begin_lsn == LSN_INVALID) {
		return true;
	}
	if (!wal_store_begin(options->store, options->tli, options->begin_lsn,
		    options->segment_bytes, err)) {
		return false;
	}
	options->begin_lsn = LSN_INVALID;
	return true;
}

/* What lies before it, which we hold, was compared with what the server holds. */
static void join(struct wal_receiver *receiver, lsn_t lsn)
{
	if (receiver->link != NULL &&
		link_receiver_joins_at(receiver->link, receiver->rules.stream_lsn, lsn)) {
		receiver->rules.stream_lsn = lsn;
	}
}

static bool take_wal(struct wal_receiver *receiver, const struct wal_data *wal, struct error *err)
{
	join(receiver, wal->start_lsn);
	if (wal->start_lsn != receiver->rules.stream_lsn) {
		return error_set(err, ERROR_INVALID,
			"upstream sent WAL at " LSN_FORMAT " where " LSN_FORMAT " comes next",
			LSN_ARGS(wal->start_lsn), LSN_ARGS(receiver->rules.stream_lsn));
	}
	if (!begin_store(receiver, err)) {
		return false;
	}
	if (!wal_store_append(
		    receiver->options.store, wal->start_lsn, wal->wal, wal->wal_length, err)) {
		return false;
	}
	receiver->rules.stream_lsn += wal->wal_length;
	receiver->wal_bytes += wal->wal_length;
	return true;
}

/* False: there is no message, or the receiver has failed. */
static bool decode_copy(struct wal_receiver *receiver, const uint8_t *payload, size_t length,
	struct server_copy *copy_out)
{
	const char *reason = "it ends too early";
	struct error err;

	if (server_copy_decode(payload, length, copy_out, &reason) == DECODE_OK) {
		return true;
	}
	error_set(&err, ERROR_INVALID, "upstream sent a malformed message: %s", reason);
	fail(receiver, UPSTREAM_FAILURE_LOST, &err);
	return false;
}

/* False: the receiver has failed. */
static bool take_copy(struct wal_receiver *receiver, const struct server_copy *copy)
{
	lsn_t end_lsn = copy->kind == SERVER_COPY_WAL ? copy->wal.server_end_lsn
						      : copy->keepalive.server_end_lsn;
	struct error err;

	if (copy->kind == SERVER_COPY_WAL && !take_wal(receiver, &copy->wal, &err)) {
		fail(receiver, upstream_failure_of_error(&err), &err);
		return false;
	}
	/* A batch tells its own end, and not how far the server has come. */
	receiver->server_end_lsn =
		receiver->link == NULL ? end_lsn : lsn_max(receiver->server_end_lsn, end_lsn);
	return true;
}

void wal_receiver_take_payload(struct wal_receiver *receiver, const uint8_t *payload, size_t length)
{
	struct server_copy copy;
	bool is_asked = false;
	bool is_message;

	if (!receiver->is_open) {
		return;
	}
	receiver->wire_bytes += COPY_DATA_HEADER_BYTES + length;
	is_message = receiver->link != NULL
			     ? wal_receiver_take_link_copy(receiver, payload, length, &copy)
			     : decode_copy(receiver, payload, length, &copy);
	if (!receiver->is_open || (is_message && !take_copy(receiver, &copy))) {
		return;
	}
	is_asked =
		is_message && copy.kind == SERVER_COPY_KEEPALIVE && copy.keepalive.reply_requested;
	if (reply_rules_heard(&receiver->rules, is_asked, loop_now_us(receiver->options.loop))) {
		receiver->must_look = true;
	}
}

static void on_copy(void *context, const uint8_t *payload, size_t length)
{
	struct wal_receiver *receiver = context;

	if (receiver->is_open && receiver->lanes != NULL) {
		link_lanes_take(receiver->lanes, payload, length);
	} else {
		wal_receiver_take_payload(receiver, payload, length);
	}
}

void wal_receiver_on_run(struct wal_receiver *receiver)
{
	if (!receiver->is_open || receiver->wire_bytes == 0) {
		return;
	}
	receiver->has_message = true;
	settle(receiver);
	receiver->options.on_received(receiver->options.context);
	if (receiver->must_look) {
		receiver->must_look = false;
		look(receiver);
	}
}

static void on_copy_pause(void *context)
{
	wal_receiver_on_run(context);
}

/* --- results --------------------------------------------------------------------------------- */

static bool take_next_timeline(
	struct wal_receiver *receiver, const PGresult *rows, struct error *err)
{
	unsigned tli;

	if (PQntuples(rows) != 1 || PQnfields(rows) < 2 ||
		sscanf(PQgetvalue(rows, 0, 0), "%u", &tli) != 1 ||
		!lsn_parse(PQgetvalue(rows, 0, 1), (size_t)PQgetlength(rows, 0, 1),
			&receiver->next_tli_lsn)) {
		return error_set(err, ERROR_INVALID,
			"upstream ended timeline %u without naming the next",
			receiver->options.tli);
	}
	receiver->next_tli = tli;
	return true;
}

/* Of a version of ours that was, or will be. */
static bool is_about_terms(const PGresult *result)
{
	const char *sqlstate = PQresultErrorField(result, PG_DIAG_SQLSTATE);

	return sqlstate != NULL &&
	       (strcmp(sqlstate, "0A000") == 0 || strcmp(sqlstate, "42601") == 0);
}

static void take_server_error(struct wal_receiver *receiver, const PGresult *result)
{
	enum upstream_failure failure =
		upstream_failure_of_server(PQresultErrorField(result, PG_DIAG_SQLSTATE),
			PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY));
	struct error err;

	server_error_set(&err, result, "upstream does not stream");
	receiver->has_link_failed = receiver->link != NULL && is_about_terms(result);
	if (failure == UPSTREAM_FAILURE_GAP) {
		error_hint(&err, UPSTREAM_GAP_HINT);
	}
	fail(receiver, failure, &err);
}

/* All results are in. */
static void end_stream(struct wal_receiver *receiver)
{
	struct error err;

	if (receiver->next_tli == 0) {
		error_set(&err, ERROR_SYSTEM, "upstream ended the stream");
		fail(receiver, UPSTREAM_FAILURE_LOST, &err);
	} else if (receiver->rules.stream_lsn < receiver->next_tli_lsn) {
		error_set(&err, ERROR_INVALID,
			"upstream ended timeline %u at " LSN_FORMAT
			", but begins timeline %u at " LSN_FORMAT,
			receiver->options.tli, LSN_ARGS(receiver->rules.stream_lsn),
			receiver->next_tli, LSN_ARGS(receiver->next_tli_lsn));
		fail(receiver, UPSTREAM_FAILURE_LOST, &err);
	} else {
		wal_receiver_end(receiver, false);
		receiver->options.on_timeline_end(receiver->options.context);
	}
}

static void on_result(void *context, const PGresult *result)
{
	struct wal_receiver *receiver = context;
	struct error err;

	if (!receiver->is_open) {
		return;
	}
	if (result == NULL) {
		end_stream(receiver);
		return;
	}
	switch (PQresultStatus(result)) {
	case PGRES_COPY_BOTH: look(receiver); break;
	case PGRES_COPY_IN: break;
	case PGRES_TUPLES_OK:
		if (!take_next_timeline(receiver, result, &err)) {
			fail(receiver, UPSTREAM_FAILURE_LOST, &err);
		}
		break;
	case PGRES_COMMAND_OK:
		if (strncmp(PQcmdStatus((PGresult *)(uintptr_t)result), "COPY", 4) == 0) {
			receiver->is_ended_orderly = true;
		}
		break;
	default: take_server_error(receiver, result); break;
	}
}

/* --- start and end --------------------------------------------------------------------------- */

static bool send_start(struct wal_receiver *receiver, struct error *err)
{
	const struct wal_receiver_options *options = &receiver->options;
	const struct upstream_query query = {on_result, on_copy, on_copy_pause, receiver};
	char name[2 * REPL_NAME_SIZE + 3] = "";
	char terms[LINK_START_TEXT_SIZE] = "";
	char sql[sizeof(name) + sizeof(terms) + 128];

	if (options->slot[0] != '\0' && !repl_quote_identifier(options->slot, name, sizeof(name))) {
		return error_set(err, ERROR_INVALID, "slot name \"%s\" is too long", options->slot);
	}
	if (receiver->link != NULL) {
		link_receiver_format_start(receiver->link, terms);
	}
	snprintf(sql, sizeof(sql), "START_REPLICATION %s%s%s" LSN_FORMAT " TIMELINE %u%s%s",
		name[0] != '\0' ? "SLOT " : "", name, name[0] != '\0' ? " " : "",
		LSN_ARGS(options->start_lsn), options->tli, terms[0] != '\0' ? " " : "", terms);
	return upstream_session_query(options->session, sql, &query, err);
}

bool wal_receiver_start(struct wal_receiver *receiver, const struct wal_receiver_options *options,
	struct error *err)
{
	int64_t now_us = loop_now_us(options->loop);

	assert(!receiver->is_open);
	memset(receiver, 0, sizeof(*receiver));
	receiver->options = *options;
	if (!deadlines_init(&receiver->deadlines, options->loop, DEADLINE_COUNT, on_deadline,
		    receiver, err)) {
		return false;
	}
	receiver->overlap_lsn = lsn_min(received_now(receiver), options->server_lsn);
	reply_rules_begin(&receiver->rules, &options->limits, options->start_lsn,
		flushed_now(receiver), now_us);
	feedback_rules_begin(&receiver->feedback, options->limits.status_interval_us, now_us);
	if (!wal_receiver_start_link(receiver, err) || !send_start(receiver, err)) {
		link_lanes_free(&receiver->lanes);
		link_receiver_free(&receiver->link);
		deadlines_release(&receiver->deadlines);
		return false;
	}
	receiver->is_open = true;
	return true;
}

void wal_receiver_set_limits(struct wal_receiver *receiver, const struct reply_limits *limits)
{
	if (!receiver->is_open) {
		return;
	}
	receiver->rules.limits = *limits;
	receiver->feedback.interval_us = limits->status_interval_us;
	look(receiver);
}

void wal_receiver_stop(struct wal_receiver *receiver, int64_t max_us)
{
	if (!is_streaming(receiver)) {
		wal_receiver_end(receiver, false);
		receiver->options.on_stopped(receiver->options.context);
		return;
	}
	receiver->stop_by_us = loop_now_us(receiver->options.loop) + max_us;
	link_lanes_free(&receiver->lanes);
	upstream_session_stop_reading(receiver->options.session);
	wal_store_request_flush(receiver->options.store);
	look(receiver);
}

void wal_receiver_end(struct wal_receiver *receiver, bool tells_last)
{
	struct reply_positions positions;
	struct error unheard;

	if (!receiver->is_open) {
		return;
	}
	if (tells_last && is_streaming(receiver)) {
		positions = positions_now(receiver);
		/* Nothing is left to be done about a connection that fails now. */
		(void)!send_status(receiver, &positions, false, &unheard);
	}
	deadlines_release(&receiver->deadlines);
	link_lanes_free(&receiver->lanes);
	link_receiver_free(&receiver->link);
	receiver->is_open = false;
}
