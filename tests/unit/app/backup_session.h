/*
 * backup_session: a session that asks for backups, and a server played by the test; what the server
 * sends must reach the session byte for byte.
 */
#ifndef TESTS_UNIT_APP_BACKUP_SESSION_H
#define TESTS_UNIT_APP_BACKUP_SESSION_H

#include "support/cmocka_all.h"

#include <libpq-fe.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "support/run_until.h"
#include "unit/upstream/fake_server.h"
#include "app/backup_passthrough.h"
#include "protocol/wire.h"
#include "spool/cluster.h"

#define BACKUP   "BASE_BACKUP ( LABEL 'x',  PROGRESS)"
#define UPLOAD   "UPLOAD_MANIFEST"
#define MEGABYTE (1 << 20)

/* One session's end, and what the server sent for it. */
struct session {
	struct loop *loop;
	struct backup_passthrough *passthrough;
	const struct passthrough *interface;
	struct passthrough_client client;
	void *handle;
	struct wire_writer got;
	size_t room; /* messages it still takes */
	size_t refusals;
	bool is_held;
	bool was_held;
	int finished;
	int failed;
	struct error err;
	bool is_in_call;
	bool close_when_sent;
};

static struct fake_server server;
static struct wire_writer sent; /* written by the server's thread, read after its end */
static sem_t go;
static uint64_t known_system;

/* Linked in place of the real one. */
void cluster_read_identity(struct cluster *cluster, struct cluster_identity *identity_out)
{
	(void)cluster;
	*identity_out = (struct cluster_identity){.system_identifier = known_system};
}

/* --- the session ----------------------------------------------------------------------------- */

static inline void close_handle(struct session *session)
{
	session->is_in_call = true;
	session->interface->close(&session->handle);
	session->is_in_call = false;
	assert_null(session->handle);
}

static inline void on_send(void *context, char type, const void *body, size_t length)
{
	struct session *session = context;
	assert_false(session->is_in_call);
	assert_non_null(session->handle);
	session->room--;
	wire_begin_message(&session->got, type);
	wire_write_bytes(&session->got, body, length);
	wire_end_message(&session->got);
	if (session->close_when_sent) {
		close_handle(session);
	}
}

static inline bool has_room(void *context)
{
	struct session *session = context;
	assert_non_null(session->handle);
	session->refusals += session->room == 0;
	return session->room > 0;
}

static inline void on_finished(void *context)
{
	struct session *session = context;
	assert_false(session->is_in_call);
	assert_non_null(session->handle);
	session->finished++;
}

static inline void on_failed(void *context, const struct error *err)
{
	struct session *session = context;
	assert_false(session->is_in_call);
	assert_non_null(session->handle);
	session->failed++;
	session->err = *err;
}

static inline void on_hold(void *context, bool is_held)
{
	struct session *session = context;
	assert_true(session->is_held != is_held);
	session->is_held = is_held;
	session->was_held |= is_held;
}

static struct session session;

static inline void open_session(const char *conninfo)
{
	memset(&session, 0, sizeof(session));
	session.loop = loop_new("test", NULL);
	assert_non_null(session.loop);
	session.room = SIZE_MAX;
	session.client = (struct passthrough_client){
		.context = &session,
		.send = on_send,
		.has_room = has_room,
		.finished = on_finished,
		.failed = on_failed,
		.hold_input = on_hold,
	};
	wire_writer_init(&session.got);
	session.passthrough = backup_passthrough_new(conninfo, "r");
	session.interface = backup_passthrough_interface(session.passthrough);
	session.handle =
		session.interface->open(session.interface->context, session.loop, &session.client);
	assert_non_null(session.handle);
}

static inline void open_against(void (*play)(struct fake_server *server))
{
	char conninfo[256];
	wire_writer_init(&sent);
	sem_init(&go, 0, 0);
	fake_server_start(&server, play, NULL);
	fake_server_conninfo(&server, conninfo, sizeof(conninfo));
	open_session(conninfo);
}

static inline void give_command(const char *text)
{
	session.is_in_call = true;
	session.interface->command(session.handle, text);
	session.is_in_call = false;
}

static inline void give_message(char type, const void *body, size_t length)
{
	session.is_in_call = true;
	session.interface->client_message(session.handle, type, body, length);
	session.is_in_call = false;
}

static inline void free_session(void)
{
	if (session.handle != NULL) {
		close_handle(&session);
	}
	RUN_TICKS(session.loop, 1);
	backup_passthrough_free(&session.passthrough);
	loop_free(&session.loop);
	wire_writer_release(&session.got);
}

/* Ends both sides; the server's play must have gone as written. */
static inline void close_against(bool is_all_passed)
{
	if (session.handle != NULL) {
		close_handle(&session);
	}
	fake_server_join(&server);
	assert_string_equal(server.problem, "");
	if (is_all_passed) {
		assert_int_equal(session.got.length, sent.length);
		assert_memory_equal(session.got.bytes, sent.bytes, sent.length);
	}
	free_session();
	wire_writer_release(&sent);
	sem_destroy(&go);
}

/* --- the server ------------------------------------------------------------------------------ */

/* Sends a message that the session must get as it is. */
static inline void play_message(struct fake_server *at, char type, const void *body, size_t length)
{
	wire_begin_message(&sent, type);
	wire_write_bytes(&sent, body, length);
	wire_end_message(&sent);
	fake_send(at, type, body, length);
}
#define PLAY(at, type, text) play_message(at, type, text, sizeof(text) - 1)

static inline void play_start_rows(struct fake_server *at)
{
	PLAY(at, 'T',
		"\0\2recptr\0\0\0\0\0\0\0\0\0\0\x19\xff\xff\xff\xff\xff\xff\0\0"
		"tli\0\0\0\0\0\0\0\0\0\0\x14\0\x08\xff\xff\xff\xff\0\0");
	PLAY(at, 'D',
		"\0\2\0\0\0\x09"
		"0/2000028"
		"\0\0\0\1"
		"1");
	PLAY(at, 'C', "SELECT\0");
	PLAY(at, 'T',
		"\0\3spcoid\0\0\0\0\0\0\0\0\0\0\x1a\0\4\xff\xff\xff\xff\0\0"
		"spclocation\0\0\0\0\0\0\0\0\0\0\x19\xff\xff\0\0\0\x24\0\0"
		"size\0\0\0\0\0\0\0\0\0\0\x14\0\x08\xff\xff\xff\xff\0\0");
	PLAY(at, 'D',
		"\0\3\0\0\0\5"
		"16384"
		"\0\0\0\4"
		"/tbs"
		"\xff\xff\xff\xff");
	PLAY(at, 'D', "\0\3\xff\xff\xff\xff\xff\xff\xff\xff\0\0\0\0");
	PLAY(at, 'C', "SELECT\0");
}

static inline void play_end_rows(struct fake_server *at)
{
	PLAY(at, 'T', "\0\1recptr\0\0\0\0\0\0\0\0\0\0\x19\xff\xff\xff\xff\xff\xff\0\0");
	PLAY(at, 'D',
		"\0\1\0\0\0\x09"
		"0/2000100");
	PLAY(at, 'C', "SELECT\0");
	PLAY(at, 'C', "BASE_BACKUP\0");
	fake_send_ready(at);
}

static inline void play_one_copy(struct fake_server *at)
{
	fake_expect_query(at, BACKUP);
	play_start_rows(at);
	PLAY(at, 'H', "\0\0\0");
	PLAY(at, 'd', "nbase.tar\0\0");
	PLAY(at, 'd', "d\0\1\2");
	PLAY(at, 'd', "p\0\0\0\0\0\0\0\4");
	PLAY(at, 'c', "");
	play_end_rows(at);
}

static inline void enter_server(struct fake_server *at)
{
	fake_accept(at);
	fake_let_in(at, "15.18");
}

static inline void play_new_backup(struct fake_server *at)
{
	enter_server(at);
	play_one_copy(at);
	fake_expect_end(at);
}

static inline void run_command(const char *text)
{
	int before = session.finished + session.failed;
	give_command(text);
	RUN_UNTIL(session.loop, session.finished + session.failed > before);
}

#endif
