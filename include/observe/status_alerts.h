/*
 * status_alerts: the alerts that are on and how telling of them goes, for /api/status.
 */
#ifndef OBSERVE_STATUS_ALERTS_H
#define OBSERVE_STATUS_ALERTS_H

#include "observe/snapshot.h"

#include <jansson.h>

json_t *status_alerts(const struct snapshot *snapshot);
/* An object a channel; null where it is not configured. */
json_t *status_alert_channels(const struct snapshot *snapshot);

#endif
