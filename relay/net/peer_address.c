/*
 * Addresses are copied before they are looked into: a sockaddr may lie anywhere.
 */
#include "net/peer_address.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

static void unmap_ipv4(struct sockaddr_storage *address)
{
	struct sockaddr_in6 v6;
	memcpy(&v6, address, sizeof(v6));
	if (address->ss_family != AF_INET6 || !IN6_IS_ADDR_V4MAPPED(&v6.sin6_addr)) {
		return;
	}
	struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = v6.sin6_port};
	memcpy(&v4.sin_addr, &v6.sin6_addr.s6_addr[12], sizeof(v4.sin_addr));
	memset(address, 0, sizeof(*address));
	memcpy(address, &v4, sizeof(v4));
}

struct sockaddr_storage peer_address_plain(const struct sockaddr *peer)
{
	struct sockaddr_storage address = {.ss_family = AF_UNSPEC};
	if (peer != NULL && peer->sa_family == AF_INET) {
		memcpy(&address, peer, sizeof(struct sockaddr_in));
	} else if (peer != NULL && peer->sa_family == AF_INET6) {
		memcpy(&address, peer, sizeof(struct sockaddr_in6));
	} else if (peer != NULL) {
		address.ss_family = peer->sa_family;
	}
	unmap_ipv4(&address);
	return address;
}

void peer_address_format(const struct sockaddr_storage *peer, char *out, size_t size)
{
	char host[INET6_ADDRSTRLEN] = "";
	if (peer->ss_family == AF_INET) {
		const struct sockaddr_in *v4 = (const struct sockaddr_in *)peer;
		inet_ntop(AF_INET, &v4->sin_addr, host, sizeof(host));
		snprintf(out, size, "%s:%u", host, ntohs(v4->sin_port));
	} else if (peer->ss_family == AF_INET6) {
		const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)peer;
		inet_ntop(AF_INET6, &v6->sin6_addr, host, sizeof(host));
		snprintf(out, size, "[%s]:%u", host, ntohs(v6->sin6_port));
	} else {
		snprintf(out, size, "[local]");
	}
}

bool peer_address_is_local(int fd, const struct sockaddr *peer)
{
	int domain = AF_UNSPEC;
	socklen_t size = sizeof(domain);
	if (peer != NULL && (peer->sa_family == AF_INET || peer->sa_family == AF_INET6)) {
		return false;
	}
	return getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &size) == 0 && domain == AF_UNIX;
}

bool peer_address_shares_machine(int fd)
{
	struct sockaddr_storage own = {0}, peer = {0};
	socklen_t own_size = sizeof(own), peer_size = sizeof(peer);
	if (getsockname(fd, (struct sockaddr *)&own, &own_size) != 0 ||
		getpeername(fd, (struct sockaddr *)&peer, &peer_size) != 0 ||
		own.ss_family != peer.ss_family) {
		return false;
	}
	own = peer_address_plain((const struct sockaddr *)&own);
	peer = peer_address_plain((const struct sockaddr *)&peer);
	if (own.ss_family == AF_INET) {
		return ((const struct sockaddr_in *)&own)->sin_addr.s_addr ==
		       ((const struct sockaddr_in *)&peer)->sin_addr.s_addr;
	}
	return own.ss_family == AF_UNIX ||
	       (own.ss_family == AF_INET6 &&
		       IN6_ARE_ADDR_EQUAL(&((const struct sockaddr_in6 *)&own)->sin6_addr,
			       &((const struct sockaddr_in6 *)&peer)->sin6_addr));
}
