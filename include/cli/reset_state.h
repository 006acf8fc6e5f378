/*
 * reset_state: what `reset` looks at, and what it makes of it.
 *
 * The caller holds the data directory's lock.
 */
#ifndef CLI_RESET_STATE_H
#define CLI_RESET_STATE_H

#include "app/config.h"
#include "base/error.h"
#include "protocol/lsn.h"
#include "spool/cluster.h"
#include "spool/slots.h"

#include <stdbool.h>
#include <stddef.h>

/* What outlives the files that are set aside. */
struct reset_state {
	bool is_readable; /* there is a state, and it could be read */
	struct cluster_identity identity;
	struct slot_stats *slots; /* durable ones */
	size_t slot_count;
};

/* A state that is missing or damaged is read as nothing; err then says why. */
void reset_state_read(const char *data_directory, struct reset_state *state_out, struct error *err);
void reset_state_release(struct reset_state *state);
/* A new state: the slots by name, holding nothing yet, and with_identity the pinned identity. */
bool reset_state_write(const char *data_directory, const struct reset_state *state,
	bool with_identity, struct error *err) MUST_CHECK;

/* Ends the live range and begins one at the start of the segment that holds lsn. confirm is told
 * what is held and where the new range would begin, and may say no: then nothing is changed, and
 * *is_done_out is false. */
typedef bool reset_confirm(
	void *context, tli_t tli, lsn_t oldest_lsn, lsn_t end_lsn, lsn_t begin_lsn);
bool reset_range(const struct config *config, lsn_t lsn, reset_confirm *confirm, void *context,
	bool *is_done_out, struct error *err) MUST_CHECK;

#endif
