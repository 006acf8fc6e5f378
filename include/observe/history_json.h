/*
 * history_json: the last hour as the member "history" of /api/status.
 */
#ifndef OBSERVE_HISTORY_JSON_H
#define OBSERVE_HISTORY_JSON_H

#include "observe/history.h"

#include <jansson.h>

/* Columns: "times", and for each series one array a figure, as long as that; null where there was
 * none. */
json_t *history_json(const struct history *history);

#endif
