/*
 * auth_peer: a client at the other end of client_auth: says who it is, answers what it is sent.
 */
#ifndef TESTS_AUTH_PEER_H
#define TESTS_AUTH_PEER_H

#include "downstream/client_auth.h"
#include "net/tls_facts.h"

#include "support/scram_client.h"

struct auth_peer {
	struct client_auth *auth;
	struct client_auth_request request; /* change before auth_peer_begin() */
	struct sockaddr_storage address;
	char name[64];
	char *texts[2];
	struct tls_names certificate;
	struct wire_writer out; /* what the last step sent */
	struct error err;
};

/* Replication over TCP from 10.0.0.1 as "rep". users: lines of a users file, NULL: no file. */
void auth_peer_init(struct auth_peer *peer, const char *rules, const char *users);
void auth_peer_release(struct auth_peer *peer);
void auth_peer_set_address(struct auth_peer *peer, const char *text);
/* With channel binding to auth_peer_certificate. name: one of two that a client certificate has;
 * NULL: none is shown. */
void auth_peer_set_tls(struct auth_peer *peer, const char *name);
extern const uint8_t auth_peer_certificate[32];

enum client_auth_step auth_peer_begin(struct auth_peer *peer);
enum client_auth_step auth_peer_send(struct auth_peer *peer, const void *body, size_t length);
/* SASLInitialResponse; data NULL: without. */
enum client_auth_step auth_peer_choose(
	struct auth_peer *peer, const char *mechanism, const char *data);
/* The whole exchange after auth_peer_begin(). */
enum client_auth_step auth_peer_log_in(
	struct auth_peer *peer, const char *mechanism, struct scram_client *client);
/* The payload of the one 'R' message sent last, which must be of this code. */
const char *auth_peer_received(const struct auth_peer *peer, uint32_t code, size_t *length_out);

#endif
