/*
 * fake_server: the server's side of one connection, played by a thread of the test.
 *
 * Real sockets on loopback; what is not as expected fails the test.
 */
#ifndef TESTS_FAKE_SERVER_H
#define TESTS_FAKE_SERVER_H

#include "protocol/lsn.h"
#include "protocol/repl_message.h"

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct fake_server {
	int listener;
	uint16_t port;
	int connection; /* -1: none */
	pthread_t thread;
	void (*play)(struct fake_server *server);
	void *context;         /* of the test */
	char problem[256];     /* what was not as expected; "" */
	bool is_over;          /* nothing is sent or read any more */
	bool client_may_leave; /* at any moment: that is no problem */
	bool is_link;          /* WAL goes with its check */
};

/* play NULL: nobody accepts. */
void fake_server_listen(
	struct fake_server *server, void (*play)(struct fake_server *server), void *context);
/* play runs in a thread of its own, accepts and answers. */
void fake_server_run(struct fake_server *server);
/* Both. */
void fake_server_start(
	struct fake_server *server, void (*play)(struct fake_server *server), void *context);
/* Waits for the end of play. */
void fake_server_join(struct fake_server *server);
/* "host=127.0.0.1 port=N ..." */
void fake_server_conninfo(const struct fake_server *server, char *out, size_t size);
/* A port that refuses. */
uint16_t fake_server_closed_port(void);

/* For play. Everything does nothing once there is a problem. */
void fake_accept(struct fake_server *server);
/* Reads the startup message, lets in, tells that server_version and is ready. */
void fake_let_in(struct fake_server *server, const char *version);
void fake_expect_query(struct fake_server *server, const char *sql);
/* Answers a query that is expected with one row of texts. */
#define fake_answer(server, sql, ...)                                                              \
	do {                                                                                       \
		fake_expect_query(server, sql);                                                    \
		fake_send_row(server, __VA_ARGS__, NULL);                                          \
		fake_send_complete(server, "SELECT");                                              \
		fake_send_ready(server);                                                           \
	} while (0)
void fake_refuse(
	struct fake_server *server, const char *sql, const char *sqlstate, const char *message);
/* The type of the next message, '\0' when it is over, and its body. */
char fake_read(struct fake_server *server, uint8_t *body, size_t size, size_t *length_out);
/* Something else is as expected; the rest says what is not. */
void fake_check(struct fake_server *server, bool holds, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
/* The next message has this type; its body. */
size_t fake_expect(struct fake_server *server, char type, uint8_t *body, size_t size);
/* The client ends the connection, whatever it says before. */
void fake_expect_end(struct fake_server *server);
void fake_send(struct fake_server *server, char type, const void *body, size_t length);
/* The next status the client sends; whether it asks for an answer. */
bool fake_expect_status(struct fake_server *server, struct standby_status *status_out);
/* One row of texts, "" a NULL; NULL ends them. */
void fake_send_row(struct fake_server *server, const char *first, ...);
void fake_send_complete(struct fake_server *server, const char *tag);
void fake_send_ready(struct fake_server *server);
void fake_send_error(struct fake_server *server, const char *sqlstate, const char *message);
void fake_send_copy_both(struct fake_server *server);
/* In messages as large as they may be. */
void fake_send_wal(struct fake_server *server, lsn_t lsn, const void *wal, size_t length);
void fake_send_keepalive(struct fake_server *server, lsn_t lsn, bool asks);
void fake_close(struct fake_server *server);

#endif
