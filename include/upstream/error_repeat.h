/*
 * error_repeat: keeps one error that comes back with every try from filling the log.
 *
 * The first of its kind is logged; the same message again at most once a minute, with the number of
 * times it was kept back. Another message is logged at once. Pure: time is an argument.
 */
#ifndef UPSTREAM_ERROR_REPEAT_H
#define UPSTREAM_ERROR_REPEAT_H

#include <stdbool.h>
#include <stdint.h>

#define ERROR_REPEAT_INTERVAL_US INT64_C(60000000)

struct error_repeat {
	char message[512];
	int64_t logged_us;
	unsigned kept_back;
};

/* After what was wrong has passed: the next error is news again. */
void error_repeat_reset(struct error_repeat *repeat);
/* kept_back_out: how many of the same were not logged since the last that was. */
bool error_repeat_should_log(
	struct error_repeat *repeat, const char *message, int64_t now_us, unsigned *kept_back_out);

#endif
