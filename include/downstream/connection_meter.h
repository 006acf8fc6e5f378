/*
 * connection_meter: what one connection adds to its destination's meter.
 *
 * It lives as long as the connection's socket, which may outlive its session: the last reading is
 * taken right before the socket is closed, when what is still to be sent is known. On the
 * connection's loop.
 */
#ifndef DOWNSTREAM_CONNECTION_METER_H
#define DOWNSTREAM_CONNECTION_METER_H

#include "destination/destination.h"
#include "net/connection.h"
#include "protocol/link_codec.h"

#include <stdbool.h>
#include <stdint.h>

struct connection_meter;

/* Belongs to the connection from then on. loop: its number among those that count. */
struct connection_meter *connection_meter_attach(
	struct connection *connection, struct destination *destination, unsigned loop);

/* What was taken so far stays with the old one. */
void connection_meter_move(struct connection_meter *meter, struct destination *destination);
/* Adds what has come since the last time. Totals of the session; is_backup: what left meanwhile was
 * for a base backup. */
void connection_meter_take(
	struct connection_meter *meter, uint64_t wal_bytes, uint64_t backup_bytes, bool is_backup);
/* A batch of a link was queued. */
void connection_meter_add_batch(
	struct connection_meter *meter, const struct link_batch_stats *stats);

#endif
