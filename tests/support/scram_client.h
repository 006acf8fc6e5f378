/*
 * scram_client: the client's side of SCRAM-SHA-256, for tests: written from RFC 5802 on OpenSSL
 * alone, so that it shares no mistake with what it tests.
 */
#ifndef TESTS_SCRAM_CLIENT_H
#define TESTS_SCRAM_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SCRAM_CLIENT_TEXT_SIZE 2048

struct scram_client {
	const char *password;
	const char *gs2_header; /* "n,,", "y,," or "p=tls-server-end-point,," */
	const uint8_t *binding; /* with "p=": what the certificate hashes to */
	size_t binding_length;
	const char *user;  /* in n=; NULL: "" as libpq sends */
	const char *nonce; /* the client's */

	char first_bare[SCRAM_CLIENT_TEXT_SIZE];
	uint8_t server_signature[32];
};

/* client-first-message. */
void scram_client_first(struct scram_client *client, char text_out[SCRAM_CLIENT_TEXT_SIZE]);
/* client-final-message for a server-first-message; false: it is not one for this client. */
bool scram_client_final(struct scram_client *client, const char *server_first, size_t length,
	char text_out[SCRAM_CLIENT_TEXT_SIZE]);
/* Whether a server-final-message proves that the server knows the verifier. */
bool scram_client_verify(
	const struct scram_client *client, const char *server_final, size_t length);

#endif
