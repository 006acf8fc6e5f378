/*
 * scram_verifier: what a server knows of a password for SCRAM-SHA-256: enough to check it, too
 * little to log in with.
 *
 *   SCRAM-SHA-256$iterations:salt$StoredKey:ServerKey      salt and keys in base64, as in pg_authid
 *
 * Source: RFC 5802, RFC 7677; src/common/scram-common.c. Pure functions.
 *
 * No SASLprep (RFC 4013): no library that this program depends on has it. A password is taken as
 * its bytes, as PostgreSQL does with one that cannot be prepared. For passwords in ASCII that is
 * the same; others log in only where the client's SASLprep leaves them as they are (it composes
 * accents and folds special blanks and letters).
 */
#ifndef PROTOCOL_SCRAM_VERIFIER_H
#define PROTOCOL_SCRAM_VERIFIER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SCRAM_KEY_BYTES      32   /* SHA-256 */
#define SCRAM_SALT_BYTES     16   /* of the verifiers PostgreSQL makes */
#define SCRAM_SALT_BYTES_MAX 64   /* of the verifiers taken */
#define SCRAM_ITERATIONS     4096 /* of the verifiers PostgreSQL makes */
#define SCRAM_VERIFIER_SIZE  256  /* of a verifier as text, with its end */

struct scram_verifier {
	uint32_t iterations;
	size_t salt_length;
	uint8_t salt[SCRAM_SALT_BYTES_MAX];
	uint8_t stored_key[SCRAM_KEY_BYTES];
	uint8_t server_key[SCRAM_KEY_BYTES];
};

bool scram_verifier_parse(const char *text, size_t length, struct scram_verifier *verifier_out);
void scram_verifier_format(
	const struct scram_verifier *verifier, char text_out[SCRAM_VERIFIER_SIZE]);
/* false: the library refuses (out of memory). */
bool scram_verifier_from_password(const char *password, size_t length, const uint8_t *salt,
	size_t salt_length, uint32_t iterations, struct scram_verifier *verifier_out);
/* For a user who does not exist: the same for the same key and name, nothing alike otherwise. All
 * of salt is filled; salt_length and iterations are PostgreSQL's, and the caller may change them to
 * look like other users'. */
void scram_verifier_mock(
	const uint8_t key[32], const char *user, struct scram_verifier *verifier_out);

#endif
