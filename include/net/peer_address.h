/*
 * peer_address: who is at the other end of a socket, as rules and logs spell it.
 */
#ifndef NET_PEER_ADDRESS_H
#define NET_PEER_ADDRESS_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

#define PEER_ADDRESS_SIZE (INET6_ADDRSTRLEN + 16)

/* A dual-stack socket shows IPv4 peers as ::ffff:a.b.c.d; rules are written for a.b.c.d. NULL: family
 * AF_UNSPEC, as of a socket pair. */
struct sockaddr_storage peer_address_plain(const struct sockaddr *peer);
/* "10.0.0.7:43210", "[2001:db8::1]:43210", or "[local]" for every other family. */
void peer_address_format(const struct sockaddr_storage *peer, char *out, size_t size);
/* The peer came by a Unix socket. */
bool peer_address_is_local(int fd, const struct sockaddr *peer);
/* What the socket is connected to is on this machine: a Unix socket, loopback, an address of our own. */
bool peer_address_shares_machine(int fd);

#endif
