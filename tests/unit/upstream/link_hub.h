/*
 * link_hub: what a hub would send: WAL with page images that come again, and its batches.
 */
#ifndef TESTS_LINK_HUB_H
#define TESTS_LINK_HUB_H

#include "protocol/link_codec.h"
#include "unit/protocol/link_wal.h"

#include <stddef.h>
#include <stdint.h>

#define HUB_SEGMENT (1u << 20)
#define HUB_START   ((lsn_t)HUB_SEGMENT)

struct link_hub {
	struct link_wal *wal; /* from HUB_START on */
	struct link_encoder *encoder;
	uint8_t *payload; /* 'z' and the batch last made */
	size_t payload_length;
	struct link_batch_stats stats;
};

/* length bytes of WAL, about; batches may refer as far back as noted_from. */
void link_hub_open(struct link_hub *hub, size_t length, lsn_t noted_from);
void link_hub_close(struct link_hub *hub);
const uint8_t *link_hub_bytes(const struct link_hub *hub, lsn_t lsn);
lsn_t link_hub_end(const struct link_hub *hub);
/* Where batches begin next: the encoder learns what lies between `noted_from` and there. */
void link_hub_seek(struct link_hub *hub, lsn_t noted_from, lsn_t lsn);
/* Encodes from lsn on, at most length bytes and never over a multiple of 1 MB; returns its end. */
lsn_t link_hub_encode(struct link_hub *hub, lsn_t lsn, size_t length);

#endif
