/*
 * link_terms: the texts by which two relays agree on how WAL goes between them.
 *
 * A relay that serves links answers SHOW walrelay.link with one row:
 *
 *   VERSIONS ABILITY ABILITY ...           1 lz4=1.9.4 backup=zstd lanes=2
 *
 * VERSIONS is "N" or "MIN-MAX"; an ability is a name or name=value; the order is free and what is
 * not known is passed over. The relay that follows takes the highest version both speak and the
 * abilities both have, values alike, and names them in the options of START_REPLICATION:
 *
 *   (link '1', abilities 'lz4=1.9.4 lanes=2', held '0/3A45678', held_hash '44bc2cf5ad770999',
 *    oldest '0/1000000', keep '2147483648')
 *
 * One that is a lane of such a stream says which (each has a number of its own, never used again),
 * with the token that the stream brought:
 *
 *   (link '1', lane '3', token '00d2f1c3a4b59687', ...)
 *
 * held and held_hash (both or neither) are the end of what it holds and what link_held makes of the
 * WAL from the position asked for up to there; oldest and keep (both or neither) its promise (link_stream).
 * Pure functions.
 */
#ifndef PROTOCOL_LINK_TERMS_H
#define PROTOCOL_LINK_TERMS_H

#include "protocol/link_stream.h"
#include "protocol/lsn.h"
#include "protocol/repl_command.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LINK_SETTING_NAME   "walrelay.link"
#define LINK_LANES_ABILITY  "lanes"
#define LINK_LANES_WAY      "2" /* its value: they share one queue */
#define LINK_VERSION_OLDEST 1u
#define LINK_VERSION_NEWEST 1u
#define LINK_ABILITIES_MAX  8
#define LINK_ABILITY_SIZE   32
/* A second column of the answer, if there: the address of the relay's status page. */
#define LINK_PAGE_COLUMN     "page_url"
#define LINK_PAGE_URL_SIZE   256
#define LINK_OFFER_TEXT_SIZE 288 /* an offer and its end */
#define LINK_START_TEXT_SIZE 640 /* options and their end */

struct link_abilities {
	char words[LINK_ABILITIES_MAX][LINK_ABILITY_SIZE];
	size_t count;
};

struct link_offer {
	uint32_t version_min;
	uint32_t version_max;
	struct link_abilities abilities;
};

/* What two ends agreed on. */
struct link_terms {
	uint32_t version;
	struct link_abilities abilities;
};

/* The versions this build speaks. */
void link_offer_init(struct link_offer *offer_out);
/* Adds what this build compresses page images with as PostgreSQL does, by version. */
void link_offer_add_recompress(struct link_offer *offer);
/* LINK_RECOMPRESS_* of what was agreed on. */
unsigned link_terms_recompress(const struct link_terms *terms);
/* value may be NULL. False: no room, or not of [a-z0-9_.+-]. */
bool link_abilities_add(struct link_abilities *abilities, const char *name, const char *value);
/* Its value, "" where it has none; NULL: not there. */
const char *link_abilities_find(const struct link_abilities *abilities, const char *name);
/* Returns text_out. */
char *link_offer_format(const struct link_offer *offer, char text_out[LINK_OFFER_TEXT_SIZE]);
/* False: theirs is no offer, or no version is common. */
bool link_offer_agree(
	const struct link_offer *ours, const char *theirs, struct link_terms *terms_out);

struct link_start {
	struct link_terms terms;
	bool has_held;
	lsn_t held_lsn;
	uint64_t held_hash;
	struct link_promise promise; /* zero: none */
	uint32_t lane;               /* its number; 0: a stream of its own */
	uint64_t lane_token;
};

/* "(link '1', ...)" and returns text_out. */
char *link_start_format(const struct link_start *start, char text_out[LINK_START_TEXT_SIZE]);

enum link_start_result {
	LINK_START_OK,
	LINK_START_NONE,        /* no options: a plain stream */
	LINK_START_SYNTAX,      /* 42601 */
	LINK_START_UNSUPPORTED, /* 0A000: a version or option that this build or `ours` has not */
};
/* Of the abilities asked for, those that ours has too are taken. message_out is static. */
enum link_start_result link_start_parse(const struct link_offer *ours,
	const struct repl_option *options, size_t count, struct link_start *start_out,
	const char **message_out);

#endif
