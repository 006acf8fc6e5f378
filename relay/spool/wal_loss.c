/*
 * wal_loss: says who loses WAL to max_size, and before that, who is going to; and keeps what was
 * acknowledged and then left behind by a promotion.
 *
 * The warning names the one that needs most, once, when less than a tenth of max_size is left
 * between what it needs and what max_size would take; again when it changes, or came near anew.
 */
#include "base/log.h"
#include "base/wall_clock.h"
#include "spool/wal_store_internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define NEAR_SHARES 10

static const char *const holder_nouns[] = {
	[RETENTION_SLOT] = "slot",
	[RETENTION_PIN] = "pin",
};

static void report_named(const struct retention_input *input,
	const struct retention_decision *decision, const struct retention_holder *holder)
{
	log_warning(WAL_LOG_SCOPE,
		"%s \"%s\" is lost: max_size takes WAL from " LSN_FORMAT
		", which it needs from " LSN_FORMAT " on (%" PRIu64 " bytes behind)",
		holder_nouns[holder->kind], holder->name, LSN_ARGS(decision->horizon_lsn),
		LSN_ARGS(holder->lsn), input->received_lsn - holder->lsn);
}

void wal_loss_report(struct wal_store *store, const struct retention_input *input,
	const struct retention_decision *decision, const size_t *lost)
{
	for (size_t i = 0; i < decision->lost_count; i++) {
		const struct retention_holder *holder = &input->holders[lost[i]];

		if (holder->kind == RETENTION_SLOT) {
			report_named(input, decision, holder);
			slots_mark_lost(store->slots, holder->name);
		} else if (holder->kind == RETENTION_PIN) {
			report_named(input, decision, holder);
			pins_mark_lost(store->pins, holder->name);
		} else if (holder->kind == RETENTION_CURSOR) {
			log_warning(WAL_LOG_SCOPE,
				"a reader at " LSN_FORMAT " loses its WAL to max_size",
				LSN_ARGS(holder->lsn));
		}
	}
}

/* The named one that needs most and is not lost; NULL: none holds anything. */
static const struct retention_holder *find_neediest(
	const struct retention_input *input, lsn_t horizon_lsn)
{
	const struct retention_holder *found = NULL;

	for (size_t i = 0; i < input->holder_count; i++) {
		const struct retention_holder *holder = &input->holders[i];
		bool is_named = holder->kind == RETENTION_SLOT || holder->kind == RETENTION_PIN;

		if (is_named && holder->lsn != LSN_INVALID && holder->lsn >= horizon_lsn &&
			(found == NULL || holder->lsn < found->lsn)) {
			found = holder;
		}
	}
	return found;
}

void wal_loss_warn(struct wal_store *store, const struct retention_input *input,
	const struct retention_decision *decision)
{
	char *warned = store->keeper.near_loss;
	char text[RETENTION_REASON_SIZE];
	lsn_t ceiling_lsn = decision->ceiling_lsn;
	const struct retention_holder *holder =
		ceiling_lsn == 0 ? NULL : find_neediest(input, decision->horizon_lsn);

	if (holder == NULL || holder->lsn - ceiling_lsn >= input->max_bytes / NEAR_SHARES) {
		warned[0] = '\0';
		return;
	}
	(void)snprintf(text, sizeof(text), "%s \"%s\"", holder_nouns[holder->kind], holder->name);
	if (strcmp(text, warned) != 0) {
		log_warning(WAL_LOG_SCOPE,
			"%s needs WAL from " LSN_FORMAT " on, which max_size takes after %" PRIu64
			" MB more: it will be lost",
			text, LSN_ARGS(holder->lsn), (holder->lsn - ceiling_lsn) >> 20);
		(void)memcpy(warned, text, sizeof(text));
	}
}

void wal_store_note_loss(struct wal_store *store, tli_t tli, lsn_t from_lsn, lsn_t to_lsn)
{
	struct wal_keeper *keeper = &store->keeper;
	int64_t now_us = wall_clock_unix_us();
	char name[PIN_NAME_SIZE];
	struct error err = {0};

	pthread_mutex_lock(&keeper->lock);
	keeper->lost_tli = tli;
	keeper->lost_from_lsn = from_lsn;
	keeper->lost_to_lsn = to_lsn;
	keeper->lost_bytes += to_lsn - from_lsn;
	pthread_mutex_unlock(&keeper->lock);
	pins_name_left(tli, from_lsn, to_lsn, name);
	/* The same may be found again after a crash in between: then it is pinned already. */
	if (store->pins != NULL &&
		!pins_add(store->pins, name, from_lsn, now_us, now_us + WAL_LOSS_PINNED_US, NULL,
			NULL, &err) &&
		err.kind != ERROR_CONFLICT) {
		log_error(LOG_LEVEL_WARNING, WAL_LOG_SCOPE, &err);
	}
}
