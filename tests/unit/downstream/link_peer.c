/*
 * link_peer: a blocking client with a decoder.
 */
#include "link_peer.h"

#include <stdio.h>
#include <string.h>

#include "cmocka_all.h"

static size_t read_earlier(void *context, lsn_t lsn, size_t length, const uint8_t **bytes_out)
{
	const struct link_peer *peer = context;
	lsn_t kept = peer->at > peer->promise.keep_bytes ? peer->at - peer->promise.keep_bytes : 0;
	/* A record that is being received is held whatever was promised. */
	lsn_t oldest = lsn_max(peer->promise.oldest_lsn, kept);
	if (lsn < oldest || lsn >= peer->at) {
		return 0;
	}
	*bytes_out = wal_maker_bytes(peer->fixture->maker, lsn);
	return length < peer->at - lsn ? length : peer->at - lsn;
}

void link_peer_open(struct link_peer *peer, struct relay_fixture *fixture, lsn_t from,
	const struct link_start *start)
{
	struct link_start terms = {.terms = {.version = 1}};
	char options[LINK_START_TEXT_SIZE];
	char query[LINK_START_TEXT_SIZE + 64];
	*peer = (struct link_peer){.fixture = fixture, .at = from};
	if (start != NULL) {
		terms = *start;
		terms.terms.version = 1;
		peer->promise = start->promise;
	}
	const struct link_source source = {.read = read_earlier, .context = peer};
	peer->decoder = link_decoder_new(FIXTURE_SEGMENT, &source);
	assert_non_null(peer->decoder);
	relay_fixture_log_in(fixture, &peer->client);
	snprintf(query, sizeof(query), "START_REPLICATION " LSN_FORMAT " TIMELINE %u %s",
		LSN_ARGS(from), fixture->maker->tli, link_start_format(&terms, options));
	raw_client_query(&peer->client, query);
	assert_string_equal(raw_client_next(&peer->client), "W");
}

void link_peer_close(struct link_peer *peer)
{
	raw_client_close(&peer->client);
	link_decoder_free(&peer->decoder);
}

static void take_wal(struct link_peer *peer, lsn_t start, const uint8_t *bytes, size_t length)
{
	if (start != peer->at && peer->is_forgetful) {
		return;
	}
	assert_int_equal(start, peer->at);
	assert_memory_equal(bytes, wal_maker_bytes(peer->fixture->maker, start), length);
	peer->at = start + length;
}

static void take_batch(struct link_peer *peer, const uint8_t *batch, size_t length)
{
	struct link_decoded decoded;
	enum link_result result = link_decoder_decode(peer->decoder, batch, length, &decoded);
	peer->batches++;
	peer->frames += batch[1] & 1;
	peer->wire_bytes += length;
	if (result == LINK_OK) {
		take_wal(peer, decoded.start, decoded.raw, decoded.length);
		return;
	}
	if (!peer->is_forgetful) {
		fail_msg("at " LSN_FORMAT " (flags %u, +%u): %s", LSN_ARGS(peer->at), batch[1],
			peer->batches, decoded.reason);
	}
	peer->needs_plain++;
}

char link_peer_step(struct link_peer *peer)
{
	struct link_server_copy message;
	const char *reason;
	raw_client_next(&peer->client);
	if (peer->client.type != 'd') {
		return peer->client.type;
	}
	if (link_server_copy_decode(
		    peer->client.body, peer->client.body_length, &message, &reason) != DECODE_OK) {
		fail_msg("%s", reason);
	}
	switch (message.kind) {
	case LINK_SERVER_BATCH: take_batch(peer, message.batch, message.batch_length); break;
	case LINK_SERVER_PROMISE: peer->answered = message.promise; break;
	case LINK_SERVER_LANES:
	case LINK_SERVER_EPOCH: break;
	case LINK_SERVER_STREAM:
		if (peer->client.body[0] == 'w') {
			const struct wal_data *data = &message.stream.wal;
			peer->plain_messages++;
			take_wal(peer, data->start_lsn, data->wal, data->wal_length);
		}
		break;
	}
	return (char)peer->client.body[0];
}

void link_peer_read_to(struct link_peer *peer, lsn_t to)
{
	while (peer->at < to) {
		char type = link_peer_step(peer);
		if (strchr("wkzpl", type) == NULL) {
			fail_msg("%s", peer->client.text);
		}
	}
	assert_int_equal(peer->at, to);
}

void link_peer_promise(struct link_peer *peer, lsn_t oldest, uint64_t keep)
{
	uint8_t payload[LINK_PROMISE_BYTES];
	const struct link_promise promise = {.oldest_lsn = oldest, .keep_bytes = keep};
	size_t length = link_promise_encode(&promise, payload);
	raw_client_message(&peer->client, 'd', payload, length);
}

void link_peer_ask_plain(struct link_peer *peer, lsn_t lsn)
{
	uint8_t payload[LINK_REQUEST_BYTES];
	size_t length = link_request_encode(lsn, payload);
	raw_client_message(&peer->client, 'd', payload, length);
}
