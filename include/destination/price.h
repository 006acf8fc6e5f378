/*
 * price: what a month's bytes cost, by tiers that begin anew with each month. Pure.
 *
 * Money is in nanos, 10^-9 of the currency; a GB is 2^30 or 10^9 bytes, as the provider counts.
 */
#ifndef DESTINATION_PRICE_H
#define DESTINATION_PRICE_H

#include <stddef.h>
#include <stdint.h>

struct price_tier {
	int64_t nanos_per_gb;
	uint64_t up_to_bytes; /* of the month; UINT64_MAX in the last tier */
};

struct price {
	const struct price_tier *tiers; /* none: free */
	size_t count;
	uint64_t gb_bytes;
};

/* Of the first month_bytes of a month, rounded down; at most INT64_MAX. */
int64_t price_of_month(const struct price *price, uint64_t month_bytes);
/* Of what comes after month_bytes: summed over a month it is exactly price_of_month(). */
int64_t price_of_more(const struct price *price, uint64_t month_bytes, uint64_t more_bytes);

#endif
