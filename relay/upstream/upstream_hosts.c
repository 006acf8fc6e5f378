/*
 * upstream_hosts: lists taken apart, sorted, and put together again.
 */
#include "upstream/upstream_hosts.h"

#include "base/memory.h"

#include <stdlib.h>
#include <string.h>

static size_t length_of(const char *list)
{
	size_t count = 1;

	if (list == NULL || *list == '\0') {
		return 0;
	}
	for (; *list != '\0'; list++) {
		count += *list == ',';
	}
	return count;
}

/* The n-th; "" where the list is shorter. */
static char *copy_item(const char *list, size_t n)
{
	const char *end;
	char *item;

	for (; n > 0 && list != NULL; n--) {
		list = strchr(list, ',');
		list = list == NULL ? NULL : list + 1;
	}
	if (list == NULL) {
		return memory_copy_text("");
	}
	end = strchrnul(list, ',');
	item = memory_new((size_t)(end - list) + 1);
	memcpy(item, list, (size_t)(end - list));
	return item;
}

void upstream_hosts_parse(struct upstream_hosts *hosts_out, const char *names,
	const char *addresses, const char *ports)
{
	size_t count = length_of(addresses) > 0 ? length_of(addresses) : length_of(names);
	bool is_one_port = length_of(ports) == 1;

	memset(hosts_out, 0, sizeof(*hosts_out));
	hosts_out->count = count < UPSTREAM_HOSTS_MAX ? count : UPSTREAM_HOSTS_MAX;
	for (size_t i = 0; i < hosts_out->count; i++) {
		struct upstream_host *host = &hosts_out->items[i];

		host->name = copy_item(names, i);
		host->address = copy_item(addresses, i);
		host->port = copy_item(ports, is_one_port ? 0 : i);
	}
}

void upstream_hosts_release(struct upstream_hosts *hosts)
{
	for (size_t i = 0; i < hosts->count; i++) {
		free(hosts->items[i].name);
		free(hosts->items[i].address);
		free(hosts->items[i].port);
	}
	hosts->count = 0;
}

/* Should a be tried after b? */
static bool is_worse(const struct upstream_host *a, const struct upstream_host *b)
{
	if (a->has_answered != b->has_answered) {
		return b->has_answered;
	}
	return a->has_answered && a->tli < b->tli;
}

static void move(struct upstream_hosts *hosts, size_t from, size_t to)
{
	struct upstream_host moved = hosts->items[from];

	for (; from > to; from--) {
		hosts->items[from] = hosts->items[from - 1];
	}
	for (; from < to; from++) {
		hosts->items[from] = hosts->items[from + 1];
	}
	hosts->items[to] = moved;
}

size_t upstream_hosts_answered(const struct upstream_hosts *hosts)
{
	size_t count = 0;

	for (size_t i = 0; i < hosts->count; i++) {
		count += hosts->items[i].has_answered;
	}
	return count;
}

void upstream_hosts_order(struct upstream_hosts *hosts, unsigned refusals)
{
	size_t answered = upstream_hosts_answered(hosts);

	/* Stable: the order of conninfo counts among equals. */
	for (size_t i = 1; i < hosts->count; i++) {
		size_t to = i;

		while (to > 0 && is_worse(&hosts->items[to - 1], &hosts->items[i])) {
			to--;
		}
		move(hosts, i, to);
	}
	for (size_t i = 0; answered > 0 && i < refusals % answered; i++) {
		move(hosts, 0, answered - 1);
	}
}

static const char *part_of(const struct upstream_host *host, enum upstream_hosts_part part)
{
	switch (part) {
	case UPSTREAM_HOSTS_NAME: return host->name;
	case UPSTREAM_HOSTS_ADDRESS: return host->address;
	default: return host->port;
	}
}

char *upstream_hosts_join(const struct upstream_hosts *hosts, enum upstream_hosts_part part)
{
	size_t size = 1;
	char *joined, *end;

	for (size_t i = 0; i < hosts->count; i++) {
		size += strlen(part_of(&hosts->items[i], part)) + 1;
	}
	joined = end = memory_new(size);
	for (size_t i = 0; i < hosts->count; i++) {
		if (i > 0) {
			*end++ = ',';
		}
		end = stpcpy(end, part_of(&hosts->items[i], part));
	}
	return joined;
}
