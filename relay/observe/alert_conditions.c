/*
 * alert_conditions: one function a ladder.
 */
#include "observe/alert_conditions.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/human.h"
#include "destination/calendar.h"
#include "observe/pace.h"
#include "observe/slot_outlook.h"
#include "observe/snapshot.h"

#define SECOND              INT64_C(1000000)
#define HOUR                (3600 * SECOND)
#define DAY                 (24 * HOUR)
#define CERTIFICATE_DAYS    14
#define REMADE_SHOWN_US     HOUR
#define SLOT_NEAR_PERCENT   80
#define SLOT_BEHIND_PERCENT 50

#define SUBJECT_UPSTREAM "upstream"
#define SUBJECT_SPOOL    "spool"

/* Saturates. */
static uint64_t percent_of(uint64_t whole, unsigned percent)
{
	return (uint64_t)((__uint128_t)whole * percent / 100);
}

static unsigned percents(uint64_t part, uint64_t whole)
{
	__uint128_t result = whole == 0 ? 0 : (__uint128_t)part * 100 / whole;
	return result > 999999 ? 999999 : (unsigned)result;
}

static const char *time_text(int64_t us, char out[HUMAN_SIZE])
{
	int64_t seconds = us / SECOND;
	if (seconds < 120) {
		snprintf(out, HUMAN_SIZE, "%.1f s", (double)us / (double)SECOND);
	} else if (seconds < 7200) {
		snprintf(out, HUMAN_SIZE, "%" PRId64 " min", seconds / 60);
	} else {
		snprintf(out, HUMAN_SIZE, "%" PRId64 " h %" PRId64 " min", seconds / 3600,
			seconds % 3600 / 60);
	}
	return out;
}

/* --- destinations ----------------------------------------------------------------------------- */

struct period {
	const char *name; /* of the limit */
	enum alert_kind warning;
	enum alert_kind over;
	enum quota_period period;
};

/* What over_limit does about it. */
static const char *consequence(
	const struct quota_state *state, enum quota_period period, enum quota_rung rung)
{
	bool is_day = period == QUOTA_DAY;
	if (rung != QUOTA_OVER || (!state->is_paused && !state->is_throttled)) {
		return "";
	}
	if (state->is_paused) {
		return is_day ? "; it is paused until the day ends"
			      : "; it is paused until the month ends";
	}
	return is_day ? "; it is throttled until the day ends"
		      : "; it is throttled until the month ends";
}

static void find_limit(const struct destination_stats *destination, const struct period *period,
	struct alert_conditions *out)
{
	bool is_day = period->period == QUOTA_DAY;
	uint64_t used = is_day ? destination->used.day_bytes : destination->used.month_bytes;
	uint64_t limit = is_day ? destination->daily_limit_bytes : destination->monthly_limit_bytes;
	enum quota_rung rung = quota_rung_of(used, limit, destination->warn_at_basis_points);
	char used_text[HUMAN_SIZE], limit_text[HUMAN_SIZE];
	if (rung == QUOTA_OK) {
		return;
	}
	struct alert_condition *condition = alert_conditions_add(
		out, rung == QUOTA_OVER ? period->over : period->warning, destination->name);
	alert_condition_say(condition,
		"destination \"%s\" has used %s of its %s limit of %s (%u %%)%s", destination->name,
		human_bytes(used, used_text), period->name, human_bytes(limit, limit_text),
		percents(used, limit), consequence(&destination->state, period->period, rung));
	alert_condition_figure(condition, "used_bytes", used);
	alert_condition_figure(condition, "limit_bytes", limit);
}

/* Once the limit is reached there is nothing left to foresee. */
static void find_forecast(const struct destination_stats *destination, struct alert_conditions *out)
{
	uint64_t limit = destination->monthly_limit_bytes;
	char forecast_text[HUMAN_SIZE], limit_text[HUMAN_SIZE], day[CALENDAR_DAY_TEXT_SIZE];
	if (limit == 0 || destination->forecast_bytes <= limit) {
		return;
	}
	struct alert_condition *condition =
		alert_conditions_add(out, ALERT_MONTHLY_LIMIT_FORECAST, destination->name);
	condition->is_unknown = destination->used.month_bytes >= limit;
	alert_condition_say(condition,
		"destination \"%s\" will end the month with %s at the present pace, more than its "
		"monthly limit of %s%s%s",
		destination->name, human_bytes(destination->forecast_bytes, forecast_text),
		human_bytes(limit, limit_text),
		destination->has_limit_day ? ", which it reaches on " : "",
		destination->has_limit_day ? calendar_format_day(destination->limit_day, day) : "");
	alert_condition_figure(condition, "forecast_bytes", destination->forecast_bytes);
	alert_condition_figure(condition, "used_bytes", destination->used.month_bytes);
	alert_condition_figure(condition, "limit_bytes", limit);
}

static void find_destinations(const struct alert_input *input, struct alert_conditions *out)
{
	static const struct period periods[] = {
		{"daily", ALERT_DAILY_LIMIT_WARNING, ALERT_DAILY_LIMIT_OVER, QUOTA_DAY},
		{"monthly", ALERT_MONTHLY_LIMIT_WARNING, ALERT_MONTHLY_LIMIT_OVER, QUOTA_MONTH},
	};
	for (size_t i = 0; i < input->snapshot->destination_count; i++) {
		const struct destination_stats *destination = &input->snapshot->destinations[i];
		for (size_t p = 0; p < sizeof(periods) / sizeof(periods[0]); p++) {
			find_limit(destination, &periods[p], out);
		}
		find_forecast(destination, out);
	}
}

/* --- standbys --------------------------------------------------------------------------------- */

static void say_lag(struct alert_condition *condition, const struct alert_standby *standby,
	const char *behind, const char *limit)
{
	alert_condition_say(condition,
		"standby \"%s\" (destination \"%s\") is %s behind, more than %s", standby->name,
		standby->destination, behind, limit);
	alert_condition_figure(condition, "lag_bytes", standby->lag_bytes);
	alert_condition_figure(condition, "lag_seconds",
		(uint64_t)(standby->lag_us > 0 ? standby->lag_us : 0) / SECOND);
}

static void find_lag(const struct alert_standby *standby, const struct alert_thresholds *thresholds,
	struct alert_conditions *out)
{
	char behind[HUMAN_SIZE], limit[HUMAN_SIZE];
	if (thresholds->lag_bytes != 0 &&
		(!standby->is_here || standby->lag_bytes >= thresholds->lag_bytes)) {
		struct alert_condition *condition =
			alert_conditions_add(out, ALERT_STANDBY_LAG_BYTES, standby->name);
		condition->is_unknown = !standby->is_here;
		say_lag(condition, standby, human_bytes(standby->lag_bytes, behind),
			human_bytes(thresholds->lag_bytes, limit));
		alert_condition_figure(condition, "limit_bytes", thresholds->lag_bytes);
	}
	if (thresholds->lag_time_us != 0 &&
		(!standby->is_here || standby->lag_us >= thresholds->lag_time_us)) {
		struct alert_condition *condition =
			alert_conditions_add(out, ALERT_STANDBY_LAG_TIME, standby->name);
		condition->is_unknown = !standby->is_here;
		say_lag(condition, standby, time_text(standby->lag_us, behind),
			time_text(thresholds->lag_time_us, limit));
		alert_condition_figure(
			condition, "limit_seconds", (uint64_t)thresholds->lag_time_us / SECOND);
	}
}

static void find_standbys(const struct alert_input *input, struct alert_conditions *out)
{
	char away[HUMAN_SIZE];
	for (size_t i = 0; i < input->watch->count; i++) {
		const struct alert_standby *standby = &input->watch->standbys[i];
		find_lag(standby, input->thresholds, out);
		if (standby->is_here || !standby->is_counted_on) {
			continue;
		}
		int64_t away_us = input->now_us - standby->seen_us;
		struct alert_condition *condition =
			alert_conditions_add(out, ALERT_STANDBY_GONE, standby->name);
		alert_condition_say(condition,
			"standby \"%s\" (destination \"%s\") has been away for %s%s", standby->name,
			standby->destination, time_text(away_us, away),
			standby->has_slot ? "; its slot holds WAL for it" : "");
		alert_condition_figure(condition, "away_seconds", (uint64_t)away_us / SECOND);
	}
}

/* --- slots and pins of ours ---------------------------------------------------------------------
 */

struct holder {
	const char *what;
	enum alert_kind near_limit;
	enum alert_kind lost;
};

static void say_room(
	struct alert_condition *condition, const char *says, const struct slot_outlook *outlook)
{
	char safe_text[HUMAN_SIZE], left[HUMAN_SIZE];
	double seconds = outlook->safe_seconds;
	if (!outlook->has_limit) {
		alert_condition_say(condition, "%s", says);
		return;
	}
	human_bytes(outlook->safe_bytes, safe_text);
	/* A pace that takes years is none. */
	if (seconds < 0 || seconds > (double)(1000 * DAY / SECOND)) {
		alert_condition_say(
			condition, "%s; it is lost when %s more have come", says, safe_text);
	} else {
		alert_condition_say(condition,
			"%s; it is lost when %s more have come, at the present pace in %s", says,
			safe_text, time_text((int64_t)(seconds * (double)SECOND), left));
		alert_condition_figure(condition, "safe_seconds", (uint64_t)seconds);
	}
	alert_condition_figure(condition, "safe_bytes", outlook->safe_bytes);
}

static bool is_near(uint64_t retained, uint64_t max, const struct slot_outlook *outlook)
{
	return max != 0 &&
	       (retained >= percent_of(max, SLOT_NEAR_PERCENT) ||
		       (outlook->has_limit && retained > 0 &&
			       outlook->safe_bytes <= percent_of(max, 100 - SLOT_NEAR_PERCENT)));
}

/* True: there is something to say of it. */
static bool find_holder(const struct holder *holder, const char *name, bool is_lost,
	uint64_t retained, uint64_t max, const struct slot_outlook *outlook,
	struct alert_conditions *out)
{
	char retained_text[HUMAN_SIZE], max_text[HUMAN_SIZE], says[ALERT_TEXT_SIZE];
	if (is_lost) {
		struct alert_condition *condition = alert_conditions_add(out, holder->lost, name);
		alert_condition_say(condition, "%s \"%s\" is lost: max_size took WAL it needs",
			holder->what, name);
		return true;
	}
	if (!is_near(retained, max, outlook)) {
		return false;
	}
	struct alert_condition *condition = alert_conditions_add(out, holder->near_limit, name);
	snprintf(says, sizeof(says), "%s \"%s\" holds %s of WAL; max_size is %s", holder->what,
		name, human_bytes(retained, retained_text), human_bytes(max, max_text));
	say_room(condition, says, outlook);
	alert_condition_figure(condition, "retained_bytes", retained);
	alert_condition_figure(condition, "limit_bytes", max);
	return true;
}

static void find_slots(const struct alert_input *input, struct alert_conditions *out)
{
	static const struct holder holder = {"slot", ALERT_SLOT_NEAR_LIMIT, ALERT_SLOT_LOST};
	for (size_t i = 0; i < input->snapshot->slot_count; i++) {
		const struct slot_stats *slot = &input->snapshot->slots[i];
		struct slot_outlook outlook;
		slot_outlook_find(input->snapshot, slot->restart_lsn, slot->lost, &outlook);
		(void)find_holder(&holder, slot->name, slot->lost,
			snapshot_retained_bytes(input->snapshot, slot),
			input->thresholds->spool_max_bytes, &outlook, out);
	}
}

static void find_pins(const struct alert_input *input, struct alert_conditions *out)
{
	static const struct holder holder = {"pin", ALERT_PIN_NEAR_LIMIT, ALERT_PIN_LOST};
	char left[HUMAN_SIZE];
	for (size_t i = 0; i < input->snapshot->pin_count; i++) {
		const struct pin_stats *pin = &input->snapshot->pins[i];
		bool is_ending =
			pin->expires_us != PIN_FOREVER_US && input->now_us >= pins_warning_us(pin);
		struct slot_outlook outlook;
		slot_outlook_find(input->snapshot, pin->lsn, pin->lost, &outlook);
		if (find_holder(&holder, pin->name, pin->lost,
			    snapshot_pinned_bytes(input->snapshot, pin),
			    input->thresholds->spool_max_bytes, &outlook, out) ||
			!is_ending) {
			continue;
		}
		int64_t left_us = pin->expires_us - input->now_us;
		struct alert_condition *condition =
			alert_conditions_add(out, ALERT_PIN_ENDING, pin->name);
		alert_condition_say(condition, "pin \"%s\" ends in %s", pin->name,
			time_text(left_us > 0 ? left_us : 0, left));
	}
}

/* --- the upstream ----------------------------------------------------------------------------- */

static void find_upstream_state(const struct alert_input *input, struct alert_conditions *out)
{
	const struct upstream_stats *upstream = &input->snapshot->upstream;
	bool is_stopped =
		upstream->state == UPSTREAM_STOPPED || upstream->has_gap || upstream->has_diverged;
	/* A full spool has an alert of its own. */
	if (upstream->state == UPSTREAM_STREAMING || upstream->state == UPSTREAM_FULL) {
		return;
	}
	struct alert_condition *condition = alert_conditions_add(
		out, is_stopped ? ALERT_UPSTREAM_STOPPED : ALERT_UPSTREAM_LOST, SUBJECT_UPSTREAM);
	alert_condition_say(condition, "%s %s%s%s%s%s%s",
		is_stopped ? "following the upstream has stopped:" : "the upstream is lost:",
		upstream->host[0] != '\0' ? upstream->host : "(no server yet)",
		upstream->port[0] != '\0' ? ":" : "", upstream->port,
		is_stopped ? "" : " does not stream", upstream->last_error[0] != '\0' ? ": " : "",
		upstream->last_error);
	alert_condition_figure(condition, "received_lsn", input->snapshot->store.received_lsn);
}

static void find_upstream_slot_behind(const struct alert_input *input, struct alert_conditions *out)
{
	const struct snapshot *snapshot = input->snapshot;
	const struct upstream_stats *upstream = &snapshot->upstream;
	lsn_t flushed_lsn = snapshot->store.flushed_lsn;
	uint64_t behind =
		upstream->server_end_lsn > flushed_lsn ? upstream->server_end_lsn - flushed_lsn : 0;
	int64_t keep = upstream->max_slot_wal_keep_bytes;
	uint64_t limit = keep > 0 ? percent_of((uint64_t)keep, SLOT_BEHIND_PERCENT) : UINT64_MAX;
	char behind_text[HUMAN_SIZE], limit_text[HUMAN_SIZE];
	if (input->thresholds->lag_bytes != 0 && input->thresholds->lag_bytes < limit) {
		limit = input->thresholds->lag_bytes;
	}
	if (limit == UINT64_MAX) {
		return;
	}
	/* Where the server stands is known only while it tells. */
	bool is_unknown = upstream->state != UPSTREAM_STREAMING;
	if (!is_unknown && behind < limit) {
		return;
	}
	struct alert_condition *condition =
		alert_conditions_add(out, ALERT_UPSTREAM_SLOT_BEHIND, SUBJECT_UPSTREAM);
	condition->is_unknown = is_unknown;
	alert_condition_say(condition, "slot \"%s\" on the upstream is %s behind, more than %s",
		upstream->slot, human_bytes(behind, behind_text), human_bytes(limit, limit_text));
	alert_condition_figure(condition, "behind_bytes", behind);
	alert_condition_figure(condition, "limit_bytes", limit);
}

static void find_upstream_slot(const struct alert_input *input, struct alert_conditions *out)
{
	const struct upstream_stats *upstream = &input->snapshot->upstream;
	if (upstream->slot[0] == '\0' && !upstream->has_gap) {
		return;
	}
	if (upstream->has_gap) {
		struct alert_condition *condition =
			alert_conditions_add(out, ALERT_UPSTREAM_SLOT_LOST, SUBJECT_UPSTREAM);
		alert_condition_say(condition,
			"the upstream no longer has the WAL that comes next: %s",
			upstream->last_error);
		alert_condition_figure(
			condition, "received_lsn", input->snapshot->store.received_lsn);
		return;
	}
	int64_t age_us = input->now_us - upstream->slot_remade_us;
	if (upstream->slot_remade_us != 0 && age_us < REMADE_SHOWN_US) {
		struct alert_condition *condition =
			alert_conditions_add(out, ALERT_UPSTREAM_SLOT_REMADE, SUBJECT_UPSTREAM);
		alert_condition_say(condition,
			"slot \"%s\" was missing on the upstream and was made again",
			upstream->slot);
		return;
	}
	find_upstream_slot_behind(input, out);
}

static void find_acknowledge(const struct alert_input *input, struct alert_conditions *out)
{
	if (!input->snapshot->upstream.is_acknowledging_alone) {
		return;
	}
	struct alert_condition *condition =
		alert_conditions_add(out, ALERT_ACKNOWLEDGES_ALONE, SUBJECT_UPSTREAM);
	alert_condition_say(condition,
		"too few standbys hold what is acknowledged: our own disk is all that does");
	alert_condition_figure(condition, "flushed_lsn", input->snapshot->store.flushed_lsn);
}

/* As long as the pin is there: whoever has looked at it drops it. */
static void find_losses(const struct alert_input *input, struct alert_conditions *out)
{
	char lost[HUMAN_SIZE];
	for (size_t i = 0; i < input->snapshot->pin_count; i++) {
		const struct pin_stats *pin = &input->snapshot->pins[i];
		if (pin->left_tli == 0) {
			continue;
		}
		uint64_t bytes = pin->left_end_lsn - pin->lsn;
		struct alert_condition *condition =
			alert_conditions_add(out, ALERT_ACKNOWLEDGED_WAL_LOST, pin->name);
		alert_condition_say(condition,
			"acknowledged WAL of timeline %u from " LSN_FORMAT " to " LSN_FORMAT
			" (%s) is not part of the timeline that was promoted",
			pin->left_tli, LSN_ARGS(pin->lsn), LSN_ARGS(pin->left_end_lsn),
			human_bytes(bytes, lost));
		alert_condition_figure(condition, "timeline", pin->left_tli);
		alert_condition_figure(condition, "from_lsn", pin->lsn);
		alert_condition_figure(condition, "to_lsn", pin->left_end_lsn);
		alert_condition_figure(condition, "lost_bytes", bytes);
	}
}

/* --- the spool and certificates --------------------------------------------------------------- */

static void find_spool(const struct alert_input *input, struct alert_conditions *out)
{
	const struct wal_store_stats *store = &input->snapshot->store;
	uint64_t limit = input->thresholds->spool_free_bytes;
	char is_free[HUMAN_SIZE], limit_text[HUMAN_SIZE];
	if (!store->is_full && (limit == 0 || store->disk_free_bytes >= limit)) {
		return;
	}
	struct alert_condition *condition = alert_conditions_add(
		out, store->is_full ? ALERT_SPOOL_FULL : ALERT_SPOOL_SHORT, SUBJECT_SPOOL);
	if (store->is_full) {
		alert_condition_say(condition, "the spool is full: %s", store->full_reason);
	} else {
		alert_condition_say(condition, "the disk of the spool has %s free, less than %s",
			human_bytes(store->disk_free_bytes, is_free),
			human_bytes(limit, limit_text));
		alert_condition_figure(condition, "limit_bytes", limit);
	}
	alert_condition_figure(condition, "free_bytes", store->disk_free_bytes);
	alert_condition_figure(condition, "spool_bytes", store->spool_bytes);
}

static void find_certificates(const struct alert_input *input, struct alert_conditions *out)
{
	for (size_t i = 0; i < input->certificate_count; i++) {
		const struct alert_certificate *certificate = &input->certificates[i];
		int64_t left_us = certificate->not_after_us - input->now_us;
		char day[CALENDAR_DAY_TEXT_SIZE];
		if (left_us >= CERTIFICATE_DAYS * DAY) {
			continue;
		}
		struct alert_condition *condition = alert_conditions_add(out,
			left_us <= 0 ? ALERT_CERTIFICATE_EXPIRED : ALERT_CERTIFICATE_EXPIRING,
			certificate->path);
		calendar_format_day((calendar_day)(certificate->not_after_us / DAY), day);
		alert_condition_say(condition, "a certificate in \"%s\" (%s) %s on %s UTC",
			certificate->path, certificate->key, left_us <= 0 ? "expired" : "expires",
			day);
		if (left_us > 0) {
			alert_condition_figure(condition, "days_left", (uint64_t)(left_us / DAY));
		}
	}
}

void alert_conditions_find(const struct alert_input *input, struct alert_conditions *conditions_out)
{
	conditions_out->count = 0;
	alert_conditions_release(conditions_out);
	find_destinations(input, conditions_out);
	find_standbys(input, conditions_out);
	find_slots(input, conditions_out);
	find_pins(input, conditions_out);
	find_upstream_state(input, conditions_out);
	find_upstream_slot(input, conditions_out);
	find_acknowledge(input, conditions_out);
	find_losses(input, conditions_out);
	find_spool(input, conditions_out);
	find_certificates(input, conditions_out);
}
