/*
 * upstream_hosts: the servers that one conninfo names, and in which order they are to be tried.
 *
 * libpq takes the first that lets it in and compares nothing. So of several each is asked
 * (upstream_survey) where it stands: those on newer timelines come first, those on the same one in
 * the order of conninfo, those that did not answer last. Pure.
 */
#ifndef UPSTREAM_UPSTREAM_HOSTS_H
#define UPSTREAM_UPSTREAM_HOSTS_H

#include "protocol/lsn.h"

#include <stdbool.h>
#include <stddef.h>

#define UPSTREAM_HOSTS_MAX 32

struct upstream_host {
	char *name; /* "": none */
	char *address;
	char *port;
	/* What it says. */
	bool has_answered;
	tli_t tli;
	lsn_t lsn;
};

struct upstream_hosts {
	struct upstream_host items[UPSTREAM_HOSTS_MAX];
	size_t count;
};

/* Comma-separated lists as libpq's host, hostaddr and port; NULL and "" are empty. More than
 * UPSTREAM_HOSTS_MAX are cut. */
void upstream_hosts_parse(struct upstream_hosts *hosts_out, const char *names,
	const char *addresses, const char *ports);
/* A zeroed one may be released. */
void upstream_hosts_release(struct upstream_hosts *hosts);
/* refusals: how often in a row the one that came first could not be followed; of those that
 * answered as many go to the end. */
void upstream_hosts_order(struct upstream_hosts *hosts, unsigned refusals);
size_t upstream_hosts_answered(const struct upstream_hosts *hosts);
enum upstream_hosts_part { UPSTREAM_HOSTS_NAME, UPSTREAM_HOSTS_ADDRESS, UPSTREAM_HOSTS_PORT };
/* As a list again; the caller frees it. */
char *upstream_hosts_join(const struct upstream_hosts *hosts, enum upstream_hosts_part part);

#endif
