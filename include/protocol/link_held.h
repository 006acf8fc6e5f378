/*
 * link_held: 64 bits that stand for the WAL that an edge holds, by which two relays see whether what
 * both have is the same: XXH64, of bytes that come in pieces.
 *
 * No CRC-32C: the records have one of their own, and by how it is computed (over the payload, then
 * over the header before it) whatever differs in a record's header, its transaction say, cancels out
 * in a CRC-32C of the whole. Two servers that were promoted to one timeline may differ in no more.
 */
#ifndef PROTOCOL_LINK_HELD_H
#define PROTOCOL_LINK_HELD_H

#include <stddef.h>
#include <stdint.h>

struct link_held;

struct link_held *link_held_new(void);
/* Accepts NULL, sets NULL. */
void link_held_free(struct link_held **held);
void link_held_update(struct link_held *held, const void *bytes, size_t length);
/* Of all there was so far. */
uint64_t link_held_value(const struct link_held *held);

#endif
