/*
 * downstream_session_state: the inside of a session, for the files that make it up
 * (downstream_session*.c) and nobody else.
 *
 * downstream_session.c owns the struct, the states and the end; each other file handles the states
 * of one concern. Calls below may end the session: whoever made one looks at is_ended before it
 * touches the connection or its input again.
 */
#ifndef DOWNSTREAM_DOWNSTREAM_SESSION_STATE_H
#define DOWNSTREAM_DOWNSTREAM_SESSION_STATE_H

#include "downstream/client_auth.h"
#include "downstream/connection_meter.h"
#include "downstream/console_service.h"
#include "downstream/downstream_session.h"
#include "downstream/replication_commands.h"
#include "downstream/session_settings.h"
#include "downstream/wal_stream.h"
#include "net/connection.h"
#include "protocol/pg_message.h"

/* The longest first packet, with room for a message's type and length. */
#define SESSION_INPUT_MAX 10240u
/* A query before it is looked at; nothing a client sends as a replication command is near it. */
#define SESSION_QUERY_MAX (SESSION_INPUT_MAX - 5)
#define SESSION_LINGER_US INT64_C(5000000)

enum session_state {
	SESSION_PROXY_HEADER,
	SESSION_STARTUP,        /* before and between SSLRequest, GSSENCRequest, StartupMessage */
	SESSION_AUTHENTICATION, /* waits for 'p' */
	SESSION_READY,          /* waits for a command */
	SESSION_CONSOLE,        /* its messages are answered by the console */
	SESSION_SKIPPING,       /* an extended query failed: until Sync */
	SESSION_SLOT_OPERATION, /* waits for a slot to be stored, dropped or freed */
	SESSION_BACKUP,         /* a command passes through to the upstream */
	SESSION_STREAMING,
	SESSION_STREAM_ENDED, /* our CopyDone is sent, waits for the client's */
	SESSION_STOPPING,     /* streaming on until everything is confirmed */
	SESSION_CLOSED,       /* the connection is gone or going by itself */
	SESSION_STATES,
};

enum session_deadline {
	SESSION_DEADLINE_AUTHENTICATION,
	SESSION_DEADLINE_STREAM,
	SESSION_DEADLINE_STOP,
	SESSION_DEADLINES,
};

enum backup_result { BACKUP_GOES_ON, BACKUP_FINISHED, BACKUP_FAILED };

struct slot_operation;

struct downstream_session {
	struct session_host *host;
	void *seat;                      /* the host's */
	struct connection *connection;   /* NULL in SESSION_CLOSED */
	struct evbuffer *input;          /* the connection's, once something came */
	struct connection_meter *meter;  /* the connection's; NULL: nobody counts */
	struct destination *destination; /* written under the host's stats_lock */
	struct rate_share *share;        /* of its destination's cap; NULL: there are no caps */
	struct deadlines deadlines;
	enum session_state state;
	uint32_t pid;
	enum admission admission;
	bool has_asked_tls; /* each is answered once */
	bool has_asked_gssenc;
	bool is_tls_direct; /* without being asked for */
	bool is_refusal_logged;
	bool is_listed; /* under the host's stats_lock */
	bool has_temporary_slot;

	struct session_settings settings;
	struct client_auth *auth;
	struct error *settings_error; /* of the startup packet, told after authentication */
	int64_t wal_sender_timeout_us;
	int64_t connected_at_us; /* Unix time */
	char peer[64];
	char scope[160]; /* whom log lines are about */
	char told_in_hot_standby[4];

	struct wal_stream *stream;
	char slot[SLOT_NAME_SIZE]; /* acquired; written under the host's stats_lock */
	struct slot_operation
		*operation; /* under way; the session is not freed before it is over */
	char wanted_slot[SLOT_NAME_SIZE]; /* DROP ... WAIT waits for it to become free; else "" */

	void *backup; /* the passthrough's handle; NULL: none open */
	struct passthrough_client backup_client;
	struct evbuffer *backup_output; /* waits for the cap; NULL: nothing did yet */
	struct turn backup_turn;
	enum backup_result backup_result; /* told to the client after what waits */
	struct error *backup_error;       /* with BACKUP_FAILED */
	bool is_backup_full;              /* the provider was told that there is no room */
	bool is_backup_flush_due;
	bool is_input_held;  /* the upstream takes the client's COPY more slowly than it comes */
	bool is_uploading;   /* the command is UPLOAD_MANIFEST: the client's COPY is passed on */
	bool is_backup_over; /* the handle is to be closed once its callback has returned */
	size_t copy_in_left; /* of a client's CopyData that is handed on in pieces */

	void *console; /* the console's handle; NULL: none open */
	struct console_peer console_peer;
	struct console_client console_client;
	bool is_console_busy; /* takes no message now; the session is not freed before it is idle */

	struct standby_progress progress;
	lsn_t flushed_lsn;  /* as last told by the standby */
	lsn_t replayed_lsn; /* what standby_progress_replayed() last answered */
};

static inline bool session_is_ended(const struct downstream_session *session)
{
	return session->connection == NULL;
}

/* --- downstream_session.c ----------------------------------------------------------------------
 */

void session_enter(struct downstream_session *session, enum session_state state);
/* Lets what is written go out, says in the log why, and frees when nothing is under way. */
void session_end(struct downstream_session *session, const char *format, ...) PRINTF_LIKE(2, 3);
/* The same after an ErrorResponse FATAL; an error without SQLSTATE goes out as XX000. */
void session_fatal(struct downstream_session *session, const struct error *err);
void session_fatal_text(struct downstream_session *session, const char *sqlstate,
	const char *format, ...) PRINTF_LIKE(3, 4);
/* Frees an ended session; to be deferred. */
void session_release(void *context);
/* Sends and releases what the writer holds. */
void session_send(struct downstream_session *session, struct wire_writer *writer);
/* Goes on with input that waited, from the loop. */
void session_resume_input(struct downstream_session *session);
/* The next whole message; false: there is none yet, or it was none and the session has ended. */
bool session_next_message(
	struct downstream_session *session, size_t body_max, struct pg_message *message_out);
void session_drain(struct downstream_session *session, size_t length);
int64_t session_now_us(const struct downstream_session *session);
/* Copies what the connection counted to where other threads may read it. */
void session_note_wire(struct downstream_session *session);

/* --- downstream_session_startup.c --------------------------------------------------------------
 */

/* Each takes something of the input and answers true, or answers false: wait for more. */
bool session_take_proxy_header(struct downstream_session *session);
bool session_take_startup(struct downstream_session *session);
bool session_take_authentication(struct downstream_session *session);
void session_on_secured(struct downstream_session *session);
void session_on_authentication_deadline(struct downstream_session *session);

/* --- downstream_session_commands.c -------------------------------------------------------------
 */

bool session_take_command(struct downstream_session *session);
bool session_take_until_sync(struct downstream_session *session);
/* ErrorResponse or what writer holds (both released), ReadyForQuery, and ready for the next. */
void session_finish_command(struct downstream_session *session, struct wire_writer *writer);
void session_fail_command(struct downstream_session *session, const struct error *err);
void session_fill_context(
	const struct downstream_session *session, struct replication_context *context_out);
int session_server_version(const struct downstream_session *session);

/* --- downstream_session_slots.c ----------------------------------------------------------------
 */

void session_create_slot(struct downstream_session *session, const struct repl_command *command);
void session_drop_slot(struct downstream_session *session, const struct repl_command *command);
bool session_acquire_slot(
	struct downstream_session *session, const char *name, struct error *err) MUST_CHECK;
void session_release_slot(struct downstream_session *session);
/* Everything the session has of slots goes: what it streams from, waits for, made for itself. */
void session_forget_slots(struct downstream_session *session);

/* --- downstream_session_stream.c ---------------------------------------------------------------
 */

void session_start_stream(struct downstream_session *session, const struct repl_command *command);
bool session_take_stream(struct downstream_session *session);
bool session_take_stream_end(struct downstream_session *session);
void session_on_stream_deadline(struct downstream_session *session);
void session_stop_stream(struct downstream_session *session);
/* Nothing of a stream is left, whether there was one or not. */
void session_close_stream(struct downstream_session *session);

/* --- downstream_session_meter.c ----------------------------------------------------------------
 */

/* Once, with the connection new. */
void session_begin_count(struct downstream_session *session);
/* Before what is sent is for something else than before. */
void session_count(struct downstream_session *session);
/* More is known of who it is: what is not counted yet counts for whom it matches now. */
void session_match(struct downstream_session *session);

/* --- downstream_session_backup.c ---------------------------------------------------------------
 */

void session_start_backup(
	struct downstream_session *session, const struct repl_command *command, const char *text);
bool session_take_copy_in(struct downstream_session *session);
/* A CopyData, whole or begun, is next in the input; a piece of it is handed on or thrown away. */
bool session_is_in_copy_data(const struct downstream_session *session);
bool session_take_copy_data(struct downstream_session *session, bool is_wanted);
void session_resume_backup(struct downstream_session *session);
void session_close_backup(struct downstream_session *session);

/* --- downstream_session_console.c --------------------------------------------------------------
 */

/* After the greeting; there must be a console. */
void session_open_console(struct downstream_session *session);
bool session_take_console(struct downstream_session *session);
void session_resume_console(struct downstream_session *session);
void session_close_console(struct downstream_session *session);

#endif
