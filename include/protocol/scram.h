/*
 * scram: the server's side of SCRAM-SHA-256 and SCRAM-SHA-256-PLUS, as PostgreSQL speaks it.
 *
 * Source: RFC 5802, RFC 7677, RFC 5929 (tls-server-end-point); src/backend/libpq/auth-scram.c for
 * what PostgreSQL accepts and the words it refuses with. Pure: nonces and salts are handed in.
 */
#ifndef PROTOCOL_SCRAM_H
#define PROTOCOL_SCRAM_H

#include "protocol/scram_verifier.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SCRAM_SHA_256      "SCRAM-SHA-256"
#define SCRAM_SHA_256_PLUS "SCRAM-SHA-256-PLUS"

#define SCRAM_NONCE_BYTES       18   /* random bytes in a server's nonce, before base64 */
#define SCRAM_NONCE_LENGTH_MAX  64   /* of the server's nonce as text */
#define SCRAM_BINDING_BYTES_MAX 64   /* of channel binding data: a SHA-512 */
#define SCRAM_MESSAGE_BYTES_MAX 1024 /* of a client's message: PG_MAX_SASL_MESSAGE_LENGTH */

/* One exchange. */
struct scram;

struct scram_options {
	const struct scram_verifier *verifier; /* copied */
	bool is_mock;                          /* refuse in the end, after the same work */
	bool is_plus;                          /* the client chose SCRAM-SHA-256-PLUS */
	const uint8_t *channel_binding;        /* NULL: SCRAM-SHA-256-PLUS was not offered */
	size_t channel_binding_length;
	const char *nonce; /* the server's, never used before: printable, no comma; copied */
};

/* Why a message cannot be taken, in PostgreSQL's words. Nothing but printable ASCII. */
struct scram_failure {
	const char *sqlstate;
	char message[96];
	char detail[160]; /* "": none */
};

enum scram_outcome {
	SCRAM_ACCEPTED,  /* the client knows the password */
	SCRAM_REJECTED,  /* it does not, or the verifier is a mock */
	SCRAM_MALFORMED, /* failure_out says why */
};

/* NULL: out of memory. */
struct scram *scram_new(const struct scram_options *options);
/* Wipes. Accepts NULL, sets NULL. */
void scram_free(struct scram **scram);

/* client-first-message; at most SCRAM_MESSAGE_BYTES_MAX are taken. On success the answer is there.
 */
bool scram_read_client_first(struct scram *scram, const uint8_t *message, size_t length,
	struct scram_failure *failure_out);
/* server-first-message; valid as long as scram. */
const char *scram_server_first(const struct scram *scram, size_t *length_out);
/* client-final-message, once. */
enum scram_outcome scram_read_client_final(struct scram *scram, const uint8_t *message,
	size_t length, struct scram_failure *failure_out);
/* server-final-message, after SCRAM_ACCEPTED. */
const char *scram_server_final(const struct scram *scram, size_t *length_out);

#endif
