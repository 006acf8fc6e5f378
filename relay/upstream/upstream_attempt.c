/*
 * upstream_attempt: hands the connection from the handshake to the receiver and back.
 *
 * Every part ends here: its failure closes the connection, with a last status where one still gets
 * through, before the owner hears of it.
 */
#include "upstream/upstream_attempt.h"

#include "base/log.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define SILENT_US INT64_C(60000000)

enum deadline_reason { DEADLINE_HANDSHAKE, DEADLINE_COUNT };

static struct loop *loop_of(const struct upstream_attempt *attempt)
{
	return attempt->options.upstream->loop;
}

void upstream_attempt_end(struct upstream_attempt *attempt)
{
	if (!attempt->is_open) {
		return;
	}
	attempt->is_open = false;
	upstream_survey_close(&attempt->survey);
	wal_receiver_end(&attempt->receiver, true);
	upstream_session_close(&attempt->session);
	upstream_handshake_release(&attempt->handshake);
	deadlines_release(&attempt->deadlines);
}

static void fail(void *context, enum upstream_failure failure, const struct error *err)
{
	struct upstream_attempt *attempt = context;

	upstream_attempt_end(attempt);
	attempt->options.on_failed(attempt->options.context, failure, err);
}

/* --- the stream ------------------------------------------------------------------------------ */

static void start_handshake(struct upstream_attempt *attempt, bool is_again);

static void on_streaming(void *context)
{
	struct upstream_attempt *attempt = context;

	attempt->options.on_streaming(attempt->options.context);
}

static void on_received(void *context)
{
	struct upstream_attempt *attempt = context;

	attempt->options.on_received(attempt->options.context);
}

static void on_timeline_end(void *context)
{
	struct upstream_attempt *attempt = context;

	attempt->options.on_timeline_end(attempt->options.context);
	start_handshake(attempt, true);
}

static void on_stopped(void *context)
{
	struct upstream_attempt *attempt = context;

	upstream_attempt_end(attempt);
	attempt->options.on_stopped(attempt->options.context);
}

static struct reply_limits limits_of(const struct upstream_options *options)
{
	return (struct reply_limits){options->status_interval_us, options->receiver_timeout_us};
}

static void on_handshake_ready(void *context)
{
	struct upstream_attempt *attempt = context;
	const struct upstream_options *upstream = attempt->options.upstream;
	const struct upstream_handshake *handshake = &attempt->handshake;
	const struct wal_receiver_options stream = {
		.loop = upstream->loop,
		.session = &attempt->session,
		.store = upstream->store,
		.slot = upstream->slot,
		.tli = handshake->tli,
		.start_lsn = handshake->start_lsn,
		.server_lsn = handshake->server_lsn,
		.doubted_lsn = attempt->options.doubted_lsn,
		.begin_lsn = handshake->begin_lsn,
		.segment_bytes = handshake->identity.segment_bytes,
		.link = handshake->has_link ? &handshake->link : NULL,
		.lanes = upstream->lanes,
		.limits = limits_of(upstream),
		.acknowledge_limits = upstream->acknowledge,
		.acknowledge = &attempt->acknowledge,
		.is_alone = &attempt->acknowledges_alone,
		.remote_apply_flush = upstream->remote_apply_flush,
		.replayed_lsn = upstream->replayed_lsn,
		.standbys_flushed_lsn = upstream->standbys_flushed_lsn,
		.oldest_xmin = upstream->oldest_xmin,
		.source_context = upstream->context,
		.on_streaming = on_streaming,
		.on_received = on_received,
		.on_timeline_end = on_timeline_end,
		.on_failed = fail,
		.on_stopped = on_stopped,
		.context = attempt,
	};
	struct error err;

	attempt->options.on_handshake(attempt->options.context);
	if (!wal_receiver_start(&attempt->receiver, &stream, &err)) {
		fail(attempt, UPSTREAM_FAILURE_LOST, &err);
	}
}

/* --- the handshake --------------------------------------------------------------------------- */

static void start_handshake(struct upstream_attempt *attempt, bool is_again)
{
	const struct upstream_options *upstream = attempt->options.upstream;
	const struct upstream_handshake_options options = {
		.session = &attempt->session,
		.loop = upstream->loop,
		.database = upstream->database,
		.cluster = upstream->cluster,
		.store = upstream->store,
		.slot = upstream->slot,
		.slot_is_missing = attempt->options.slot_is_missing,
		.wants_link = upstream->wants_link && !attempt->options.avoids_link,
		.recompresses = upstream->recompresses,
		.wants_lanes = upstream->lanes != 1,
		.start = upstream->start,
		.start_lsn = upstream->start_lsn,
		.on_ready = on_handshake_ready,
		.on_failed = fail,
		.context = attempt,
	};

	deadlines_set(
		&attempt->deadlines, DEADLINE_HANDSHAKE, loop_now_us(upstream->loop) + SILENT_US);
	upstream_handshake_start(&attempt->handshake, &options, is_again);
}

/* Up to the first message of a stream, each question has its own time. */
static void on_deadline(void *context, int reason)
{
	struct upstream_attempt *attempt = context;
	int64_t due_us = attempt->handshake.asked_us + SILENT_US;
	struct error err;

	assert(reason == DEADLINE_HANDSHAKE);
	if (attempt->receiver.is_open && attempt->receiver.has_message) {
		return;
	}
	if (loop_now_us(loop_of(attempt)) < due_us) {
		deadlines_set(&attempt->deadlines, DEADLINE_HANDSHAKE, due_us);
		return;
	}
	error_set(&err, ERROR_SYSTEM, "no answer from the upstream for %d s",
		(int)(SILENT_US / 1000000));
	fail(attempt, UPSTREAM_FAILURE_LOST, &err);
}

/* --- the connection -------------------------------------------------------------------------- */

static void on_connected(void *context)
{
	struct upstream_attempt *attempt = context;

	attempt->options.on_connected(attempt->options.context);
	start_handshake(attempt, false);
}

static void on_lost(void *context, const struct error *err)
{
	struct upstream_attempt *attempt = context;
	struct error orderly;

	if (attempt->receiver.is_open && attempt->receiver.is_ended_orderly) {
		error_set(&orderly, ERROR_SYSTEM, "upstream ended the stream: it shuts down");
		fail(attempt, UPSTREAM_FAILURE_SHUTDOWN, &orderly);
		return;
	}
	fail(attempt, UPSTREAM_FAILURE_LOST, err);
}

/* hosts NULL: those of conninfo, as they stand there. */
static bool open_session(
	struct upstream_attempt *attempt, const struct upstream_hosts *hosts, struct error *err)
{
	const struct upstream_options *upstream = attempt->options.upstream;
	struct upstream_session_options session = {
		.loop = upstream->loop,
		.conninfo = upstream->conninfo,
		.application_name = upstream->relay_name,
		.on_connected = on_connected,
		.on_lost = on_lost,
		.context = attempt,
	};
	char *names, *addresses, *ports;
	bool ok;

	if (hosts == NULL) {
		return upstream_session_open(&attempt->session, &session, err);
	}
	session.host = names = upstream_hosts_join(hosts, UPSTREAM_HOSTS_NAME);
	session.host_address = addresses = upstream_hosts_join(hosts, UPSTREAM_HOSTS_ADDRESS);
	session.port = ports = upstream_hosts_join(hosts, UPSTREAM_HOSTS_PORT);
	ok = upstream_session_open(&attempt->session, &session, err);
	free(names);
	free(addresses);
	free(ports);
	return ok;
}

/* Two that both may be followed and are on different timelines: one of them is not what it was. */
static void tell_split(const struct upstream_survey *survey)
{
	const struct upstream_hosts *hosts = &survey->hosts;

	if (!upstream_survey_is_split(survey)) {
		return;
	}
	for (size_t i = 0; i < upstream_hosts_answered(hosts); i++) {
		const struct upstream_host *host = &hosts->items[i];

		log_warning("upstream", "%s:%s answers on timeline %u at " LSN_FORMAT "%s",
			host->name[0] != '\0' ? host->name : host->address, host->port, host->tli,
			LSN_ARGS(host->lsn), i == 0 ? ": it is tried first" : "");
	}
}

static void on_surveyed(void *context)
{
	struct upstream_attempt *attempt = context;
	struct upstream_hosts *hosts = &attempt->survey.hosts;
	struct error err;
	bool ok;

	attempt->candidates = upstream_hosts_answered(hosts);
	upstream_hosts_order(hosts, attempt->options.refusals);
	tell_split(&attempt->survey);
	ok = open_session(attempt, hosts, &err);
	if (ok) {
		upstream_survey_close(&attempt->survey);
	} else {
		fail(attempt, UPSTREAM_FAILURE_LOST, &err);
	}
}

bool upstream_attempt_start(struct upstream_attempt *attempt,
	const struct upstream_attempt_options *options, struct error *err)
{
	const struct upstream_survey_options survey = {
		.loop = options->upstream->loop,
		.conninfo = options->upstream->conninfo,
		.application_name = options->upstream->relay_name,
		.on_done = on_surveyed,
		.context = attempt,
	};

	assert(!attempt->is_open);
	memset(attempt, 0, offsetof(struct upstream_attempt, acknowledge));
	attempt->options = *options;
	if (!deadlines_init(&attempt->deadlines, options->upstream->loop, DEADLINE_COUNT,
		    on_deadline, attempt, err)) {
		return false;
	}
	attempt->is_open = true;
	if (!upstream_survey_start(&attempt->survey, &survey) &&
		!open_session(attempt, NULL, err)) {
		upstream_attempt_end(attempt);
		return false;
	}
	return true;
}

void upstream_attempt_on_news(struct upstream_attempt *attempt)
{
	if (attempt->is_open) {
		wal_receiver_on_news(&attempt->receiver);
	}
}

void upstream_attempt_on_limits(struct upstream_attempt *attempt)
{
	struct reply_limits limits = limits_of(attempt->options.upstream);

	if (attempt->is_open) {
		attempt->receiver.options.remote_apply_flush =
			attempt->options.upstream->remote_apply_flush;
		attempt->receiver.options.acknowledge_limits =
			attempt->options.upstream->acknowledge;
		wal_receiver_set_limits(&attempt->receiver, &limits);
	}
}

void upstream_attempt_stop(struct upstream_attempt *attempt, int64_t max_us)
{
	if (attempt->is_open && attempt->receiver.is_open) {
		wal_receiver_stop(&attempt->receiver, max_us);
		return;
	}
	upstream_attempt_end(attempt);
	attempt->options.on_stopped(attempt->options.context);
}
