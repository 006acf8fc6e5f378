/*
 * relay_options: from the configuration to each module's own options.
 *
 * Strings point into the configuration, which outlives the call they are handed to.
 */
#ifndef APP_RELAY_OPTIONS_H
#define APP_RELAY_OPTIONS_H

#include "app/access.h"
#include "app/config.h"
#include "downstream/downstream.h"
#include "spool/wal_store.h"
#include "upstream/upstream.h"

struct log_options relay_log_options(const struct config *config);
/* directory: where the segments are. */
struct wal_store_options relay_store_options(const struct config *config, const char *directory);
/* Without what only the wiring knows: loop, database, cluster, store and callbacks. */
struct upstream_options relay_upstream_options(const struct config *config);
struct downstream_limits relay_downstream_limits(
	const struct config *config, const struct access *access);
struct downstream_link relay_downstream_link(const struct config *config);

#endif
