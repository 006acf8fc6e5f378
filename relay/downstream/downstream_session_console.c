/*
 * downstream_session_console: a session of the console, between the client and whoever answers.
 *
 * An order that is being carried out elsewhere finds its session when it is done: one that has
 * ended meanwhile is freed only then.
 */
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "downstream/downstream_session_state.h"

static void send_messages(void *context, struct wire_writer *writer)
{
	session_send(context, writer);
}

static bool has_room(void *context)
{
	const struct downstream_session *session = context;
	return connection_output_bytes(session->connection) <= WAL_STREAM_LOW_WATER;
}

static void on_idle(void *context)
{
	struct downstream_session *session = context;
	session->is_console_busy = false;
	if (session_is_ended(session)) {
		loop_defer(session->host->loop, session_release, session);
	} else {
		session_resume_input(session);
	}
}

/* Who could end the process and rewrite its files needs no rule to give it orders. */
static bool is_owner(const struct downstream_session *session)
{
	struct ucred peer;
	socklen_t length = sizeof(peer);
	return connection_is_local(session->connection) &&
	       getsockopt(connection_fd(session->connection), SOL_SOCKET, SO_PEERCRED, &peer,
		       &length) == 0 &&
	       (peer.uid == geteuid() || peer.uid == 0);
}

void session_open_console(struct downstream_session *session)
{
	const struct console_service *service = session->host->shared->console;
	session->console_peer = (struct console_peer){
		.user = session->settings.user,
		.application_name = session->settings.application_name,
		.address = session->peer,
		.is_owner = is_owner(session),
	};
	session->console_client = (struct console_client){
		.context = session,
		.send = send_messages,
		.has_room = has_room,
		.on_idle = on_idle,
	};
	session->console = service->open(service->context, session->host->loop,
		&session->console_peer, &session->console_client);
	session_enter(session, SESSION_CONSOLE);
}

bool session_take_console(struct downstream_session *session)
{
	const struct console_service *service = session->host->shared->console;
	struct pg_message message;
	if (!session_next_message(session, SESSION_QUERY_MAX, &message)) {
		return false;
	}
	if (message.type == 'X') {
		session_end(session, "the client said goodbye");
		return false;
	}
	if (!service->message(session->console, &message)) {
		session_fatal_text(
			session, "08P01", "invalid frontend message type %d", message.type);
		return false;
	}
	session->is_console_busy = service->is_busy(session->console);
	session_drain(session, message.consumed);
	return true;
}

void session_resume_console(struct downstream_session *session)
{
	if (session->console != NULL) {
		session->host->shared->console->resume(session->console);
	}
}

void session_close_console(struct downstream_session *session)
{
	if (session->console != NULL) {
		session->is_console_busy = session->host->shared->console->close(&session->console);
	}
}
