/*
 * pin_names: three fields between dots, none of which holds one.
 */
#include "cli/pin_names.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#define FIELDS     3
#define FIELD_SIZE PIN_NAME_SIZE
#define TIME_FORM  "%Y%m%dT%H%M%SZ"

static bool join(
	char name_out[PIN_NAME_SIZE], const char *first, const char *second, const char *third)
{
	char name[3 * FIELD_SIZE];
	int length = snprintf(name, sizeof(name), "%s.%s.%s", first, second, third);
	if (length >= PIN_NAME_SIZE) {
		return false;
	}
	memcpy(name_out, name, (size_t)length + 1);
	return true;
}

bool pin_name_begun(
	const char *region, const char *volume, int64_t now, char name_out[PIN_NAME_SIZE])
{
	char text[32];
	struct tm tm;
	time_t seconds = (time_t)now;
	gmtime_r(&seconds, &tm);
	strftime(text, sizeof(text), TIME_FORM, &tm);
	return join(name_out, region, volume, text);
}

bool pin_name_snapshot(
	const struct ec2_snapshot *snapshot, const char *region, char name_out[PIN_NAME_SIZE])
{
	return join(name_out, snapshot->id, region, snapshot->owner);
}

static bool split(const char *name, char fields[FIELDS][FIELD_SIZE])
{
	for (size_t i = 0; i < FIELDS; i++) {
		size_t length = strcspn(name, ".");
		bool is_last = i + 1 == FIELDS;
		if (length >= FIELD_SIZE || (name[length] == '\0') != is_last) {
			return false;
		}
		memcpy(fields[i], name, length);
		fields[i][length] = '\0';
		name += length + !is_last;
	}
	return true;
}

static bool is_time(const char *text)
{
	struct tm tm;
	const char *end = strptime(text, TIME_FORM, &tm);
	return end != NULL && *end == '\0';
}

void pin_name_parse(const char *name, struct pin_name *name_out)
{
	char fields[FIELDS][FIELD_SIZE];
	*name_out = (struct pin_name){.kind = PIN_NAME_OTHER};
	if (!split(name, fields)) {
		return;
	}
	if (aws_is_region(fields[0]) && aws_is_id(fields[1], "vol") && is_time(fields[2])) {
		name_out->kind = PIN_NAME_BEGUN;
		snprintf(name_out->region, sizeof(name_out->region), "%s", fields[0]);
		snprintf(name_out->id, sizeof(name_out->id), "%s", fields[1]);
	} else if (aws_is_id(fields[0], "snap") && aws_is_region(fields[1]) &&
		   aws_is_account(fields[2])) {
		name_out->kind = PIN_NAME_SNAPSHOT;
		snprintf(name_out->id, sizeof(name_out->id), "%s", fields[0]);
		snprintf(name_out->region, sizeof(name_out->region), "%s", fields[1]);
		snprintf(name_out->account, sizeof(name_out->account), "%s", fields[2]);
	}
}
