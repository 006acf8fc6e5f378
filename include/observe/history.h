/*
 * history: the last hour in samples ten seconds apart, in memory: rates and lags for charts.
 *
 * Pure: time is an argument. A series belongs to a kind and a name; it begins where it is first
 * put, says HISTORY_UNKNOWN where it was not, and is forgotten an hour after its last figure. Never
 * more than 1 + HISTORY_DESTINATIONS_MAX + HISTORY_STANDBYS_MAX series: 590 kB; who comes when all
 * places are taken takes that of the one that has been silent longest, or is left out.
 */
#ifndef OBSERVE_HISTORY_H
#define OBSERVE_HISTORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HISTORY_INTERVAL_US      INT64_C(10000000)
#define HISTORY_SAMPLES_MAX      360
#define HISTORY_DESTINATIONS_MAX 32
#define HISTORY_STANDBYS_MAX     64
#define HISTORY_NAME_SIZE        80
#define HISTORY_VALUES           2
#define HISTORY_UNKNOWN          (-1.0)

enum history_kind {
	HISTORY_UPSTREAM,    /* WAL received a second; bytes behind */
	HISTORY_DESTINATION, /* bytes sent a second; WAL a second */
	HISTORY_STANDBY,     /* bytes behind; replay lag in seconds */
	HISTORY_KINDS,
};

struct history;
struct history_series;

struct history *history_new(void);
/* Accepts NULL, sets NULL. */
void history_free(struct history **history);

/* A sample is due at that time (Unix time): the first, or an interval after the last began. A clock
 * that went back makes one due. */
bool history_is_due(const struct history *history, int64_t unix_us);
/* The sample that what follows is put into; the oldest goes when there are too many. */
void history_begin(struct history *history, int64_t unix_us);
/* A name is cut to HISTORY_NAME_SIZE. False: there is no place for another series. */
bool history_put(struct history *history, enum history_kind kind, const char *name,
	const double values[HISTORY_VALUES]);

/* Samples, oldest first. */
size_t history_count(const struct history *history);
int64_t history_time(const struct history *history, size_t index);
/* How many series of the last sample had no place. */
size_t history_left_out(const struct history *history);
/* The next series of a kind after that one, in the order they came; NULL for the first; answers
 * NULL at the end. Valid until the next history_begin(). */
const struct history_series *history_next(
	const struct history *history, enum history_kind kind, const struct history_series *series);
const char *history_name(const struct history_series *series);
double history_value(const struct history *history, const struct history_series *series,
	size_t index, unsigned which);

#endif
