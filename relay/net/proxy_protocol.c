/*
 * proxy_protocol: decodes PROXY headers of both versions.
 *
 * Version 2, all numbers big-endian:
 *
 *   0   12  signature 0D 0A 0D 0A 00 0D 0A 51 55 49 54 0A
 *   12   1  version (2) << 4 | command (0 LOCAL, 1 PROXY)
 *   13   1  family (0 unspecified, 1 IPv4, 2 IPv6, 3 Unix) << 4 | protocol (0, 1 stream, 2
 * datagram) 14   2  length of what follows 16      IPv4: source 4, destination 4, ports 2 + 2;
 * IPv6: 16, 16, 2 + 2; Unix: 108, 108 then TLVs, which are skipped
 */
#include "net/proxy_protocol.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#define V1_PREFIX       "PROXY "
#define V1_PREFIX_BYTES 6
#define V1_LINE_MAX     107 /* with its CR LF */

#define V2_HEAD_BYTES  16
#define V2_INET_BYTES  12
#define V2_INET6_BYTES 36
#define V2_UNIX_BYTES  216

static const uint8_t v2_signature[12] = {
	0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d, 0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a};

static enum proxy_protocol_result bad(const char **reason_out, const char *reason)
{
	*reason_out = reason;
	return PROXY_PROTOCOL_BAD;
}

/* Takes the word up to the next blank or the end; false: there is none. */
static bool next_word(char **at, char **word_out)
{
	*word_out = *at;
	if (*at == NULL || **at == '\0') {
		return false;
	}
	char *blank = strchr(*at, ' ');
	if (blank != NULL) {
		*blank = '\0';
	}
	*at = blank == NULL ? NULL : blank + 1;
	return **word_out != '\0';
}

static bool parse_port(const char *text, uint16_t *port_out)
{
	size_t digits = strspn(text, "0123456789");
	bool is_canonical = digits == 1 || text[0] != '0';
	if (digits == 0 || digits > 5 || text[digits] != '\0' || !is_canonical) {
		return false;
	}
	int port = atoi(text);
	*port_out = htons((uint16_t)port);
	return port <= 65535;
}

static bool parse_address(
	int family, const char *host, const char *port, struct sockaddr_storage *address_out)
{
	memset(address_out, 0, sizeof(*address_out));
	address_out->ss_family = (sa_family_t)family;
	if (family == AF_INET) {
		struct sockaddr_in *v4 = (struct sockaddr_in *)address_out;
		return inet_pton(AF_INET, host, &v4->sin_addr) == 1 &&
		       parse_port(port, &v4->sin_port);
	}
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)address_out;
	return inet_pton(AF_INET6, host, &v6->sin6_addr) == 1 && parse_port(port, &v6->sin6_port);
}

/* "TCP4 source destination source-port destination-port" or "UNKNOWN" and anything. */
static bool parse_v1_line(char *line, struct proxy_protocol_header *header)
{
	char *words[5];
	char *at = line;
	if (!next_word(&at, &words[0])) {
		return false;
	}
	if (strcmp(words[0], "UNKNOWN") == 0) {
		return true;
	}
	bool is_v4 = strcmp(words[0], "TCP4") == 0;
	if (!is_v4 && strcmp(words[0], "TCP6") != 0) {
		return false;
	}
	for (int i = 1; i < 5; i++) {
		if (!next_word(&at, &words[i])) {
			return false;
		}
	}
	int family = is_v4 ? AF_INET : AF_INET6;
	struct sockaddr_storage destination;
	header->has_peer = true;
	return at == NULL && parse_address(family, words[1], words[3], &header->peer) &&
	       parse_address(family, words[2], words[4], &destination);
}

static enum proxy_protocol_result decode_v1(const uint8_t *bytes, size_t length,
	struct proxy_protocol_header *header_out, const char **reason_out)
{
	char line[V1_LINE_MAX];
	size_t searched = length < V1_LINE_MAX ? length : V1_LINE_MAX;
	const uint8_t *end = memchr(bytes, '\n', searched);
	if (end == NULL) {
		return length < V1_LINE_MAX ? PROXY_PROTOCOL_MORE
					    : bad(reason_out, "PROXY line is too long");
	}
	size_t line_length = (size_t)(end - bytes) - V1_PREFIX_BYTES;
	memcpy(line, bytes + V1_PREFIX_BYTES, line_length);
	if (line_length == 0 || line[line_length - 1] != '\r') {
		return bad(reason_out, "PROXY line does not end with CR LF");
	}
	line[line_length - 1] = '\0';
	struct proxy_protocol_header header = {.consumed = (size_t)(end - bytes) + 1};
	if (strlen(line) != line_length - 1 || !parse_v1_line(line, &header)) {
		return bad(reason_out, "malformed PROXY line");
	}
	*header_out = header;
	return PROXY_PROTOCOL_OK;
}

static void take_v2_inet(const uint8_t *body, struct proxy_protocol_header *header)
{
	struct sockaddr_in *v4 = (struct sockaddr_in *)&header->peer;
	v4->sin_family = AF_INET;
	memcpy(&v4->sin_addr, body, 4);
	memcpy(&v4->sin_port, body + 8, 2);
	header->has_peer = true;
}

static void take_v2_inet6(const uint8_t *body, struct proxy_protocol_header *header)
{
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&header->peer;
	v6->sin6_family = AF_INET6;
	memcpy(&v6->sin6_addr, body, 16);
	memcpy(&v6->sin6_port, body + 32, 2);
	header->has_peer = true;
}

/* Bytes of addresses that this family and protocol must have; -1: not a defined combination. */
static int v2_address_bytes(uint8_t family)
{
	switch (family) {
	case 0x00: return 0;
	case 0x11:
	case 0x12: return V2_INET_BYTES;
	case 0x21:
	case 0x22: return V2_INET6_BYTES;
	case 0x31:
	case 0x32: return V2_UNIX_BYTES;
	default: return -1;
	}
}

static enum proxy_protocol_result decode_v2(const uint8_t *bytes, size_t length,
	struct proxy_protocol_header *header_out, const char **reason_out)
{
	if (length < V2_HEAD_BYTES) {
		return PROXY_PROTOCOL_MORE;
	}
	uint8_t command = bytes[12];
	uint8_t family = bytes[13];
	size_t body_length = (size_t)bytes[14] << 8 | bytes[15];
	bool is_local = command == 0x20;
	if (!is_local && command != 0x21) {
		return bad(reason_out, "unknown PROXY version or command");
	}
	/* Of LOCAL the specification says that the rest is to be ignored. */
	int address_bytes = is_local ? 0 : v2_address_bytes(family);
	if (address_bytes < 0) {
		return bad(reason_out, "unknown PROXY address family");
	}
	if (body_length < (size_t)address_bytes) {
		return bad(reason_out, "PROXY header is too short for its addresses");
	}
	if (V2_HEAD_BYTES + body_length > PROXY_PROTOCOL_BYTES_MAX) {
		return bad(reason_out, "PROXY header is too long");
	}
	if (length < V2_HEAD_BYTES + body_length) {
		return PROXY_PROTOCOL_MORE;
	}
	struct proxy_protocol_header header = {.consumed = V2_HEAD_BYTES + body_length};
	if (!is_local && family == 0x11) {
		take_v2_inet(bytes + V2_HEAD_BYTES, &header);
	} else if (!is_local && family == 0x21) {
		take_v2_inet6(bytes + V2_HEAD_BYTES, &header);
	}
	*header_out = header;
	return PROXY_PROTOCOL_OK;
}

static bool begins_with(
	const uint8_t *bytes, size_t length, const void *prefix, size_t prefix_length)
{
	return memcmp(bytes, prefix, length < prefix_length ? length : prefix_length) == 0;
}

enum proxy_protocol_result proxy_protocol_decode(const uint8_t *bytes, size_t length,
	struct proxy_protocol_header *header_out, const char **reason_out)
{
	if (length == 0) {
		return PROXY_PROTOCOL_MORE;
	}
	if (begins_with(bytes, length, v2_signature, sizeof(v2_signature))) {
		return decode_v2(bytes, length, header_out, reason_out);
	}
	if (!begins_with(bytes, length, V1_PREFIX, V1_PREFIX_BYTES)) {
		return bad(reason_out, "not a PROXY header");
	}
	if (length < V1_PREFIX_BYTES) {
		return PROXY_PROTOCOL_MORE;
	}
	return decode_v1(bytes, length, header_out, reason_out);
}
