/*
 * The exchange keeps one buffer, the AuthMessage of RFC 5802 that both sides sign:
 *
 *   client-first-message-bare "," server-first-message "," client-final-message-without-proof
 *
 * Every part is a stretch of it. Comparisons of anything secret take constant time, and a mock
 * verifier goes the whole way, so that neither answers nor time tell who exists.
 */
#include "protocol/scram.h"

#include "protocol/base64.h"

#include <assert.h>
#include <inttypes.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/sha.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PLUS_HEADER "p=tls-server-end-point,,"

/* r=, s= and i= around the client's nonce, the server's, the salt and ten digits */
#define SERVER_FIRST_BYTES_MAX                                                                     \
	(SCRAM_MESSAGE_BYTES_MAX + SCRAM_NONCE_LENGTH_MAX + BASE64_SIZE(SCRAM_SALT_BYTES_MAX) + 32)
#define AUTH_MESSAGE_SIZE (2 * (SCRAM_MESSAGE_BYTES_MAX + 1) + SERVER_FIRST_BYTES_MAX + 1)

enum scram_state { STATE_CLIENT_FIRST, STATE_CLIENT_FINAL, STATE_DONE };

struct span {
	const char *text;
	size_t length;
};

struct scram {
	enum scram_state state;
	struct scram_verifier verifier;
	bool is_mock;
	bool is_plus;
	bool is_plus_offered;
	uint8_t channel_binding[SCRAM_BINDING_BYTES_MAX];
	size_t channel_binding_length;
	char nonce[SCRAM_NONCE_LENGTH_MAX + 1]; /* the server's half */

	char gs2_flag; /* 'n', 'y' or 'p' */
	char auth_message[AUTH_MESSAGE_SIZE];
	size_t auth_length;
	struct span server_first; /* into auth_message, as is the next */
	struct span nonces;       /* the client's and the server's */
	char server_final[2 + BASE64_SIZE(SCRAM_KEY_BYTES)];
};

static bool hmac(const uint8_t *key, size_t key_length, const void *data, size_t length,
	uint8_t out[SCRAM_KEY_BYTES])
{
	return HMAC(EVP_sha256(), key, (int)key_length, data, length, out, NULL) != NULL;
}

/* --- reading attributes ---------------------------------------------------------------------- */

static bool fail(struct scram_failure *failure, const char *sqlstate, const char *message,
	const char *detail)
{
	failure->sqlstate = sqlstate;
	snprintf(failure->message, sizeof(failure->message), "%s", message);
	snprintf(failure->detail, sizeof(failure->detail), "%s", detail);
	return false;
}

__attribute__((format(printf, 2, 3))) static bool malformed(
	struct scram_failure *failure, const char *format, ...)
{
	va_list arguments;

	fail(failure, "08P01", "malformed SCRAM message", "");
	va_start(arguments, format);
	vsnprintf(failure->detail, sizeof(failure->detail), format, arguments);
	va_end(arguments);
	return false;
}

struct printable_char {
	char text[5];
};

static bool is_graphic(char c)
{
	return c >= 0x21 && c <= 0x7e;
}

static struct printable_char printable(char c)
{
	struct printable_char out;

	if (is_graphic(c)) {
		snprintf(out.text, sizeof(out.text), "'%c'", c);
	} else {
		snprintf(out.text, sizeof(out.text), "0x%02x", (unsigned)(uint8_t)c);
	}
	return out;
}

/* The next character; 0 at the end, since messages hold no zero byte. */
static char peek(const struct span *rest)
{
	return rest->length > 0 ? rest->text[0] : '\0';
}

static void skip(struct span *rest, size_t count)
{
	assert(count <= rest->length);
	rest->text += count;
	rest->length -= count;
}

/* Takes the text up to the next comma, and the comma, off the front. */
static struct span take_value(struct span *rest)
{
	const char *comma = memchr(rest->text, ',', rest->length);
	struct span value = {rest->text, rest->length};

	if (comma != NULL) {
		value.length = (size_t)(comma - rest->text);
		skip(rest, value.length + 1);
	} else {
		skip(rest, rest->length);
	}
	return value;
}

/* After an attribute's letter: "=", the value, and the comma that ends it. */
static bool read_value(
	struct span *rest, char name, struct span *value_out, struct scram_failure *failure)
{
	if (peek(rest) != '=') {
		return malformed(failure, "Expected character \"=\" for attribute \"%c\".", name);
	}
	skip(rest, 1);
	*value_out = take_value(rest);
	return true;
}

static bool read_attribute(
	struct span *rest, char name, struct span *value_out, struct scram_failure *failure)
{
	if (peek(rest) != name) {
		return malformed(failure, "Expected attribute \"%c\" but found \"%s\".", name,
			printable(peek(rest)).text);
	}
	skip(rest, 1);
	return read_value(rest, name, value_out, failure);
}

static bool read_any_attribute(
	struct span *rest, char *name_out, struct span *value_out, struct scram_failure *failure)
{
	char name = peek(rest);

	if (rest->length == 0) {
		return malformed(failure, "Attribute expected, but found end of string.");
	}
	if (!((name >= 'A' && name <= 'Z') || (name >= 'a' && name <= 'z'))) {
		return malformed(failure, "Attribute expected, but found invalid character \"%s\".",
			printable(name).text);
	}
	skip(rest, 1);
	*name_out = name;
	return read_value(rest, name, value_out, failure);
}

static bool span_is(struct span span, const char *text)
{
	return span.length == strlen(text) && memcmp(span.text, text, span.length) == 0;
}

/* --- the exchange ---------------------------------------------------------------------------- */

struct scram *scram_new(const struct scram_options *options)
{
	struct scram *scram;

	assert(!options->is_plus || options->channel_binding != NULL);
	assert(options->channel_binding_length <= SCRAM_BINDING_BYTES_MAX);
	assert(strlen(options->nonce) <= SCRAM_NONCE_LENGTH_MAX);
	scram = calloc(1, sizeof(*scram));
	if (scram == NULL) {
		return NULL;
	}
	scram->verifier = *options->verifier;
	scram->is_mock = options->is_mock;
	scram->is_plus = options->is_plus;
	if (options->channel_binding != NULL) {
		scram->is_plus_offered = true;
		scram->channel_binding_length = options->channel_binding_length;
		memcpy(scram->channel_binding, options->channel_binding,
			options->channel_binding_length);
	}
	memcpy(scram->nonce, options->nonce, strlen(options->nonce));
	return scram;
}

void scram_free(struct scram **scram)
{
	if (*scram != NULL) {
		OPENSSL_cleanse(*scram, sizeof(**scram));
		free(*scram);
		*scram = NULL;
	}
}

/* A message is text of a bounded length. */
static bool check_message(const uint8_t *message, size_t length, struct scram_failure *failure)
{
	if (length == 0) {
		return malformed(failure, "The message is empty.");
	}
	if (length > SCRAM_MESSAGE_BYTES_MAX) {
		return malformed(failure, "The message is too long.");
	}
	if (memchr(message, '\0', length) != NULL) {
		return malformed(failure, "Message length does not match input length.");
	}
	return true;
}

static bool check_binding_type(struct span type, struct scram_failure *failure)
{
	char shown[31];
	size_t length = type.length < sizeof(shown) - 1 ? type.length : sizeof(shown) - 1;

	if (span_is(type, "tls-server-end-point")) {
		return true;
	}
	for (size_t i = 0; i < length; i++) {
		shown[i] = is_graphic(type.text[i]) ? type.text[i] : '?';
	}
	shown[length] = '\0';
	fail(failure, "08P01", "", "");
	snprintf(failure->message, sizeof(failure->message),
		"unsupported SCRAM channel-binding type \"%s\"", shown);
	return false;
}

/* gs2-cbind-flag and its comma. */
static bool read_gs2_flag(struct scram *scram, struct span *rest, struct scram_failure *failure)
{
	struct span type;
	char flag = peek(rest);

	if (flag != 'n' && flag != 'y' && flag != 'p') {
		return malformed(
			failure, "Unexpected channel-binding flag \"%s\".", printable(flag).text);
	}
	if (flag != 'p' && scram->is_plus) {
		return malformed(failure, "The client selected " SCRAM_SHA_256_PLUS
					  ", but the SCRAM message does not include channel "
					  "binding data.");
	}
	if (flag == 'p' && !scram->is_plus) {
		return malformed(failure, "The client selected " SCRAM_SHA_256
					  " without channel binding, but the SCRAM message "
					  "includes channel binding data.");
	}
	/* Somebody between took the offer of PLUS away, or the client would have chosen it. */
	if (flag == 'y' && scram->is_plus_offered) {
		return fail(failure, "28000", "SCRAM channel binding negotiation error",
			"The client supports SCRAM channel binding but thinks the server does "
			"not.  However, this server does support channel binding.");
	}
	scram->gs2_flag = flag;
	if (flag == 'p') {
		return read_attribute(rest, 'p', &type, failure) &&
		       check_binding_type(type, failure);
	}
	skip(rest, 1);
	if (peek(rest) != ',') {
		return malformed(failure, "Comma expected, but found character \"%s\".",
			printable(peek(rest)).text);
	}
	skip(rest, 1);
	return true;
}

/* The rest of the gs2-header: an authzid, which PostgreSQL does not take. */
static bool read_authzid(struct span *rest, struct scram_failure *failure)
{
	if (peek(rest) == 'a') {
		return fail(failure, "0A000",
			"client uses authorization identity, but it is not supported", "");
	}
	if (peek(rest) != ',') {
		return malformed(failure, "Unexpected attribute \"%s\" in client-first-message.",
			printable(peek(rest)).text);
	}
	skip(rest, 1);
	return true;
}

/* client-first-message-bare. The user name in it is ignored: the startup packet's counts. */
static bool read_first_bare(struct span rest, struct span *nonce_out, struct scram_failure *failure)
{
	struct span ignored;
	char name;

	if (peek(&rest) == 'm') {
		return fail(failure, "0A000", "client requires an unsupported SCRAM extension", "");
	}
	if (!read_attribute(&rest, 'n', &ignored, failure) ||
		!read_attribute(&rest, 'r', nonce_out, failure)) {
		return false;
	}
	for (size_t i = 0; i < nonce_out->length; i++) {
		if (!is_graphic(nonce_out->text[i])) {
			return fail(
				failure, "08P01", "non-printable characters in SCRAM nonce", "");
		}
	}
	while (rest.length > 0) {
		if (!read_any_attribute(&rest, &name, &ignored, failure)) {
			return false;
		}
	}
	return true;
}

static void append(struct scram *scram, const char *text, size_t length)
{
	assert(length < sizeof(scram->auth_message) - scram->auth_length);
	memcpy(scram->auth_message + scram->auth_length, text, length);
	scram->auth_length += length;
}

static void append_base64(struct scram *scram, const uint8_t *bytes, size_t length)
{
	assert(BASE64_SIZE(length) <= sizeof(scram->auth_message) - scram->auth_length);
	scram->auth_length +=
		base64_encode(bytes, length, scram->auth_message + scram->auth_length);
}

static void append_server_first(struct scram *scram, struct span client_nonce)
{
	const char *first = scram->auth_message + scram->auth_length;
	char iterations[16];

	append(scram, "r=", 2);
	append(scram, client_nonce.text, client_nonce.length);
	append(scram, scram->nonce, strlen(scram->nonce));
	scram->nonces.text = first + 2;
	scram->nonces.length = client_nonce.length + strlen(scram->nonce);
	append(scram, ",s=", 3);
	append_base64(scram, scram->verifier.salt, scram->verifier.salt_length);
	snprintf(iterations, sizeof(iterations), ",i=%" PRIu32, scram->verifier.iterations);
	append(scram, iterations, strlen(iterations));
	scram->server_first.text = first;
	scram->server_first.length = (size_t)(scram->auth_message + scram->auth_length - first);
}

bool scram_read_client_first(struct scram *scram, const uint8_t *message, size_t length,
	struct scram_failure *failure_out)
{
	struct span rest = {(const char *)message, length}, client_nonce;

	assert(scram->state == STATE_CLIENT_FIRST);
	if (!check_message(message, length, failure_out) ||
		!read_gs2_flag(scram, &rest, failure_out) || !read_authzid(&rest, failure_out) ||
		!read_first_bare(rest, &client_nonce, failure_out)) {
		return false;
	}
	append(scram, rest.text, rest.length);
	append(scram, ",", 1);
	append_server_first(scram, client_nonce);
	append(scram, ",", 1);
	scram->state = STATE_CLIENT_FINAL;
	return true;
}

const char *scram_server_first(const struct scram *scram, size_t *length_out)
{
	assert(scram->state != STATE_CLIENT_FIRST);
	*length_out = scram->server_first.length;
	return scram->server_first.text;
}

/* The gs2-header again, and for PLUS the certificate the client saw. */
static bool check_channel_binding(
	const struct scram *scram, struct span encoded, struct scram_failure *failure)
{
	uint8_t expected[sizeof(PLUS_HEADER) + SCRAM_BINDING_BYTES_MAX];
	char expected_base64[BASE64_SIZE(sizeof(expected))];
	const size_t header = strlen(PLUS_HEADER);
	size_t length;

	if (!scram->is_plus) {
		const char *plain = scram->gs2_flag == 'n' ? "biws" : "eSws"; /* n,, and y,, */
		return span_is(encoded, plain) ||
		       fail(failure, "08P01",
			       "unexpected SCRAM channel-binding attribute in "
			       "client-final-message",
			       "");
	}
	memcpy(expected, PLUS_HEADER, header);
	memcpy(expected + header, scram->channel_binding, scram->channel_binding_length);
	length = base64_encode(expected, header + scram->channel_binding_length, expected_base64);
	return (length == encoded.length &&
		       CRYPTO_memcmp(expected_base64, encoded.text, length) == 0) ||
	       fail(failure, "28000", "SCRAM channel binding check failed", "");
}

/* Fills proof_out and adds what precedes the proof to the AuthMessage. */
static bool read_final(struct scram *scram, struct span message, uint8_t proof_out[SCRAM_KEY_BYTES],
	struct scram_failure *failure)
{
	struct span rest = message, binding, nonce, value;
	const char *before;
	size_t proof_length;
	char name;

	if (!read_attribute(&rest, 'c', &binding, failure) ||
		!check_channel_binding(scram, binding, failure) ||
		!read_attribute(&rest, 'r', &nonce, failure)) {
		return false;
	}
	do {
		before = rest.text - 1;
		if (!read_any_attribute(&rest, &name, &value, failure)) {
			return false;
		}
	} while (name != 'p');
	if (!base64_decode(value.text, value.length, proof_out, SCRAM_KEY_BYTES, &proof_length) ||
		proof_length != SCRAM_KEY_BYTES) {
		return malformed(failure, "Malformed proof in client-final-message.");
	}
	if (rest.length > 0) {
		return malformed(failure, "Garbage found at the end of client-final-message.");
	}
	if (nonce.length != scram->nonces.length ||
		CRYPTO_memcmp(nonce.text, scram->nonces.text, nonce.length) != 0) {
		return fail(failure, "08P01", "invalid SCRAM response", "Nonce does not match.");
	}
	append(scram, message.text, (size_t)(before - message.text));
	return true;
}

/* ClientKey = ClientProof XOR ClientSignature must hash to StoredKey. */
static bool check_proof(const struct scram *scram, const uint8_t proof[SCRAM_KEY_BYTES])
{
	uint8_t client_key[SCRAM_KEY_BYTES], hash[SCRAM_KEY_BYTES];
	bool ok = hmac(scram->verifier.stored_key, SCRAM_KEY_BYTES, scram->auth_message,
		scram->auth_length, client_key);

	for (size_t i = 0; i < sizeof(client_key); i++) {
		client_key[i] ^= proof[i];
	}
	ok = ok && SHA256(client_key, sizeof(client_key), hash) != NULL &&
	     CRYPTO_memcmp(hash, scram->verifier.stored_key, sizeof(hash)) == 0;
	OPENSSL_cleanse(client_key, sizeof(client_key));
	OPENSSL_cleanse(hash, sizeof(hash));
	return ok;
}

enum scram_outcome scram_read_client_final(struct scram *scram, const uint8_t *message,
	size_t length, struct scram_failure *failure_out)
{
	uint8_t proof[SCRAM_KEY_BYTES], signature[SCRAM_KEY_BYTES];

	assert(scram->state == STATE_CLIENT_FINAL);
	scram->state = STATE_DONE;
	if (!check_message(message, length, failure_out) ||
		!read_final(
			scram, (struct span){(const char *)message, length}, proof, failure_out)) {
		return SCRAM_MALFORMED;
	}
	/* The proof is checked for a mock, too: the same work, the same time. */
	if (!check_proof(scram, proof) || scram->is_mock ||
		!hmac(scram->verifier.server_key, SCRAM_KEY_BYTES, scram->auth_message,
			scram->auth_length, signature)) {
		return SCRAM_REJECTED;
	}
	memcpy(scram->server_final, "v=", 2);
	base64_encode(signature, sizeof(signature), scram->server_final + 2);
	return SCRAM_ACCEPTED;
}

const char *scram_server_final(const struct scram *scram, size_t *length_out)
{
	assert(scram->server_final[0] != '\0');
	*length_out = strlen(scram->server_final);
	return scram->server_final;
}
