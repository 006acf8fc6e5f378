/*
 * link_kinds: counting what a batch is made of (enum link_kind), and what was sent for each.
 */
#ifndef PROTOCOL_LINK_KINDS_H
#define PROTOCOL_LINK_KINDS_H

#include "protocol/link_codec.h"
#include "protocol/link_columns.h"

#include <stdint.h>

/* Of records of that resource manager, images excepted. */
enum link_kind link_kind_of(uint8_t rmgr);
/* raw_bytes, batch_bytes and raw[] of what was looked at are there: adds zeros, and what was sent.
 * columns: of a batch that was taken apart; NULL: it went plain. */
void link_stats_finish(struct link_batch_stats *stats, const struct link_columns *columns);

#endif
