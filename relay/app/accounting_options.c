/*
 * accounting_options: field by field; only prices change on the way.
 */
#include "app/accounting_options.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

#define GB (UINT64_C(1) << 30)
#define TB (UINT64_C(1) << 40)

/* A tier's end is written in the provider's GB and TB. */
static uint64_t tier_end(uint64_t bytes, uint64_t gb_bytes)
{
	if (bytes == UINT64_MAX || gb_bytes == GB) {
		return bytes;
	}
	__uint128_t scaled = bytes % TB == 0 ? (__uint128_t)(bytes / TB) * gb_bytes * 1000
					     : (__uint128_t)bytes * gb_bytes / GB;
	return scaled > UINT64_MAX ? UINT64_MAX : (uint64_t)scaled;
}

static struct price translate_price(const struct config_prices *prices, uint64_t gb_bytes)
{
	struct price_tier *tiers = memory_new((prices->count + 1) * sizeof(*tiers));
	for (size_t i = 0; i < prices->count; i++) {
		tiers[i] = (struct price_tier){
			.nanos_per_gb = prices->items[i].price_nanos,
			.up_to_bytes = tier_end(prices->items[i].up_to_bytes, gb_bytes),
		};
	}
	return (struct price){.tiers = tiers, .count = prices->count, .gb_bytes = gb_bytes};
}

static struct peer_rule *translate_rules(const struct config_matches *matches)
{
	static const enum peer_rule_kind kinds[] = {
		[CONFIG_MATCH_NETWORK] = PEER_RULE_NETWORK,
		[CONFIG_MATCH_AWS_REGION] = PEER_RULE_AWS_REGION,
		[CONFIG_MATCH_USER] = PEER_RULE_USER,
		[CONFIG_MATCH_APPLICATION] = PEER_RULE_APPLICATION,
	};
	struct peer_rule *rules = memory_new((matches->count + 1) * sizeof(*rules));
	for (size_t i = 0; i < matches->count; i++) {
		const struct config_match *match = &matches->items[i];
		rules[i].kind = kinds[match->kind];
		rules[i].text = match->text;
		rules[i].network.prefix_bits = match->network.prefix_bits;
		rules[i].network.address.length = match->network.family == AF_INET6 ? 16 : 4;
		memcpy(rules[i].network.address.bytes, match->network.address,
			sizeof(match->network.address));
	}
	return rules;
}

static struct quota_window *translate_windows(const struct config_rate_schedule *schedule)
{
	struct quota_window *windows = memory_new((schedule->count + 1) * sizeof(*windows));
	for (size_t i = 0; i < schedule->count; i++) {
		const struct config_rate_window *window = &schedule->items[i];
		windows[i] = (struct quota_window){
			.start_minute = window->start_minute,
			.end_minute = window->end_minute,
			.days = window->days,
			.bytes_per_second = window->bytes_per_second,
		};
	}
	return windows;
}

static struct destination_options translate(
	const struct config_destination *destination, uint64_t gb_bytes)
{
	static const char *const providers[] = {
		[CONFIG_PROVIDER_AWS] = "aws",
		[CONFIG_PROVIDER_RACKSPACE] = "rackspace",
		[CONFIG_PROVIDER_OTHER] = "other",
	};
	static const enum quota_action actions[] = {
		[CONFIG_ALERT] = QUOTA_ALERT,
		[CONFIG_THROTTLE] = QUOTA_THROTTLE,
		[CONFIG_PAUSE] = QUOTA_PAUSE,
	};
	return (struct destination_options){
		.name = destination->name,
		.provider = providers[destination->provider],
		.rules = translate_rules(&destination->match),
		.rule_count = destination->match.count,
		.limits =
			{
				.daily_bytes = destination->daily_limit_bytes,
				.monthly_bytes = destination->monthly_limit_bytes,
				.warn_at_basis_points = destination->warn_at_basis_points,
				.over_limit = actions[destination->over_limit.action],
				.throttle_bytes_per_second =
					destination->over_limit.bytes_per_second,
				.rate_cap_bytes = destination->rate_cap_bytes,
				.windows = translate_windows(&destination->rate_schedule),
				.window_count = destination->rate_schedule.count,
			},
		.price = translate_price(&destination->price_per_gb, gb_bytes),
		.price_in = translate_price(&destination->price_in_per_gb, gb_bytes),
		.priority = destination->priority,
	};
}

void accounting_options_init(struct accounting_options *options, const struct config *config)
{
	size_t count = config->destination_count;
	options->items = memory_new((count + 1) * sizeof(*options->items));
	for (size_t i = 0; i < count; i++) {
		options->items[i] =
			translate(&config->destinations[i], config->egress.billing_gb_bytes);
	}
	options->options = (struct destinations_options){
		.items = options->items,
		.count = count,
		.time_zone = config->egress.time_zone,
		.currency = config->egress.currency,
	};
}

static void free_const(const void *memory)
{
	free((void *)(uintptr_t)memory);
}

void accounting_options_release(struct accounting_options *options)
{
	for (size_t i = 0; i < options->options.count; i++) {
		struct destination_options *item = &options->items[i];
		free_const(item->rules);
		free_const(item->limits.windows);
		free_const(item->price.tiers);
		free_const(item->price_in.tiers);
	}
	free(options->items);
	options->items = NULL;
}
