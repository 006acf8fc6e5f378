/*
 * alert_outbox: what is to be told, on its way by mail and web hook.
 *
 * A message goes out once it is in the state database, and stays until the other side has taken it,
 * however long that takes: tries are spaced by a backoff of the channel, at most a minute, with
 * jitter. One message a channel is under way at a time, older ones first; one that is refused again
 * and again lets later ones pass. Ten and more that wait to go by mail go as one. Past a thousand that wait the oldest is given up, with a log line,
 * unless it is about a limit; a repetition is left out while what it repeats still waits.
 * On one loop, which must not be one that serves standbys.
 */
#ifndef OBSERVE_ALERT_OUTBOX_H
#define OBSERVE_ALERT_OUTBOX_H

#include "base/error.h"
#include "net/loop.h"
#include "observe/alert_message.h"
#include "observe/alert_rows.h"

#include <stdbool.h>
#include <stdint.h>

#define ALERT_BACKOFF_MAX_US INT64_C(60000000)

struct alert_outbox;

/* Where to; texts are copied. "": not there. */
struct alert_delivery {
	const char *relay_name;
	const char *smtp_url; /* "": no mail */
	const char *mail_from;
	const char *mail_to;
	const char *smtp_user;
	const char *smtp_password;
	const char *webhook_url; /* "": none */
	const char *webhook_token;
	const char *ca_file; /* "": the system's authorities */
};

/* on_settled: something was delivered or given up, and is to be stored. */
struct alert_outbox *alert_outbox_new(struct loop *loop, int64_t last_id,
	void (*on_settled)(void *context), void *context, struct error *err) MUST_CHECK;
/* On the loop, or when it no longer runs. Accepts NULL, sets NULL. */
void alert_outbox_free(struct alert_outbox **outbox);
/* Tries anew at once. What waits for a channel that is no longer there is given up, and logged. */
void alert_outbox_configure(struct alert_outbox *outbox, const struct alert_delivery *delivery);

/* One message a channel that is there. They wait until they are stored. */
void alert_outbox_add(struct alert_outbox *outbox, const struct alert_news *news);
/* Of the state database; waits to be delivered. */
void alert_outbox_restore(struct alert_outbox *outbox, const struct alert_message *message);

bool alert_outbox_is_stored(const struct alert_outbox *outbox);
/* Adds what is to be stored. */
void alert_outbox_collect(const struct alert_outbox *outbox, struct alert_rows *rows);
/* What became of that: on disk (and what was settled then is forgotten here), or not, and then it
 * goes out all the same. */
void alert_outbox_on_stored(
	struct alert_outbox *outbox, const struct alert_rows *rows, bool is_stored);

void alert_outbox_read_stats(const struct alert_outbox *outbox, enum alert_channel channel,
	struct alert_channel_stats *stats_out);
/* Pure. failures: in a row, from 1 on; random: any number. */
int64_t alert_backoff_us(unsigned failures, uint32_t random);

#endif
