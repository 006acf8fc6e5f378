/*
 * console_promotion: what would be lost if a standby were promoted now.
 *
 * Standbys that replay are ranked by what they have flushed, those on the newest timeline first.
 * Relays and receivers of WAL hold some too, but cannot be promoted: they have no rank. A standby
 * is drained when it holds all that this relay received; would_lose_bytes counts up to the end that
 * the upstream told last, so it is right only as far as the upstream has told.
 */
#ifndef OBSERVE_CONSOLE_PROMOTION_H
#define OBSERVE_CONSOLE_PROMOTION_H

#include "observe/console_result.h"
#include "observe/snapshot.h"

#define CONSOLE_PROMOTION_COLUMNS 11

extern const struct pg_typed_column console_promotion_columns[CONSOLE_PROMOTION_COLUMNS];

void console_promotion_fill(const struct snapshot *snapshot, struct console_result *result);

#endif
