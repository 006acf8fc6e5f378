/*
 * console_promotion: a row for each candidate.
 */
#include "observe/console_promotion.h"

#include <stdlib.h>

#include "base/memory.h"
#include "observe/promotion.h"

const struct pg_typed_column console_promotion_columns[CONSOLE_PROMOTION_COLUMNS] = {
	{"rank", PG_TYPE_INT4},
	{"application_name", PG_TYPE_TEXT},
	{"client_addr", PG_TYPE_INET},
	{"client_port", PG_TYPE_INT4},
	{"kind", PG_TYPE_TEXT},
	{"timeline", PG_TYPE_INT8},
	{"flush_lsn", PG_TYPE_LSN},
	{"replay_lsn", PG_TYPE_LSN},
	{"missing_bytes", PG_TYPE_INT8},
	{"would_lose_bytes", PG_TYPE_INT8},
	{"drained", PG_TYPE_BOOL},
};

static void put_candidate(
	const struct promotion_candidate *candidate, struct console_result *result)
{
	const struct standby_stats *standby = candidate->standby;
	bool is_known = candidate->is_known;
	console_put_number(result, candidate->rank != 0 ? candidate->rank : CONSOLE_NOT_KNOWN);
	console_put_text(result, standby->application_name);
	console_put_address(result, standby->peer);
	console_put_port(result, standby->peer);
	console_put_text(result, promotion_kind_name(candidate->kind));
	console_put_number(result, standby->tli == 0 ? CONSOLE_NOT_KNOWN : standby->tli);
	console_put_lsn(result, standby->flush_lsn);
	console_put_lsn(result, standby->replay_lsn);
	console_put_number(result, is_known ? candidate->missing_bytes : CONSOLE_NOT_KNOWN);
	console_put_number(result, is_known ? candidate->would_lose_bytes : CONSOLE_NOT_KNOWN);
	console_put_bool(result, candidate->is_drained);
}

void console_promotion_fill(const struct snapshot *snapshot, struct console_result *result)
{
	struct promotion_candidate *candidates =
		memory_new((snapshot->standby_count + 1) * sizeof(*candidates));
	size_t count = promotion_rank(snapshot, candidates);
	for (size_t i = 0; i < count; i++) {
		put_candidate(&candidates[i], result);
	}
	free(candidates);
}
