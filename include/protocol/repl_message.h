/*
 * repl_message: what travels inside CopyData while WAL is streamed.
 *
 *   'w' XLogData          int64 start, int64 server end, int64 time, WAL bytes       to the client
 *   'k' keepalive         int64 server end, int64 time, byte reply requested (18)    to the client
 *   'r' standby status    int64 write, flush, apply, int64 time, byte reply (34)     to the server
 *   'h' hot standby       int64 time, int32 xmin, epoch, [int32 catalog xmin, epoch] to the server
 *       feedback          (25 bytes; 17 from 9.3 to 9.6)
 *
 * Source: PostgreSQL documentation, "Streaming Replication Protocol". Times are microseconds since
 * 2000-01-01 00:00:00 UTC. Pure functions.
 */
#ifndef PROTOCOL_REPL_MESSAGE_H
#define PROTOCOL_REPL_MESSAGE_H

#include "protocol/decode.h"
#include "protocol/lsn.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WAL_DATA_HEADER_BYTES 25      /* of 'w', before the WAL */
#define WAL_DATA_BYTES_MAX    131072u /* MAX_SEND_SIZE: receivers expect no more a message */
#define KEEPALIVE_BYTES       18
#define STANDBY_STATUS_BYTES  34
#define FEEDBACK_BYTES        25
#define PG_EPOCH_UNIX_US      INT64_C(946684800000000)

struct wal_data {
	lsn_t start_lsn;
	lsn_t server_end_lsn;
	int64_t sent_at; /* PostgreSQL time */
	const uint8_t *wal;
	size_t wal_length;
};

struct keepalive {
	lsn_t server_end_lsn;
	int64_t sent_at;
	bool reply_requested;
};

struct standby_status {
	lsn_t write_lsn; /* 0: unknown, in each of the three */
	lsn_t flush_lsn;
	lsn_t apply_lsn;
	int64_t sent_at;
	bool reply_requested;
};

struct standby_feedback {
	int64_t sent_at;
	uint32_t xmin; /* 0: none */
	uint32_t xmin_epoch;
	uint32_t catalog_xmin;
	uint32_t catalog_xmin_epoch;
};

/* What the first byte of a CopyData payload announces; anything else is DECODE_BAD. */
enum server_copy_kind { SERVER_COPY_WAL, SERVER_COPY_KEEPALIVE };
struct server_copy {
	enum server_copy_kind kind;
	struct wal_data wal;
	struct keepalive keepalive;
};
enum decode_result server_copy_decode(const uint8_t *payload, size_t length,
	struct server_copy *copy_out, const char **reason_out);

enum client_copy_kind { CLIENT_COPY_STATUS, CLIENT_COPY_FEEDBACK };
struct client_copy {
	enum client_copy_kind kind;
	struct standby_status status;
	struct standby_feedback feedback;
};
enum decode_result client_copy_decode(const uint8_t *payload, size_t length,
	struct client_copy *copy_out, const char **reason_out);

/* Payload encoders write a fixed number of bytes and return it. */
size_t wal_data_header_encode(const struct wal_data *data, uint8_t out[WAL_DATA_HEADER_BYTES]);
size_t keepalive_encode(const struct keepalive *keepalive, uint8_t out[KEEPALIVE_BYTES]);
size_t standby_status_encode(const struct standby_status *status, uint8_t out[STANDBY_STATUS_BYTES]);
size_t standby_feedback_encode(const struct standby_feedback *feedback, uint8_t out[FEEDBACK_BYTES]);

/* 'd', length and the 25 bytes of a 'w': all that precedes wal_length bytes of WAL on the socket. */
#define WAL_FRAME_HEADER_BYTES (5 + WAL_DATA_HEADER_BYTES)
size_t wal_frame_header_encode(const struct wal_data *data, uint8_t out[WAL_FRAME_HEADER_BYTES]);

#endif
