/*
 * ip_network: addresses and the networks they are in, IPv4 and IPv6. Pure.
 */
#ifndef BASE_IP_NETWORK_H
#define BASE_IP_NETWORK_H

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ip_address {
	uint8_t bytes[16];
	unsigned length; /* 4, 16; 0: none, as that of a Unix socket */
};

struct ip_network {
	struct ip_address address; /* host bits zero */
	unsigned prefix_bits;
};

/* "ADDRESS" or "ADDRESS/BITS"; bits past the prefix are cleared. */
bool ip_network_parse(const char *text, struct ip_network *network_out) MUST_CHECK;
bool ip_network_contains(const struct ip_network *network, const struct ip_address *address);

#endif
