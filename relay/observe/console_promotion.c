/*
 * console_promotion: a sorted list and the distances from it to two ends.
 */
#include "observe/console_promotion.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

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

/* A standby replays, a receiver (pg_receivewal) does not; a relay says how far its standbys have
 * replayed. */
static const char *kind_of(const struct standby_stats *standby)
{
	return standby->is_link                     ? "relay"
	       : standby->replay_lsn != LSN_INVALID ? "standby"
						    : "receiver";
}

static bool has_rank(const struct standby_stats *standby)
{
	return !standby->is_link && standby->replay_lsn != LSN_INVALID;
}

static int compare_numbers(uint64_t larger_first_a, uint64_t larger_first_b)
{
	return larger_first_a > larger_first_b ? -1 : larger_first_a < larger_first_b;
}

static int compare(const void *a, const void *b)
{
	const struct standby_stats *left = *(const struct standby_stats *const *)a;
	const struct standby_stats *right = *(const struct standby_stats *const *)b;
	const int orders[] = {
		compare_numbers(has_rank(left), has_rank(right)),
		compare_numbers(left->tli, right->tli),
		compare_numbers(left->flush_lsn, right->flush_lsn),
		compare_numbers(left->replay_lsn, right->replay_lsn),
		strcmp(left->application_name, right->application_name),
		compare_numbers(right->pid, left->pid),
	};
	for (size_t i = 0; i < sizeof(orders) / sizeof(orders[0]); i++) {
		if (orders[i] != 0) {
			return orders[i];
		}
	}
	return 0;
}

static uint64_t distance(lsn_t from, lsn_t to)
{
	return to > from ? to - from : 0;
}

static void put_candidate(const struct snapshot *snapshot, const struct standby_stats *standby,
	uint64_t rank, struct console_result *result)
{
	lsn_t received = snapshot->store.received_lsn;
	lsn_t end = lsn_max(received, snapshot->upstream.server_end_lsn);
	bool is_known = standby->flush_lsn != LSN_INVALID;
	uint64_t missing = distance(standby->flush_lsn, received);
	console_put_number(result, has_rank(standby) ? rank : CONSOLE_NOT_KNOWN);
	console_put_text(result, standby->application_name);
	console_put_address(result, standby->peer);
	console_put_port(result, standby->peer);
	console_put_text(result, kind_of(standby));
	console_put_number(result, standby->tli == 0 ? CONSOLE_NOT_KNOWN : standby->tli);
	console_put_lsn(result, standby->flush_lsn);
	console_put_lsn(result, standby->replay_lsn);
	console_put_number(result, is_known ? missing : CONSOLE_NOT_KNOWN);
	console_put_number(
		result, is_known ? distance(standby->flush_lsn, end) : CONSOLE_NOT_KNOWN);
	console_put_bool(result, is_known && missing == 0 && standby->tli == snapshot->store.tli);
}

void console_promotion_fill(const struct snapshot *snapshot, struct console_result *result)
{
	const struct standby_stats **sorted =
		memory_new((snapshot->standby_count + 1) * sizeof(*sorted));
	size_t count = 0;
	for (size_t i = 0; i < snapshot->standby_count; i++) {
		if (snapshot_is_streaming(&snapshot->standbys[i])) {
			sorted[count++] = &snapshot->standbys[i];
		}
	}
	qsort(sorted, count, sizeof(*sorted), compare);
	for (size_t i = 0; i < count; i++) {
		put_candidate(snapshot, sorted[i], i + 1, result);
	}
	free(sorted);
}
