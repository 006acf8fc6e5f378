/*
 * wal_receiver_link: the inside of wal_receiver where the server is a relay; for its files
 * (wal_receiver.c, wal_receiver_link.c) and nobody else.
 */
#ifndef UPSTREAM_WAL_RECEIVER_LINK_H
#define UPSTREAM_WAL_RECEIVER_LINK_H

#include "upstream/wal_receiver.h"

/* --- wal_receiver.c ---------------------------------------------------------------------------
 */

/* What comes next; may end the receiver. */
void wal_receiver_take_payload(
	struct wal_receiver *receiver, const uint8_t *payload, size_t length);
/* No more is there now. */
void wal_receiver_on_run(struct wal_receiver *receiver);

/* --- wal_receiver_link.c ----------------------------------------------------------------------
 */

/* Nothing, where it is a plain stream. */
bool wal_receiver_start_link(struct wal_receiver *receiver, struct error *err) MUST_CHECK;
/* False: there is no message, or the receiver has failed. */
bool wal_receiver_take_link_copy(struct wal_receiver *receiver, const uint8_t *payload,
	size_t length, struct server_copy *copy_out);
/* False: the receiver has failed. */
bool wal_receiver_promise_if_due(struct wal_receiver *receiver);

#endif
