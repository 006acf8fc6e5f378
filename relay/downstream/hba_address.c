/*
 * The kernel is asked for its interfaces each time: addresses come and go while the relay runs.
 */
#include "downstream/hba_address.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <netinet/in.h>
#include <string.h>

bool hba_address_parse(const char *text, struct hba_address *address_out)
{
	if (inet_pton(AF_INET, text, address_out->bytes) == 1) {
		address_out->family = AF_INET;
		address_out->length = 4;
		return true;
	}
	if (inet_pton(AF_INET6, text, address_out->bytes) == 1) {
		address_out->family = AF_INET6;
		address_out->length = 16;
		return true;
	}
	return false;
}

bool hba_mask_parse(
	const char *bits, const struct hba_address *network, struct hba_address *mask_out)
{
	unsigned count = 0;

	if (bits[0] == '\0' || strlen(bits) > 3 || strspn(bits, "0123456789") != strlen(bits)) {
		return false;
	}
	for (; *bits != '\0'; bits++) {
		count = count * 10 + (unsigned)(*bits - '0');
	}
	if (count > 8 * network->length) {
		return false;
	}
	*mask_out = (struct hba_address){.family = network->family, .length = network->length};
	for (unsigned i = 0; i < count; i++) {
		mask_out->bytes[i / 8] |= (uint8_t)(0x80 >> i % 8);
	}
	return true;
}

struct hba_address hba_address_of(const struct sockaddr *socket_address)
{
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
	struct hba_address address = {.family = AF_UNSPEC};

	if (socket_address == NULL) {
		return address;
	}
	if (socket_address->sa_family == AF_INET) {
		const struct sockaddr_in *in = (const void *)socket_address;
		address = (struct hba_address){.family = AF_INET, .length = 4};
		memcpy(address.bytes, &in->sin_addr, 4);
	} else if (socket_address->sa_family == AF_INET6) {
		const struct sockaddr_in6 *in6 = (const void *)socket_address;
		const uint8_t *bytes = in6->sin6_addr.s6_addr;
		bool is_mapped = memcmp(bytes, mapped, sizeof(mapped)) == 0;
		address.family = is_mapped ? AF_INET : AF_INET6;
		address.length = is_mapped ? 4 : 16;
		memcpy(address.bytes, bytes + (16 - address.length), address.length);
	}
	return address;
}

bool hba_address_is_in(const struct hba_address *address, const struct hba_address *network,
	const struct hba_address *mask)
{
	uint8_t difference = 0;

	if (address->family != network->family || address->family == AF_UNSPEC) {
		return false;
	}
	for (size_t i = 0; i < address->length; i++) {
		difference |= (uint8_t)((address->bytes[i] ^ network->bytes[i]) & mask->bytes[i]);
	}
	return difference == 0;
}

/* All ones for one host; an interface's netmask for its network, where it has one. */
static struct hba_address mask_of(
	const struct ifaddrs *interface, const struct hba_address *own, bool whole_network)
{
	static const uint8_t zeros[16];
	struct hba_address mask = hba_address_of(interface->ifa_netmask);

	if (!whole_network || mask.family != own->family ||
		memcmp(mask.bytes, zeros, sizeof(zeros)) == 0) {
		mask = *own;
		memset(mask.bytes, 0xff, sizeof(mask.bytes));
	}
	return mask;
}

bool hba_address_is_own(const struct hba_address *address, bool whole_network)
{
	struct ifaddrs *interfaces;
	bool found = false;

	if (getifaddrs(&interfaces) != 0) {
		return false;
	}
	for (const struct ifaddrs *at = interfaces; at != NULL && !found; at = at->ifa_next) {
		struct hba_address own = hba_address_of(at->ifa_addr);
		struct hba_address mask = mask_of(at, &own, whole_network);

		found = hba_address_is_in(address, &own, &mask);
	}
	freeifaddrs(interfaces);
	return found;
}
