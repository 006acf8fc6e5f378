/* Tests of net/proxy_protocol: both versions by table, every prefix, what is refused. */
#include "support/cmocka_all.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "net/proxy_protocol.h"

#define SIGNATURE "\x0d\x0a\x0d\x0a\x00\x0d\x0a\x51\x55\x49\x54\x0a"
#define INET_BODY "\x0a\x00\x00\x07\x0a\x00\x00\x01\x10\xe1\x19\x21"
#define INET6_BODY                                                                                 \
	"\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01"                                               \
	"\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x02"                                               \
	"\x10\xe1\x19\x21"
#define TLV                                                                                        \
	"\x04\x00\x03"                                                                             \
	"abc"
#define BYTES(text) text, sizeof(text) - 1

struct good {
	const char *name;
	const char *bytes;
	size_t length;
	const char *peer; /* "": the socket's */
};

static const struct good goods[] = {
	{"v1 tcp4", BYTES("PROXY TCP4 10.0.0.7 10.0.0.1 4321 6433\r\n"), "10.0.0.7 4321"},
	{"v1 tcp6", BYTES("PROXY TCP6 2001:db8::1 2001:db8::2 4321 6433\r\n"), "2001:db8::1 4321"},
	{"v1 port 0", BYTES("PROXY TCP4 10.0.0.7 10.0.0.1 0 65535\r\n"), "10.0.0.7 0"},
	{"v1 unknown", BYTES("PROXY UNKNOWN\r\n"), ""},
	{"v1 unknown with addresses", BYTES("PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n"), ""},
	{"v1 longest",
		BYTES("PROXY UNKNOWN ffff:f......f:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff "
		      "ffff:ffff:ffff:ffff:ffff:ffff 65\r\n"),
		""},
	{"v2 inet", BYTES(SIGNATURE "\x21\x11\x00\x0c" INET_BODY), "10.0.0.7 4321"},
	{"v2 inet with tlv", BYTES(SIGNATURE "\x21\x11\x00\x12" INET_BODY TLV), "10.0.0.7 4321"},
	{"v2 inet6", BYTES(SIGNATURE "\x21\x21\x00\x24" INET6_BODY), "2001:db8::1 4321"},
	{"v2 inet6 with tlv", BYTES(SIGNATURE "\x21\x21\x00\x2a" INET6_BODY TLV),
		"2001:db8::1 4321"},
	{"v2 unspecified", BYTES(SIGNATURE "\x21\x00\x00\x00"), ""},
	{"v2 unspecified with tlv", BYTES(SIGNATURE "\x21\x00\x00\x06" TLV), ""},
	{"v2 local", BYTES(SIGNATURE "\x20\x00\x00\x00"), ""},
	{"v2 local with addresses", BYTES(SIGNATURE "\x20\x11\x00\x0c" INET_BODY), ""},
	{"v2 local of any family", BYTES(SIGNATURE "\x20\xff\x00\x00"), ""},
	{"v2 datagram", BYTES(SIGNATURE "\x21\x12\x00\x0c" INET_BODY), ""},
};

static const char *peer_text(const struct proxy_protocol_header *header, char *text, size_t size)
{
	char host[INET6_ADDRSTRLEN];
	text[0] = '\0';
	if (!header->has_peer) {
		return text;
	}
	if (header->peer.ss_family == AF_INET) {
		const struct sockaddr_in *v4 = (const struct sockaddr_in *)&header->peer;
		inet_ntop(AF_INET, &v4->sin_addr, host, sizeof(host));
		snprintf(text, size, "%s %u", host, ntohs(v4->sin_port));
	} else {
		const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)&header->peer;
		inet_ntop(AF_INET6, &v6->sin6_addr, host, sizeof(host));
		snprintf(text, size, "%s %u", host, ntohs(v6->sin6_port));
	}
	return text;
}

static void test_proxy_protocol__decodes_both_versions(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(goods) / sizeof(goods[0]); i++) {
		char text[128];
		uint8_t bytes[512];
		const char *reason = NULL;
		struct proxy_protocol_header header = {0};
		memcpy(bytes, goods[i].bytes, goods[i].length);
		/* What follows belongs to the client. */
		memcpy(bytes + goods[i].length, "\r\nclient", 8);
		enum proxy_protocol_result result =
			proxy_protocol_decode(bytes, goods[i].length + 8, &header, &reason);
		if (result != PROXY_PROTOCOL_OK || header.consumed != goods[i].length) {
			fail_msg("%s: result %d, %zu consumed, %s", goods[i].name, result,
				header.consumed, reason == NULL ? "" : reason);
		}
		assert_string_equal(peer_text(&header, text, sizeof(text)), goods[i].peer);
	}
}

static void test_proxy_protocol__every_prefix_wants_more(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(goods) / sizeof(goods[0]); i++) {
		for (size_t length = 0; length < goods[i].length; length++) {
			struct proxy_protocol_header header = {.consumed = 77};
			const char *reason = NULL;
			uint8_t bytes[512];
			memcpy(bytes, goods[i].bytes, length);
			if (proxy_protocol_decode(bytes, length, &header, &reason) !=
				PROXY_PROTOCOL_MORE) {
				fail_msg("%s: %zu bytes do not want more", goods[i].name, length);
			}
			assert_int_equal(header.consumed, 77);
		}
	}
}

static void test_proxy_protocol__says_what_is_wrong(void **state)
{
	(void)state;
	static const char too_long[] =
		"PROXY UNKNOWN ffff:f.......f:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff "
		"ffff:ffff:ffff:ffff:ffff:ffff 65\r\n";
	static const struct {
		const char *bytes;
		size_t length;
		const char *reason;
	} cases[] = {
		{BYTES("\x00\x00\x00\x08"), "not a PROXY header"},
		{BYTES("X"), "not a PROXY header"},
		{BYTES("PROXI"), "not a PROXY header"},
		{BYTES("\x0d\x0a\x0d\x0a\x01"), "not a PROXY header"},
		{BYTES(too_long), "PROXY line is too long"},
		{BYTES("PROXY \n"), "PROXY line does not end with CR LF"},
		{BYTES("PROXY UNKNOWN\n"), "PROXY line does not end with CR LF"},
		{BYTES("PROXY \r\n"), "malformed PROXY line"},
		{BYTES("PROXY TCP5 10.0.0.7 10.0.0.1 1 2\r\n"), "malformed PROXY line"},
		{BYTES("PROXY TCP4\r\n"), "malformed PROXY line"},
		{BYTES("PROXY TCP4 10.0.0.7 10.0.0.1 1\r\n"), "malformed PROXY line"},
		{BYTES("PROXY TCP4 10.0.0.7 10.0.0.1 1 2 3\r\n"), "malformed PROXY line"},
		{BYTES("PROXY TCP4 10.0.0.7 10.0.0.1 1 2 \r\n"), "malformed PROXY line"},
		{BYTES("PROXY TCP4  10.0.0.7 10.0.0.1 1 2\r\n"), "malformed PROXY line"},
		{BYTES("PROXY TCP4 ::1 ::1 1 2\r\n"), "malformed PROXY line"},
		{BYTES("PROXY TCP6 10.0.0.7 10.0.0.1 1 2\r\n"), "malformed PROXY line"},
		{BYTES("PROXY TCP4 10.0.0.7 10.0.0.1 65536 2\r\n"), "malformed PROXY line"},
		{BYTES("PROXY TCP4 10.0.0.7 10.0.0.1 01 2\r\n"), "malformed PROXY line"},
		{BYTES("PROXY TCP4 10.0.0.7 10.0.0.1 +1 2\r\n"), "malformed PROXY line"},
		{BYTES("PROXY TCP4 10.0.0.7 10.0.0.1 1 x\r\n"), "malformed PROXY line"},
		{BYTES("PROXY TCP4 10.0.0.7\0 10.0.0.1 1 2\r\n"), "malformed PROXY line"},
		{BYTES(SIGNATURE "\x11\x11\x00\x0c"), "unknown PROXY version or command"},
		{BYTES(SIGNATURE "\x22\x11\x00\x0c"), "unknown PROXY version or command"},
		{BYTES(SIGNATURE "\x21\x13\x00\x0c"), "unknown PROXY address family"},
		{BYTES(SIGNATURE "\x21\x41\x00\x0c"), "unknown PROXY address family"},
		{BYTES(SIGNATURE "\x21\x01\x00\x0c"), "unknown PROXY address family"},
		{BYTES(SIGNATURE "\x21\x11\x00\x0b"),
			"PROXY header is too short for its addresses"},
		{BYTES(SIGNATURE "\x21\x21\x00\x23"),
			"PROXY header is too short for its addresses"},
		{BYTES(SIGNATURE "\x21\x31\x00\xd7"),
			"PROXY header is too short for its addresses"},
		{BYTES(SIGNATURE "\x21\x11\x07\xf1"), "PROXY header is too long"},
		{BYTES(SIGNATURE "\x20\x00\xff\xff"), "PROXY header is too long"},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const char *reason = "(none)";
		struct proxy_protocol_header header = {.consumed = 77};
		enum proxy_protocol_result result = proxy_protocol_decode(
			(const uint8_t *)cases[i].bytes, cases[i].length, &header, &reason);
		if (result != PROXY_PROTOCOL_BAD || strcmp(reason, cases[i].reason) != 0) {
			fail_msg("case %zu: result %d, %s", i, result, reason);
		}
		assert_int_equal(header.consumed, 77);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_proxy_protocol__decodes_both_versions),
		cmocka_unit_test(test_proxy_protocol__every_prefix_wants_more),
		cmocka_unit_test(test_proxy_protocol__says_what_is_wrong),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
