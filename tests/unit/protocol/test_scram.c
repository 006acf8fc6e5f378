/* The exchange against RFC 7677's example and a client of its own, then everything malformed. */
#include "protocol/scram.h"

#include "support/scram_client.h"

/* clang-format off */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
/* clang-format on */
#include <stdio.h>
#include <string.h>

#define SERVER_NONCE "3rfcNHYJY1ZVvWVs7j0000+/"

static const uint8_t certificate_hash[32] = {0xde, 0xad, 0xbe, 0xef};
static const uint8_t other_hash[32] = {0xde, 0xad, 0xbe, 0xee};
static const uint8_t salt[SCRAM_SALT_BYTES] = {1, 2, 3, 4, 5, 6, 7, 8};

static struct scram_verifier verifier_of(const char *password)
{
	struct scram_verifier verifier;

	assert_true(scram_verifier_from_password(
		password, strlen(password), salt, sizeof(salt), 2, &verifier));
	return verifier;
}

/* tls: SCRAM-SHA-256-PLUS was offered; plus: and chosen. */
static struct scram *new_exchange(const char *password, bool tls, bool plus)
{
	struct scram_verifier verifier = verifier_of(password);
	struct scram_options options = {
		.verifier = &verifier,
		.is_plus = plus,
		.channel_binding = tls ? certificate_hash : NULL,
		.channel_binding_length = tls ? sizeof(certificate_hash) : 0,
		.nonce = SERVER_NONCE,
	};
	return scram_new(&options);
}

static enum scram_outcome exchange(
	struct scram *scram, struct scram_client *client, struct scram_failure *failure)
{
	char text[SCRAM_CLIENT_TEXT_SIZE];
	enum scram_outcome outcome;
	const char *answer;
	size_t length;

	scram_client_first(client, text);
	if (!scram_read_client_first(scram, (const uint8_t *)text, strlen(text), failure)) {
		return SCRAM_MALFORMED;
	}
	answer = scram_server_first(scram, &length);
	assert_true(scram_client_final(client, answer, length, text));
	outcome = scram_read_client_final(scram, (const uint8_t *)text, strlen(text), failure);
	if (outcome == SCRAM_ACCEPTED) {
		answer = scram_server_final(scram, &length);
		assert_true(scram_client_verify(client, answer, length));
	}
	return outcome;
}

static void test_scram__plays_the_example_of_rfc_7677(void **state)
{
	static const char verifier_salt[] =
		"\x5b\x6d\x99\x68\x9d\x12\x35\x8e\xec\xa0\x4b\x14\x12\x36"
		"\xfa\x81";
	static const char first[] = "n,,n=user,r=rOprNGfwEbeRWgbNEkqO";
	static const char final[] = "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,"
				    "p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=";
	struct scram_verifier verifier;
	struct scram_options options = {
		.verifier = &verifier, .nonce = "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"};
	struct scram_failure failure;
	struct scram *scram;
	const char *answer;
	size_t length;

	(void)state;
	assert_true(scram_verifier_from_password(
		"pencil", 6, (const uint8_t *)verifier_salt, 16, 4096, &verifier));
	scram = scram_new(&options);
	assert_true(
		scram_read_client_first(scram, (const uint8_t *)first, strlen(first), &failure));
	answer = scram_server_first(scram, &length);
	assert_int_equal(length, strlen(answer) - 1); /* the comma after it is the AuthMessage's */
	assert_memory_equal(answer,
		"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,"
		"s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
		length);
	assert_int_equal(
		scram_read_client_final(scram, (const uint8_t *) final, strlen(final), &failure),
		SCRAM_ACCEPTED);
	answer = scram_server_final(scram, &length);
	assert_int_equal(length, 46);
	assert_string_equal(answer, "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=");
	scram_free(&scram);
	assert_null(scram);
}

static void test_scram__accepts_the_right_password(void **state)
{
	static const struct {
		bool tls;
		bool plus;
		const char *header;
	} cases[] = {
		{false, false, "n,,"},
		{false, false, "y,,"}, /* no TLS here, so nothing was taken away */
		{true, false, "n,,"},  /* channel_binding=disable */
		{true, true, "p=tls-server-end-point,,"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct scram *scram = new_exchange("secret", cases[i].tls, cases[i].plus);
		struct scram_client client = {.password = "secret",
			.gs2_header = cases[i].header,
			.binding = certificate_hash,
			.binding_length = cases[i].plus ? sizeof(certificate_hash) : 0,
			.nonce = "abc"};
		struct scram_failure failure;

		assert_int_equal(exchange(scram, &client, &failure), SCRAM_ACCEPTED);
		scram_free(&scram);
	}
}

static void test_scram__rejects_a_wrong_password(void **state)
{
	struct scram_client client = {.password = "Secret", .gs2_header = "n,,", .nonce = "abc"};
	struct scram *scram = new_exchange("secret", false, false);
	struct scram_failure failure;

	(void)state;
	assert_int_equal(exchange(scram, &client, &failure), SCRAM_REJECTED);
	scram_free(&scram);
}

static void test_scram__rejects_a_mock_even_with_its_password(void **state)
{
	struct scram_client client = {.password = "secret", .gs2_header = "n,,", .nonce = "abc"};
	struct scram_verifier verifier = verifier_of("secret");
	struct scram_options options = {
		.verifier = &verifier, .is_mock = true, .nonce = SERVER_NONCE};
	struct scram *scram = scram_new(&options);
	struct scram_failure failure;

	(void)state;
	assert_int_equal(exchange(scram, &client, &failure), SCRAM_REJECTED);
	scram_free(&scram);
}

static void test_scram__plus_refuses_another_certificate(void **state)
{
	struct scram_client client = {.password = "secret",
		.gs2_header = "p=tls-server-end-point,,",
		.binding = other_hash,
		.binding_length = sizeof(other_hash),
		.nonce = "abc"};
	struct scram *scram = new_exchange("secret", true, true);
	struct scram_failure failure;

	(void)state;
	assert_int_equal(exchange(scram, &client, &failure), SCRAM_MALFORMED);
	assert_string_equal(failure.sqlstate, "28000");
	assert_string_equal(failure.message, "SCRAM channel binding check failed");
	scram_free(&scram);
}

#define NO_BINDING_DATA                                                                            \
	"The client selected SCRAM-SHA-256-PLUS, but the SCRAM message does not include channel "  \
	"binding data."

static const struct {
	bool tls;
	bool plus;
	const char *message;
	const char *sqlstate;
	const char *text;
	const char *detail;
} malformed_first[] = {
	{false, false, "", "08P01", "malformed SCRAM message", "The message is empty."},
	{false, false, "x,,n=,r=a", "08P01", "malformed SCRAM message",
		"Unexpected channel-binding flag \"'x'\"."},
	{false, false, "\x01,,n=,r=a", "08P01", "malformed SCRAM message",
		"Unexpected channel-binding flag \"0x01\"."},
	{false, false, "n", "08P01", "malformed SCRAM message",
		"Comma expected, but found character \"0x00\"."},
	{false, false, "nn", "08P01", "malformed SCRAM message",
		"Comma expected, but found character \"'n'\"."},
	{false, false, "y\xff", "08P01", "malformed SCRAM message",
		"Comma expected, but found character \"0xff\"."},
	{false, false, "n,a=root,n=,r=a", "0A000",
		"client uses authorization identity, but it is not supported", ""},
	{false, false, "n,b,n=,r=a", "08P01", "malformed SCRAM message",
		"Unexpected attribute \"'b'\" in client-first-message."},
	{false, false, "n,", "08P01", "malformed SCRAM message",
		"Unexpected attribute \"0x00\" in client-first-message."},
	{false, false, "n,,m=x,n=,r=a", "0A000", "client requires an unsupported SCRAM extension",
		""},
	{false, false, "n,,", "08P01", "malformed SCRAM message",
		"Expected attribute \"n\" but found \"0x00\"."},
	{false, false, "n,,r=a", "08P01", "malformed SCRAM message",
		"Expected attribute \"n\" but found \"'r'\"."},
	{false, false, "n,,n", "08P01", "malformed SCRAM message",
		"Expected character \"=\" for attribute \"n\"."},
	{false, false, "n,,n=", "08P01", "malformed SCRAM message",
		"Expected attribute \"r\" but found \"0x00\"."},
	{false, false, "n,,n=,r", "08P01", "malformed SCRAM message",
		"Expected character \"=\" for attribute \"r\"."},
	{false, false, "n,,n=,r=a\tb", "08P01", "non-printable characters in SCRAM nonce", ""},
	{false, false, "n,,n=,r=a\x80", "08P01", "non-printable characters in SCRAM nonce", ""},
	{false, false, "n,,n=,r=a,1=b", "08P01", "malformed SCRAM message",
		"Attribute expected, but found invalid character \"'1'\"."},
	{false, false, "n,,n=,r=a,bc", "08P01", "malformed SCRAM message",
		"Expected character \"=\" for attribute \"b\"."},
	{false, false, "p=tls-server-end-point,,n=,r=a", "08P01", "malformed SCRAM message",
		"The client selected SCRAM-SHA-256 without channel binding, but the SCRAM "
		"message includes channel binding data."},
	{true, true, "n,,n=,r=a", "08P01", "malformed SCRAM message", NO_BINDING_DATA},
	{true, true, "y,,n=,r=a", "08P01", "malformed SCRAM message", NO_BINDING_DATA},
	{true, false, "y,,n=,r=a", "28000", "SCRAM channel binding negotiation error",
		"The client supports SCRAM channel binding but thinks the server does "
		"not.  However, this server does support channel binding."},
	{true, true, "p=tls-unique,,n=,r=a", "08P01",
		"unsupported SCRAM channel-binding type \"tls-unique\"", ""},
	{true, true, "p=tls-\x1b[31m-and-far-more-than-thirty-characters,,n=,r=a", "08P01",
		"unsupported SCRAM channel-binding type "
		"\"tls-?[31m-and-far-more-than-th\"",
		""},
	{true, true, "p,,n=,r=a", "08P01", "malformed SCRAM message",
		"Expected character \"=\" for attribute \"p\"."},
};

static void test_scram__refuses_malformed_first_messages(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(malformed_first) / sizeof(malformed_first[0]); i++) {
		struct scram *scram =
			new_exchange("secret", malformed_first[i].tls, malformed_first[i].plus);
		struct scram_failure failure;

		if (scram_read_client_first(scram, (const uint8_t *)malformed_first[i].message,
			    strlen(malformed_first[i].message), &failure)) {
			fail_msg("\"%s\" was taken", malformed_first[i].message);
		}
		assert_string_equal(failure.sqlstate, malformed_first[i].sqlstate);
		assert_string_equal(failure.message, malformed_first[i].text);
		assert_string_equal(failure.detail, malformed_first[i].detail);
		scram_free(&scram);
	}
}

static void test_scram__ignores_optional_extensions(void **state)
{
	static const char first[] = "n,,n=whoever,r=abc,x=1,y=";
	struct scram *scram = new_exchange("secret", false, false);
	struct scram_failure failure;
	const char *answer;
	size_t length;

	(void)state;
	assert_true(
		scram_read_client_first(scram, (const uint8_t *)first, strlen(first), &failure));
	answer = scram_server_first(scram, &length);
	assert_memory_equal(answer, "r=abc" SERVER_NONCE ",s=AQIDBAUGBwgAAAAAAAAAAA==,i=2", length);
	scram_free(&scram);
}

static void test_scram__bounds_its_messages(void **state)
{
	uint8_t longest[SCRAM_MESSAGE_BYTES_MAX + 1];
	struct scram *scram = new_exchange("secret", false, false);
	struct scram_failure failure;
	const char *answer;
	size_t length;

	(void)state;
	memset(longest, 'a', sizeof(longest));
	memcpy(longest, "n,,n=,r=", 8);
	assert_false(scram_read_client_first(scram, longest, sizeof(longest), &failure));
	assert_string_equal(failure.detail, "The message is too long.");
	longest[20] = '\0';
	assert_false(scram_read_client_first(scram, longest, 30, &failure));
	assert_string_equal(failure.detail, "Message length does not match input length.");
	longest[20] = 'a';
	assert_true(scram_read_client_first(scram, longest, SCRAM_MESSAGE_BYTES_MAX, &failure));
	answer = scram_server_first(scram, &length);
	assert_true(length < 2000 - 8); /* libpq takes no longer authentication message */
	assert_memory_equal(answer + length - 4, ",i=2", 4);
	assert_int_equal(scram_read_client_final(scram, longest, sizeof(longest), &failure),
		SCRAM_MALFORMED);
	scram_free(&scram);
}

#define PROOF "dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
#define NONCE "abc" SERVER_NONCE

static void test_scram__refuses_malformed_final_messages(void **state)
{
	static const char unexpected[] =
		"unexpected SCRAM channel-binding attribute in client-final-message";
	static const char malformed[] = "malformed SCRAM message";
	static const struct {
		const char *message;
		const char *text;
		const char *detail;
	} cases[] = {
		{"", malformed, "The message is empty."},
		{"r=" NONCE ",p=" PROOF, malformed, "Expected attribute \"c\" but found \"'r'\"."},
		{"c=eSws,r=" NONCE ",p=" PROOF, unexpected, ""},
		{"c=,r=" NONCE ",p=" PROOF, unexpected, ""},
		{"c=biws", malformed, "Expected attribute \"r\" but found \"0x00\"."},
		{"c=biws,p=" PROOF, malformed, "Expected attribute \"r\" but found \"'p'\"."},
		{"c=biws,r=" NONCE, malformed, "Attribute expected, but found end of string."},
		{"c=biws,r=" NONCE ",", malformed, "Attribute expected, but found end of string."},
		{"c=biws,r=" NONCE ",x=1,", malformed,
			"Attribute expected, but found end of string."},
		{"c=biws,r=" NONCE ",=1", malformed,
			"Attribute expected, but found invalid character \"'='\"."},
		{"c=biws,r=" NONCE ",p", malformed,
			"Expected character \"=\" for attribute \"p\"."},
		{"c=biws,r=" NONCE ",p=", malformed, "Malformed proof in client-final-message."},
		{"c=biws,r=" NONCE ",p=AAAA", malformed,
			"Malformed proof in client-final-message."},
		{"c=biws,r=" NONCE ",p=" PROOF "AAAA", malformed,
			"Malformed proof in client-final-message."},
		{"c=biws,r=" NONCE ",p=" PROOF ",x=1", malformed,
			"Garbage found at the end of client-final-message."},
		{"c=biws,r=abc,p=" PROOF, "invalid SCRAM response", "Nonce does not match."},
		{"c=biws,r=abd" SERVER_NONCE ",p=" PROOF, "invalid SCRAM response",
			"Nonce does not match."},
		{"c=biws,r=" NONCE "x,p=" PROOF, "invalid SCRAM response", "Nonce does not match."},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct scram *scram = new_exchange("secret", false, false);
		struct scram_failure failure;

		assert_true(scram_read_client_first(
			scram, (const uint8_t *)"n,,n=,r=abc", 11, &failure));
		if (scram_read_client_final(scram, (const uint8_t *)cases[i].message,
			    strlen(cases[i].message), &failure) != SCRAM_MALFORMED) {
			fail_msg("\"%s\" was taken", cases[i].message);
		}
		assert_string_equal(failure.sqlstate, "08P01");
		assert_string_equal(failure.message, cases[i].text);
		assert_string_equal(failure.detail, cases[i].detail);
		scram_free(&scram);
	}
}

static enum scram_outcome exchange_mutated(size_t at, uint8_t flip, size_t *length_out)
{
	struct scram_client client = {.password = "secret", .gs2_header = "n,,", .nonce = "abc"};
	struct scram *scram = new_exchange("secret", false, false);
	char text[SCRAM_CLIENT_TEXT_SIZE];
	struct scram_failure failure;
	enum scram_outcome outcome;
	const char *answer;
	size_t length;

	scram_client_first(&client, text);
	assert_true(scram_read_client_first(scram, (const uint8_t *)text, strlen(text), &failure));
	answer = scram_server_first(scram, &length);
	assert_true(scram_client_final(&client, answer, length, text));
	*length_out = strlen(text);
	text[at] = (char)(text[at] ^ flip);
	outcome = scram_read_client_final(scram, (const uint8_t *)text, *length_out, &failure);
	scram_free(&scram);
	return outcome;
}

static void test_scram__accepts_no_mutation_of_the_final_message(void **state)
{
	size_t length = 1;

	(void)state;
	assert_int_equal(exchange_mutated(0, 0, &length), SCRAM_ACCEPTED);
	for (size_t at = 0; at < length; at++) {
		for (unsigned bit = 0; bit < 8; bit++) {
			assert_int_not_equal(exchange_mutated(at, (uint8_t)(1u << bit), &length),
				SCRAM_ACCEPTED);
		}
	}
}

static void test_scram__a_first_message_changed_on_the_way_is_rejected(void **state)
{
	struct scram_client client = {
		.password = "secret", .gs2_header = "n,,", .user = "alice", .nonce = "abc"};
	struct scram *scram = new_exchange("secret", false, false);
	char text[SCRAM_CLIENT_TEXT_SIZE];
	struct scram_failure failure;
	const char *answer;
	size_t length;

	(void)state;
	scram_client_first(&client, text);
	assert_true(scram_read_client_first(
		scram, (const uint8_t *)"n,,n=alicf,r=abc", strlen(text), &failure));
	answer = scram_server_first(scram, &length);
	assert_true(scram_client_final(&client, answer, length, text));
	assert_int_equal(
		scram_read_client_final(scram, (const uint8_t *)text, strlen(text), &failure),
		SCRAM_REJECTED);
	scram_free(&scram);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_scram__plays_the_example_of_rfc_7677),
		cmocka_unit_test(test_scram__accepts_the_right_password),
		cmocka_unit_test(test_scram__rejects_a_wrong_password),
		cmocka_unit_test(test_scram__rejects_a_mock_even_with_its_password),
		cmocka_unit_test(test_scram__plus_refuses_another_certificate),
		cmocka_unit_test(test_scram__refuses_malformed_first_messages),
		cmocka_unit_test(test_scram__ignores_optional_extensions),
		cmocka_unit_test(test_scram__bounds_its_messages),
		cmocka_unit_test(test_scram__refuses_malformed_final_messages),
		cmocka_unit_test(test_scram__accepts_no_mutation_of_the_final_message),
		cmocka_unit_test(test_scram__a_first_message_changed_on_the_way_is_rejected),
	};
	return cmocka_run_group_tests_name("scram", tests, NULL, NULL);
}
