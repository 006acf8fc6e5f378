/*
 * console_session: the conversation of one session of the console, on that session's loop.
 *
 * Simple queries of any number of statements, and the extended protocol for statements without
 * parameters. What needs nobody else is answered at once; all other commands go to the console's
 * loop, one at a time, and the conversation is busy until the answer is back. An error ends the
 * query it is in. Orders cannot be taken back, so they are refused in a transaction block. Source:
 * PostgreSQL documentation, "Message Flow"; src/backend/tcop/postgres.c.
 */
#ifndef OBSERVE_CONSOLE_SESSION_H
#define OBSERVE_CONSOLE_SESSION_H

#include "downstream/console_service.h"
#include "observe/console_job.h"
#include "observe/console_prepared.h"

#include <stdbool.h>
#include <stdint.h>

struct cluster;
struct console_session;

/* As struct console_service says. */
struct console_session *console_session_new(struct console *console, struct cluster *cluster,
	struct loop *loop, const struct console_peer *peer, const struct console_client *client);
bool console_session_message(struct console_session *session, const struct pg_message *message);
bool console_session_is_busy(const struct console_session *session);
void console_session_resume(struct console_session *session);
bool console_session_close(struct console_session **session);

#endif
