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

#include "app/backup_state.h"
#include "app/connector.h"
#include "base/log.h"
#include "base/memory.h"
#include "protocol/backup_command.h"
#include "spool/cluster.h"

#define LOG_SCOPE "backup"

struct backup_passthrough {
	struct passthrough interface;
	struct cluster *cluster; /* NULL: any will do */
	struct connector *connector;
	void (*find_place)(void *context, struct backup_place *place_out); /* NULL: conninfo's */
	void *find_context;
	char *application_name;
	pthread_mutex_t lock; /* what follows */
	char *conninfo;
	bool is_link_used;
};

static void step(struct backup *backup);

/* --- toward the session ---------------------------------------------------------------------- */

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
	backup_drop_chunk(backup);
	backup->has_put_failed = false;
}

void backup_end_command(struct backup *backup)
{
	struct error err = backup->err;
	bool has_failed = err.kind != ERROR_NONE;
	memset(&backup->err, 0, sizeof(backup->err));
	backup->is_copy_done_due = false;
	backup_enter(backup, BACKUP_IDLE);
	hold_input(backup, false);
	if (has_failed) {
		backup->client->failed(backup->client->context, &err);
	} else {
		backup->client->finished(backup->client->context);
	}
}

void backup_lose_connection(struct backup *backup)
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
	backup_end_command(backup);
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
		if (!backup_take_one(backup)) {
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
		backup_lose_connection(backup);
		return;
	}
	if (!may_read) {
		event_del(backup->read_event);
		return;
	}
	event_add(backup->read_event, NULL);
	if (has_hidden_input(backup)) {
		if (!PQconsumeInput(backup->connection)) {
			backup_lose_connection(backup);
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
			backup_lose_connection(backup);
		}
		return;
	}
	step(backup);
}

/* --- the connection -------------------------------------------------------------------------- */

/* As the client's is, or as it must be between relays. */
static bool send_query(struct backup *backup)
{
	char *text = memory_new(strlen(backup->command) + BACKUP_COMMAND_GROWTH + 1);
	bool is_asked = backup->has_backup_link && backup_command_ask(backup->command, text);
	enum backup_mode mode = BACKUP_AS_IS;
	if (is_asked != backup->is_link_asked) {
		mode = is_asked ? BACKUP_DECODED : BACKUP_ENCODED;
	}
	backup_set_mode(backup, mode);
	int sent = PQsendQuery(backup->connection, is_asked ? text : backup->command);
	free(text);
	return sent;
}

static void send_command(struct backup *backup)
{
	backup_enter(backup, BACKUP_ANSWERING);
	backup_progress_begin(&backup->progress);
	backup_tell_progress(backup);
	bool is_sent = send_query(backup);
	free(backup->command);
	backup->command = NULL;
	if (is_sent) {
		defer_step(backup);
	} else {
		backup_lose_connection(backup);
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
	PQsetNoticeReceiver(connection, backup_on_notice, backup);
}

static void on_connected(
	void *context, PGconn *connection, bool has_backup_link, const struct error *err)
{
	struct backup *backup = context;
	backup->connecting = NULL;
	if (connection == NULL) {
		free(backup->command);
		backup->command = NULL;
		backup->err = *err;
		backup_end_command(backup);
		return;
	}
	backup->has_backup_link = has_backup_link;
	take_connection(backup, connection);
	send_command(backup);
}

static void start_connecting(struct backup *backup)
{
	struct backup_passthrough *owner = backup->owner;
	struct backup_place place = {0};
	backup_enter(backup, BACKUP_CONNECTING);
	if (owner->find_place != NULL) {
		owner->find_place(owner->find_context, &place);
	}
	pthread_mutex_lock(&owner->lock);
	char *conninfo = memory_copy_text(owner->conninfo);
	bool is_link_used = owner->is_link_used;
	pthread_mutex_unlock(&owner->lock);
	struct connector_target target = {
		.conninfo = conninfo,
		.host = place.host,
		.host_address = place.host_address,
		.port = place.port,
		.application_name = owner->application_name,
		.asks_backup_link = is_link_used,
	};
	if (owner->cluster != NULL) {
		struct cluster_identity identity;
		cluster_read_identity(owner->cluster, &identity);
		target.system_identifier = identity.system_identifier;
	}
	backup->connecting =
		connector_start(owner->connector, &target, backup->loop, on_connected, backup);
	memory_wipe_text(&conninfo);
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
	pthread_mutex_lock(&backup->owner->lock);
	bool is_link_used = backup->owner->is_link_used;
	pthread_mutex_unlock(&backup->owner->lock);
	backup->is_link_asked = is_link_used && backup_command_take(backup->command);
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
		backup_enter(backup, BACKUP_ANSWERING);
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
	backup_free_codecs(backup);
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
	memory_wipe_text(&gone->conninfo);
	free(gone);
	*passthrough = NULL;
}

void backup_passthrough_set_cluster(struct backup_passthrough *passthrough, struct cluster *cluster)
{
	passthrough->cluster = cluster;
}

void backup_passthrough_set_place(struct backup_passthrough *passthrough,
	void (*find)(void *context, struct backup_place *place_out), void *context)
{
	passthrough->find_place = find;
	passthrough->find_context = context;
}

void backup_passthrough_set_conninfo(struct backup_passthrough *passthrough, const char *conninfo)
{
	char *copy = memory_copy_text(conninfo);
	pthread_mutex_lock(&passthrough->lock);
	char *old = passthrough->conninfo;
	passthrough->conninfo = copy;
	pthread_mutex_unlock(&passthrough->lock);
	memory_wipe_text(&old);
}

void backup_passthrough_use_link(struct backup_passthrough *passthrough, bool is_used)
{
	pthread_mutex_lock(&passthrough->lock);
	passthrough->is_link_used = is_used;
	pthread_mutex_unlock(&passthrough->lock);
}

const struct passthrough *backup_passthrough_interface(struct backup_passthrough *passthrough)
{
	return &passthrough->interface;
}
