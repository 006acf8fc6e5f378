/*
 * link_peer: a relay at the far end of a link, as far as WAL goes: it decodes what comes, looks
 * back no further than it promised, and compares each byte with what was made.
 */
#ifndef TESTS_LINK_PEER_H
#define TESTS_LINK_PEER_H

#include "protocol/link_codec.h"
#include "protocol/link_stream.h"
#include "protocol/link_terms.h"
#include "relay_fixture.h"

struct link_peer {
	struct relay_fixture *fixture;
	struct raw_client client;
	struct link_decoder *decoder;
	struct link_promise promise;  /* as it would read: what it holds */
	struct link_promise answered; /* as the other end says it uses it */
	lsn_t at;                     /* end of what it has */
	unsigned batches, frames, plain_messages, needs_plain;
	size_t wire_bytes;
	bool is_forgetful; /* asks for what it cannot decode, does not fail the test */
};

/* Logs in and asks for WAL from there on, over a link. start NULL: it holds nothing. */
void link_peer_open(struct link_peer *peer, struct relay_fixture *fixture, lsn_t from,
	const struct link_start *start);
void link_peer_close(struct link_peer *peer);
/* One message; answers its first byte, or the type of what is not CopyData. */
char link_peer_step(struct link_peer *peer);
void link_peer_read_to(struct link_peer *peer, lsn_t to);
void link_peer_promise(struct link_peer *peer, lsn_t oldest, uint64_t keep);
void link_peer_ask_plain(struct link_peer *peer, lsn_t lsn);

#endif
