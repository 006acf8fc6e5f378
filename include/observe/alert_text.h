/*
 * alert_text: pieces of text that the channels of alerts share.
 */
#ifndef OBSERVE_ALERT_TEXT_H
#define OBSERVE_ALERT_TEXT_H

#include "observe/alert_message.h"

#include <jansson.h>

#define ALERT_TIME_SIZE 32
#define ALERT_ID_SIZE   128

/* Takes what is no whole character off the end. */
void alert_text_end_at_character(char *text);
/* ISO 8601 in UTC; returns text_out. */
char *alert_text_time(int64_t unix_us, char text_out[ALERT_TIME_SIZE]);
/* Of letters, digits, "_", "-" and ".". */
void alert_text_id(
	const struct alert_message *message, const char *relay_name, char text_out[ALERT_ID_SIZE]);
/* An object; the caller's. */
json_t *alert_text_figures(const struct alert_news *news);

#endif
