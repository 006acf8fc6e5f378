/*
 * alert: what somebody is to be told of, and the words it travels in.
 *
 * One table says of each kind what it is called, how grave it is and how long it has to hold, or
 * not to hold, before anything is said. Kinds of one ladder exclude each other for one subject, in
 * the order of their gravity: going up is told at once, going down is told, and only leaving the
 * ladder is a recovery. A new kind is a row there and a function in alert_conditions.
 */
#ifndef OBSERVE_ALERT_H
#define OBSERVE_ALERT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ALERT_SUBJECT_SIZE 160
#define ALERT_TEXT_SIZE    768
#define ALERT_FIGURES_SIZE 256

enum alert_kind {
	ALERT_DAILY_LIMIT_WARNING,
	ALERT_DAILY_LIMIT_OVER,
	ALERT_MONTHLY_LIMIT_WARNING,
	ALERT_MONTHLY_LIMIT_OVER,
	ALERT_MONTHLY_LIMIT_FORECAST,
	ALERT_STANDBY_LAG_BYTES,
	ALERT_STANDBY_LAG_TIME,
	ALERT_STANDBY_GONE,
	ALERT_SLOT_NEAR_LIMIT, /* of ours: max_size will take what it needs */
	ALERT_SLOT_LOST,
	ALERT_PIN_ENDING, /* its time is nearly over */
	ALERT_PIN_NEAR_LIMIT,
	ALERT_PIN_LOST,
	ALERT_UPSTREAM_LOST,
	ALERT_UPSTREAM_STOPPED, /* it does not come back by itself */
	ALERT_UPSTREAM_SLOT_BEHIND,
	ALERT_UPSTREAM_SLOT_REMADE,
	ALERT_UPSTREAM_SLOT_LOST,
	ALERT_ACKNOWLEDGES_ALONE,    /* too few standbys hold what is acknowledged */
	ALERT_ACKNOWLEDGED_WAL_LOST, /* a promotion left it behind */
	ALERT_SPOOL_SHORT,
	ALERT_SPOOL_FULL,
	ALERT_CERTIFICATE_EXPIRING,
	ALERT_CERTIFICATE_EXPIRED,
	ALERT_KINDS,
};

enum alert_ladder {
	ALERT_LADDER_DAILY_LIMIT,
	ALERT_LADDER_MONTHLY_LIMIT,
	ALERT_LADDER_FORECAST,
	ALERT_LADDER_LAG_BYTES,
	ALERT_LADDER_LAG_TIME,
	ALERT_LADDER_STANDBY,
	ALERT_LADDER_SLOT,
	ALERT_LADDER_PIN,
	ALERT_LADDER_UPSTREAM,
	ALERT_LADDER_UPSTREAM_SLOT,
	ALERT_LADDER_ACKNOWLEDGE,
	ALERT_LADDER_LOSS,
	ALERT_LADDER_SPOOL,
	ALERT_LADDER_CERTIFICATE,
};

struct alert_rule {
	const char *name; /* stable: others filter by it */
	enum alert_ladder ladder;
	bool is_critical;
	bool must_arrive;       /* never given up, however many wait to be delivered */
	int64_t raise_after_us; /* it has to hold so long */
	int64_t clear_after_us; /* it has to be over so long */
	const char *advice;     /* what to do: a sentence or two */
};

const struct alert_rule *alert_rule(enum alert_kind kind);
/* false: no kind is called so. */
bool alert_kind_find(const char *name, enum alert_kind *kind_out);
const char *alert_severity(enum alert_kind kind); /* warning, critical */

/* What holds now. */
struct alert_condition {
	enum alert_kind kind;
	/* It cannot be told now (who would tell is away): what was raised on this ladder stays as
	 * it is, and nothing is raised. */
	bool is_unknown;
	char subject[ALERT_SUBJECT_SIZE]; /* which destination, standby, ... */
	char text[ALERT_TEXT_SIZE];       /* one line, with figures for people */
	char figures[ALERT_FIGURES_SIZE]; /* members of a JSON object, without its braces */
};

/* At most one a ladder and subject. A zeroed one is empty. */
struct alert_conditions {
	struct alert_condition *items;
	size_t count;
};

/* Printable UTF-8 goes in; what does not fit is cut at a character. */
struct alert_condition *alert_conditions_add(
	struct alert_conditions *conditions, enum alert_kind kind, const char *subject);
void alert_condition_say(struct alert_condition *condition, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
/* name: of letters and underscores. */
void alert_condition_figure(struct alert_condition *condition, const char *name, uint64_t value);
void alert_conditions_release(struct alert_conditions *conditions);

enum alert_event { ALERT_RAISED, ALERT_REPEATED, ALERT_RECOVERED };
const char *alert_event_name(enum alert_event event); /* raised, repeated, recovered */

/* Something to be told. */
struct alert_news {
	enum alert_event event;
	enum alert_kind kind;
	int64_t since_us; /* Unix time */
	int64_t at_us;
	char subject[ALERT_SUBJECT_SIZE];
	char text[ALERT_TEXT_SIZE]; /* of a recovery: what was said last */
	char figures[ALERT_FIGURES_SIZE];
};

enum alert_channel { ALERT_MAIL, ALERT_WEBHOOK, ALERT_CHANNELS };
const char *alert_channel_name(enum alert_channel channel); /* mail, webhook */
bool alert_channel_find(const char *name, enum alert_channel *channel_out);

struct alert_channel_stats {
	bool is_configured;
	uint64_t delivered; /* since the process began */
	uint64_t failures;  /* tries that came to nothing */
	uint64_t dropped;   /* given up */
	uint64_t pending;
	char last_error[256]; /* "": the last try went well */
};

#endif
