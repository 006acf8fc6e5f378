/*
 * link_sender: a stream's WAL to another relay: batches of the shared encoder, and where those
 * cannot be had or were not understood, WAL as it is.
 *
 * It takes a batch when its connection has sent all it had, so batches are as large as the path
 * makes them. What the receiver promises to hold goes to its seat, and comes back to it before the
 * first batch that keeps to it.
 *
 * Where one connection is less than the path could carry, the receiver is told so, and may open
 * more. From then on this one is the first of a group (lane_group.h), which share what comes.
 *
 * When the receiver says what it holds of the segment it asks for, that is compared with ours
 * first: where it is the same, the stream begins at its end.
 */
#ifndef DOWNSTREAM_LINK_SENDER_H
#define DOWNSTREAM_LINK_SENDER_H

#include "base/error.h"
#include "downstream/lane_group.h"
#include "downstream/shared_encoder.h"
#include "downstream/wal_stream.h"
#include "protocol/link_terms.h"

/* Over how many connections one relay may be sent WAL. */
struct link_lane_rules {
	unsigned count; /* 0: as many as help; 1: one, and lanes are not offered */
	struct lane_groups *groups;
};

/* Fails as wal_stream_init(), and when what was asked for cannot be. */
struct wal_stream *link_sender_new(const struct wal_stream_options *options,
	struct shared_encoder *encoder, const struct link_start *start,
	const struct link_lane_rules *lanes, struct error *err) MUST_CHECK;

#endif
