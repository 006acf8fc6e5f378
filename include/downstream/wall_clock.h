/*
 * wall_clock: the time of day, for what is told to others: timestamps in messages and statistics.
 * Deadlines never use it: they live on the loop's monotonic clock. Any thread.
 */
#ifndef DOWNSTREAM_WALL_CLOCK_H
#define DOWNSTREAM_WALL_CLOCK_H

#include <stdint.h>

/* Microseconds since 1970, Unix time. */
int64_t wall_clock_unix_us(void);
/* Microseconds since 2000, as replication messages carry it. */
int64_t wall_clock_pg_us(void);

#endif
