/*
 * alert: the table of kinds.
 *
 * A standby comes back after a restart within some seconds (wal_retrieve_retry_interval), so it
 * takes more than that to be gone. Limits need no patience: what was used is never less within one
 * day or month.
 */
#include "observe/alert.h"

#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "observe/alert_text.h"

#define SECOND INT64_C(1000000)
#define MINUTE (60 * SECOND)

static const struct alert_rule rules[] = {
	[ALERT_DAILY_LIMIT_WARNING] = {"daily_limit_warning", ALERT_LADDER_DAILY_LIMIT, false, true,
		0, 0,
		"See who uses it (walrelay usage, walrelay status) before the limit is reached."},
	[ALERT_DAILY_LIMIT_OVER] = {"daily_limit_over", ALERT_LADDER_DAILY_LIMIT, true, true, 0, 0,
		"It ends with the day. Earlier: raise daily_limit or change over_limit, and "
		"reload."},
	[ALERT_MONTHLY_LIMIT_WARNING] = {"monthly_limit_warning", ALERT_LADDER_MONTHLY_LIMIT, false,
		true, 0, 0,
		"See who uses it (walrelay usage --by day) before the limit is reached."},
	[ALERT_MONTHLY_LIMIT_OVER] = {"monthly_limit_over", ALERT_LADDER_MONTHLY_LIMIT, true, true,
		0, 0,
		"It ends with the month. Earlier: raise monthly_limit or change over_limit, and "
		"reload."},
	[ALERT_MONTHLY_LIMIT_FORECAST] = {"monthly_limit_forecast", ALERT_LADDER_FORECAST, false,
		true, 0, 10 * MINUTE,
		"At the pace of the last days the month will not do: send less, or plan for more."},
	[ALERT_STANDBY_LAG_BYTES] = {"standby_lag_bytes", ALERT_LADDER_LAG_BYTES, false, false,
		5 * SECOND, 30 * SECOND,
		"See whether the network, a cap (walrelay status) or its own disk slows it down."},
	[ALERT_STANDBY_LAG_TIME] = {"standby_lag_time", ALERT_LADDER_LAG_TIME, false, false,
		5 * SECOND, 30 * SECOND,
		"See whether the network, a cap (walrelay status), its own disk or a query that "
		"conflicts with replay slows it down."},
	[ALERT_STANDBY_GONE] = {"standby_gone", ALERT_LADDER_STANDBY, false, false, 20 * SECOND, 0,
		"Look at the standby's log. If it is not to come back, drop its slot, which holds "
		"WAL here."},
	[ALERT_SLOT_NEAR_LIMIT] = {"slot_near_limit", ALERT_LADDER_SLOT, false, false, 5 * SECOND,
		MINUTE,
		"Let its standby catch up, drop the slot, or raise max_size: past it the slot is "
		"lost."},
	[ALERT_SLOT_LOST] = {"slot_lost", ALERT_LADDER_SLOT, true, false, 0, 0,
		"max_size took WAL it needed. Drop the slot and make its standby anew, or let it "
		"restore from the archive."},
	[ALERT_PIN_ENDING] = {"pin_ending", ALERT_LADDER_PIN, false, false, 0, 0,
		"Nothing to do if what it waited for has come; else pin it for longer."},
	[ALERT_PIN_NEAR_LIMIT] = {"pin_near_limit", ALERT_LADDER_PIN, false, false, 5 * SECOND,
		MINUTE, "Use what it keeps, drop it, or raise max_size: past it the pin is lost."},
	[ALERT_PIN_LOST] = {"pin_lost", ALERT_LADDER_PIN, true, false, 0, 0,
		"max_size took WAL it was to keep. Drop it; the snapshot or backup it was for has "
		"to "
		"be made anew, or restored with the archive."},
	[ALERT_UPSTREAM_LOST] = {"upstream_lost", ALERT_LADDER_UPSTREAM, true, false, 10 * SECOND,
		0,
		"It is tried again all the time. See whether the server runs and lets this relay "
		"in."},
	[ALERT_UPSTREAM_STOPPED] = {"upstream_stopped", ALERT_LADDER_UPSTREAM, true, false, 0,
		MINUTE,
		"It does not pass by itself. What is held is still served; see walrelay reset "
		"--help."},
	[ALERT_UPSTREAM_SLOT_BEHIND] = {"upstream_slot_behind", ALERT_LADDER_UPSTREAM_SLOT, false,
		false, 5 * SECOND, MINUTE,
		"Past max_slot_wal_keep_size the upstream removes WAL this relay still needs: see "
		"what slows down the stream to it."},
	[ALERT_UPSTREAM_SLOT_REMADE] = {"upstream_slot_remade", ALERT_LADDER_UPSTREAM_SLOT, false,
		false, 0, 0,
		"Nothing is missing this time. Find out who dropped it: without it the upstream "
		"does not wait for this relay."},
	[ALERT_UPSTREAM_SLOT_LOST] = {"upstream_slot_lost", ALERT_LADDER_UPSTREAM_SLOT, true, false,
		0, MINUTE,
		"The WAL that comes next is not there any more. What is held is still served; if "
		"no "
		"other upstream has it, begin a new range with walrelay reset --from LSN."},
	[ALERT_ACKNOWLEDGES_ALONE] = {"acknowledges_alone", ALERT_LADDER_ACKNOWLEDGE, true, false,
		0, 10 * SECOND,
		"Bring standbys back, or lower acknowledge: until then what the primary takes for "
		"safe is on this relay's disk alone."},
	[ALERT_ACKNOWLEDGED_WAL_LOST] = {"acknowledged_wal_lost", ALERT_LADDER_LOSS, true, true, 0,
		0,
		"Commits that clients were told of are on no server that is followed. The pin "
		"keeps "
		"their WAL: read it (pg_waldump in the spool) before the old primary is rewound, "
		"carry over what counts, then drop the pin."},
	[ALERT_SPOOL_SHORT] = {"spool_short", ALERT_LADDER_SPOOL, false, false, 5 * SECOND, MINUTE,
		"Make room on the disk, or lower retain_size: below min_free it stops receiving."},
	[ALERT_SPOOL_FULL] = {"spool_full", ALERT_LADDER_SPOOL, true, false, 0, MINUTE,
		"Nothing is received until there is room; the upstream keeps the WAL meanwhile."},
	[ALERT_CERTIFICATE_EXPIRING] = {"certificate_expiring", ALERT_LADDER_CERTIFICATE, false,
		false, 0, 0, "Put a new one in its place, and reload."},
	[ALERT_CERTIFICATE_EXPIRED] = {"certificate_expired", ALERT_LADDER_CERTIFICATE, true, false,
		0, 0, "Put a new one in its place, and reload: clients refuse it."},
};
_Static_assert(sizeof(rules) / sizeof(rules[0]) == ALERT_KINDS, "a kind has no rule");

const struct alert_rule *alert_rule(enum alert_kind kind)
{
	assert((unsigned)kind < ALERT_KINDS);
	return &rules[kind];
}

bool alert_kind_find(const char *name, enum alert_kind *kind_out)
{
	for (unsigned i = 0; i < ALERT_KINDS; i++) {
		if (strcmp(rules[i].name, name) == 0) {
			*kind_out = (enum alert_kind)i;
			return true;
		}
	}
	return false;
}

const char *alert_severity(enum alert_kind kind)
{
	return alert_rule(kind)->is_critical ? "critical" : "warning";
}

const char *alert_event_name(enum alert_event event)
{
	static const char *const names[] = {"raised", "repeated", "recovered"};
	assert((unsigned)event < sizeof(names) / sizeof(names[0]));
	return names[event];
}

struct alert_condition *alert_conditions_add(
	struct alert_conditions *conditions, enum alert_kind kind, const char *subject)
{
	conditions->items =
		memory_grow(conditions->items, conditions->count, sizeof(*conditions->items));
	struct alert_condition *condition = &conditions->items[conditions->count++];
	condition->kind = kind;
	snprintf(condition->subject, sizeof(condition->subject), "%s", subject);
	alert_text_end_at_character(condition->subject);
	return condition;
}

void alert_condition_say(struct alert_condition *condition, const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	vsnprintf(condition->text, sizeof(condition->text), format, arguments);
	va_end(arguments);
	alert_text_end_at_character(condition->text);
}

void alert_condition_figure(struct alert_condition *condition, const char *name, uint64_t value)
{
	size_t length = strlen(condition->figures);
	/* JSON's integers end where a signed one does. */
	int added = snprintf(condition->figures + length, sizeof(condition->figures) - length,
		"%s\"%s\": %" PRIu64, length > 0 ? ", " : "", name,
		value > INT64_MAX ? (uint64_t)INT64_MAX : value);
	assert(added > 0 && length + (size_t)added < sizeof(condition->figures));
}

void alert_conditions_release(struct alert_conditions *conditions)
{
	free(conditions->items);
	*conditions = (struct alert_conditions){0};
}

static const char *const channel_names[] = {"mail", "webhook"};
_Static_assert(sizeof(channel_names) / sizeof(channel_names[0]) == ALERT_CHANNELS,
	"a channel has no name");

const char *alert_channel_name(enum alert_channel channel)
{
	assert((unsigned)channel < ALERT_CHANNELS);
	return channel_names[channel];
}

bool alert_channel_find(const char *name, enum alert_channel *channel_out)
{
	for (unsigned i = 0; i < ALERT_CHANNELS; i++) {
		if (strcmp(channel_names[i], name) == 0) {
			*channel_out = (enum alert_channel)i;
			return true;
		}
	}
	return false;
}
