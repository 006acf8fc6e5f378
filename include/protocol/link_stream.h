/*
 * link_stream: what travels inside CopyData between two relays, beside what PostgreSQL sends.
 *
 *   'z' batch     one batch of link_codec, whose own header tells where it belongs  to the edge
 *   'p' promise   int64 oldest LSN, int64 bytes kept: as batches from here on       to the edge
 *                 keep to it
 *   'p' promise   the same: what the edge holds and will go on holding              to the hub
 *   'n' request   int64 LSN: what comes there could not be decoded                  to the hub
 *   'l' lanes     int32 count, int64 token: so many connections may share what      to the edge
 *                 follows
 *   'e' epoch     int32 number of requests: what follows heeds them                 to the edge
 *   'l' lanes     int32 count: so many are wished for                               to the hub
 *   'a' arrived   int64 LSN, int32 n, n times (int32 lane, int64 messages): all      to the hub
 *                 before the LSN, and so many messages over each lane
 *   'x' lost      int32 lane, int64 messages: it is gone after so many               to the hub
 *
 * The messages of repl_message come and go as with any server, but that a 'w' ends with 8 bytes more,
 * a check of its WAL: XXH64, its seed the LSN where the WAL starts. Pure functions.
 */
#ifndef PROTOCOL_LINK_STREAM_H
#define PROTOCOL_LINK_STREAM_H

#include "protocol/decode.h"
#include "protocol/lsn.h"
#include "protocol/repl_message.h"

#include <stddef.h>
#include <stdint.h>

#define LINK_PROMISE_BYTES 17
#define LINK_REQUEST_BYTES 9
#define LINK_LANES_BYTES   13
#define LINK_EPOCH_BYTES   5
#define LINK_WISH_BYTES    5
#define LINK_LOST_BYTES    13
#define LINK_CHECK_BYTES   8
#define LINK_LANES_MAX     16u
#define LINK_ARRIVED_BYTES (13 + 12 * LINK_LANES_MAX) /* at most */
/* As far as bytes can be kept behind an end: LSNs of batches are below it, too. */
#define LINK_KEEP_BYTES_MAX (UINT64_C(1) << 62)

/* Held without a hole from oldest_lsn on, along the present line of timelines, and of that always
 * at least keep_bytes behind the end. */
struct link_promise {
	lsn_t oldest_lsn;
	uint64_t keep_bytes; /* 0: nothing is promised */
};

/* Of connections that share a link's WAL. */
struct link_lane_plan {
	unsigned count; /* 2 to LINK_LANES_MAX */
	uint64_t token; /* for the others to be told to whom they belong */
};

/* One connection, and how many of its messages with WAL have come: all of them, in their order. */
struct link_lane_count {
	uint32_t lane; /* 0: the stream's own */
	uint64_t messages;
};

struct link_arrived {
	lsn_t lsn; /* all before it has come */
	unsigned count;
	struct link_lane_count lanes[LINK_LANES_MAX];
};

/* What the first byte announces; anything else, and WAL that its check does not fit, is DECODE_BAD. */
enum link_server_kind {
	LINK_SERVER_STREAM,
	LINK_SERVER_BATCH,
	LINK_SERVER_PROMISE,
	LINK_SERVER_LANES,
	LINK_SERVER_EPOCH
};
struct link_server_copy {
	enum link_server_kind kind;
	struct server_copy stream; /* 'w' and 'k' */
	const uint8_t *batch;      /* for link_decoder, which says whether it is one */
	size_t batch_length;
	struct link_promise promise;
	struct link_lane_plan lanes;
	uint32_t epoch;
};
enum decode_result link_server_copy_decode(const uint8_t *payload, size_t length,
	struct link_server_copy *copy_out, const char **reason_out);

enum link_client_kind {
	LINK_CLIENT_STREAM,
	LINK_CLIENT_PROMISE,
	LINK_CLIENT_REQUEST,
	LINK_CLIENT_WISH,
	LINK_CLIENT_ARRIVED,
	LINK_CLIENT_LOST
};
struct link_client_copy {
	enum link_client_kind kind;
	struct client_copy stream; /* 'r' and 'h' */
	struct link_promise promise;
	lsn_t request_lsn;
	unsigned wished_lanes;
	struct link_arrived arrived;
	struct link_lane_count lost;
};
enum decode_result link_client_copy_decode(const uint8_t *payload, size_t length,
	struct link_client_copy *copy_out, const char **reason_out);

/* Payload encoders return the number of bytes they write. */
size_t link_promise_encode(const struct link_promise *promise, uint8_t out[LINK_PROMISE_BYTES]);
size_t link_request_encode(lsn_t lsn, uint8_t out[LINK_REQUEST_BYTES]);
size_t link_lane_plan_encode(const struct link_lane_plan *lanes, uint8_t out[LINK_LANES_BYTES]);
size_t link_epoch_encode(uint32_t epoch, uint8_t out[LINK_EPOCH_BYTES]);
size_t link_wish_encode(unsigned count, uint8_t out[LINK_WISH_BYTES]);
size_t link_arrived_encode(const struct link_arrived *arrived, uint8_t out[LINK_ARRIVED_BYTES]);
size_t link_lost_encode(const struct link_lane_count *lost, uint8_t out[LINK_LOST_BYTES]);

/* 'd', length and the fields of a 'w' over a link: what precedes its WAL on the socket. Behind it
 * stands the check. */
size_t link_wal_header_encode(const struct wal_data *data, uint8_t out[WAL_FRAME_HEADER_BYTES]);
size_t link_check_encode(const struct wal_data *data, uint8_t out[LINK_CHECK_BYTES]);

/* 'd', length and 'z': all that precedes a batch on the socket. */
#define LINK_FRAME_HEADER_BYTES 6
size_t link_frame_header_encode(size_t batch_length, uint8_t out[LINK_FRAME_HEADER_BYTES]);

#endif
