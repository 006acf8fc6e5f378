/*
 * upstream_settings: three texts, copied, freed and compared together; and numbers.
 */
#include "upstream/upstream_settings.h"

#include "base/memory.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

void upstream_names_copy(struct upstream_options *options)
{
	options->relay_name = memory_copy_text(options->relay_name);
	options->conninfo = memory_copy_text(options->conninfo);
	options->slot = memory_copy_text(options->slot);
}

void upstream_names_free(struct upstream_options *options)
{
	char *conninfo = (char *)(uintptr_t)options->conninfo;

	free((char *)(uintptr_t)options->relay_name);
	memory_wipe_text(&conninfo);
	free((char *)(uintptr_t)options->slot);
}

bool upstream_names_differ(const struct upstream_options *a, const struct upstream_options *b)
{
	return strcmp(a->conninfo, b->conninfo) != 0 || strcmp(a->slot, b->slot) != 0 ||
	       strcmp(a->relay_name, b->relay_name) != 0;
}

void upstream_limits_take(struct upstream_options *ours, const struct upstream_options *theirs)
{
	ours->start = theirs->start;
	ours->start_lsn = theirs->start_lsn;
	ours->remote_apply_flush = theirs->remote_apply_flush;
	ours->acknowledge = theirs->acknowledge;
	ours->wants_link = theirs->wants_link;
	ours->recompresses = theirs->recompresses;
	ours->lanes = theirs->lanes;
	ours->status_interval_us = theirs->status_interval_us;
	ours->receiver_timeout_us = theirs->receiver_timeout_us;
}
