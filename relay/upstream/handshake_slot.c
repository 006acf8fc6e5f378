/*
 * handshake_slot: our slot on the upstream: found, or made, never remade in silence.
 *
 * READ_REPLICATION_SLOT tells of a slot from PostgreSQL 15, and on a relay. Before, one we remember
 * is taken to be there until START_REPLICATION says otherwise, so that the server's log is spared a
 * failing CREATE on every connect.
 */
#include "upstream/handshake_step.h"

#include "base/log.h"
#include "base/wall_clock.h"
#include "protocol/repl_command.h"
#include "upstream/slot_memory.h"

#include <assert.h>
#include <string.h>

#define VERSION_READ_SLOT 150000

static bool can_read_slots(const struct upstream_handshake *handshake)
{
	return handshake->has_link ||
	       upstream_session_server_version(handshake->options.session) >= VERSION_READ_SLOT;
}

static enum step_begin ask_about_slot(struct upstream_handshake *handshake, struct error *err,
	const char *before, const char *after)
{
	char name[2 * SLOT_NAME_SIZE + 3];

	if (!repl_quote_identifier(handshake->options.slot, name, sizeof(name))) {
		error_set(err, ERROR_INVALID, "slot name \"%s\" is too long",
			handshake->options.slot);
		handshake_refuse(handshake, UPSTREAM_FAILURE_UNUSABLE);
		return STEP_FAILED;
	}
	return handshake_ask(handshake, err, "%s %s%s", before, name, after);
}

static bool take_slot(struct upstream_handshake *handshake, const PGresult *rows, struct error *err)
{
	const char *restart_lsn;

	if (PQntuples(rows) != 1 || PQnfields(rows) < 2) {
		return error_set(err, ERROR_INVALID,
			"upstream answered READ_REPLICATION_SLOT with %d rows of %d columns",
			PQntuples(rows), PQnfields(rows));
	}
	if (PQgetisnull(rows, 0, 0)) {
		handshake->slot_state = UPSTREAM_SLOT_MISSING;
		return true;
	}
	if (strcmp(PQgetvalue(rows, 0, 0), "physical") != 0) {
		error_set(err, ERROR_INVALID, "slot \"%s\" on the upstream is not a physical one",
			handshake->options.slot);
		return handshake_refuse(handshake, UPSTREAM_FAILURE_UNUSABLE);
	}
	handshake->slot_state = UPSTREAM_SLOT_EXISTS;
	restart_lsn = PQgetvalue(rows, 0, 1);
	if (!PQgetisnull(rows, 0, 1) &&
		!lsn_parse(restart_lsn, strlen(restart_lsn), &handshake->slot_restart_lsn)) {
		return error_set(err, ERROR_INVALID,
			"upstream answered READ_REPLICATION_SLOT with restart_lsn \"%s\"",
			restart_lsn);
	}
	return true;
}

static enum step_begin begin_find(struct upstream_handshake *handshake, struct error *err)
{
	const struct upstream_handshake_options *options = &handshake->options;

	if (handshake->has_asked || handshake->is_again || options->slot[0] == '\0') {
		return STEP_DONE;
	}
	if (!slot_memory_find(options->database, options->slot,
		    handshake->identity.system_identifier, &handshake->slot_was_known, err)) {
		return STEP_FAILED;
	}
	if (can_read_slots(handshake)) {
		return ask_about_slot(handshake, err, "READ_REPLICATION_SLOT", "");
	}
	handshake->slot_state = handshake->slot_was_known && !options->slot_is_missing
					? UPSTREAM_SLOT_EXISTS
					: UPSTREAM_SLOT_MISSING;
	return STEP_DONE;
}

const struct handshake_step handshake_find_slot = {
	.command = "READ_REPLICATION_SLOT",
	.begin = begin_find,
	.on_rows = take_slot,
};

/* A slot that was there held our WAL. Before it is made again the server must still have that: a
 * slot beyond a gap would only hide it. */
static enum step_begin begin_check(struct upstream_handshake *handshake, struct error *err)
{
	if (handshake->slot_state != UPSTREAM_SLOT_MISSING || !handshake->slot_was_known ||
		handshake->tli == 0 || handshake->start_lsn >= handshake->server_lsn) {
		return STEP_DONE;
	}
	if (!handshake->has_asked) {
		return handshake_ask_probe(handshake, handshake->start_lsn, handshake->tli, err);
	}
	if (handshake->probe == PROBE_GONE) {
		error_set(err, ERROR_NOT_FOUND,
			"upstream has lost slot \"%s\" and no longer has the WAL at " LSN_FORMAT,
			handshake->options.slot, LSN_ARGS(handshake->start_lsn));
		error_hint(err, UPSTREAM_GAP_HINT);
		handshake_refuse(handshake, UPSTREAM_FAILURE_GAP);
		return STEP_FAILED;
	}
	return STEP_DONE;
}

const struct handshake_step handshake_check_wal = {
	.command = "START_REPLICATION",
	.begin = begin_check,
	.on_copy = handshake_take_probe,
	.on_error = handshake_take_probe_error,
};

static enum step_begin begin_create(struct upstream_handshake *handshake, struct error *err)
{
	if (handshake->has_asked || handshake->slot_state != UPSTREAM_SLOT_MISSING) {
		return STEP_DONE;
	}
	if (handshake->slot_was_known) {
		log_warning("upstream",
			"slot \"%s\" is missing on the upstream and is made again: WAL may have "
			"been "
			"removed meanwhile",
			handshake->options.slot);
	}
	return ask_about_slot(handshake, err, "CREATE_REPLICATION_SLOT",
		can_read_slots(handshake) ? " PHYSICAL (RESERVE_WAL)" : " PHYSICAL RESERVE_WAL");
}

static bool take_created(
	struct upstream_handshake *handshake, const PGresult *rows, struct error *err)
{
	(void)rows;
	(void)err;
	handshake->slot_state = UPSTREAM_SLOT_EXISTS;
	handshake->slot_remade_us = handshake->slot_was_known ? wall_clock_unix_us() : 0;
	log_info("upstream", "made slot \"%s\" on the upstream", handshake->options.slot);
	return true;
}

static bool exists_already(
	struct upstream_handshake *handshake, const char *sqlstate, const char *message)
{
	(void)message;
	if (strcmp(sqlstate, "42710") != 0) {
		return false;
	}
	handshake->slot_state = UPSTREAM_SLOT_EXISTS;
	return true;
}

const struct handshake_step handshake_create_slot = {
	.command = "CREATE_REPLICATION_SLOT",
	.begin = begin_create,
	.on_rows = take_created,
	.on_error = exists_already,
};

/* Where a slot just made begins: CREATE answers 0/0. */
static enum step_begin begin_read(struct upstream_handshake *handshake, struct error *err)
{
	const struct upstream_handshake_options *options = &handshake->options;

	if (handshake->has_asked || handshake->slot_state != UPSTREAM_SLOT_EXISTS) {
		return STEP_DONE;
	}
	if (!handshake->slot_was_known && !slot_memory_store(options->database, options->slot,
						  handshake->identity.system_identifier, err)) {
		return STEP_FAILED;
	}
	handshake->slot_was_known = true;
	if (!can_read_slots(handshake) || handshake->slot_restart_lsn != LSN_INVALID ||
		wal_store_received(options->store).tli != 0) {
		return STEP_DONE;
	}
	return ask_about_slot(handshake, err, "READ_REPLICATION_SLOT", "");
}

const struct handshake_step handshake_read_slot = {
	.command = "READ_REPLICATION_SLOT",
	.begin = begin_read,
	.on_rows = take_slot,
};
