/*
 * error_repeat: remembers the last message logged and since when.
 */
#include "upstream/error_repeat.h"

#include <stdio.h>
#include <string.h>

void error_repeat_reset(struct error_repeat *repeat)
{
	memset(repeat, 0, sizeof(*repeat));
}

bool error_repeat_should_log(
	struct error_repeat *repeat, const char *message, int64_t now_us, unsigned *kept_back_out)
{
	/* Compared as far as it was kept: a longer message was cut when it was stored. */
	bool is_same = strncmp(repeat->message, message, sizeof(repeat->message) - 1) == 0;

	if (is_same && message[0] != '\0' &&
		now_us - repeat->logged_us < ERROR_REPEAT_INTERVAL_US) {
		repeat->kept_back++;
		return false;
	}
	*kept_back_out = is_same ? repeat->kept_back : 0;
	snprintf(repeat->message, sizeof(repeat->message), "%s", message);
	repeat->logged_us = now_us;
	repeat->kept_back = 0;
	return true;
}
