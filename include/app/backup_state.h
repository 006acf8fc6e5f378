/*
 * backup_state: the inside of one session's backups, for the files that make it up and nobody else.
 *
 * backup_passthrough.c owns the connection and what the session calls; backup_answer.c takes what
 * the upstream answers and hands it on, as it is or through the stream between relays. Calls
 * below may close the backup: whoever made one looks at is_closed, connection or state again.
 */
#ifndef APP_BACKUP_STATE_H
#define APP_BACKUP_STATE_H

#include "base/error.h"
#include "downstream/passthrough.h"
#include "protocol/backup_progress.h"
#include "protocol/backup_stream.h"
#include "protocol/wire.h"

#include <stdbool.h>

struct connecting;
struct event;
struct pg_conn;
struct pg_result;

enum backup_state {
	BACKUP_IDLE,       /* no command; the connection, if any, waits for the next */
	BACKUP_CONNECTING, /* a command waits for the connection */
	BACKUP_ANSWERING,  /* between two results */
	BACKUP_COPY_OUT,
	BACKUP_COPY_IN,
	BACKUP_FAILING, /* the server's error is kept until the command is over */
	BACKUP_STATES,
};

/* What becomes of a COPY's data: other messages always pass as they are. */
enum backup_mode {
	BACKUP_AS_IS,
	BACKUP_ENCODED, /* the client is a relay, the upstream is none */
	BACKUP_DECODED, /* the upstream is a relay, the client is none */
};

struct backup {
	struct backup_passthrough *owner;
	struct loop *loop;
	const struct passthrough_client *client;
	enum backup_state state;
	char *command;        /* until it is sent */
	bool is_link_asked;   /* by the client, with the command */
	bool has_backup_link; /* the connection leads to a relay */
	enum backup_mode mode;
	struct backup_encoder *encoder; /* NULL: not needed so far */
	struct event *flush_event;      /* with encoder */
	struct backup_decoder *decoder; /* NULL: not needed so far */
	char *chunk;                    /* what the decoder was given last; libpq's */
	struct connecting *connecting;
	struct pg_conn *connection;
	struct event *read_event;
	struct event *write_event;
	struct wire_writer writer;
	struct backup_progress progress; /* of the command */
	struct error err;                /* with BACKUP_FAILING */
	bool is_input_held;
	bool is_copy_done_due; /* a COPY OUT ended, by CopyDone or by an error: the result that
				* follows decides */
	bool has_put_failed;   /* libpq did not take what the client sent */
	bool is_closed;
	bool is_step_deferred;
};

/* --- backup_passthrough.c --- */

void backup_end_command(struct backup *backup);
/* The connection is of no use any more: the command, if any, has failed, with backup->err if that
 * is set. */
void backup_lose_connection(struct backup *backup);

/* --- backup_answer.c --- */

void backup_enter(struct backup *backup, enum backup_state state);
/* Before each command. */
void backup_set_mode(struct backup *backup, enum backup_mode mode);
/* One result or one message; false: there is none to be had now. */
bool backup_take_one(struct backup *backup);
void backup_drop_chunk(struct backup *backup);
/* Of what has become of backup->progress, the session is told. */
void backup_tell_progress(struct backup *backup);
void backup_on_notice(void *context, const struct pg_result *result);
/* What backup_set_mode() made. */
void backup_free_codecs(struct backup *backup);

#endif
