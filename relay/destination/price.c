/*
 * price: the sum over tiers, divided once, so that no rounding adds up.
 */
#include "destination/price.h"

#include <assert.h>

int64_t price_of_month(const struct price *price, uint64_t month_bytes)
{
	__uint128_t sum = 0; /* nanos x gb_bytes */
	uint64_t from = 0;
	assert(price->gb_bytes > 0);
	for (size_t i = 0; i < price->count && from < month_bytes; i++) {
		const struct price_tier *tier = &price->tiers[i];
		uint64_t to = tier->up_to_bytes < month_bytes ? tier->up_to_bytes : month_bytes;
		sum += (__uint128_t)(to - from) * (uint64_t)tier->nanos_per_gb;
		from = to;
	}
	sum /= price->gb_bytes;
	return sum > INT64_MAX ? INT64_MAX : (int64_t)sum;
}

int64_t price_of_more(const struct price *price, uint64_t month_bytes, uint64_t more_bytes)
{
	uint64_t after =
		more_bytes > UINT64_MAX - month_bytes ? UINT64_MAX : month_bytes + more_bytes;
	return price_of_month(price, after) - price_of_month(price, month_bytes);
}
