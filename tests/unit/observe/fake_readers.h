/*
 * fake_readers: stand-ins for the stats readers of the other modules, linked in their place.
 */
#ifndef TESTS_UNIT_OBSERVE_FAKE_READERS_H
#define TESTS_UNIT_OBSERVE_FAKE_READERS_H

#include "observe/snapshot.h"

#define FAKES_MAX 64

/* What the readers answer. */
struct fake_readers {
	struct upstream_stats upstream;
	struct wal_store_stats store;
	struct cluster_identity identity;
	struct cluster_parameters parameters;
	struct standby_stats standbys[FAKES_MAX];
	size_t standby_count;
	struct slot_stats slots[FAKES_MAX];
	size_t slot_count;
	struct pin_stats pins[FAKES_MAX];
	size_t pin_count;
	size_t connection_count;
	bool is_link_offered;
	struct shared_encoder_stats link;
	struct destination_stats destinations[FAKES_MAX];
	size_t destination_count;
	struct usage_line usage[FAKES_MAX];
	size_t usage_count;
	struct usage_query asked; /* of the last question for usage; its text: */
	char asked_destination[64];
	/* Standbys that come between the question how many there are and the list. */
	size_t late_standbys;
};
extern struct fake_readers fake_readers;

/* Everything well: streaming, one standby "s1" that has all. */
void fake_readers_reset(void);
struct standby_stats *fake_readers_add_standby(const char *application_name, uint32_t pid);
/* "other" is there from the beginning. */
struct destination_stats *fake_readers_add_destination(const char *name);
struct slot_stats *fake_readers_add_slot(const char *name, lsn_t restart_lsn);
/* It never ends. */
struct pin_stats *fake_readers_add_pin(const char *name, lsn_t lsn);

#endif
