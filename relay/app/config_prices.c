/*
 * config_prices: what a destination's GB costs, and what happens over its limits.
 */
#include "app/config_options.h"
#include "base/memory.h"
#include "base/units.h"

#include <stdlib.h>
#include <string.h>

static bool over_limit_parse(const struct config_option *option, const struct config_scope *scope,
	const char *text, void *field, struct error *err)
{
	struct config_over_limit over_limit = {.action = CONFIG_ALERT};
	char action[16];
	const char *rate = config_next_word(text, action, sizeof(action));
	bool ok = true;

	(void)option;
	(void)scope;
	if (strcmp(action, "throttle") == 0) {
		over_limit.action = CONFIG_THROTTLE;
		ok = units_parse_rate(rate, &over_limit.bytes_per_second) &&
		     over_limit.bytes_per_second > 0;
	} else if (strcmp(text, "pause") == 0) {
		over_limit.action = CONFIG_PAUSE;
	} else {
		ok = strcmp(text, "alert") == 0;
	}
	if (!ok) {
		return error_set(err, ERROR_INVALID,
			"expected \"alert\", \"throttle RATE\" (kbit/s Mbit/s Gbit/s kB/s MB/s) or "
			"\"pause\"");
	}
	*(struct config_over_limit *)field = over_limit;
	return true;
}

static void over_limit_format(const struct config_option *option, const struct config_scope *scope,
	const void *field, FILE *out)
{
	static const char *const actions[] = {"alert", "throttle ", "pause"};
	const struct config_over_limit *over_limit = field;
	char rate[UNITS_TEXT_SIZE];

	(void)option;
	(void)scope;
	(void)fputs(actions[over_limit->action], out);
	if (over_limit->action == CONFIG_THROTTLE) {
		(void)fputs(units_format_rate(over_limit->bytes_per_second, rate), out);
	}
}

struct price_list {
	struct config_prices prices;
	bool has_last; /* a tier without an end */
};

static bool take_price(void *context, const char *piece, struct error *err)
{
	struct price_list *list = context;
	struct config_prices *prices = &list->prices;
	struct config_price_tier tier = {.up_to_bytes = UINT64_MAX};
	char price[32], to[8];
	const char *rest = config_next_word(piece, price, sizeof(price));
	const char *end = config_next_word(rest, to, sizeof(to));

	if (!units_parse_nanos(price, &tier.price_nanos) ||
		(*rest != '\0' &&
			(strcmp(to, "to") != 0 || !units_parse_size(end, &tier.up_to_bytes)))) {
		return error_set(err, ERROR_INVALID,
			"expected a price, or tiers such as \"0 to 100GB, 0.09 to 10TB, 0.085\", "
			"not \"%.80s\"",
			piece);
	}
	if (list->has_last ||
		(prices->count > 0 &&
			tier.up_to_bytes <= prices->items[prices->count - 1].up_to_bytes) ||
		tier.up_to_bytes == 0) {
		return error_set(err, ERROR_INVALID,
			"tier \"%.80s\" does not reach further than the one before it", piece);
	}
	list->has_last = *rest == '\0';
	prices->items = memory_grow(prices->items, prices->count, sizeof(tier));
	prices->items[prices->count++] = tier;
	return true;
}

static void prices_release(void *field)
{
	struct config_prices *prices = field;

	free(prices->items);
	*prices = (struct config_prices){0};
}

static bool prices_parse(const struct config_option *option, const struct config_scope *scope,
	const char *text, void *field, struct error *err)
{
	struct price_list list = {0};
	bool ok = config_split(text, take_price, &list, err);

	(void)option;
	(void)scope;
	if (ok && !list.has_last) {
		ok = error_set(err, ERROR_INVALID,
			"expected a price, or tiers whose last has no end, such as \"0 to 100GB, "
			"0.09\"");
	}
	if (!ok) {
		prices_release(&list.prices);
		return false;
	}
	*(struct config_prices *)field = list.prices;
	return true;
}

static void prices_format(const struct config_option *option, const struct config_scope *scope,
	const void *field, FILE *out)
{
	const struct config_prices *prices = field;
	char text[UNITS_TEXT_SIZE];

	(void)option;
	(void)scope;
	for (size_t i = 0; i < prices->count; i++) {
		const struct config_price_tier *tier = &prices->items[i];

		(void)fprintf(out, "%s%s", i == 0 ? "" : ", ",
			units_format_nanos(tier->price_nanos, text));
		if (tier->up_to_bytes != UINT64_MAX) {
			(void)fprintf(out, " to %s", units_format_size(tier->up_to_bytes, text));
		}
	}
}

const struct config_type config_type_over_limit = {
	over_limit_parse, over_limit_format, NULL, sizeof(struct config_over_limit)};
const struct config_type config_type_prices = {
	prices_parse, prices_format, prices_release, sizeof(struct config_prices)};
