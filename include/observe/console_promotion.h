/*
 * console_promotion: SHOW PROMOTION, which shows what observe/promotion says.
 */
#ifndef OBSERVE_CONSOLE_PROMOTION_H
#define OBSERVE_CONSOLE_PROMOTION_H

#include "observe/console_result.h"
#include "observe/snapshot.h"

#define CONSOLE_PROMOTION_COLUMNS 11

extern const struct pg_typed_column console_promotion_columns[CONSOLE_PROMOTION_COLUMNS];

void console_promotion_fill(const struct snapshot *snapshot, struct console_result *result);

#endif
