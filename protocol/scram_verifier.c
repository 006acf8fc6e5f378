/*
 * Text, password or nothing at all into a verifier. What leads to a password is wiped before
 * returning; the verifier itself belongs to the caller.
 */
#include "protocol/scram_verifier.h"

#include "protocol/base64.h"

#include <assert.h>
#include <inttypes.h>
#include <limits.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <string.h>

#define PREFIX "SCRAM-SHA-256$"

static_assert(SCRAM_VERIFIER_SIZE >= sizeof(PREFIX) + 10 + 1 + BASE64_SIZE(SCRAM_SALT_BYTES_MAX) +
					     1 + BASE64_SIZE(SCRAM_KEY_BYTES) + 1 +
					     BASE64_SIZE(SCRAM_KEY_BYTES),
	"the longest verifier fits");

static bool hmac(const uint8_t *key, size_t key_length, const void *data, size_t length,
	uint8_t out[SCRAM_KEY_BYTES])
{
	return HMAC(EVP_sha256(), key, (int)key_length, data, length, out, NULL) != NULL;
}

/* Takes the text up to the delimiter off the front of *at..end; the delimiter 0 takes all. */
static bool take_field(const char **at, const char *end, char delimiter, const char **field_out,
	size_t *length_out)
{
	const char *stop = delimiter == '\0' ? end : memchr(*at, delimiter, (size_t)(end - *at));

	if (stop == NULL) {
		return false;
	}
	*field_out = *at;
	*length_out = (size_t)(stop - *at);
	*at = delimiter == '\0' ? end : stop + 1;
	return true;
}

static bool iterations_parse(const char *digits, size_t length, uint32_t *iterations_out)
{
	uint64_t value = 0;

	if (length == 0 || length > 10) {
		return false;
	}
	for (size_t i = 0; i < length; i++) {
		if (digits[i] < '0' || digits[i] > '9') {
			return false;
		}
		value = value * 10 + (uint64_t)(digits[i] - '0');
	}
	if (value < 1 || value > INT_MAX) {
		return false;
	}
	*iterations_out = (uint32_t)value;
	return true;
}

static bool key_parse(const char *text, size_t length, uint8_t key_out[SCRAM_KEY_BYTES])
{
	size_t bytes;

	return base64_decode(text, length, key_out, SCRAM_KEY_BYTES, &bytes) &&
	       bytes == SCRAM_KEY_BYTES;
}

bool scram_verifier_parse(const char *text, size_t length, struct scram_verifier *verifier_out)
{
	const char *at = text + strlen(PREFIX), *end = text + length, *field;
	struct scram_verifier verifier = {0};
	size_t field_length;
	bool ok;

	if (length < strlen(PREFIX) || memcmp(text, PREFIX, strlen(PREFIX)) != 0) {
		return false;
	}
	ok = take_field(&at, end, ':', &field, &field_length) &&
	     iterations_parse(field, field_length, &verifier.iterations) &&
	     take_field(&at, end, '$', &field, &field_length) &&
	     base64_decode(field, field_length, verifier.salt, sizeof(verifier.salt),
		     &verifier.salt_length) &&
	     take_field(&at, end, ':', &field, &field_length) &&
	     key_parse(field, field_length, verifier.stored_key) &&
	     take_field(&at, end, '\0', &field, &field_length) &&
	     key_parse(field, field_length, verifier.server_key);
	if (ok) {
		*verifier_out = verifier;
	}
	OPENSSL_cleanse(&verifier, sizeof(verifier));
	return ok;
}

void scram_verifier_format(
	const struct scram_verifier *verifier, char text_out[SCRAM_VERIFIER_SIZE])
{
	char *at = text_out;

	assert(verifier->salt_length <= SCRAM_SALT_BYTES_MAX);
	at += sprintf(at, PREFIX "%" PRIu32 ":", verifier->iterations);
	at += base64_encode(verifier->salt, verifier->salt_length, at);
	*at++ = '$';
	at += base64_encode(verifier->stored_key, SCRAM_KEY_BYTES, at);
	*at++ = ':';
	base64_encode(verifier->server_key, SCRAM_KEY_BYTES, at);
}

bool scram_verifier_from_password(const char *password, size_t length, const uint8_t *salt,
	size_t salt_length, uint32_t iterations, struct scram_verifier *verifier_out)
{
	static const char client_name[] = "Client Key";
	static const char server_name[] = "Server Key";
	uint8_t salted[SCRAM_KEY_BYTES], client_key[SCRAM_KEY_BYTES];
	struct scram_verifier verifier = {.iterations = iterations, .salt_length = salt_length};
	bool ok;

	assert(length <= INT_MAX);
	assert(salt_length <= SCRAM_SALT_BYTES_MAX);
	assert(iterations >= 1 && iterations <= INT_MAX);
	memcpy(verifier.salt, salt, salt_length);
	ok = PKCS5_PBKDF2_HMAC(password, (int)length, salt, (int)salt_length, (int)iterations,
		     EVP_sha256(), sizeof(salted), salted) == 1 &&
	     hmac(salted, sizeof(salted), client_name, strlen(client_name), client_key) &&
	     SHA256(client_key, sizeof(client_key), verifier.stored_key) != NULL &&
	     hmac(salted, sizeof(salted), server_name, strlen(server_name), verifier.server_key);
	if (ok) {
		*verifier_out = verifier;
	}
	OPENSSL_cleanse(salted, sizeof(salted));
	OPENSSL_cleanse(client_key, sizeof(client_key));
	OPENSSL_cleanse(&verifier, sizeof(verifier));
	return ok;
}

void scram_verifier_mock(
	const uint8_t key[32], const char *user, struct scram_verifier *verifier_out)
{
	uint8_t user_key[SCRAM_KEY_BYTES];
	uint8_t *const parts[] = {verifier_out->salt, verifier_out->salt + SCRAM_KEY_BYTES,
		verifier_out->stored_key, verifier_out->server_key};
	bool ok = hmac(key, 32, user, strlen(user), user_key);

	static_assert(SCRAM_SALT_BYTES_MAX == 2 * SCRAM_KEY_BYTES, "two digests fill the salt");
	for (uint8_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		ok = hmac(user_key, sizeof(user_key), &i, 1, parts[i]) && ok;
	}
	/* Only a library without memory fails here, and a guessable mock would tell who exists. */
	assert(ok);
	verifier_out->iterations = SCRAM_ITERATIONS;
	verifier_out->salt_length = SCRAM_SALT_BYTES;
	OPENSSL_cleanse(user_key, sizeof(user_key));
}
