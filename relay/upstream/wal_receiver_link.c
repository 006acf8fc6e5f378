/*
 * wal_receiver_link: a link's messages, requests and promises, and its lanes.
 */
#include "upstream/wal_receiver_link.h"

#include "protocol/link_stream.h"

static void fail(struct wal_receiver *receiver, const struct error *err)
{
	receiver->options.on_failed(receiver->options.context, UPSTREAM_FAILURE_LOST, err);
}

unsigned wal_receiver_link_lanes(const struct wal_receiver *receiver)
{
	if (receiver->lanes != NULL) {
		return link_lanes_count(receiver->lanes);
	}
	return receiver->link != NULL ? 1 : 0;
}

bool wal_receiver_promise_if_due(struct wal_receiver *receiver)
{
	struct link_promise promise;
	uint8_t payload[LINK_PROMISE_BYTES];
	size_t length;
	struct error err;

	if (receiver->link == NULL || !link_receiver_next_promise(receiver->link, &promise)) {
		return true;
	}
	length = link_promise_encode(&promise, payload);
	if (!upstream_session_put_copy(receiver->options.session, payload, length, &err)) {
		fail(receiver, &err);
		return false;
	}
	return true;
}

static bool send_request(struct wal_receiver *receiver, struct error *err)
{
	uint8_t payload[LINK_REQUEST_BYTES];
	size_t length = link_request_encode(link_receiver_request_lsn(receiver->link), payload);

	if (receiver->lanes != NULL) {
		link_lanes_note_request(receiver->lanes);
	}
	return upstream_session_put_copy(receiver->options.session, payload, length, err);
}

bool wal_receiver_take_link_copy(struct wal_receiver *receiver, const uint8_t *payload,
	size_t length, struct server_copy *copy_out)
{
	struct error err;
	bool is_alive = true;

	switch (link_receiver_take(receiver->link, payload, length, receiver->rules.stream_lsn,
		loop_now_us(receiver->options.loop), copy_out, &err)) {
	case LINK_TAKE_COPY: return true;
	case LINK_TAKE_NOTHING: break;
	case LINK_TAKE_REQUEST: is_alive = send_request(receiver, &err); break;
	case LINK_TAKE_FAILED:
		receiver->has_link_failed = true;
		is_alive = false;
		break;
	}
	if (!is_alive) {
		fail(receiver, &err);
	}
	return false;
}

/* --- lanes -------------------------------------------------------------------------------------
 */

static lsn_t next_lsn(void *context)
{
	const struct wal_receiver *receiver = context;

	return receiver->rules.stream_lsn;
}

static struct link_promise promise(void *context)
{
	const struct wal_receiver *receiver = context;

	return link_receiver_promise(receiver->link);
}

static void on_payload(void *context, const uint8_t *payload, size_t length)
{
	wal_receiver_take_payload(context, payload, length);
}

static void on_run(void *context)
{
	wal_receiver_on_run(context);
}

static void on_lanes_failed(void *context, const struct error *err)
{
	fail(context, err);
}

static bool start_lanes(struct wal_receiver *receiver, struct error *err)
{
	const struct wal_receiver_options *options = &receiver->options;
	const struct link_lanes_options lanes = {
		.loop = options->loop,
		.session = options->session,
		.conninfo = options->session->options.conninfo,
		.application_name = options->session->options.application_name,
		.terms = *options->link,
		.tli = options->tli,
		.count = options->lanes,
		.timeout_us = options->limits.receiver_timeout_us,
		.next_lsn = next_lsn,
		.promise = promise,
		.on_payload = on_payload,
		.on_run = on_run,
		.on_failed = on_lanes_failed,
		.context = receiver,
	};

	if (options->lanes == 1 ||
		link_abilities_find(&options->link->abilities, LINK_LANES_ABILITY) == NULL) {
		return true;
	}
	receiver->lanes = link_lanes_new(&lanes, err);
	return receiver->lanes != NULL;
}

bool wal_receiver_start_link(struct wal_receiver *receiver, struct error *err)
{
	const struct wal_receiver_options *options = &receiver->options;
	struct link_receiver_options link = {
		.store = options->store,
		.segment_bytes = options->segment_bytes,
		.tli = options->tli,
		.start_lsn = options->start_lsn,
	};

	if (options->link == NULL) {
		return true;
	}
	link.terms = *options->link;
	receiver->link = link_receiver_new(&link, err);
	return receiver->link != NULL && start_lanes(receiver, err);
}
