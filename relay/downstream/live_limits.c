/*
 * live_limits: one copy of the limits behind a mutex that is held for a copy's time; proxy_from is
 * kept parsed.
 */
#include "downstream/live_limits.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "downstream/hba.h"
#include "downstream/hba_address.h"
#include "downstream/user_list.h"
#include "net/tls_context.h"

struct range {
	struct hba_address network;
	struct hba_address mask;
};

struct live_limits {
	pthread_mutex_t lock; /* all that follows */
	struct downstream_limits limits;
	struct range *ranges;
	size_t range_count;
};

static bool range_parse(const char *text, size_t length, struct range *range_out, struct error *err)
{
	char address[64];
	snprintf(address, sizeof(address), "%.*s", (int)length, text);
	char *slash = strchr(address, '/');
	const char *bits = "";
	if (slash != NULL) {
		*slash = '\0';
		bits = slash + 1;
	}
	bool is_valid = length < sizeof(address) && hba_address_parse(address, &range_out->network);
	if (is_valid && slash == NULL) {
		bits = range_out->network.family == AF_INET ? "32" : "128";
	}
	if (!is_valid || !hba_mask_parse(bits, &range_out->network, &range_out->mask)) {
		return error_set(err, ERROR_INVALID, "invalid address range \"%.*s\"",
			(int)(length < 64 ? length : 64), text);
	}
	return true;
}

static bool ranges_parse(
	const char *text, struct range **ranges_out, size_t *count_out, struct error *err)
{
	struct range *ranges = NULL;
	size_t count = 0;
	for (const char *at = text; at != NULL && *at != '\0';) {
		at += strspn(at, " \t,");
		size_t length = strcspn(at, " \t,");
		if (length == 0) {
			break;
		}
		ranges = memory_grow(ranges, count, sizeof(*ranges));
		if (!range_parse(at, length, &ranges[count++], err)) {
			free(ranges);
			return false;
		}
		at += length;
	}
	*ranges_out = ranges;
	*count_out = count;
	return true;
}

struct live_limits *live_limits_new(const struct downstream_limits *limits, struct error *err)
{
	struct live_limits *live = memory_new(sizeof(*live));
	pthread_mutex_init(&live->lock, NULL);
	if (!live_limits_set(live, limits, err)) {
		live_limits_free(&live);
		return NULL;
	}
	return live;
}

void live_limits_free(struct live_limits **live)
{
	struct live_limits *gone = *live;
	if (gone == NULL) {
		return;
	}
	*live = NULL;
	live_limits_release(&gone->limits);
	free(gone->ranges);
	pthread_mutex_destroy(&gone->lock);
	free(gone);
}

static struct downstream_limits copy_limits(const struct downstream_limits *limits)
{
	struct downstream_limits copy = *limits;
	copy.proxy_from = NULL;
	copy.hba = hba_ref(limits->hba);
	copy.users = user_list_ref(limits->users);
	copy.tls = limits->tls != NULL ? tls_context_ref(limits->tls) : NULL;
	return copy;
}

bool live_limits_set(
	struct live_limits *live, const struct downstream_limits *limits, struct error *err)
{
	struct range *ranges;
	size_t count;
	if (!ranges_parse(limits->proxy_from, &ranges, &count, err)) {
		return false;
	}
	struct downstream_limits fresh = copy_limits(limits);
	pthread_mutex_lock(&live->lock);
	struct downstream_limits stale = live->limits;
	struct range *stale_ranges = live->ranges;
	live->limits = fresh;
	live->ranges = ranges;
	live->range_count = count;
	pthread_mutex_unlock(&live->lock);
	live_limits_release(&stale);
	free(stale_ranges);
	return true;
}

void live_limits_take(struct live_limits *live, struct downstream_limits *copy_out)
{
	pthread_mutex_lock(&live->lock);
	*copy_out = copy_limits(&live->limits);
	pthread_mutex_unlock(&live->lock);
}

void live_limits_release(struct downstream_limits *copy)
{
	hba_unref(&copy->hba);
	user_list_unref(&copy->users);
	tls_context_unref(&copy->tls);
}

bool live_limits_expects_proxy_header(struct live_limits *live, const struct sockaddr *peer)
{
	struct hba_address address = hba_address_of(peer);
	bool is_expected = false;
	pthread_mutex_lock(&live->lock);
	for (size_t i = 0; live->limits.proxy_protocol && i < live->range_count; i++) {
		is_expected = is_expected || hba_address_is_in(&address, &live->ranges[i].network,
						     &live->ranges[i].mask);
	}
	pthread_mutex_unlock(&live->lock);
	return is_expected;
}
