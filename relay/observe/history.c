/*
 * history: one ring of times, and for each series a ring of values beside it.
 *
 * Samples are numbered from 1 for ever; number modulo HISTORY_SAMPLES_MAX is the place in every
 * ring.
 */
#include "observe/history.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

#define SERIES_MAX (1 + HISTORY_DESTINATIONS_MAX + HISTORY_STANDBYS_MAX)

struct history_series {
	char name[HISTORY_NAME_SIZE];
	uint64_t last; /* number of the last sample it was put into */
	double values[HISTORY_SAMPLES_MAX][HISTORY_VALUES];
};

struct history {
	uint64_t last; /* number of the present sample; 0: none */
	int64_t times_us[HISTORY_SAMPLES_MAX];
	size_t left_out;
	struct history_series *series[SERIES_MAX]; /* by kind; NULL: free */
};

static const struct {
	size_t first;
	size_t end;
} places[HISTORY_KINDS] = {
	[HISTORY_UPSTREAM] = {0, 1},
	[HISTORY_DESTINATION] = {1, 1 + HISTORY_DESTINATIONS_MAX},
	[HISTORY_STANDBY] = {1 + HISTORY_DESTINATIONS_MAX, SERIES_MAX},
};

struct history *history_new(void)
{
	return memory_new(sizeof(struct history));
}

void history_free(struct history **history)
{
	if (*history == NULL) {
		return;
	}
	for (size_t i = 0; i < SERIES_MAX; i++) {
		free((*history)->series[i]);
	}
	free(*history);
	*history = NULL;
}

static size_t place_of(uint64_t number)
{
	return number % HISTORY_SAMPLES_MAX;
}

bool history_is_due(const struct history *history, int64_t unix_us)
{
	int64_t last_us = history->times_us[place_of(history->last)];
	return history->last == 0 || unix_us < last_us || unix_us - last_us >= HISTORY_INTERVAL_US;
}

static void set_unknown(struct history_series *series, size_t place)
{
	for (unsigned which = 0; which < HISTORY_VALUES; which++) {
		series->values[place][which] = HISTORY_UNKNOWN;
	}
}

/* Those that follow move up: the order in which they came stays. */
static void forget(struct history *history, enum history_kind kind, size_t index)
{
	size_t end = places[kind].end;
	free(history->series[index]);
	memmove(&history->series[index], &history->series[index + 1],
		(end - index - 1) * sizeof(history->series[0]));
	history->series[end - 1] = NULL;
}

static void begin_series(struct history *history, enum history_kind kind)
{
	for (size_t i = places[kind].first; i < places[kind].end && history->series[i] != NULL;) {
		struct history_series *series = history->series[i];
		if (history->last - series->last >= HISTORY_SAMPLES_MAX) {
			forget(history, kind, i);
		} else {
			set_unknown(series, place_of(history->last));
			i++;
		}
	}
}

void history_begin(struct history *history, int64_t unix_us)
{
	history->last++;
	history->left_out = 0;
	history->times_us[place_of(history->last)] = unix_us;
	for (enum history_kind kind = 0; kind < HISTORY_KINDS; kind++) {
		begin_series(history, kind);
	}
}

/* The one of a kind that has been silent longest, if none of it speaks now: SIZE_MAX. */
static size_t find_silent(const struct history *history, enum history_kind kind)
{
	size_t found = SIZE_MAX;
	uint64_t last = history->last - 1;
	for (size_t i = places[kind].first; i < places[kind].end; i++) {
		if (history->series[i]->last < last) {
			last = history->series[i]->last;
			found = i;
		}
	}
	return found;
}

static struct history_series *add(struct history *history, enum history_kind kind, const char *name)
{
	size_t place = places[kind].first;
	while (place < places[kind].end && history->series[place] != NULL) {
		place++;
	}
	if (place == places[kind].end) {
		size_t silent = find_silent(history, kind);
		if (silent == SIZE_MAX) {
			return NULL;
		}
		forget(history, kind, silent);
		place--;
	}
	struct history_series *series = memory_new(sizeof(*series));
	snprintf(series->name, sizeof(series->name), "%s", name);
	for (size_t i = 0; i < HISTORY_SAMPLES_MAX; i++) {
		set_unknown(series, i);
	}
	history->series[place] = series;
	return series;
}

static struct history_series *find(
	struct history *history, enum history_kind kind, const char *name)
{
	for (size_t i = places[kind].first; i < places[kind].end && history->series[i] != NULL;
		i++) {
		if (strncmp(history->series[i]->name, name, HISTORY_NAME_SIZE - 1) == 0) {
			return history->series[i];
		}
	}
	return NULL;
}

bool history_put(struct history *history, enum history_kind kind, const char *name,
	const double values[HISTORY_VALUES])
{
	assert(history->last > 0);
	struct history_series *series = find(history, kind, name);
	if (series == NULL) {
		series = add(history, kind, name);
	}
	if (series == NULL) {
		history->left_out++;
		return false;
	}
	series->last = history->last;
	memcpy(series->values[place_of(history->last)], values, sizeof(series->values[0]));
	return true;
}

size_t history_count(const struct history *history)
{
	return history->last < HISTORY_SAMPLES_MAX ? (size_t)history->last : HISTORY_SAMPLES_MAX;
}

/* index: 0 is the oldest sample. */
static size_t place_at(const struct history *history, size_t index)
{
	size_t count = history_count(history);
	assert(index < count);
	return place_of(history->last - (count - 1 - index));
}

int64_t history_time(const struct history *history, size_t index)
{
	return history->times_us[place_at(history, index)];
}

size_t history_left_out(const struct history *history)
{
	return history->left_out;
}

const struct history_series *history_next(
	const struct history *history, enum history_kind kind, const struct history_series *series)
{
	size_t next = places[kind].first;
	while (series != NULL && history->series[next++] != series) {
		assert(next < places[kind].end);
	}
	return next < places[kind].end ? history->series[next] : NULL;
}

const char *history_name(const struct history_series *series)
{
	return series->name;
}

double history_value(const struct history *history, const struct history_series *series,
	size_t index, unsigned which)
{
	assert(which < HISTORY_VALUES);
	return series->values[place_at(history, index)][which];
}
