/*
 * wall_clock: CLOCK_REALTIME in the two epochs that peers and readers of statistics expect.
 */
#include "downstream/wall_clock.h"

#include <time.h>

#include "protocol/repl_message.h"

int64_t wall_clock_unix_us(void)
{
	struct timespec now;
	clock_gettime(CLOCK_REALTIME, &now);
	return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

int64_t wall_clock_pg_us(void)
{
	return wall_clock_unix_us() - PG_EPOCH_UNIX_US;
}
