/*
 * destination: a name, a meter and two numbers that sender loops read.
 */
#include "destination/destination.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "base/memory.h"

struct destination {
	char *name;
	struct meter *meter;
	_Atomic uint64_t cap_bytes;
	atomic_int priority;
};

struct destination *destination_new(const char *name, unsigned loop_count)
{
	struct destination *destination = memory_new(sizeof(*destination));
	destination->name = memory_copy_text(name);
	destination->meter = meter_new(loop_count);
	atomic_init(&destination->cap_bytes, QUOTA_NO_CAP);
	return destination;
}

void destination_free(struct destination **destination)
{
	if (*destination != NULL) {
		meter_free(&(*destination)->meter);
		free((*destination)->name);
		free(*destination);
		*destination = NULL;
	}
}

const char *destination_name(const struct destination *destination)
{
	return destination->name;
}

struct meter *destination_meter(struct destination *destination)
{
	return destination->meter;
}

uint64_t destination_cap(const struct destination *destination)
{
	return atomic_load_explicit(&destination->cap_bytes, memory_order_relaxed);
}

int destination_priority(const struct destination *destination)
{
	return atomic_load_explicit(&destination->priority, memory_order_relaxed);
}

void destination_set_cap(struct destination *destination, uint64_t bytes_per_second)
{
	atomic_store_explicit(&destination->cap_bytes, bytes_per_second, memory_order_relaxed);
}

void destination_set_priority(struct destination *destination, int priority)
{
	atomic_store_explicit(&destination->priority, priority, memory_order_relaxed);
}
