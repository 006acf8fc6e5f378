/*
 * destination: the account that a downstream is matched to: what it is called, what was counted for
 * it, and how fast it may be served.
 *
 * Sessions hold a destination by plain pointer: one lives as long as its struct destinations, also
 * when a reload has dropped it from the configuration. The readers below are any thread and cost an
 * atomic load; what they answer is kept up to date by destinations_tick().
 */
#ifndef DESTINATION_DESTINATION_H
#define DESTINATION_DESTINATION_H

#include "destination/meter.h"
#include "destination/quota.h"

#include <stdint.h>

#define DESTINATION_OTHER "other" /* whoever matches none: counted, never capped */

struct destination;

struct destination *destination_new(const char *name, unsigned loop_count);
/* Accepts NULL, sets NULL. */
void destination_free(struct destination **destination);

/* Valid as long as the destination. */
const char *destination_name(const struct destination *destination);
struct meter *destination_meter(struct destination *destination);

/* Bytes a second in force now for all its connections together, of what is handed to TCP:
 * QUOTA_PAUSED: only keepalives and answers; QUOTA_NO_CAP: as fast as it goes. */
uint64_t destination_cap(const struct destination *destination);
/* Larger is served first when the egress cap is short. */
int destination_priority(const struct destination *destination);

/* For its struct destinations. */
void destination_set_cap(struct destination *destination, uint64_t bytes_per_second);
void destination_set_priority(struct destination *destination, int priority);

#endif
