/*
 * peer_match: whether a connection is of a destination: any of its rules holds. Pure.
 */
#ifndef DESTINATION_PEER_MATCH_H
#define DESTINATION_PEER_MATCH_H

#include "base/ip_network.h"
#include "destination/ip_ranges.h"

#include <stdbool.h>
#include <stddef.h>

enum peer_rule_kind {
	PEER_RULE_NETWORK,
	PEER_RULE_AWS_REGION,
	PEER_RULE_USER,
	PEER_RULE_APPLICATION
};

struct peer_rule {
	enum peer_rule_kind kind;
	struct ip_network network;
	char *text; /* region, user or application */
};

struct peer {
	struct ip_address address;
	const char *user; /* "" while it is not known */
	const char *application;
};

/* ranges NULL: no address is known to be in a region. */
bool peer_match(const struct peer_rule *rules, size_t count, const struct ip_ranges *ranges,
	const struct peer *peer);

#endif
