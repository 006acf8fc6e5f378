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

/* A lane is opened again after so long, and twice as long each time. */
#define RETRY_MIN_US INT64_C(200000)
#define RETRY_MAX_US INT64_C(30000000)
/* What has come is told when it is so much, or after so long. */
#define TELL_BYTES ((size_t)256 << 10)
#define TELL_US    INT64_C(100000)

enum deadline_reason { DEADLINE_LOOK, DEADLINE_TELL, DEADLINE_COUNT };

struct lane {
	struct link_lanes *lanes;
	unsigned place;  /* among them; 0 has no session of its own */
	uint32_t number; /* as the server knows it; 0: it was not started */
	struct upstream_session session;
	bool is_streaming;
	uint64_t messages; /* with WAL that came over it */
	uint32_t epoch;    /* requests that what comes over it heeds */
	int64_t heard_us;
	bool is_asked; /* whether it is still there */
	unsigned tries;
	int64_t retry_at_us; /* 0: it is open, or not yet wanted */
};

struct link_lanes {
	struct link_lanes_options options;
	char *host;
	char *host_address;
	char *port;
	struct deadlines deadlines;
	struct lane_order order;
	struct lane lanes[LINK_LANES_MAX];
	unsigned wanted;
	uint32_t last_number;
	uint64_t token;
	uint32_t epoch; /* requests that went out */
	size_t untold_bytes;
	bool is_settled;
	bool is_shared; /* what comes is counted, and may come over others */
	bool is_opened;
	bool is_pumping; /* what it calls may bring more */
	bool is_ended;   /* nothing is to be touched but what frees it */
};

static lsn_t next_lsn(const struct link_lanes *lanes)
{
	return lanes->options.next_lsn(lanes->options.context);
}

static void fail(struct link_lanes *lanes, const struct error *err)
{
	lanes->options.on_failed(lanes->options.context, err);
}

static void put_first(struct link_lanes *lanes, const void *payload, size_t length)
{
	struct error err;

	if (lanes->options.session->state == UPSTREAM_SESSION_COPY &&
		!upstream_session_put_copy(lanes->options.session, payload, length, &err)) {
		fail(lanes, &err);
	}
}

/* --- what the server is told -------------------------------------------------------------------
 */

static void tell_arrived(struct link_lanes *lanes)
{
	struct link_arrived arrived = {.lsn = next_lsn(lanes)};
	uint8_t payload[LINK_ARRIVED_BYTES];

	for (unsigned i = 0; i < LINK_LANES_MAX; i++) {
		const struct lane *lane = &lanes->lanes[i];

		if (i == 0 || lane->number != 0) {
			arrived.lanes[arrived.count++] = (struct link_lane_count){
				.lane = lane->number, .messages = lane->messages};
		}
	}
	lanes->untold_bytes = 0;
	deadlines_clear(&lanes->deadlines, DEADLINE_TELL);
	put_first(lanes, payload, link_arrived_encode(&arrived, payload));
}

static void note_untold(struct link_lanes *lanes, size_t length)
{
	lanes->untold_bytes += length;
	if (lanes->untold_bytes >= TELL_BYTES) {
		tell_arrived(lanes);
	} else if (!deadlines_is_set(&lanes->deadlines, DEADLINE_TELL)) {
		deadlines_set(&lanes->deadlines, DEADLINE_TELL,
			loop_now_us(lanes->options.loop) + TELL_US);
	}
}

static void tell_lost(struct lane *lane)
{
	const struct link_lane_count lost = {.lane = lane->number, .messages = lane->messages};
	uint8_t payload[LINK_LOST_BYTES];

	lane->number = 0;
	put_first(lane->lanes, payload, link_lost_encode(&lost, payload));
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

static int64_t retry_after_us(const struct lane *lane)
{
	int64_t us = RETRY_MIN_US << (lane->tries < 10 ? lane->tries : 10);

	return us < RETRY_MAX_US ? us : RETRY_MAX_US;
}

static void lose(struct lane *lane, const struct error *err)
{
	struct link_lanes *lanes = lane->lanes;
	int64_t retry_us = retry_after_us(lane);

	upstream_session_close(&lane->session);
	lane->is_streaming = false;
	lane->tries++;
	log_info("upstream", "lane %u of the link is opened again: %s", lane->place, err->message);
	lane->retry_at_us = loop_now_us(lanes->options.loop) + retry_us;
	look_in(lanes, retry_us);
	if (lane->number != 0) {
		tell_lost(lane);
	}
}

/* --- what comes --------------------------------------------------------------------------------
 */

static void hand_on(struct link_lanes *lanes, const uint8_t *payload, size_t length)
{
	lanes->options.on_payload(lanes->options.context, payload, length);
}

static void pump(struct link_lanes *lanes)
{
	struct lane_message *message;

	if (lanes->is_pumping) {
		return;
	}
	lanes->is_pumping = true;
	while (!lanes->is_ended &&
		(message = lane_order_take(&lanes->order, next_lsn(lanes))) != NULL) {
		hand_on(lanes, message->payload, message->length);
		free(message);
	}
	lanes->is_pumping = false;
}

static void keep(struct link_lanes *lanes, lsn_t start, const uint8_t *payload, size_t length)
{
	struct error err;

	/* What has come already comes again when the server had reason to think it lost. */
	if (!lane_order_put(&lanes->order, start, payload, length) &&
		!lane_order_has_room(&lanes->order, length)) {
		error_set(&err, ERROR_INVALID,
			"upstream sends more over the lanes of the link than was agreed on");
		fail(lanes, &err);
	}
}

/* One that cannot be placed is for the decoder, which asks for it again. */
static void take(struct lane *lane, const struct link_server_copy *copy, const uint8_t *payload,
	size_t length)
{
	struct link_lanes *lanes = lane->lanes;
	lsn_t next = next_lsn(lanes);
	lsn_t start = LSN_INVALID;

	lane->messages++;
	if (lane->epoch == lanes->epoch) {
		if (!lane_order_place_of(copy, &start) || (start == next && !lanes->is_pumping)) {
			hand_on(lanes, payload, length);
		} else if (start >= next) {
			keep(lanes, start, payload, length);
		}
	}
	if (!lanes->is_ended) {
		pump(lanes);
	}
	if (!lanes->is_ended) {
		note_untold(lanes, length);
	}
}

static bool has_wal(const struct link_server_copy *copy)
{
	return copy->kind == LINK_SERVER_BATCH ||
	       (copy->kind == LINK_SERVER_STREAM && copy->stream.kind == SERVER_COPY_WAL);
}

void link_lanes_note_request(struct link_lanes *lanes)
{
	lanes->epoch++;
	lane_order_clear(&lanes->order);
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
	} else if (has_wal(&copy)) {
		take(lane, &copy, payload, length);
	} else if (copy.kind == LINK_SERVER_EPOCH) {
		lane->epoch = copy.epoch;
	} else if (copy.kind == LINK_SERVER_STREAM && copy.stream.keepalive.reply_requested) {
		send_status(lane, false);
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
	struct error err;

	if (PQresultStatus(result) == PGRES_COPY_BOTH) {
		lane->is_streaming = true;
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
		.lane = ++lanes->last_number,
		.lane_token = lanes->token,
		.promise = lanes->options.promise(lanes->options.context)};
	char terms[LINK_START_TEXT_SIZE];
	char sql[sizeof(terms) + 128];
	struct error err;

	lane->number = start.lane;
	lane->messages = 0;
	lane->epoch = 0;
	lane->heard_us = loop_now_us(lanes->options.loop);
	lane->is_asked = false;
	snprintf(sql, sizeof(sql), "START_REPLICATION " LSN_FORMAT " TIMELINE %u %s",
		LSN_ARGS(next_lsn(lanes)), lanes->options.tli, link_start_format(&start, terms));
	if (!upstream_session_query(&lane->session, sql, &query, &err)) {
		lose(lane, &err);
	}
}

/* --- opening -----------------------------------------------------------------------------------
 */

static void on_connected(void *context)
{
	start_lane(context);
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
	if (!lanes->is_settled || !lanes->is_shared || lanes->is_opened) {
		return;
	}
	lanes->is_opened = true;
	log_info("upstream", "opening %u connections for the link", lanes->wanted - 1);
	for (unsigned i = 1; i < lanes->wanted && !lanes->is_ended; i++) {
		open_lane(&lanes->lanes[i]);
	}
	if (!lanes->is_ended && lanes->options.timeout_us > 0) {
		look_in(lanes, lanes->options.timeout_us / 4);
	}
}

void link_lanes_settle(struct link_lanes *lanes)
{
	uint8_t payload[LINK_WISH_BYTES];

	lanes->is_settled = true;
	if (!lanes->is_shared && lanes->options.count > 1) {
		put_first(lanes, payload, link_wish_encode(lanes->options.count, payload));
	} else {
		open_if_wanted(lanes);
	}
}

static void take_plan(struct link_lanes *lanes, const struct link_lane_plan *plan)
{
	if (lanes->is_shared) {
		return;
	}
	lanes->is_shared = true;
	lanes->token = plan->token;
	lanes->wanted = lanes->options.count > 1 ? lanes->options.count : plan->count;
	open_if_wanted(lanes);
}

void link_lanes_take(struct link_lanes *lanes, const uint8_t *payload, size_t length)
{
	struct link_server_copy copy;
	const char *reason;

	if (link_server_copy_decode(payload, length, &copy, &reason) != DECODE_OK) {
		hand_on(lanes, payload, length);
	} else if (copy.kind == LINK_SERVER_LANES) {
		take_plan(lanes, &copy.lanes);
	} else if (copy.kind == LINK_SERVER_EPOCH) {
		lanes->lanes[0].epoch = copy.epoch;
	} else if (lanes->is_shared && has_wal(&copy)) {
		take(&lanes->lanes[0], &copy, payload, length);
	} else {
		hand_on(lanes, payload, length);
	}
}

unsigned link_lanes_count(const struct link_lanes *lanes)
{
	unsigned count = 1;

	for (unsigned i = 1; i < lanes->wanted; i++) {
		count += lanes->lanes[i].is_streaming;
	}
	return count;
}

/* --- time --------------------------------------------------------------------------------------
 */

static void look_at(struct lane *lane, int64_t now_us)
{
	int64_t timeout_us = lane->lanes->options.timeout_us;
	int64_t silent_us = now_us - lane->heard_us;
	struct error err;

	if (lane->retry_at_us != 0 && lane->retry_at_us <= now_us) {
		open_lane(lane);
	} else if (timeout_us > 0 && silent_us >= timeout_us &&
		   (lane->session.state == UPSTREAM_SESSION_COPY ||
			   lane->session.state == UPSTREAM_SESSION_QUERY)) {
		error_set(&err, ERROR_SYSTEM, "no message from the upstream for %lld ms",
			(long long)(silent_us / 1000));
		lose(lane, &err);
	} else if (timeout_us > 0 && silent_us >= timeout_us / 2 && !lane->is_asked &&
		   lane->session.state == UPSTREAM_SESSION_COPY) {
		lane->is_asked = true;
		send_status(lane, true);
	}
}

static void look(struct link_lanes *lanes)
{
	int64_t now_us = loop_now_us(lanes->options.loop);
	int64_t timeout_us = lanes->options.timeout_us;

	for (unsigned i = 1; i < lanes->wanted && !lanes->is_ended; i++) {
		look_at(&lanes->lanes[i], now_us);
	}
	for (unsigned i = 1; i < lanes->wanted && !lanes->is_ended; i++) {
		if (lanes->lanes[i].retry_at_us > now_us) {
			look_in(lanes, lanes->lanes[i].retry_at_us - now_us);
		}
	}
	if (!lanes->is_ended && timeout_us > 0) {
		look_in(lanes, timeout_us / 4);
	}
}

static void on_deadline(void *context, int reason)
{
	if (reason == DEADLINE_TELL) {
		tell_arrived(context);
	} else {
		look(context);
	}
}

/* --- new and free ------------------------------------------------------------------------------
 */

struct link_lanes *link_lanes_new(const struct link_lanes_options *options, struct error *err)
{
	struct link_lanes *lanes = memory_new(sizeof(*lanes));

	lanes->options = *options;
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
		lanes->lanes[i].place = i;
	}
	return lanes;
}

static void free_now(void *context)
{
	struct link_lanes *lanes = context;

	lane_order_clear(&lanes->order);
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
	for (unsigned i = 1; i < LINK_LANES_MAX; i++) {
		upstream_session_close(&gone->lanes[i].session);
	}
	deadlines_release(&gone->deadlines);
	/* A callback of theirs may be what ends them. */
	loop_defer(gone->options.loop, free_now, gone);
}
