/*
 * client_auth: decides whether a client may come in, by hba rules and SCRAM verifiers.
 *
 * One exchange per connection, fed with the client's 'p' messages; it builds the messages to send.
 * It does no I/O and knows no session. Unknown users go through a whole SCRAM exchange with a mock
 * verifier, so that nothing tells them from a wrong password (28P01 for both).
 */
#ifndef DOWNSTREAM_CLIENT_AUTH_H
#define DOWNSTREAM_CLIENT_AUTH_H

#include "base/error.h"
#include "protocol/wire.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

struct hba;       /* downstream/hba.h: immutable rules, counted references */
struct tls_names; /* net/tls_facts.h */
struct user_list; /* downstream/user_list.h: immutable users, counted references */
struct client_auth;

enum client_auth_step {
	CLIENT_AUTH_CONTINUE, /* send what was written, wait for the next 'p' */
	CLIENT_AUTH_OK,       /* send what was written (AuthenticationOk is in it) */
	CLIENT_AUTH_REFUSED,  /* err holds SQLSTATE and PostgreSQL's words: FATAL, then close */
};

struct client_auth_request {
	const char *user;
	const char *database; /* NULL: replication */
	bool is_replication;
	bool is_local; /* Unix socket */
	bool is_tls;
	const struct sockaddr_storage *peer;
	const struct tls_names *certificate; /* whom the verified client certificate names; NULL:
						there is none */
	const uint8_t *channel_binding;      /* tls-server-end-point, or NULL */
	size_t channel_binding_length;
};

/* Takes references on hba and users. mock_key: 32 secret bytes of this relay, constant while it
 * runs. */
struct client_auth *client_auth_new(
	struct hba *hba, struct user_list *users, const uint8_t mock_key[32]);
void client_auth_free(struct client_auth **auth);

enum client_auth_step client_auth_begin(struct client_auth *auth,
	const struct client_auth_request *request, struct wire_writer *out, struct error *err);
/* body of a 'p' message; after CLIENT_AUTH_CONTINUE only. */
enum client_auth_step client_auth_message(struct client_auth *auth, const uint8_t *body,
	size_t length, struct wire_writer *out, struct error *err);
/* For the log and never for the client: which rule decided, that the user does not exist; "":
 * nothing to add. */
const char *client_auth_log_detail(const struct client_auth *auth);

#endif
