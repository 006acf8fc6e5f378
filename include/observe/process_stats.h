/*
 * process_stats: what the kernel says about this process (proc(5)).
 */
#ifndef OBSERVE_PROCESS_STATS_H
#define OBSERVE_PROCESS_STATS_H

#include <stdint.h>

/* A figure that cannot be had is -1. */
struct process_stats {
	double cpu_seconds;
	double start_time_seconds; /* Unix time */
	int64_t open_fds;
	int64_t max_fds;
	int64_t virtual_memory_bytes;
	int64_t virtual_memory_max_bytes; /* -1 without a limit, too */
	int64_t resident_memory_bytes;
	int64_t threads;
};

void process_stats_read(struct process_stats *stats_out);

#endif
