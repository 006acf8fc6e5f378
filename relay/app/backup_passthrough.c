/*
 * backup_passthrough: one upstream connection a session, driven by its loop.
 *
 * Everything told to the session is told from the loop, never from inside a call of the session:
 * what may go on is deferred. While the session has no room nothing is read from libpq, so libpq's
 * buffer, one socket and the session's queue are all that is ever held of a backup.
 */
#include "app/backup_passthrough.h"

#include <assert.h>
#include <event2/event.h>
#include <libpq-fe.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/connector.h"
#include "app/result_message.h"
#include "base/log.h"
#include "base/memory.h"
#include "spool/cluster.h"

#define LOG_SCOPE "backup"

struct backup_passthrough {
	struct passthrough interface;
	struct cluster *cluster; /* NULL: any will do */
	struct connector *connector;
	char *application_name;
	pthread_mutex_t lock; /* what follows */
	char *conninfo;
};

enum backup_state {
	BACKUP_IDLE,       /* no command; the connection, if any, waits for the next */
	BACKUP_CONNECTING, /* a command waits for the connection */
	BACKUP_ANSWERING,  /* between two results */
	BACKUP_COPY_OUT,
	BACKUP_COPY_IN,
	BACKUP_FAILING, /* the server's error is kept until the command is over */
	BACKUP_STATES,
};

static const struct {
	const char *name;
	unsigned successors;
} states[BACKUP_STATES] = {
	[BACKUP_IDLE] = {"idle", 1u << BACKUP_CONNECTING | 1u << BACKUP_ANSWERING},
	[BACKUP_CONNECTING] = {"connecting", 1u << BACKUP_ANSWERING | 1u << BACKUP_IDLE},
	[BACKUP_ANSWERING] = {"answering", 1u << BACKUP_COPY_OUT | 1u << BACKUP_COPY_IN |
						   1u << BACKUP_FAILING | 1u << BACKUP_IDLE},
	[BACKUP_COPY_OUT] = {"copy out", 1u << BACKUP_ANSWERING | 1u << BACKUP_IDLE},
	[BACKUP_COPY_IN] = {"copy in", 1u << BACKUP_ANSWERING | 1u << BACKUP_IDLE},
	[BACKUP_FAILING] = {"failing", 1u << BACKUP_IDLE},
};

struct backup {
	struct backup_passthrough *owner;
	struct loop *loop;
	const struct passthrough_client *client;
	enum backup_state state;
	char *command; /* until it is sent */
	struct connecting *connecting;
	PGconn *connection;
	struct event *read_event;
	struct event *write_event;
	struct wire_writer writer;
	struct error err; /* with BACKUP_FAILING */
	bool is_input_held;
	bool is_copy_done_due; /* a COPY OUT ended, by CopyDone or by an error: see take_copy_data()
				*/
	bool has_put_failed;   /* libpq did not take what the client sent */
	bool is_closed;
	bool is_step_deferred;
};

static void step(struct backup *backup);

static void enter(struct backup *backup, enum backup_state state)
{
	assert(states[backup->state].successors & 1u << state);
	log_debug(LOG_SCOPE, "%s, was %s", states[state].name, states[backup->state].name);
	backup->state = state;
}

/* --- toward the session ---------------------------------------------------------------------- */

/* Hands on the messages in the writer. */
static void send_messages(struct backup *backup)
{
	struct wire_writer *writer = &backup->writer;
	assert(!writer->bad);
	for (size_t at = 0; at < writer->length && !backup->is_closed;) {
		const uint8_t *message = writer->bytes + at;
		uint32_t length = wire_get_u32(message + 1);
		backup->client->send(
			backup->client->context, (char)message[0], message + 5, length - 4);
		at += 1 + length;
	}
	wire_writer_reset(writer);
}

static void hold_input(struct backup *backup, bool is_held)
{
	if (backup->is_input_held == is_held) {
		return;
	}
	backup->is_input_held = is_held;
	if (backup->client->hold_input != NULL) {
		backup->client->hold_input(backup->client->context, is_held);
	}
}

static void drop_connection(struct backup *backup)
{
	if (backup->read_event != NULL) {
		event_free(backup->read_event);
		backup->read_event = NULL;
	}
	if (backup->write_event != NULL) {
		event_free(backup->write_event);
		backup->write_event = NULL;
	}
	if (backup->connection != NULL) {
		PQfinish(backup->connection);
		backup->connection = NULL;
	}
	backup->has_put_failed = false;
}

static void end_command(struct backup *backup)
{
	struct error err = backup->err;
	bool has_failed = err.kind != ERROR_NONE;
	memset(&backup->err, 0, sizeof(backup->err));
	backup->is_copy_done_due = false;
	enter(backup, BACKUP_IDLE);
	hold_input(backup, false);
	if (has_failed) {
		backup->client->failed(backup->client->context, &err);
	} else {
		backup->client->finished(backup->client->context);
	}
}

/* The connection is of no use any more. */
static void lose_connection(struct backup *backup)
{
	if (backup->state == BACKUP_IDLE) {
		log_debug(LOG_SCOPE, "the upstream closed an idle connection");
		drop_connection(backup);
		return;
	}
	if (backup->err.kind == ERROR_NONE) {
		error_set(&backup->err, ERROR_SYSTEM, "lost the connection to the upstream: %s",
			PQerrorMessage(backup->connection));
		backup->err.message[strcspn(backup->err.message, "\n")] = '\0';
		error_sqlstate(&backup->err, "08006");
	}
	drop_connection(backup);
	end_command(backup);
}

static void send_copy_done(struct backup *backup)
{
	if (backup->is_copy_done_due) {
		backup->is_copy_done_due = false;
		backup->client->send(backup->client->context, 'c', "", 0);
	}
}

static void on_notice(void *context, const PGresult *result)
{
	struct backup *backup = context;
	if (backup->state != BACKUP_IDLE) {
		send_copy_done(backup);
		result_write_notice(&backup->writer, result);
		send_messages(backup);
	}
}

/* --- the answer ------------------------------------------------------------------------------ */

/* libpq would answer a COPY that nobody drains with itself for ever. */
static bool is_expected(const struct backup *backup, ExecStatusType status)
{
	bool is_copy = status == PGRES_COPY_OUT || status == PGRES_COPY_IN;
	return status != PGRES_COPY_BOTH && !(is_copy && backup->state == BACKUP_FAILING);
}

/* Each takes one result or one message; false: there is none to be had now. */
static bool take_result(struct backup *backup)
{
	if (PQisBusy(backup->connection)) {
		return false;
	}
	PGresult *result = PQgetResult(backup->connection);
	ExecStatusType status = PQresultStatus(result);
	if (result == NULL) {
		send_copy_done(backup);
		end_command(backup);
		return false;
	}
	if (status == PGRES_FATAL_ERROR) {
		backup->is_copy_done_due = false;
	}
	send_copy_done(backup);
	if (!is_expected(backup, status)) {
		PQclear(result);
		error_set(&backup->err, ERROR_INVALID, "unexpected answer from the upstream");
		error_sqlstate(&backup->err, "08P01");
		lose_connection(backup);
		return false;
	}
	if (backup->state == BACKUP_FAILING) {
		PQclear(result);
		return true;
	}
	switch (status) {
	case PGRES_TUPLES_OK: result_write_rows(&backup->writer, result); break;
	case PGRES_COMMAND_OK: result_write_command_complete(&backup->writer, result); break;
	case PGRES_COPY_OUT:
		result_write_copy(&backup->writer, 'H', result);
		enter(backup, BACKUP_COPY_OUT);
		break;
	case PGRES_COPY_IN:
		result_write_copy(&backup->writer, 'G', result);
		enter(backup, BACKUP_COPY_IN);
		break;
	default:
		result_read_error(result, &backup->err);
		enter(backup, BACKUP_FAILING);
		break;
	}
	PQclear(result);
	send_messages(backup);
	return true;
}

static bool take_copy_data(struct backup *backup)
{
	char *bytes = NULL;
	int length = PQgetCopyData(backup->connection, &bytes, 1);
	if (length > 0) {
		backup->client->send(backup->client->context, 'd', bytes, (size_t)length);
		PQfreemem(bytes);
		return true;
	}
	if (length == 0) {
		return false;
	}
	/* libpq does not tell an end by CopyDone from one by ErrorResponse, which must not look
	 * like a whole archive: the result that follows decides. */
	backup->is_copy_done_due = length == -1;
	enter(backup, BACKUP_ANSWERING);
	return true;
}

static bool take_one(struct backup *backup)
{
	switch (backup->state) {
	case BACKUP_ANSWERING:
	case BACKUP_FAILING: return take_result(backup);
	case BACKUP_COPY_OUT: return take_copy_data(backup);
	default: return false;
	}
}

/* False: the connection is lost. */
static bool flush_requests(struct backup *backup)
{
	int left = PQflush(backup->connection);
	if (left < 0) {
		return false;
	}
	if (left > 0) {
		event_add(backup->write_event, NULL);
	} else {
		event_del(backup->write_event);
	}
	hold_input(backup, left > 0 && backup->state == BACKUP_COPY_IN);
	return true;
}

/* Decrypted bytes that libpq left in OpenSSL: no poller tells of them. */
static bool has_hidden_input(const struct backup *backup)
{
	SSL *tls = PQsslStruct(backup->connection, "OpenSSL");
	return tls != NULL && SSL_pending(tls) > 0;
}

static bool has_room(const struct backup *backup)
{
	return backup->client->has_room(backup->client->context);
}

static void on_step(void *context)
{
	struct backup *backup = context;
	backup->is_step_deferred = false;
	if (!backup->is_closed) {
		step(backup);
	}
}

static void defer_step(struct backup *backup)
{
	if (!backup->is_step_deferred) {
		backup->is_step_deferred = true;
		loop_defer(backup->loop, on_step, backup);
	}
}

/* What has been read already; false: the session has no room for more. */
static bool pass_on(struct backup *backup)
{
	while (!backup->is_closed && backup->state != BACKUP_IDLE) {
		if (!has_room(backup)) {
			return false;
		}
		if (!take_one(backup)) {
			break;
		}
	}
	return true;
}

/* Passes on what has been read, then asks for more as far as the session has room. */
static void step(struct backup *backup)
{
	if (backup->connection == NULL) {
		return;
	}
	bool may_read = pass_on(backup);
	if (backup->connection == NULL) {
		return;
	}
	if (backup->has_put_failed || !flush_requests(backup)) {
		lose_connection(backup);
		return;
	}
	if (!may_read) {
		event_del(backup->read_event);
		return;
	}
	event_add(backup->read_event, NULL);
	if (has_hidden_input(backup)) {
		if (!PQconsumeInput(backup->connection)) {
			lose_connection(backup);
			return;
		}
		defer_step(backup);
	}
}

static void on_event(evutil_socket_t fd, short events, void *context)
{
	(void)fd;
	struct backup *backup = context;
	if ((events & EV_READ) && !PQconsumeInput(backup->connection)) {
		/* What came before the end still counts: an error says more than a closed socket.
		 */
		pass_on(backup);
		if (backup->connection != NULL) {
			lose_connection(backup);
		}
		return;
	}
	step(backup);
}

/* --- the connection -------------------------------------------------------------------------- */

static void send_command(struct backup *backup)
{
	enter(backup, BACKUP_ANSWERING);
	int sent = PQsendQuery(backup->connection, backup->command);
	free(backup->command);
	backup->command = NULL;
	if (sent) {
		defer_step(backup);
	} else {
		lose_connection(backup);
	}
}

static void take_connection(struct backup *backup, PGconn *connection)
{
	struct event_base *base = loop_event_base(backup->loop);
	int fd = PQsocket(connection);
	backup->connection = connection;
	backup->read_event = event_new(base, fd, EV_READ | EV_PERSIST, on_event, backup);
	backup->write_event = event_new(base, fd, EV_WRITE | EV_PERSIST, on_event, backup);
	assert(backup->read_event != NULL && backup->write_event != NULL);
	PQsetnonblocking(connection, 1);
	PQsetNoticeReceiver(connection, on_notice, backup);
}

static void on_connected(void *context, PGconn *connection, const struct error *err)
{
	struct backup *backup = context;
	backup->connecting = NULL;
	if (connection == NULL) {
		free(backup->command);
		backup->command = NULL;
		backup->err = *err;
		end_command(backup);
		return;
	}
	take_connection(backup, connection);
	send_command(backup);
}

static void start_connecting(struct backup *backup)
{
	struct backup_passthrough *owner = backup->owner;
	enter(backup, BACKUP_CONNECTING);
	pthread_mutex_lock(&owner->lock);
	char *conninfo = memory_copy_text(owner->conninfo);
	pthread_mutex_unlock(&owner->lock);
	struct connector_target target = {
		.conninfo = conninfo,
		.application_name = owner->application_name,
	};
	if (owner->cluster != NULL) {
		struct cluster_identity identity;
		cluster_read_identity(owner->cluster, &identity);
		target.system_identifier = identity.system_identifier;
	}
	backup->connecting =
		connector_start(owner->connector, &target, backup->loop, on_connected, backup);
	free(conninfo);
}

/* --- what the session calls ------------------------------------------------------------------ */

static void *open_backup(void *context, struct loop *loop, const struct passthrough_client *client)
{
	struct backup *backup = memory_new(sizeof(*backup));
	backup->owner = context;
	backup->loop = loop;
	backup->client = client;
	wire_writer_init(&backup->writer);
	return backup;
}

static void on_command(void *context)
{
	struct backup *backup = context;
	if (backup->is_closed) {
		return;
	}
	if (backup->connection == NULL) {
		start_connecting(backup);
	} else {
		send_command(backup);
	}
}

static void start_command(void *handle, const char *text)
{
	struct backup *backup = handle;
	assert(backup->state == BACKUP_IDLE && backup->command == NULL);
	backup->command = memory_copy_text(text);
	loop_defer(backup->loop, on_command, backup);
}

static void take_client_message(void *handle, char type, const void *body, size_t length)
{
	struct backup *backup = handle;
	/* Not asked for (yet, or any more): dropped, as a server does. */
	if (backup->state != BACKUP_COPY_IN) {
		return;
	}
	int queued = -1;
	if (type == 'd') {
		queued = PQputCopyData(backup->connection, body, (int)length);
	} else if (type == 'c') {
		queued = PQputCopyEnd(backup->connection, NULL);
	} else if (type == 'f') {
		char *reason = memory_copy_bytes(body, length);
		queued = PQputCopyEnd(backup->connection, reason);
		free(reason);
	}
	backup->has_put_failed = queued <= 0;
	if (type != 'd' && queued > 0) {
		enter(backup, BACKUP_ANSWERING);
	}
	defer_step(backup);
}

static void resume_backup(void *handle)
{
	defer_step(handle);
}

static void free_backup(void *context)
{
	struct backup *backup = context;
	free(backup->command);
	wire_writer_release(&backup->writer);
	free(backup);
}

static void close_backup(void **handle)
{
	struct backup *backup = *handle;
	if (backup == NULL) {
		return;
	}
	*handle = NULL;
	backup->is_closed = true;
	connector_give_up(&backup->connecting);
	drop_connection(backup);
	loop_defer(backup->loop, free_backup, backup);
}

/* --- the provider ---------------------------------------------------------------------------- */

struct backup_passthrough *backup_passthrough_new(const char *conninfo, const char *relay_name)
{
	struct backup_passthrough *passthrough = memory_new(sizeof(*passthrough));
	size_t size = strlen(relay_name) + sizeof(" backup");
	passthrough->interface = (struct passthrough){
		.context = passthrough,
		.open = open_backup,
		.command = start_command,
		.client_message = take_client_message,
		.resume = resume_backup,
		.close = close_backup,
	};
	passthrough->connector = connector_new();
	passthrough->application_name = memory_new(size);
	snprintf(passthrough->application_name, size, "%s backup", relay_name);
	passthrough->conninfo = memory_copy_text(conninfo);
	pthread_mutex_init(&passthrough->lock, NULL);
	return passthrough;
}

void backup_passthrough_free(struct backup_passthrough **passthrough)
{
	struct backup_passthrough *gone = *passthrough;
	if (gone == NULL) {
		return;
	}
	connector_free(&gone->connector);
	pthread_mutex_destroy(&gone->lock);
	free(gone->application_name);
	free(gone->conninfo);
	free(gone);
	*passthrough = NULL;
}

void backup_passthrough_set_cluster(struct backup_passthrough *passthrough, struct cluster *cluster)
{
	passthrough->cluster = cluster;
}

void backup_passthrough_set_conninfo(struct backup_passthrough *passthrough, const char *conninfo)
{
	char *copy = memory_copy_text(conninfo);
	pthread_mutex_lock(&passthrough->lock);
	char *old = passthrough->conninfo;
	passthrough->conninfo = copy;
	pthread_mutex_unlock(&passthrough->lock);
	free(old);
}

const struct passthrough *backup_passthrough_interface(struct backup_passthrough *passthrough)
{
	return &passthrough->interface;
}
