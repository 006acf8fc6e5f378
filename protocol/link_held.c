/*
 * link_held: libxxhash's state; its size is the library's own business.
 */
#include "protocol/link_held.h"

#include <assert.h>
#include <stdlib.h>
#include <xxhash.h>

struct link_held {
	XXH64_state_t *state;
};

struct link_held *link_held_new(void)
{
	struct link_held *held = calloc(1, sizeof(*held));

	assert(held != NULL);
	held->state = XXH64_createState();
	assert(held->state != NULL);
	(void)XXH64_reset(held->state, 0);
	return held;
}

void link_held_free(struct link_held **held)
{
	if (*held != NULL) {
		(void)XXH64_freeState((*held)->state);
		free(*held);
		*held = NULL;
	}
}

void link_held_update(struct link_held *held, const void *bytes, size_t length)
{
	(void)XXH64_update(held->state, bytes, length);
}

uint64_t link_held_value(const struct link_held *held)
{
	return XXH64_digest(held->state);
}
