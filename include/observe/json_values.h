/*
 * json_values: values as the API spells them: LSNs as PostgreSQL writes them, times ISO 8601 in
 * UTC, sizes whole bytes, and null for what is not known.
 */
#ifndef OBSERVE_JSON_VALUES_H
#define OBSERVE_JSON_VALUES_H

#include "protocol/lsn.h"

#include <jansson.h>
#include <stdint.h>

/* Takes value over. */
void json_put(json_t *object, const char *key, json_t *value);
json_t *json_lsn(lsn_t lsn);
/* null: "". */
json_t *json_text(const char *text);
/* Unix time; null: 0 or less. */
json_t *json_time(int64_t unix_us);
json_t *json_bytes(uint64_t bytes);
/* A figure of observe/pace: whole bytes a second, seconds with fractions. */
json_t *json_rate(double per_second);
json_t *json_seconds(double seconds);

#endif
