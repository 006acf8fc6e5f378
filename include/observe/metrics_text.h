/*
 * metrics_text: pieces of Prometheus' exposition format.
 */
#ifndef OBSERVE_METRICS_TEXT_H
#define OBSERVE_METRICS_TEXT_H

#include <stdint.h>

struct evbuffer;

/* HELP and TYPE; type: "counter" or "gauge". */
void metrics_begin_family(
	struct evbuffer *out, const char *name, const char *type, const char *help);
/* name="value", escaped. */
void metrics_write_label(struct evbuffer *out, const char *name, const char *value);
/* A family with one sample and no label. */
void metrics_write_number(
	struct evbuffer *out, const char *name, const char *type, uint64_t value, const char *help);

#endif
