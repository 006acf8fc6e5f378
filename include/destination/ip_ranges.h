/*
 * ip_ranges: which public addresses are in which AWS region, as AWS publishes it.
 *
 * Source: https://docs.aws.amazon.com/vpc/latest/userguide/aws-ip-syntax.html: an object with
 * "prefixes" (each with "ip_prefix" and "region") and "ipv6_prefixes" ("ipv6_prefix", "region").
 * Immutable: any thread.
 */
#ifndef DESTINATION_IP_RANGES_H
#define DESTINATION_IP_RANGES_H

#include "base/error.h"
#include "base/ip_network.h"

#include <stdbool.h>
#include <stddef.h>

struct ip_ranges;

/* Entries that have no network or no region are passed over; none left: an error. */
struct ip_ranges *ip_ranges_parse(const char *text, size_t length, struct error *err) MUST_CHECK;
/* Accepts NULL, sets NULL. */
void ip_ranges_free(struct ip_ranges **ranges);

bool ip_ranges_is_in_region(
	const struct ip_ranges *ranges, const char *region, const struct ip_address *address);
bool ip_ranges_has_region(const struct ip_ranges *ranges, const char *region);
size_t ip_ranges_count(const struct ip_ranges *ranges);

#endif
