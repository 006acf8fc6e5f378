/*
 * ip_ranges_source: gets AWS's published ranges from where the configuration says, a file or a URL.
 *
 * What was good once is kept in the data directory: until something better comes, and over restarts
 * while the source cannot be had or is faulty. A URL is asked again every day, after a failure
 * every ten minutes, and on each reload. On one loop, which must not be one that serves standbys.
 */
#ifndef APP_IP_RANGES_SOURCE_H
#define APP_IP_RANGES_SOURCE_H

#include "base/error.h"
#include "destination/ip_ranges.h"
#include "net/loop.h"

struct ip_ranges_source;

/* on_ranges takes ranges over; on the loop, also from inside ip_ranges_source_set(). */
typedef void ip_ranges_source_got(void *context, struct ip_ranges *ranges);

struct ip_ranges_source *ip_ranges_source_new(struct loop *loop, const char *data_dir,
	ip_ranges_source_got *on_ranges, void *context, struct error *err) MUST_CHECK;
/* On the loop, or when it no longer runs. Accepts NULL, sets NULL. */
void ip_ranges_source_free(struct ip_ranges_source **source);

/* A path or a URL, "": none. Looks at once. */
void ip_ranges_source_set(struct ip_ranges_source *source, const char *place);

#endif
