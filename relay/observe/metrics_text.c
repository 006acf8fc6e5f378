/*
 * metrics_text: one sample a line, comments before each family.
 */
#include "observe/metrics_text.h"

#include <event2/buffer.h>
#include <inttypes.h>

void metrics_begin_family(
	struct evbuffer *out, const char *name, const char *type, const char *help)
{
	evbuffer_add_printf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

void metrics_write_number(
	struct evbuffer *out, const char *name, const char *type, uint64_t value, const char *help)
{
	metrics_begin_family(out, name, type, help);
	evbuffer_add_printf(out, "%s %" PRIu64 "\n", name, value);
}

/* Label values: backslash, double quote and line feed are escaped, and nothing else. */
void metrics_write_label(struct evbuffer *out, const char *name, const char *value)
{
	evbuffer_add_printf(out, "%s=\"", name);
	for (const char *at = value; *at != '\0'; at++) {
		if (*at == '\n') {
			evbuffer_add(out, "\\n", 2);
			continue;
		}
		if (*at == '\\' || *at == '"') {
			evbuffer_add(out, "\\", 1);
		}
		evbuffer_add(out, at, 1);
	}
	evbuffer_add(out, "\"", 1);
}
