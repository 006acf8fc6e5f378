/*
 * hba_address: IPv4 and IPv6 addresses, masks, and whether an address lies within one.
 *
 * An IPv4 address in IPv6 clothes (::ffff:a.b.c.d, as a dual-stack socket shows it) is an IPv4
 * address when it comes from a socket.
 */
#ifndef DOWNSTREAM_HBA_ADDRESS_H
#define DOWNSTREAM_HBA_ADDRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

struct hba_address {
	int family;    /* AF_INET, AF_INET6, or AF_UNSPEC: in no range */
	size_t length; /* 4 or 16 */
	uint8_t bytes[16];
};

/* NULL and other families give AF_UNSPEC. */
struct hba_address hba_address_of(const struct sockaddr *socket_address);
/* The text of an address, nothing else: "10.0.0.1", "2001:db8::1". */
bool hba_address_parse(const char *text, struct hba_address *address_out);
/* A number of bits, as in "/24", for an address of network's family. */
bool hba_mask_parse(
	const char *bits, const struct hba_address *network, struct hba_address *mask_out);

bool hba_address_is_in(const struct hba_address *address, const struct hba_address *network,
	const struct hba_address *mask);
/* An address of this machine, or with whole_network one in a network it has an address in. */
bool hba_address_is_own(const struct hba_address *address, bool whole_network);

#endif
