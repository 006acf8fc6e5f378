/*
 * replication_commands: the answers to commands that the spool and what is known of the cluster can
 * give at once, and the message forms of the others, spelled for the cluster's version.
 *
 * Nothing is sent here: answers are appended to a writer, without the final ReadyForQuery.
 * Source: PostgreSQL documentation, "Streaming Replication Protocol";
 * src/backend/replication/walsender.c of 13 to 18 for column types and command tags.
 */
#ifndef DOWNSTREAM_REPLICATION_COMMANDS_H
#define DOWNSTREAM_REPLICATION_COMMANDS_H

#include "base/error.h"
#include "downstream/session_settings.h"
#include "protocol/link_terms.h"
#include "protocol/repl_command.h"
#include "protocol/wire.h"
#include "spool/cluster.h"
#include "spool/slots.h"
#include "spool/wal_store.h"

#include <stdbool.h>

struct replication_context {
	struct cluster *cluster;
	struct wal_store *store;
	struct slots *slots;
	bool forward_flushed; /* positions told are those on disk */
	const struct session_settings *settings;
	const char *relay_name;
	const char *page_url;                /* beside an offer of a link; NULL or "": none */
	const struct link_offer *link_offer; /* NULL: none is made */
};

/* IDENTIFY_SYSTEM, SHOW, TIMELINE_HISTORY, READ_REPLICATION_SLOT, and the refusals of everything a
 * relay cannot do. false: an ErrorResponse with err follows what was written. */
bool replication_command_answer(const struct replication_context *context,
	const struct repl_command *command, struct wire_writer *writer,
	struct error *err) MUST_CHECK;

/* After a slot was made or dropped, and after a stream. */
void replication_write_slot_created(
	struct wire_writer *writer, const char *slot, int server_version_num);
void replication_write_slot_dropped(struct wire_writer *writer, int server_version_num);
/* next_tli 0: the stream's timeline has no end; no result set. */
void replication_write_stream_end(
	struct wire_writer *writer, tli_t next_tli, lsn_t switch_lsn, int server_version_num);

/* Where this relay stands for its clients: the end of what may be sent now. */
struct wal_position replication_position(const struct replication_context *context);

#endif
