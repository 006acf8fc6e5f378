/*
 * peer_match: one comparison a kind of rule.
 */
#include "destination/peer_match.h"

#include <string.h>

static bool holds(
	const struct peer_rule *rule, const struct ip_ranges *ranges, const struct peer *peer)
{
	switch (rule->kind) {
	case PEER_RULE_NETWORK: return ip_network_contains(&rule->network, &peer->address);
	case PEER_RULE_AWS_REGION:
		return ranges != NULL && ip_ranges_is_in_region(ranges, rule->text, &peer->address);
	case PEER_RULE_USER: return strcmp(rule->text, peer->user) == 0;
	case PEER_RULE_APPLICATION: return strcmp(rule->text, peer->application) == 0;
	}
	return false;
}

bool peer_match(const struct peer_rule *rules, size_t count, const struct ip_ranges *ranges,
	const struct peer *peer)
{
	for (size_t i = 0; i < count; i++) {
		if (holds(&rules[i], ranges, peer)) {
			return true;
		}
	}
	return false;
}
