/*
 * A whole configuration file: refused with a report, or one that is written as a file which is
 * accepted and written the same again.
 */
#include "fuzz.h"

#include "app/config.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

static bool is_valid(const char *conninfo, struct error *err)
{
	return strchr(conninfo, '=') != NULL || error_set(err, ERROR_INVALID, "no \"=\"");
}

static char *unmasked(const char *conninfo)
{
	return strdup(conninfo);
}

static struct config *parse(const char *text, size_t length)
{
	static const struct config_conninfo conninfo = {is_valid, unmasked};
	struct config_report report = {0};
	struct config *config = config_parse("w.ini", "/etc", text, length, &conninfo, &report);

	assert((config == NULL) == (report.error_count > 0));
	for (size_t i = 0; i < report.count; i++) {
		assert(report.problems[i].line >= 1);
		assert(report.problems[i].message[0] != '\0');
	}
	config_report_release(&report);
	return config;
}

static char *written(const struct config *config)
{
	char *text;
	size_t length;
	FILE *out = open_memstream(&text, &length);

	config_write(config, out);
	(void)fclose(out);
	return text;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
	struct config *config = parse((const char *)bytes, length), *again;
	char *first, *second;

	if (config == NULL) {
		return 0;
	}
	first = written(config);
	again = parse(first, strlen(first));
	assert(again != NULL);
	second = written(again);
	assert(strcmp(first, second) == 0);
	free(second);
	free(first);
	config_free(&again);
	config_free(&config);
	return 0;
}
