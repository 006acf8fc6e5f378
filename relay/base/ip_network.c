/*
 * ip_network: prefixes compared bit by bit.
 */
#include "base/ip_network.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool parse_address(const char *text, struct ip_address *address_out)
{
	struct ip_address address = {.length = 4};
	if (inet_pton(AF_INET, text, address.bytes) != 1) {
		address.length = 16;
		if (inet_pton(AF_INET6, text, address.bytes) != 1) {
			return false;
		}
	}
	*address_out = address;
	return true;
}

static bool parse_bits(const char *text, unsigned bits_max, unsigned *bits_out)
{
	size_t length = strlen(text);
	if (length == 0 || length > 3 || strspn(text, "0123456789") != length) {
		return false;
	}
	*bits_out = (unsigned)atoi(text);
	return *bits_out <= bits_max;
}

static uint8_t byte_mask(unsigned prefix_bits, unsigned byte)
{
	unsigned before = byte * 8;
	if (prefix_bits <= before) {
		return 0;
	}
	return prefix_bits >= before + 8 ? 0xff : (uint8_t)(0xff << (before + 8 - prefix_bits));
}

bool ip_network_parse(const char *text, struct ip_network *network_out)
{
	char address[INET6_ADDRSTRLEN + 1];
	struct ip_network network;
	size_t length = strcspn(text, "/");
	if (length >= sizeof(address)) {
		return false;
	}
	snprintf(address, sizeof(address), "%.*s", (int)length, text);
	if (!parse_address(address, &network.address)) {
		return false;
	}
	network.prefix_bits = network.address.length * 8;
	if (text[length] == '/' &&
		!parse_bits(text + length + 1, network.prefix_bits, &network.prefix_bits)) {
		return false;
	}
	for (unsigned i = 0; i < network.address.length; i++) {
		network.address.bytes[i] &= byte_mask(network.prefix_bits, i);
	}
	*network_out = network;
	return true;
}

bool ip_network_contains(const struct ip_network *network, const struct ip_address *address)
{
	if (network->address.length != address->length || address->length == 0) {
		return false;
	}
	for (unsigned i = 0; i < address->length; i++) {
		if ((address->bytes[i] & byte_mask(network->prefix_bits, i)) !=
			network->address.bytes[i]) {
			return false;
		}
	}
	return true;
}
