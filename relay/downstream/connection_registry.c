/*
 * connection_registry: an array of places. A pid is a place's number and how often the place was
 * taken, so it needs no search to be unique; free places queue up, so that one is not taken again
 * at once. Places of one address are chained in a bucket of its hash.
 */
#include "downstream/connection_registry.h"

#include <assert.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "base/memory.h"

#define BUCKETS            1024u
#define GENERATIONS_MAX    0x7fffu
#define PLACES_FIRST_BLOCK 64u

struct place {
	TAILQ_ENTRY(place) free_link;
	LIST_ENTRY(place) bucket_link;
	uint32_t number;
	uint32_t generation; /* 0: never taken */
	bool is_taken;
	bool has_address;
	uint8_t address[16]; /* IPv4 as mapped IPv6 */
};

TAILQ_HEAD(free_list, place);
LIST_HEAD(bucket, place);

struct connection_registry {
	pthread_mutex_t lock; /* all that follows */
	struct place *places[REGISTRY_CONNECTIONS_MAX];
	uint32_t place_count;
	struct free_list free;
	struct bucket buckets[BUCKETS];
	size_t count;
};

struct connection_registry *connection_registry_new(void)
{
	struct connection_registry *registry = memory_new(sizeof(*registry));
	pthread_mutex_init(&registry->lock, NULL);
	TAILQ_INIT(&registry->free);
	for (unsigned i = 0; i < BUCKETS; i++) {
		LIST_INIT(&registry->buckets[i]);
	}
	return registry;
}

void connection_registry_free(struct connection_registry **registry)
{
	struct connection_registry *gone = *registry;
	if (gone == NULL) {
		return;
	}
	*registry = NULL;
	assert(gone->count == 0);
	for (uint32_t i = 0; i < gone->place_count; i++) {
		free(gone->places[i]);
	}
	pthread_mutex_destroy(&gone->lock);
	free(gone);
}

static bool address_key(const struct sockaddr *address, uint8_t key_out[16])
{
	if (address != NULL && address->sa_family == AF_INET6) {
		struct sockaddr_in6 v6;
		memcpy(&v6, address, sizeof(v6));
		memcpy(key_out, &v6.sin6_addr, 16);
		return true;
	}
	if (address != NULL && address->sa_family == AF_INET) {
		struct sockaddr_in v4;
		memcpy(&v4, address, sizeof(v4));
		memset(key_out, 0, 10);
		memset(key_out + 10, 0xff, 2);
		memcpy(key_out + 12, &v4.sin_addr, 4);
		return true;
	}
	return false;
}

static struct bucket *find_bucket(struct connection_registry *registry, const uint8_t key[16])
{
	uint32_t hash = 2166136261u;
	for (int i = 0; i < 16; i++) {
		hash = (hash ^ key[i]) * 16777619u;
	}
	return &registry->buckets[hash % BUCKETS];
}

/* Counts the place under its address; answers how many there are now, 0 without an address. */
static unsigned join_address(
	struct connection_registry *registry, struct place *place, const struct sockaddr *address)
{
	place->has_address = address_key(address, place->address);
	if (!place->has_address) {
		return 0;
	}
	struct bucket *bucket = find_bucket(registry, place->address);
	LIST_INSERT_HEAD(bucket, place, bucket_link);
	unsigned count = 0;
	struct place *other;
	for (other = LIST_FIRST(bucket); other != NULL; other = LIST_NEXT(other, bucket_link)) {
		count += memcmp(other->address, place->address, sizeof(place->address)) == 0;
	}
	return count;
}

static void leave_address(struct place *place)
{
	if (place->has_address) {
		LIST_REMOVE(place, bucket_link);
		place->has_address = false;
	}
}

static struct place *take_place(struct connection_registry *registry)
{
	/* A first stock of places keeps one from being taken again right after it was left. */
	bool has_stock = registry->place_count >= PLACES_FIRST_BLOCK;
	struct place *place = has_stock ? TAILQ_FIRST(&registry->free) : NULL;
	if (place != NULL) {
		TAILQ_REMOVE(&registry->free, place, free_link);
	} else {
		if (registry->place_count == REGISTRY_CONNECTIONS_MAX) {
			return NULL;
		}
		place = memory_new(sizeof(*place));
		place->number = registry->place_count;
		registry->places[registry->place_count++] = place;
	}
	place->generation = place->generation % GENERATIONS_MAX + 1;
	place->is_taken = true;
	registry->count++;
	return place;
}

static struct place *find_place(struct connection_registry *registry, uint32_t pid)
{
	uint32_t number = pid % REGISTRY_CONNECTIONS_MAX;
	assert(number < registry->place_count);
	struct place *place = registry->places[number];
	assert(place->is_taken);
	assert(place->generation == pid / REGISTRY_CONNECTIONS_MAX);
	return place;
}

uint32_t connection_registry_add(struct connection_registry *registry,
	const struct connection_limits *limits, const struct sockaddr *address,
	enum admission *admission_out)
{
	uint32_t pid = 0;
	pthread_mutex_lock(&registry->lock);
	struct place *place = NULL;
	if (registry->count < (size_t)limits->connections + REGISTRY_REFUSALS_MAX) {
		place = take_place(registry);
	}
	if (place != NULL) {
		pid = place->generation * REGISTRY_CONNECTIONS_MAX + place->number;
		unsigned from_address = join_address(registry, place, address);
		*admission_out = ADMISSION_GRANTED;
		if (registry->count > limits->connections) {
			*admission_out = ADMISSION_TOO_MANY;
		} else if (limits->per_address != 0 && from_address > limits->per_address) {
			*admission_out = ADMISSION_TOO_MANY_FROM_ADDRESS;
		}
	}
	pthread_mutex_unlock(&registry->lock);
	return pid;
}

enum admission connection_registry_set_address(struct connection_registry *registry, uint32_t pid,
	const struct connection_limits *limits, const struct sockaddr *address)
{
	pthread_mutex_lock(&registry->lock);
	struct place *place = find_place(registry, pid);
	leave_address(place);
	unsigned from_address = join_address(registry, place, address);
	pthread_mutex_unlock(&registry->lock);
	if (limits->per_address != 0 && from_address > limits->per_address) {
		return ADMISSION_TOO_MANY_FROM_ADDRESS;
	}
	return ADMISSION_GRANTED;
}

void connection_registry_remove(struct connection_registry *registry, uint32_t pid)
{
	pthread_mutex_lock(&registry->lock);
	struct place *place = find_place(registry, pid);
	leave_address(place);
	place->is_taken = false;
	TAILQ_INSERT_TAIL(&registry->free, place, free_link);
	registry->count--;
	pthread_mutex_unlock(&registry->lock);
}

size_t connection_registry_count(struct connection_registry *registry)
{
	pthread_mutex_lock(&registry->lock);
	size_t count = registry->count;
	pthread_mutex_unlock(&registry->lock);
	return count;
}
