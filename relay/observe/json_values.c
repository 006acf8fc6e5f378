/*
 * json_values: jansson escapes; it refuses only what is no UTF-8, which none of this is.
 */
#include "observe/json_values.h"

#include <assert.h>
#include <stdio.h>
#include <time.h>

void json_put(json_t *object, const char *key, json_t *value)
{
	int failed = json_object_set_new(object, key, value);
	assert(failed == 0);
}

json_t *json_lsn(lsn_t lsn)
{
	char text[LSN_TEXT_SIZE];
	return lsn == LSN_INVALID ? json_null() : json_string(lsn_format(lsn, text));
}

json_t *json_text(const char *text)
{
	return text[0] == '\0' ? json_null() : json_string(text);
}

json_t *json_time(int64_t unix_us)
{
	char text[64];
	struct tm parts;
	time_t seconds = (time_t)(unix_us / 1000000);
	if (unix_us <= 0) {
		return json_null();
	}
	gmtime_r(&seconds, &parts);
	size_t length = strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &parts);
	snprintf(text + length, sizeof(text) - length, ".%03dZ", (int)(unix_us % 1000000 / 1000));
	return json_string(text);
}

json_t *json_bytes(uint64_t bytes)
{
	return json_integer(bytes > INT64_MAX ? INT64_MAX : (json_int_t)bytes);
}

json_t *json_rate(double per_second)
{
	return per_second < 0 ? json_null() : json_integer((json_int_t)(per_second + 0.5));
}

json_t *json_seconds(double seconds)
{
	return seconds < 0 ? json_null() : json_real(seconds);
}
