/*
 * accounting: a timer, the destinations, and where the address ranges come from.
 */
#include "app/accounting.h"

#include <stdlib.h>

#include "app/accounting_options.h"
#include "app/ip_ranges_source.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/wall_clock.h"

#define TICK_US INT64_C(700000)

enum { DEADLINE_TICK, DEADLINES };

struct accounting {
	struct loop *loop;
	struct destinations *destinations;
	struct ip_ranges_source *ranges;
	char *ranges_place;
	struct accounting_callbacks callbacks;
	struct deadlines deadlines;
};

static void on_ranges(void *context, struct ip_ranges *ranges)
{
	struct accounting *accounting = context;
	destinations_set_ranges(accounting->destinations, ranges);
	accounting->callbacks.on_match_changed(accounting->callbacks.context);
}

static void on_deadline(void *context, int reason)
{
	struct accounting *accounting = context;
	if (destinations_tick(accounting->destinations, wall_clock_unix_us())) {
		accounting->callbacks.on_cap_changed(accounting->callbacks.context);
	}
	deadlines_set(&accounting->deadlines, reason, loop_now_us(accounting->loop) + TICK_US);
}

struct accounting *accounting_new(struct loop *loop, struct database *database,
	const struct config *config, unsigned loop_count,
	const struct accounting_callbacks *callbacks, struct error *err)
{
	struct accounting *accounting = memory_new(sizeof(*accounting));
	struct accounting_options options;
	accounting->loop = loop;
	accounting->callbacks = *callbacks;
	accounting->ranges_place = memory_copy_text(config->egress.ip_ranges);
	accounting_options_init(&options, config);
	accounting->destinations =
		destinations_new(database, loop_count, &options.options, wall_clock_unix_us(), err);
	accounting_options_release(&options);
	if (accounting->destinations != NULL) {
		accounting->ranges = ip_ranges_source_new(
			loop, config->relay.data_dir, on_ranges, accounting, err);
	}
	if (accounting->ranges == NULL || !deadlines_init(&accounting->deadlines, loop, DEADLINES,
						  on_deadline, accounting, err)) {
		accounting_free(&accounting);
	}
	return accounting;
}

void accounting_start(struct accounting *accounting)
{
	ip_ranges_source_set(accounting->ranges, accounting->ranges_place);
	deadlines_set(
		&accounting->deadlines, DEADLINE_TICK, loop_now_us(accounting->loop) + TICK_US);
}

void accounting_free(struct accounting **accounting)
{
	struct accounting *gone = *accounting;
	if (gone == NULL) {
		return;
	}
	*accounting = NULL;
	deadlines_release(&gone->deadlines);
	ip_ranges_source_free(&gone->ranges);
	destinations_free(&gone->destinations, wall_clock_unix_us());
	free(gone->ranges_place);
	free(gone);
}

void accounting_reload(struct accounting *accounting, const struct config *config)
{
	struct accounting_options options;
	struct error err = {0};
	accounting_options_init(&options, config);
	if (!destinations_configure(
		    accounting->destinations, &options.options, wall_clock_unix_us(), &err)) {
		log_error(LOG_LEVEL_ERROR, "destination", &err);
	}
	accounting_options_release(&options);
	ip_ranges_source_set(accounting->ranges, config->egress.ip_ranges);
	accounting->callbacks.on_match_changed(accounting->callbacks.context);
	accounting->callbacks.on_cap_changed(accounting->callbacks.context);
}

struct destinations *accounting_destinations(struct accounting *accounting)
{
	return accounting->destinations;
}
