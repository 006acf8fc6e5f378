/*
 * link_hub: an encoder over WAL made up in memory.
 */
#include "link_hub.h"

#include "support/cmocka_all.h"

#include <stdlib.h>
#include <string.h>

void link_hub_open(struct link_hub *hub, size_t length, lsn_t noted_from)
{
	memset(hub, 0, sizeof(*hub));
	hub->wal = link_wal_new(HUB_START, HUB_SEGMENT, length, 7);
	link_wal_fill(hub->wal, length);
	link_hub_seek(hub, noted_from, HUB_START);
}

void link_hub_close(struct link_hub *hub)
{
	link_encoder_free(&hub->encoder);
	link_wal_free(hub->wal);
	free(hub->payload);
}

const uint8_t *link_hub_bytes(const struct link_hub *hub, lsn_t lsn)
{
	return hub->wal->bytes + (lsn - HUB_START);
}

lsn_t link_hub_end(const struct link_hub *hub)
{
	return link_wal_end(hub->wal);
}

void link_hub_seek(struct link_hub *hub, lsn_t noted_from, lsn_t lsn)
{
	const struct link_encoder_options options = {
		.segment_bytes = HUB_SEGMENT,
		.level = 1,
		.reach_bytes = UINT64_C(1) << 30,
		.index_bytes = 65536,
		.earlier = link_wal_source(hub->wal),
	};

	link_encoder_free(&hub->encoder);
	hub->encoder = link_encoder_new(&options);
	assert_non_null(hub->encoder);
	if (noted_from < lsn) {
		link_encoder_note(hub->encoder, noted_from, link_hub_bytes(hub, noted_from),
			lsn - noted_from);
	}
}

lsn_t link_hub_encode(struct link_hub *hub, lsn_t lsn, size_t length)
{
	lsn_t end = lsn_min(lsn_min(lsn + length, link_batch_limit(lsn)), link_hub_end(hub));
	const uint8_t *batch;
	size_t batch_length;

	assert_true(lsn < end);
	assert_true(link_encoder_encode(hub->encoder, lsn, link_hub_bytes(hub, lsn), end - lsn,
		&batch, &batch_length, &hub->stats));
	free(hub->payload);
	hub->payload_length = batch_length + 1;
	hub->payload = malloc(hub->payload_length);
	assert_non_null(hub->payload);
	hub->payload[0] = 'z';
	memcpy(hub->payload + 1, batch, batch_length);
	return end;
}
