/*
 * fake_server: the server's side of one connection, played by a thread of the test.
 *
 * Real sockets on loopback; what is not as expected fails the test.
 */
#ifndef TESTS_FAKE_SERVER_H
#define TESTS_FAKE_SERVER_H

#include "protocol/lsn.h"

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
	char problem[256]; /* what was not as expected; "" */
};

/* Listens; play runs in a thread of its own, accepts and answers. NULL: nobody accepts. */
void fake_server_start(struct fake_server *server, void (*play)(struct fake_server *server));
/* Waits for the end of play. */
void fake_server_join(struct fake_server *server);
/* "host=127.0.0.1 port=N ..." */
void fake_server_conninfo(const struct fake_server *server, char *out, size_t size);
/* A port that refuses. */
uint16_t fake_server_closed_port(void);

/* For play. Everything does nothing once there is a problem. */
void fake_accept(struct fake_server *server);
/* Reads the startup message, lets in, tells server_version 15 and is ready. */
void fake_let_in(struct fake_server *server);
void fake_expect_query(struct fake_server *server, const char *sql);
/* The next message has this type; its body. */
size_t fake_expect(struct fake_server *server, char type, uint8_t *body, size_t size);
/* The client ends the connection, whatever it says before. */
void fake_expect_end(struct fake_server *server);
void fake_send(struct fake_server *server, char type, const void *body, size_t length);
/* One row of texts; NULL ends them. */
void fake_send_row(struct fake_server *server, const char *first, ...);
void fake_send_complete(struct fake_server *server, const char *tag);
void fake_send_ready(struct fake_server *server);
void fake_send_error(struct fake_server *server, const char *sqlstate, const char *message);
void fake_send_copy_both(struct fake_server *server);
void fake_send_wal(struct fake_server *server, lsn_t lsn, const void *wal, size_t length);
void fake_send_keepalive(struct fake_server *server, lsn_t lsn, bool asks);
void fake_close(struct fake_server *server);

#endif
