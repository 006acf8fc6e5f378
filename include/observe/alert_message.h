/*
 * alert_message: one piece of news on its way over one channel, and what it looks like there.
 *
 * Pure. A mail is RFC 5322 with CRLF, 7-bit whatever the words are; what stands in a header cannot
 * end it. A web hook gets one JSON object. Both carry the same id, which stays the same however
 * often delivery is tried.
 */
#ifndef OBSERVE_ALERT_MESSAGE_H
#define OBSERVE_ALERT_MESSAGE_H

#include "observe/alert.h"

struct alert_message {
	int64_t id; /* of the state database; larger is later */
	enum alert_channel channel;
	struct alert_news news;
};

/* By id, one or more. */
struct alert_messages {
	const struct alert_message **items;
	size_t count;
};

struct alert_mail_options {
	const char *relay_name;
	const char *from; /* one bare address */
	const char *to;   /* bare addresses between commas */
	int64_t now_us;   /* Unix time */
};

/* What somebody reads first: "over after 5 min: ..." of a recovery. */
void alert_message_summary(const struct alert_news *news, char text_out[ALERT_TEXT_SIZE]);
/* Each malloc'ed. Many messages in one mail are told in a few lines each. */
char *alert_mail_format(
	const struct alert_messages *messages, const struct alert_mail_options *options);
char *alert_webhook_format(const struct alert_message *message, const char *relay_name);

#endif
