/*
 * console_session_state: the inside of a conversation, for the files that make it up
 * (console_session.c, console_extended.c, console_local.c) and nobody else.
 */
#ifndef OBSERVE_CONSOLE_SESSION_STATE_H
#define OBSERVE_CONSOLE_SESSION_STATE_H

#include "observe/console_session.h"
#include "protocol/wire.h"

/* As ReadyForQuery tells it. */
#define TRANSACTION_NONE   'I'
#define TRANSACTION_OPEN   'T'
#define TRANSACTION_FAILED 'E'

struct console_session {
	struct console *console;
	struct cluster *cluster;
	struct loop *loop;
	const struct console_peer *peer;
	const struct console_client *client;
	char transaction;
	bool is_skipping; /* a message of the extended protocol failed: until Sync */
	bool is_closed;
	bool waits_for_room;     /* to go on with the script */
	struct console_job *job; /* under way */
	char *script;            /* a simple query that is not over */
	size_t script_at;
	struct console_portal *portal; /* that the job runs for; NULL: for the script */
	uint32_t row_max;              /* with a portal: of the Execute */
	struct console_prepared_set prepared;
};

/* --- console_session.c -------------------------------------------------------------------------
 */

void console_send(struct console_session *session, struct wire_writer *writer);
/* Also what it does to a transaction block. position: in the query; 0: nowhere. */
void console_write_error(struct console_session *session, struct wire_writer *writer,
	const struct error *err, size_t position);
void console_send_notice(
	struct console_session *session, const char *sqlstate, const char *message);
/* Clients take all that is said for UTF8, so that is what they must say (SQLSTATE 22021). */
#define CONSOLE_BAD_TEXT "invalid byte sequence for encoding \"UTF8\""
/* Carries the command out, or begins to; what comes of it goes to the portal or the script. */
void console_begin_command(struct console_session *session, const struct console_command *command);

/* --- console_extended.c ------------------------------------------------------------------------
 */

/* 'P', 'B', 'D', 'E', 'C'; when it does not skip. */
void console_take_extended(struct console_session *session, const struct pg_message *message);
void console_take_sync(struct console_session *session);
/* The job for session->portal is done; its result is taken over. */
void console_finish_portal(struct console_session *session, struct console_job *job);

/* --- console_local.c ---------------------------------------------------------------------------
 */

/* false: it is for the console's loop. Else the job has its outcome. */
bool console_answer_locally(struct console_session *session, struct console_job *job);
/* What a statement says of its columns before it has run; false: err. columns_out has no columns
 * for one that has no rows. */
bool console_describe(struct console_session *session, const struct console_command *command,
	struct console_result *columns_out, struct error *err) MUST_CHECK;

#endif
