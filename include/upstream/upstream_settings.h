/*
 * upstream_settings: the options of an upstream that a reload may change: texts, which are owned,
 * and limits.
 */
#ifndef UPSTREAM_UPSTREAM_SETTINGS_H
#define UPSTREAM_UPSTREAM_SETTINGS_H

#include "upstream/upstream.h"

#include <stdbool.h>

/* The texts are copied; what was there belongs to somebody else. */
void upstream_names_copy(struct upstream_options *options);
void upstream_names_free(struct upstream_options *options);
bool upstream_names_differ(const struct upstream_options *a, const struct upstream_options *b);
/* All but the texts, and what never changes. */
void upstream_limits_take(struct upstream_options *ours, const struct upstream_options *theirs);

#endif
