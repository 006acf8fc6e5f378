/*
 * reset_state: opens the state and the spool as serve would, and nothing around them.
 */
#include "cli/reset_state.h"

#include "app/relay_options.h"
#include "base/database.h"
#include "base/memory.h"
#include "spool/wal_store.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define PATH_SIZE 4096

struct opened {
	struct database *database;
	struct cluster *cluster;
	struct slots *slots;
};

static void close_all(struct opened *opened)
{
	slots_close(&opened->slots);
	cluster_close(&opened->cluster);
	database_close(&opened->database);
}

static bool open_all(const char *data_directory, struct opened *opened, struct error *err)
{
	char path[PATH_SIZE];

	*opened = (struct opened){0};
	(void)snprintf(path, sizeof(path), "%s/state.db", data_directory);
	opened->database = database_open(path, err);
	if (opened->database != NULL) {
		opened->cluster = cluster_open(opened->database, err);
	}
	if (opened->cluster != NULL) {
		opened->slots = slots_open(opened->database, err);
	}
	if (opened->slots == NULL) {
		close_all(opened);
		return false;
	}
	return true;
}

void reset_state_read(const char *data_directory, struct reset_state *state_out, struct error *err)
{
	struct reset_state state = {0};
	struct opened opened;
	char path[PATH_SIZE];

	(void)snprintf(path, sizeof(path), "%s/state.db", data_directory);
	if (access(path, F_OK) != 0) {
		(void)error_set_errno(err, "could not read \"%s\"", path);
	} else if (open_all(data_directory, &opened, err)) {
		state.is_readable = true;
		cluster_read_identity(opened.cluster, &state.identity);
		state.slots = memory_new(SLOTS_MAX * sizeof(*state.slots));
		state.slot_count = slots_list(opened.slots, state.slots, SLOTS_MAX);
		close_all(&opened);
	}
	*state_out = state;
}

void reset_state_release(struct reset_state *state)
{
	free(state->slots);
	*state = (struct reset_state){0};
}

static void count_stored(void *context, bool ok, const struct error *err)
{
	(void)err;
	if (ok) {
		atomic_fetch_add((atomic_size_t *)context, 1);
	}
}

static bool store_slots(struct opened *opened, const struct reset_state *state, struct error *err)
{
	atomic_size_t stored = 0;

	for (size_t i = 0; i < state->slot_count; i++) {
		if (!slots_create(opened->slots, state->slots[i].name, false, 0, LSN_INVALID, 0,
			    count_stored, &stored, err)) {
			break;
		}
	}
	/* Closing waits for what was handed in. */
	close_all(opened);
	return atomic_load(&stored) == state->slot_count ||
	       error_set(err, ERROR_SYSTEM, "could not store the slots anew");
}

bool reset_state_write(const char *data_directory, const struct reset_state *state,
	bool with_identity, struct error *err)
{
	struct opened opened;

	if (!open_all(data_directory, &opened, err)) {
		return false;
	}
	if (with_identity && state->identity.system_identifier != 0 &&
		!cluster_pin_identity(opened.cluster, &state->identity, err)) {
		close_all(&opened);
		return false;
	}
	return store_slots(&opened, state, err);
}

static bool begin_range(struct wal_store *store, lsn_t lsn, reset_confirm *confirm, void *context,
	bool *is_done_out, struct error *err)
{
	struct wal_store_stats stats;
	uint32_t segment_bytes = wal_store_segment_bytes(store);
	lsn_t begin_lsn;

	wal_store_read_stats(store, &stats);
	if (stats.tli == 0) {
		(void)error_set(err, ERROR_INVALID, "the spool is empty");
		return error_hint(err, "\"start\" in [upstream] says where an empty spool begins.");
	}
	begin_lsn = lsn_segment_start(lsn, segment_bytes);
	if (begin_lsn <= stats.received_lsn) {
		(void)error_set(err, ERROR_INVALID,
			"there would be no gap: WAL up to " LSN_FORMAT
			" is held, and the segment of " LSN_FORMAT " begins at " LSN_FORMAT,
			LSN_ARGS(stats.received_lsn), LSN_ARGS(lsn), LSN_ARGS(begin_lsn));
		return error_hint(err, "\"walrelay reset\" without --from begins with an empty "
				       "spool.");
	}
	if (!confirm(context, stats.tli, stats.oldest_lsn, stats.received_lsn, begin_lsn)) {
		*is_done_out = false;
		return true;
	}
	*is_done_out = true;
	return wal_store_begin(store, stats.tli, begin_lsn, segment_bytes, err);
}

bool reset_range(const struct config *config, lsn_t lsn, reset_confirm *confirm, void *context,
	bool *is_done_out, struct error *err)
{
	char directory[PATH_SIZE];
	struct wal_store_options options;
	struct wal_store *store;
	struct opened opened;
	bool ok;

	(void)snprintf(directory, sizeof(directory), "%s/wal", config->relay.data_dir);
	options = relay_store_options(config, directory);
	if (!open_all(config->relay.data_dir, &opened, err)) {
		return false;
	}
	store = wal_store_open(&options, opened.database, opened.slots, err);
	ok = store != NULL && begin_range(store, lsn, confirm, context, is_done_out, err);
	wal_store_close(&store);
	close_all(&opened);
	return ok;
}
