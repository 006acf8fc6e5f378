/*
 * history_json: one array a column, so that an hour costs a few kB a series.
 */
#include "observe/history_json.h"

#include <assert.h>

#include "observe/json_values.h"

static json_t *column(
	const struct history *history, const struct history_series *series, unsigned which)
{
	json_t *array = json_array();
	for (size_t i = 0; i < history_count(history); i++) {
		double value = history_value(history, series, i, which);
		json_array_append_new(
			array, value == HISTORY_UNKNOWN ? json_null() : json_real(value));
	}
	return array;
}

/* Bytes are whole. */
static json_t *bytes_column(
	const struct history *history, const struct history_series *series, unsigned which)
{
	json_t *array = json_array();
	for (size_t i = 0; i < history_count(history); i++) {
		double value = history_value(history, series, i, which);
		json_array_append_new(array, value == HISTORY_UNKNOWN
						     ? json_null()
						     : json_integer((json_int_t)(value + 0.5)));
	}
	return array;
}

static json_t *upstream_object(const struct history *history)
{
	const struct history_series *series = history_next(history, HISTORY_UPSTREAM, NULL);
	json_t *object = json_object();
	if (series != NULL) {
		json_put(object, "wal_bytes_per_second", bytes_column(history, series, 0));
		json_put(object, "behind_bytes", bytes_column(history, series, 1));
	}
	return object;
}

static json_t *destinations_array(const struct history *history)
{
	const struct history_series *series = NULL;
	json_t *array = json_array();
	while ((series = history_next(history, HISTORY_DESTINATION, series)) != NULL) {
		json_t *object = json_object();
		json_put(object, "name", json_string(history_name(series)));
		json_put(object, "wire_bytes_per_second", bytes_column(history, series, 0));
		json_put(object, "wal_bytes_per_second", bytes_column(history, series, 1));
		json_array_append_new(array, object);
	}
	return array;
}

static json_t *standbys_array(const struct history *history)
{
	const struct history_series *series = NULL;
	json_t *array = json_array();
	while ((series = history_next(history, HISTORY_STANDBY, series)) != NULL) {
		json_t *object = json_object();
		json_put(object, "label", json_string(history_name(series)));
		json_put(object, "lag_bytes", bytes_column(history, series, 0));
		json_put(object, "replay_lag_seconds", column(history, series, 1));
		json_array_append_new(array, object);
	}
	return array;
}

json_t *history_json(const struct history *history)
{
	json_t *root = json_object();
	json_t *times = json_array();
	for (size_t i = 0; i < history_count(history); i++) {
		json_array_append_new(times, json_time(history_time(history, i)));
	}
	json_put(root, "interval_seconds", json_integer(HISTORY_INTERVAL_US / 1000000));
	json_put(root, "times", times);
	json_put(root, "upstream", upstream_object(history));
	json_put(root, "destinations", destinations_array(history));
	json_put(root, "standbys", standbys_array(history));
	json_put(root, "left_out", json_integer((json_int_t)history_left_out(history)));
	return root;
}
