/*
 * What somebody asks of /api/usage: four lines, of which any may be missing; refused, or days that can be
 * told again.
 */
#include "fuzz.h"

#include "observe/usage.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define TODAY 20787 /* 2026-11-30 */

static void check_day(calendar_day day)
{
	char text[CALENDAR_DAY_TEXT_SIZE], again[CALENDAR_DAY_TEXT_SIZE];
	calendar_day parsed;
	calendar_format_day(day, text);
	assert(strlen(text) < sizeof(text));
	if (calendar_parse_day(text, &parsed)) {
		assert(parsed == day);
		assert(strcmp(calendar_format_day(parsed, again), text) == 0);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
	struct usage_request request;
	struct error err = {0};
	char *lines[4] = {NULL}, *text = malloc(length + 1), *next = text;
	assert(text != NULL);
	memcpy(text, bytes, length);
	text[length] = '\0';
	for (size_t i = 0; i < 4 && next != NULL; i++) {
		lines[i] = strsep(&next, "\n");
	}
	if (usage_request_read(lines[0], lines[1], lines[2], lines[3], TODAY, &request, &err)) {
		check_day(request.first);
		check_day(request.last);
		assert(strlen(request.destination) < sizeof(request.destination));
	} else {
		assert(err.message[0] != '\0');
	}
	free(text);
	return 0;
}
