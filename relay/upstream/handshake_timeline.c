/*
 * handshake_timeline: the server's line of descent against ours.
 *
 * The history of the server's timeline is fetched on every connect and must equal one already held.
 * Nothing of a server that is not to be followed is kept.
 */
#include "upstream/handshake_step.h"

#include "base/log.h"
#include "base/memory.h"
#include "upstream/upstream_choice.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

static bool parse_theirs(struct upstream_handshake *handshake, struct error *err)
{
	return timeline_history_parse(&handshake->theirs, handshake->server_tli,
		handshake->history_text, handshake->history_length, err);
}

static enum step_begin begin_current(struct upstream_handshake *handshake, struct error *err)
{
	if (handshake->server_tli == 1) {
		return parse_theirs(handshake, err) ? STEP_DONE : STEP_FAILED;
	}
	if (handshake->has_asked) {
		return parse_theirs(handshake, err) ? STEP_DONE : STEP_FAILED;
	}
	handshake->asked_tli = handshake->server_tli;
	return handshake_ask(handshake, err, "TIMELINE_HISTORY %u", handshake->server_tli);
}

static bool rows_are_history(const PGresult *rows, tli_t tli, struct error *err)
{
	char name[TIMELINE_FILE_NAME_SIZE];

	if (PQntuples(rows) != 1 || PQnfields(rows) != 2) {
		return error_set(err, ERROR_INVALID,
			"upstream answered TIMELINE_HISTORY %u with %d rows of %d columns", tli,
			PQntuples(rows), PQnfields(rows));
	}
	timeline_history_file_name(tli, name);
	if (strcmp(PQgetvalue(rows, 0, 0), name) != 0) {
		return error_set(err, ERROR_INVALID,
			"upstream answered TIMELINE_HISTORY %u with file \"%s\"", tli,
			PQgetvalue(rows, 0, 0));
	}
	if (PQgetlength(rows, 0, 1) > (int)TIMELINE_HISTORY_BYTES_MAX) {
		return error_set(err, ERROR_INVALID,
			"upstream's history of timeline %u has %d bytes", tli,
			PQgetlength(rows, 0, 1));
	}
	return true;
}

static bool take_current(
	struct upstream_handshake *handshake, const PGresult *rows, struct error *err)
{
	if (!rows_are_history(rows, handshake->asked_tli, err)) {
		return false;
	}
	handshake->history_length = (size_t)PQgetlength(rows, 0, 1);
	handshake->history_text =
		memory_copy_bytes(PQgetvalue(rows, 0, 1), handshake->history_length);
	return true;
}

const struct handshake_step handshake_current_history = {
	.command = "TIMELINE_HISTORY",
	.begin = begin_current,
	.on_rows = take_current,
};

/* --- may it be followed ---------------------------------------------------------------------- */

static struct upstream_choice choose(
	const struct upstream_handshake *handshake, const struct timeline_history *ours)
{
	struct upstream_choice_input input = {
		.ours = ours,
		.theirs = &handshake->theirs,
		.server_lsn = handshake->server_lsn,
		.segment_bytes = handshake->identity.segment_bytes,
	};
	struct wal_store_stats stats;

	wal_store_read_stats(handshake->options.store, &stats);
	input.oldest_lsn = stats.oldest_lsn;
	input.received_lsn = stats.received_lsn;
	return upstream_choose(&input);
}

static struct upstream_choice choose_now(const struct upstream_handshake *handshake)
{
	struct timeline_history ours = {0};
	bool has_begun = wal_store_history(handshake->options.store, &ours);
	struct upstream_choice choice = choose(handshake, has_begun ? &ours : NULL);

	timeline_history_release(&ours);
	return choice;
}

static bool put_current(struct upstream_handshake *handshake, struct error *err)
{
	if (handshake->history_text == NULL) {
		return true;
	}
	if (!wal_store_put_history(handshake->options.store, handshake->server_tli,
		    handshake->history_text, handshake->history_length, err)) {
		return handshake_refuse(handshake, upstream_failure_of_error(err));
	}
	return true;
}

static bool refuse_choice(struct upstream_handshake *handshake,
	const struct upstream_choice *choice, struct error *err)
{
	struct wal_position ours = wal_store_received(handshake->options.store);

	switch (choice->kind) {
	case UPSTREAM_CHOICE_BEHIND:
		error_set(err, ERROR_INVALID,
			"upstream is at " LSN_FORMAT " on timeline %u, far behind our " LSN_FORMAT,
			LSN_ARGS(handshake->server_lsn), handshake->server_tli, LSN_ARGS(ours.lsn));
		return handshake_refuse(handshake, UPSTREAM_FAILURE_BEHIND);
	case UPSTREAM_CHOICE_STALE:
		error_set(err, ERROR_INVALID,
			"upstream is on timeline %u, which our timeline %u has left behind",
			handshake->server_tli, ours.tli);
		return handshake_refuse(handshake, UPSTREAM_FAILURE_STALE);
	case UPSTREAM_CHOICE_UNRELATED:
		error_set(err, ERROR_DIVERGED,
			"upstream has diverged: its timeline %u does not descend from our timeline "
			"%u at " LSN_FORMAT,
			handshake->server_tli, ours.tli, LSN_ARGS(ours.lsn));
		return handshake_refuse(handshake, UPSTREAM_FAILURE_DIVERGED);
	default: return true;
	}
}

static enum step_begin begin_refuse(struct upstream_handshake *handshake, struct error *err)
{
	struct upstream_choice choice = choose_now(handshake);

	if (!refuse_choice(handshake, &choice, err) || !put_current(handshake, err)) {
		return STEP_FAILED;
	}
	handshake->asked_tli = 1;
	return STEP_DONE;
}

const struct handshake_step handshake_refuse_history = {
	.command = "choose",
	.begin = begin_refuse,
};

/* --- the histories of timelines between ------------------------------------------------------- */

static bool is_held(struct upstream_handshake *handshake, tli_t tli)
{
	char *text;
	size_t length;

	if (!wal_store_read_history_file(handshake->options.store, tli, &text, &length, NULL)) {
		return false;
	}
	free(text);
	return true;
}

static enum step_begin begin_missing(struct upstream_handshake *handshake, struct error *err)
{
	while (++handshake->asked_tli < handshake->server_tli) {
		if (!is_held(handshake, handshake->asked_tli)) {
			return handshake_ask(
				handshake, err, "TIMELINE_HISTORY %u", handshake->asked_tli);
		}
	}
	return STEP_DONE;
}

static bool take_missing(
	struct upstream_handshake *handshake, const PGresult *rows, struct error *err)
{
	if (!rows_are_history(rows, handshake->asked_tli, err)) {
		return false;
	}
	if (!wal_store_put_history(handshake->options.store, handshake->asked_tli,
		    PQgetvalue(rows, 0, 1), (size_t)PQgetlength(rows, 0, 1), err)) {
		return handshake_refuse(handshake, upstream_failure_of_error(err));
	}
	return true;
}

/* A server made from a base backup may lack the history of a timeline it never was on. */
static bool is_no_file(
	struct upstream_handshake *handshake, const char *sqlstate, const char *message)
{
	if (strcmp(sqlstate, "58P01") != 0) {
		return false;
	}
	log_debug("upstream", "no history of timeline %u: %s", handshake->asked_tli, message);
	return true;
}

const struct handshake_step handshake_missing_histories = {
	.command = "TIMELINE_HISTORY",
	.begin = begin_missing,
	.on_rows = take_missing,
	.on_error = is_no_file,
};

/* --- following ------------------------------------------------------------------------------- */

static void tell_what_is_left_behind(
	struct upstream_handshake *handshake, const struct upstream_choice *choice)
{
	struct wal_position received = wal_store_received(handshake->options.store);
	struct wal_position flushed = wal_store_flushed(handshake->options.store);

	/* Past the last whole record there may be a piece of one that was never finished. */
	if (flushed.tli == received.tli && flushed.lsn > choice->fork_lsn) {
		wal_store_note_loss(
			handshake->options.store, received.tli, choice->fork_lsn, flushed.lsn);
		log_write(LOG_LEVEL_ERROR, "upstream",
			"timeline %u forked from timeline %u at " LSN_FORMAT
			": acknowledged WAL up to " LSN_FORMAT
			" (%llu bytes) is not part of it and is set aside and pinned",
			choice->tli, received.tli, LSN_ARGS(choice->fork_lsn),
			LSN_ARGS(flushed.lsn),
			(unsigned long long)(flushed.lsn - choice->fork_lsn));
	} else if (received.lsn > choice->fork_lsn) {
		log_info("upstream",
			"%llu bytes past " LSN_FORMAT " on timeline %u were never finished",
			(unsigned long long)(received.lsn - choice->fork_lsn),
			LSN_ARGS(choice->fork_lsn), received.tli);
	}
}

static bool switch_timeline(struct upstream_handshake *handshake,
	const struct upstream_choice *choice, struct error *err)
{
	tli_t left = wal_store_received(handshake->options.store).tli;

	tell_what_is_left_behind(handshake, choice);
	if (!wal_store_switch_timeline(handshake->options.store, choice->tli, err)) {
		return handshake_refuse(handshake, upstream_failure_of_error(err));
	}
	log_info("upstream", "timeline %u ended at " LSN_FORMAT "; following timeline %u", left,
		LSN_ARGS(choice->fork_lsn), choice->tli);
	return true;
}

static void warn_of_a_server_behind(const struct upstream_handshake *handshake)
{
	struct wal_position ours = wal_store_received(handshake->options.store);

	if (handshake->server_tli == ours.tli && handshake->server_lsn < ours.lsn) {
		log_warning("upstream",
			"upstream is at " LSN_FORMAT " on timeline %u, behind our " LSN_FORMAT
			": what it has is compared",
			LSN_ARGS(handshake->server_lsn), ours.tli, LSN_ARGS(ours.lsn));
	}
}

static enum step_begin begin_follow(struct upstream_handshake *handshake, struct error *err)
{
	struct upstream_choice choice = choose_now(handshake);

	/* Ends: each switch goes one timeline further along the server's history. */
	while (choice.kind == UPSTREAM_CHOICE_SWITCH) {
		if (!switch_timeline(handshake, &choice, err)) {
			return STEP_FAILED;
		}
		choice = choose_now(handshake);
	}
	if (!refuse_choice(handshake, &choice, err)) {
		return STEP_FAILED;
	}
	/* Asking for it again would end at once, and again. */
	if (handshake->is_again && choice.kind == UPSTREAM_CHOICE_CONTINUE &&
		choice.tli == handshake->tli) {
		error_set(err, ERROR_INVALID,
			"upstream ended timeline %u, but its history goes on with it", choice.tli);
		return STEP_FAILED;
	}
	warn_of_a_server_behind(handshake);
	handshake->tli = choice.tli;
	handshake->start_lsn = choice.start_lsn;
	handshake->fallback_lsn = choice.fallback_lsn;
	return STEP_DONE;
}

const struct handshake_step handshake_follow = {
	.command = "follow",
	.begin = begin_follow,
};
