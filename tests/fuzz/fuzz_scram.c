/*
 * Both messages of a client's SCRAM exchange: a byte of flags, the first message, a newline, the
 * final message. All of it is tried as a verifier, too.
 */
#include "fuzz.h"

#include "protocol/scram.h"

#include <assert.h>
#include <string.h>

/* of "secret" with salt 1 .. 16 and one iteration, as the seeds have it */
static const char verifier_text[] =
	"SCRAM-SHA-256$1:AQIDBAUGBwgJCgsMDQ4PEA==$uwG+w8kC7LnpXF/yyQrcW5nf26NTyCwogiIkMtMYYGg=:"
	"DL41EdRpQPSeZxWw6g7EJBQ+KClDkiA1S6qfSpaF9FU=";
static const uint8_t binding[4] = {1, 2, 3, 4};

static void check_text(const char *text, size_t size)
{
	assert(memchr(text, '\0', size) != NULL);
	for (; *text != '\0'; text++) {
		assert(*text >= 0x20 && *text <= 0x7e);
	}
}

static void check_failure(const struct scram_failure *failure)
{
	assert(strlen(failure->sqlstate) == 5);
	assert(failure->message[0] != '\0');
	check_text(failure->message, sizeof(failure->message));
	check_text(failure->detail, sizeof(failure->detail));
}

static void exchange(struct scram *scram, const uint8_t *first, size_t first_length,
	const uint8_t *final, size_t final_length, bool is_mock)
{
	struct scram_failure failure = {0};
	size_t length;

	if (!scram_read_client_first(scram, first, first_length, &failure)) {
		check_failure(&failure);
		return;
	}
	assert(memcmp(scram_server_first(scram, &length), "r=", 2) == 0);
	assert(length <= SCRAM_MESSAGE_BYTES_MAX + 100);
	switch (scram_read_client_final(scram, final, final_length, &failure)) {
	case SCRAM_MALFORMED: check_failure(&failure); break;
	case SCRAM_ACCEPTED:
		assert(!is_mock);
		assert(memcmp(scram_server_final(scram, &length), "v=", 2) == 0);
		assert(length == 46);
		break;
	case SCRAM_REJECTED: break;
	}
}

static void try_verifier(const uint8_t *bytes, size_t length)
{
	struct scram_verifier verifier = {0}, again = {0};
	char text[SCRAM_VERIFIER_SIZE];

	if (scram_verifier_parse((const char *)bytes, length, &verifier)) {
		scram_verifier_format(&verifier, text);
		assert(scram_verifier_parse(text, strlen(text), &again));
		assert(memcmp(&verifier, &again, sizeof(verifier)) == 0);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
	struct scram_verifier verifier;
	struct scram_options options = {.verifier = &verifier, .nonce = "servernonce"};
	const uint8_t *newline;
	struct scram *scram;

	try_verifier(bytes, length);
	newline = length > 1 ? memchr(bytes + 1, '\n', length - 1) : NULL;
	if (newline == NULL) {
		return 0;
	}
	assert(scram_verifier_parse(verifier_text, strlen(verifier_text), &verifier));
	options.is_mock = (bytes[0] & 1) != 0;
	if ((bytes[0] & 2) != 0) {
		options.channel_binding = binding;
		options.channel_binding_length = sizeof(binding);
		options.is_plus = (bytes[0] & 4) != 0;
	}
	scram = scram_new(&options);
	assert(scram != NULL);
	exchange(scram, bytes + 1, (size_t)(newline - bytes) - 1, newline + 1,
		(size_t)(bytes + length - newline) - 1, options.is_mock);
	scram_free(&scram);
	return 0;
}
