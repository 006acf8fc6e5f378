/*
 * link_lanes: connections that are opened, lost and opened again, and what they bring put in order.
 */
#include "upstream/link_lanes.h"

#include "base/log.h"
#include "base/memory.h"
#include "base/wall_clock.h"
#include "protocol/link_stream.h"
#include "upstream/lane_order.h"
#include "upstream/server_error.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A lane is opened again after so long, and longer each time. */
#define RETRY_US INT64_C(200000)
/* 0.2, 0.4 ... 1.6 s: then the stream begins anew. */
#define TRIES_MAX 8u

enum deadline_reason { DEADLINE_LOOK, DEADLINE_COUNT };

struct lane {
	struct link_lanes *lanes;
	unsigned number;
	struct upstream_session session;
	lsn_t next_lsn; /* end of what came over it */
	int64_t heard_us;
	bool is_asked; /* whether it is still there */
	bool is_paused;
	unsigned tries;
	int64_t retry_at_us;   /* 0: it is open, or not yet wanted */
	uint64_t started_keep; /* promised when it was started */
	uint64_t acknowledged; /* the server's batches there keep to it from here on */
};

struct link_lanes {
	struct link_lanes_options options;
	char *host;
	char *host_address;
	char *port;
	struct deadlines deadlines;
	struct lane_order order;
	struct lane lanes[LINK_LANES_MAX]; /* the first has no session of its own */
	unsigned wanted;
	uint64_t token;
	lsn_t request_lsn; /* asked for plain; LSN_INVALID: nothing was */
	bool is_settled;
	bool is_given_up;
	bool is_opened;
	bool is_asked;   /* the server is to divide */
	bool is_pumping; /* what it calls may bring more */
	bool is_ended;   /* nothing is to be touched but what frees it */
};

static bool is_divided(const struct link_lanes *lanes)
{
	return lanes->order.division.count > 1;
}

static lsn_t next_lsn(const struct link_lanes *lanes)
{
	return lanes->options.next_lsn(lanes->options.context);
}

static void fail(struct link_lanes *lanes, const struct error *err)
{
	lanes->options.on_failed(lanes->options.context, err);
}

static void close_all(struct link_lanes *lanes)
{
	for (unsigned i = 1; i < LINK_LANES_MAX; i++) {
		upstream_session_close(&lanes->lanes[i].session);
		lanes->lanes[i].retry_at_us = 0;
	}
}

/* --- when one is lost --------------------------------------------------------------------------
 */

static void look_in(struct link_lanes *lanes, int64_t us)
{
	int64_t at_us = loop_now_us(lanes->options.loop) + us;

	if (!deadlines_is_set(&lanes->deadlines, DEADLINE_LOOK) ||
		at_us < lanes->deadlines.at_us[DEADLINE_LOOK]) {
		deadlines_set(&lanes->deadlines, DEADLINE_LOOK, at_us);
	}
}

/* Without lanes everything goes as before; another stream may try them again. */
static void give_up(struct link_lanes *lanes, const struct error *err)
{
	log_info("upstream", "going on with one connection: %s", err->message);
	lanes->is_given_up = true;
	close_all(lanes);
}

/* What is awaited from it is not what it would go on with. */
static bool is_asked_for_plain(const struct lane *lane)
{
	const struct link_lanes *lanes = lane->lanes;
	lsn_t lsn = next_lsn(lanes);

	return lanes->request_lsn == lsn &&
	       link_division_lane(&lanes->order.division, lsn) == lane->number;
}

static void lose(struct lane *lane, const struct error *err)
{
	struct link_lanes *lanes = lane->lanes;
	struct error lost = *err;

	upstream_session_close(&lane->session);
	if (!lanes->is_asked) {
		give_up(lanes, err);
	} else if (++lane->tries > TRIES_MAX || is_asked_for_plain(lane)) {
		error_wrap(&lost, "a lane of the link was lost");
		fail(lanes, &lost);
	} else {
		log_info("upstream", "lane %u of the link is opened again: %s", lane->number,
			err->message);
		lane->retry_at_us = loop_now_us(lanes->options.loop) + lane->tries * RETRY_US;
		look_in(lanes, lane->tries * RETRY_US);
	}
}

/* --- what comes --------------------------------------------------------------------------------
 */

static struct upstream_session *session_of(struct link_lanes *lanes, unsigned number)
{
	return number == 0 ? lanes->options.session : &lanes->lanes[number].session;
}

static void pause_if_full(struct link_lanes *lanes, unsigned number)
{
	struct lane *lane = &lanes->lanes[number];

	if (!lane->is_paused && lane_order_is_full(&lanes->order, number)) {
		lane->is_paused = true;
		upstream_session_stop_reading(session_of(lanes, number));
	}
}

static void resume_if_room(struct link_lanes *lanes, unsigned number)
{
	struct lane *lane = &lanes->lanes[number];

	if (lane->is_paused && lane_order_has_room(&lanes->order, number)) {
		lane->is_paused = false;
		lane->heard_us = loop_now_us(lanes->options.loop);
		upstream_session_resume_reading(session_of(lanes, number));
	}
}

/* Only what all connections keep to counts. */
static void take_acknowledgement(
	struct link_lanes *lanes, unsigned number, const uint8_t *payload, size_t length)
{
	struct link_server_copy copy;
	uint8_t least[LINK_PROMISE_BYTES];
	const char *reason;

	if (link_server_copy_decode(payload, length, &copy, &reason) != DECODE_OK) {
		lanes->options.on_payload(lanes->options.context, payload, length);
		return;
	}
	lanes->lanes[number].acknowledged = copy.promise.keep_bytes;
	for (unsigned i = 0; i < lanes->order.division.count; i++) {
		if (lanes->lanes[i].acknowledged > copy.promise.keep_bytes) {
			copy.promise.keep_bytes = lanes->lanes[i].acknowledged;
		}
	}
	lanes->options.on_payload(
		lanes->options.context, least, link_promise_encode(&copy.promise, least));
}

static void hand_on(
	struct link_lanes *lanes, unsigned number, const uint8_t *payload, size_t length)
{
	if (length > 0 && payload[0] == 'p') {
		take_acknowledgement(lanes, number, payload, length);
	} else {
		lanes->options.on_payload(lanes->options.context, payload, length);
	}
}

static void pump(struct link_lanes *lanes)
{
	if (lanes->is_pumping) {
		return;
	}
	lanes->is_pumping = true;
	while (!lanes->is_ended) {
		lsn_t lsn = next_lsn(lanes);
		unsigned number = link_division_lane(&lanes->order.division, lsn);
		struct lane_message *message = lane_order_take(&lanes->order, lsn);

		if (message == NULL) {
			break;
		}
		resume_if_room(lanes, number);
		hand_on(lanes, number, message->payload, message->length);
		free(message);
	}
	lanes->is_pumping = false;
}

static void take(struct link_lanes *lanes, unsigned number, const uint8_t *payload, size_t length)
{
	if (!lanes->is_pumping && lane_order_is_empty(&lanes->order, number) &&
		link_division_lane(&lanes->order.division, next_lsn(lanes)) == number) {
		hand_on(lanes, number, payload, length);
	} else {
		lane_order_put(&lanes->order, number, payload, length);
		pause_if_full(lanes, number);
	}
	if (!lanes->is_ended) {
		pump(lanes);
	}
}

/* --- one lane's stream -------------------------------------------------------------------------
 */

static void put(struct lane *lane, const void *payload, size_t length)
{
	struct error err;

	if (!upstream_session_put_copy(&lane->session, payload, length, &err)) {
		lose(lane, &err);
	}
}

/* A lane confirms nothing: the stream does. */
static void send_status(struct lane *lane, bool wants_answer)
{
	const struct standby_status status = {.sent_at = wall_clock_unix_us() - PG_EPOCH_UNIX_US,
		.reply_requested = wants_answer};
	uint8_t payload[STANDBY_STATUS_BYTES];

	put(lane, payload, standby_status_encode(&status, payload));
}

static void on_copy(void *context, const uint8_t *payload, size_t length)
{
	struct lane *lane = context;
	struct link_server_copy copy;
	const char *reason = "it ends too early";
	struct error err;

	lane->heard_us = loop_now_us(lane->lanes->options.loop);
	lane->is_asked = false;
	lane->tries = 0;
	if (link_server_copy_decode(payload, length, &copy, &reason) != DECODE_OK) {
		error_set(&err, ERROR_INVALID, "upstream sent a malformed message: %s", reason);
		lose(lane, &err);
	} else if (copy.kind == LINK_SERVER_STREAM && copy.stream.kind == SERVER_COPY_KEEPALIVE) {
		if (copy.stream.keepalive.reply_requested) {
			send_status(lane, false);
		}
	} else if (copy.kind != LINK_SERVER_LANES) {
		/* Where it is gone on with, should it be lost. */
		lane->next_lsn = lane_order_end_of(&copy, lane->next_lsn);
		take(lane->lanes, lane->number, payload, length);
	}
}

static void on_copy_pause(void *context)
{
	struct lane *lane = context;

	lane->lanes->options.on_run(lane->lanes->options.context);
}

static void on_result(void *context, const PGresult *result)
{
	struct lane *lane = context;
	struct link_lanes *lanes = lane->lanes;
	struct link_promise promise;
	uint8_t payload[LINK_PROMISE_BYTES];
	struct error err;

	if (PQresultStatus(result) == PGRES_COPY_BOTH) {
		promise = lanes->options.promise(lanes->options.context);
		if (promise.keep_bytes != lane->started_keep) {
			put(lane, payload, link_promise_encode(&promise, payload));
		}
	} else if (result != NULL && PQresultErrorField(result, PG_DIAG_SQLSTATE) != NULL) {
		server_error_set(&err, result, "upstream does not stream");
		lose(lane, &err);
	} else if (result == NULL) {
		error_set(&err, ERROR_SYSTEM, "upstream ended the stream");
		lose(lane, &err);
	}
}

static void start_lane(struct lane *lane)
{
	struct link_lanes *lanes = lane->lanes;
	const struct upstream_query query = {on_result, on_copy, on_copy_pause, lane};
	struct link_start start = {.terms = lanes->options.terms,
		.lane_count = lanes->order.division.count,
		.lane_token = lanes->token,
		.promise = lanes->options.promise(lanes->options.context)};
	char terms[LINK_START_TEXT_SIZE];
	char sql[sizeof(terms) + 128];
	struct error err;

	lane->next_lsn = link_division_next(&lanes->order.division, lane->number, lane->next_lsn);
	lane->started_keep = start.promise.keep_bytes;
	lane->acknowledged = start.promise.keep_bytes;
	lane->heard_us = loop_now_us(lanes->options.loop);
	lane->is_asked = false;
	lane->is_paused = false;
	snprintf(sql, sizeof(sql), "START_REPLICATION " LSN_FORMAT " TIMELINE %u %s",
		LSN_ARGS(lane->next_lsn), lanes->options.tli, link_start_format(&start, terms));
	if (!upstream_session_query(&lane->session, sql, &query, &err)) {
		lose(lane, &err);
	} else {
		pause_if_full(lanes, lane->number);
	}
}

/* --- opening -----------------------------------------------------------------------------------
 */

static bool are_all_ready(const struct link_lanes *lanes)
{
	for (unsigned i = 1; i < lanes->wanted; i++) {
		if (lanes->lanes[i].session.state != UPSTREAM_SESSION_READY) {
			return false;
		}
	}
	return true;
}

static void ask_to_divide(struct link_lanes *lanes)
{
	uint8_t payload[LINK_DIVIDE_BYTES];
	struct error err;

	if (lanes->options.session->state != UPSTREAM_SESSION_COPY) {
		return;
	}
	lanes->is_asked = true;
	if (!upstream_session_put_copy(lanes->options.session, payload,
		    link_divide_encode(lanes->wanted, payload), &err)) {
		fail(lanes, &err);
	}
}

static void on_connected(void *context)
{
	struct lane *lane = context;
	struct link_lanes *lanes = lane->lanes;

	if (is_divided(lanes)) {
		start_lane(lane);
	} else if (!lanes->is_asked && are_all_ready(lanes)) {
		ask_to_divide(lanes);
	}
}

static void on_lost(void *context, const struct error *err)
{
	lose(context, err);
}

static void open_lane(struct lane *lane)
{
	struct link_lanes *lanes = lane->lanes;
	const struct upstream_session_options session = {
		.loop = lanes->options.loop,
		.conninfo = lanes->options.conninfo,
		.application_name = lanes->options.application_name,
		.host = lanes->host,
		.host_address = lanes->host_address,
		.port = lanes->port,
		.on_connected = on_connected,
		.on_lost = on_lost,
		.context = lane,
	};
	struct error err;

	lane->retry_at_us = 0;
	if (!upstream_session_open(&lane->session, &session, &err)) {
		lose(lane, &err);
	}
}

static void open_if_wanted(struct link_lanes *lanes)
{
	if (!lanes->is_settled || lanes->wanted < 2 || lanes->is_opened) {
		return;
	}
	lanes->is_opened = true;
	log_info("upstream", "opening %u connections for the link", lanes->wanted - 1);
	for (unsigned i = 1; i < lanes->wanted && !lanes->is_given_up; i++) {
		open_lane(&lanes->lanes[i]);
	}
}

void link_lanes_settle(struct link_lanes *lanes)
{
	lanes->is_settled = true;
	open_if_wanted(lanes);
}

static void begin_division(struct link_lanes *lanes, const struct link_lane_plan *plan)
{
	struct error err;

	if (!lanes->is_asked || is_divided(lanes) || plan->count != lanes->wanted ||
		plan->from < next_lsn(lanes)) {
		error_set(&err, ERROR_INVALID,
			"upstream divides the link at " LSN_FORMAT " without being asked",
			LSN_ARGS(plan->from));
		fail(lanes, &err);
		return;
	}
	log_info("upstream", "the link has %u lanes from " LSN_FORMAT " on", plan->count,
		LSN_ARGS(plan->from));
	lanes->order.division = (struct link_division){plan->from, plan->count};
	lanes->token = plan->token;
	lanes->lanes[0].acknowledged = lanes->options.promise(lanes->options.context).keep_bytes;
	for (unsigned i = 1; i < plan->count && !lanes->is_ended; i++) {
		lanes->lanes[i].next_lsn = plan->from;
		if (lanes->lanes[i].session.state == UPSTREAM_SESSION_READY) {
			start_lane(&lanes->lanes[i]);
		}
	}
	if (!lanes->is_ended && lanes->options.timeout_us > 0) {
		look_in(lanes, lanes->options.timeout_us / 4);
	}
}

static void take_plan(struct link_lanes *lanes, const uint8_t *payload, size_t length)
{
	struct link_server_copy copy;
	const char *reason;

	if (link_server_copy_decode(payload, length, &copy, &reason) != DECODE_OK) {
		lanes->options.on_payload(lanes->options.context, payload, length);
	} else if (copy.lanes.from != LSN_INVALID) {
		begin_division(lanes, &copy.lanes);
	} else if (lanes->options.count == 0 && !lanes->is_opened) {
		lanes->wanted = copy.lanes.count;
		open_if_wanted(lanes);
	}
}

void link_lanes_take(struct link_lanes *lanes, const uint8_t *payload, size_t length)
{
	char type = length > 0 ? (char)payload[0] : '\0';

	if (type == 'l') {
		take_plan(lanes, payload, length);
	} else if (type == 'z' || type == 'w' || type == 'p') {
		take(lanes, 0, payload, length);
	} else {
		lanes->options.on_payload(lanes->options.context, payload, length);
	}
}

/* --- what goes out -----------------------------------------------------------------------------
 */

bool link_lanes_put_request(
	struct link_lanes *lanes, const void *payload, size_t length, struct error *err)
{
	lsn_t lsn = next_lsn(lanes);
	unsigned number = link_division_lane(&lanes->order.division, lsn);
	struct upstream_session *session = session_of(lanes, number);

	if (session->state != UPSTREAM_SESSION_COPY) {
		return error_set(err, ERROR_SYSTEM, "a lane of the link was lost");
	}
	lanes->request_lsn = lsn;
	return upstream_session_put_copy(session, payload, length, err);
}

void link_lanes_put_promise(struct link_lanes *lanes, const void *payload, size_t length)
{
	for (unsigned i = 1; i < lanes->order.division.count && !lanes->is_ended; i++) {
		if (lanes->lanes[i].session.state == UPSTREAM_SESSION_COPY) {
			put(&lanes->lanes[i], payload, length);
		}
	}
}

unsigned link_lanes_count(const struct link_lanes *lanes)
{
	return is_divided(lanes) ? lanes->order.division.count : 1;
}

/* --- time --------------------------------------------------------------------------------------
 */

/* One that is not read from says nothing for as long. */
static void look_at(struct lane *lane, int64_t now_us)
{
	int64_t timeout_us = lane->lanes->options.timeout_us;
	int64_t silent_us = now_us - lane->heard_us;
	bool is_watched = timeout_us > 0 && !lane->is_paused;
	struct error err;

	if (lane->retry_at_us != 0 && lane->retry_at_us <= now_us) {
		open_lane(lane);
	} else if (is_watched && silent_us >= timeout_us &&
		   (lane->session.state == UPSTREAM_SESSION_COPY ||
			   lane->session.state == UPSTREAM_SESSION_QUERY)) {
		error_set(&err, ERROR_SYSTEM, "no message from the upstream for %lld ms",
			(long long)(silent_us / 1000));
		lose(lane, &err);
	} else if (is_watched && silent_us >= timeout_us / 2 && !lane->is_asked &&
		   lane->session.state == UPSTREAM_SESSION_COPY) {
		lane->is_asked = true;
		send_status(lane, true);
	}
}

static void on_deadline(void *context, int reason)
{
	struct link_lanes *lanes = context;
	int64_t now_us = loop_now_us(lanes->options.loop);
	int64_t timeout_us = lanes->options.timeout_us;

	assert(reason == DEADLINE_LOOK);
	for (unsigned i = 1; i < lanes->wanted && !lanes->is_ended; i++) {
		look_at(&lanes->lanes[i], now_us);
	}
	for (unsigned i = 1; i < lanes->wanted && !lanes->is_ended; i++) {
		if (lanes->lanes[i].retry_at_us > now_us) {
			look_in(lanes, lanes->lanes[i].retry_at_us - now_us);
		}
	}
	if (!lanes->is_ended && is_divided(lanes) && timeout_us > 0) {
		look_in(lanes, timeout_us / 4);
	}
}

/* --- new and free ------------------------------------------------------------------------------
 */

struct link_lanes *link_lanes_new(const struct link_lanes_options *options, struct error *err)
{
	struct link_lanes *lanes = memory_new(sizeof(*lanes));

	lanes->options = *options;
	lanes->wanted = options->count;
	if (!deadlines_init(
		    &lanes->deadlines, options->loop, DEADLINE_COUNT, on_deadline, lanes, err)) {
		free(lanes);
		return NULL;
	}
	lane_order_init(&lanes->order);
	lanes->host = memory_copy_text(upstream_session_host(options->session));
	lanes->host_address = memory_copy_text(upstream_session_host_address(options->session));
	lanes->port = memory_copy_text(upstream_session_port(options->session));
	for (unsigned i = 0; i < LINK_LANES_MAX; i++) {
		lanes->lanes[i].lanes = lanes;
		lanes->lanes[i].number = i;
	}
	return lanes;
}

static void free_now(void *context)
{
	struct link_lanes *lanes = context;

	lane_order_release(&lanes->order);
	free(lanes->host);
	free(lanes->host_address);
	free(lanes->port);
	free(lanes);
}

void link_lanes_free(struct link_lanes **lanes)
{
	struct link_lanes *gone = *lanes;

	if (gone == NULL) {
		return;
	}
	*lanes = NULL;
	gone->is_ended = true;
	close_all(gone);
	deadlines_release(&gone->deadlines);
	/* A callback of theirs may be what ends them. */
	loop_defer(gone->options.loop, free_now, gone);
}
