/*
 * alert_outbox: one list of messages by id, and what each channel is at.
 */
#include "observe/alert_outbox.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/random.h>

#include "base/log.h"
#include "base/memory.h"
#include "base/wall_clock.h"
#include "net/transfer.h"

#define SCOPE            "alert"
#define BACKOFF_FIRST_US INT64_C(1000000)
#define TRANSFER_US      INT64_C(30000000)
#define PENDING_MAX      1000
/* As often a message is tried before those behind it have their turn. */
#define TRIES_A_TURN 8
/* So many waiting mails go as one, of so many at most. */
#define DIGEST_FROM 10
#define DIGEST_MAX  200
/* The first failure in a row is logged, and then one of so many. */
#define LOG_ONE_IN 60

struct queued {
	TAILQ_ENTRY(queued) link;
	struct alert_message_row row;
	bool is_new; /* not in the database */
	bool may_go; /* it is, or could not be written */
	bool is_under_way;
	unsigned tries;
};

TAILQ_HEAD(queue, queued);

struct channel {
	struct alert_outbox *outbox;
	enum alert_channel channel;
	bool is_configured;
	bool is_busy;
	unsigned failures; /* in a row */
	int64_t next_us;   /* on the loop's clock; 0: now */
	struct alert_channel_stats stats;
};

struct texts {
	char *relay_name, *smtp_url, *mail_from, *mail_to, *smtp_user, *smtp_password;
	char *webhook_url, *webhook_token, *ca_file;
};

struct alert_outbox {
	struct loop *loop;
	struct transfer *transfer;  /* opened with the first message */
	struct deadlines deadlines; /* one a channel */
	struct texts texts;
	struct channel channels[ALERT_CHANNELS];
	struct queue queue;
	int64_t last_id;
	bool is_closing;
	void (*on_settled)(void *context);
	void *context;
};

static void run(struct channel *channel);

int64_t alert_backoff_us(unsigned failures, uint32_t random)
{
	int64_t whole_us = BACKOFF_FIRST_US;
	for (unsigned i = 1; i < failures && whole_us < ALERT_BACKOFF_MAX_US; i++) {
		whole_us *= 2;
	}
	whole_us = whole_us > ALERT_BACKOFF_MAX_US ? ALERT_BACKOFF_MAX_US : whole_us;
	return whole_us / 2 + (int64_t)((uint64_t)random * (uint64_t)(whole_us / 2) / UINT32_MAX);
}

/* --- the queue -------------------------------------------------------------------------------- */

static void settle(struct queued *queued, enum alert_outcome outcome)
{
	queued->row.outcome = outcome;
	queued->row.outcome_us = wall_clock_unix_us();
}

static struct queued *add(struct alert_outbox *outbox, const struct alert_message *message)
{
	struct queued *queued = memory_new(sizeof(*queued));
	queued->row.message = *message;
	TAILQ_INSERT_TAIL(&outbox->queue, queued, link);
	return queued;
}

static bool is_pending(const struct queued *queued, enum alert_channel channel)
{
	return queued->row.outcome == ALERT_PENDING && queued->row.message.channel == channel;
}

static size_t count_pending(const struct alert_outbox *outbox, enum alert_channel channel)
{
	const struct queued *queued;
	size_t count = 0;
	for (queued = TAILQ_FIRST(&outbox->queue); queued != NULL;
		queued = TAILQ_NEXT(queued, link)) {
		count += is_pending(queued, channel);
	}
	return count;
}

static void drop(struct channel *channel, struct queued *queued, const char *why)
{
	const struct alert_news *news = &queued->row.message.news;
	log_write(LOG_LEVEL_ERROR, SCOPE, "given up by %s, %s: %s %s: %s",
		alert_channel_name(channel->channel), why, alert_rule(news->kind)->name,
		alert_event_name(news->event), news->text);
	channel->stats.dropped++;
	settle(queued, ALERT_DROPPED);
}

static void drop_all(struct channel *channel)
{
	struct queued *queued;
	bool has_dropped = false;
	for (queued = TAILQ_FIRST(&channel->outbox->queue); queued != NULL;
		queued = TAILQ_NEXT(queued, link)) {
		if (is_pending(queued, channel->channel) && !queued->is_under_way) {
			drop(channel, queued, "which is no longer configured");
			has_dropped = true;
		}
	}
	if (has_dropped) {
		channel->outbox->on_settled(channel->outbox->context);
	}
}

static void make_room(struct channel *channel)
{
	struct alert_outbox *outbox = channel->outbox;
	struct queued *queued;
	if (count_pending(outbox, channel->channel) < PENDING_MAX) {
		return;
	}
	for (queued = TAILQ_FIRST(&outbox->queue); queued != NULL;
		queued = TAILQ_NEXT(queued, link)) {
		if (is_pending(queued, channel->channel) && !queued->is_under_way &&
			!alert_rule(queued->row.message.news.kind)->must_arrive) {
			drop(channel, queued, "too many wait");
			return;
		}
	}
}

/* It says nothing new while what it repeats has not arrived. */
static bool is_needless(const struct alert_outbox *outbox, enum alert_channel channel,
	const struct alert_news *news)
{
	const struct queued *queued;
	if (news->event != ALERT_REPEATED) {
		return false;
	}
	for (queued = TAILQ_FIRST(&outbox->queue); queued != NULL;
		queued = TAILQ_NEXT(queued, link)) {
		const struct alert_news *earlier = &queued->row.message.news;
		if (is_pending(queued, channel) && earlier->kind == news->kind &&
			strcmp(earlier->subject, news->subject) == 0) {
			return true;
		}
	}
	return false;
}

void alert_outbox_add(struct alert_outbox *outbox, const struct alert_news *news)
{
	for (unsigned i = 0; i < ALERT_CHANNELS; i++) {
		struct channel *channel = &outbox->channels[i];
		if (!channel->is_configured || is_needless(outbox, channel->channel, news)) {
			continue;
		}
		make_room(channel);
		const struct alert_message message = {
			.id = ++outbox->last_id, .channel = channel->channel, .news = *news};
		add(outbox, &message)->is_new = true;
	}
}

void alert_outbox_restore(struct alert_outbox *outbox, const struct alert_message *message)
{
	struct queued *queued = add(outbox, message);
	queued->may_go = true;
}

static bool is_to_be_stored(const struct queued *queued)
{
	return queued->is_new || queued->row.outcome != ALERT_PENDING;
}

bool alert_outbox_is_stored(const struct alert_outbox *outbox)
{
	const struct queued *queued;
	for (queued = TAILQ_FIRST(&outbox->queue); queued != NULL;
		queued = TAILQ_NEXT(queued, link)) {
		if (is_to_be_stored(queued)) {
			return false;
		}
	}
	return true;
}

void alert_outbox_collect(const struct alert_outbox *outbox, struct alert_rows *rows)
{
	const struct queued *queued;
	for (queued = TAILQ_FIRST(&outbox->queue); queued != NULL;
		queued = TAILQ_NEXT(queued, link)) {
		if (is_to_be_stored(queued)) {
			rows->messages = memory_grow(
				rows->messages, rows->message_count, sizeof(queued->row));
			rows->messages[rows->message_count++] = queued->row;
		}
	}
}

static struct queued *find(const struct alert_outbox *outbox, int64_t id)
{
	struct queued *queued;
	for (queued = TAILQ_FIRST(&outbox->queue); queued != NULL;
		queued = TAILQ_NEXT(queued, link)) {
		/* What was freed has left the queue, which the analyser does not see. */
		/* NOLINTNEXTLINE(clang-analyzer-unix.Malloc) */
		if (queued->row.message.id == id) {
			return queued;
		}
	}
	return NULL;
}

void alert_outbox_on_stored(
	struct alert_outbox *outbox, const struct alert_rows *rows, bool is_stored)
{
	for (size_t i = 0; i < rows->message_count; i++) {
		struct queued *queued = find(outbox, rows->messages[i].message.id);
		assert(queued != NULL);
		queued->may_go = true;
		if (!is_stored) {
			continue;
		}
		queued->is_new = false;
		if (rows->messages[i].outcome != ALERT_PENDING) {
			TAILQ_REMOVE(&outbox->queue, queued, link);
			free(queued);
		}
	}
	for (unsigned i = 0; i < ALERT_CHANNELS; i++) {
		run(&outbox->channels[i]);
	}
}

/* --- delivery --------------------------------------------------------------------------------- */

static struct queued *choose(const struct channel *channel)
{
	struct queued *queued, *chosen = NULL;
	for (queued = TAILQ_FIRST(&channel->outbox->queue); queued != NULL;
		queued = TAILQ_NEXT(queued, link)) {
		if (is_pending(queued, channel->channel) && queued->may_go &&
			(chosen == NULL ||
				queued->tries / TRIES_A_TURN < chosen->tries / TRIES_A_TURN)) {
			chosen = queued;
		}
	}
	return chosen;
}

static void on_success(struct channel *channel)
{
	struct alert_outbox *outbox = channel->outbox;
	struct queued *queued;
	if (channel->failures > 0) {
		log_info(SCOPE, "%s is delivered again after %u failed tries",
			alert_channel_name(channel->channel), channel->failures);
	}
	channel->failures = 0;
	channel->next_us = 0;
	channel->stats.last_error[0] = '\0';
	for (queued = TAILQ_FIRST(&outbox->queue); queued != NULL;
		queued = TAILQ_NEXT(queued, link)) {
		if (is_pending(queued, channel->channel) && queued->is_under_way) {
			settle(queued, ALERT_DELIVERED);
			channel->stats.delivered++;
		}
	}
	outbox->on_settled(outbox->context);
}

static void on_failure(struct channel *channel, const struct error *err)
{
	struct alert_outbox *outbox = channel->outbox;
	uint32_t chance = 0;
	/* Without randomness the wait is only not spread. */
	(void)!getrandom(&chance, sizeof(chance), GRND_NONBLOCK);
	channel->failures++;
	channel->stats.failures++;
	snprintf(channel->stats.last_error, sizeof(channel->stats.last_error), "%.*s",
		(int)sizeof(channel->stats.last_error) - 1, err->message);
	if (channel->failures % LOG_ONE_IN == 1) {
		log_warning(SCOPE, "could not deliver by %s, tried again until it works: %s",
			alert_channel_name(channel->channel), err->message);
	}
	channel->next_us =
		loop_refresh_now_us(outbox->loop) + alert_backoff_us(channel->failures, chance);
	deadlines_set(&outbox->deadlines, (int)channel->channel, channel->next_us);
}

static void on_transferred(void *context, const struct transfer_answer *answer)
{
	struct channel *channel = context;
	struct queued *queued;
	channel->is_busy = false;
	if (channel->outbox->is_closing) {
		return;
	}
	if (answer->ok) {
		on_success(channel);
	}
	for (queued = TAILQ_FIRST(&channel->outbox->queue); queued != NULL;
		queued = TAILQ_NEXT(queued, link)) {
		if (queued->row.message.channel == channel->channel && queued->is_under_way) {
			queued->is_under_way = false;
			queued->tries++;
		}
	}
	if (!answer->ok && channel->is_configured) {
		on_failure(channel, &answer->err);
	} else if (!answer->ok) {
		drop_all(channel);
	}
	run(channel);
}

static const char *or_null(const char *text)
{
	return text[0] != '\0' ? text : NULL;
}

/* What goes now: the one chosen, or with it all that wait. */
static struct alert_messages take(const struct channel *channel, struct queued *chosen)
{
	struct alert_messages messages = {
		.items = memory_new(DIGEST_MAX * sizeof(*messages.items))};
	struct queued *queued;
	/* Should it be refused for one of them, they go one by one again. */
	bool is_digest = channel->channel == ALERT_MAIL &&
			 count_pending(channel->outbox, ALERT_MAIL) >= DIGEST_FROM &&
			 chosen->tries / TRIES_A_TURN % 2 == 0;
	for (queued = TAILQ_FIRST(&channel->outbox->queue);
		queued != NULL && messages.count < DIGEST_MAX; queued = TAILQ_NEXT(queued, link)) {
		if (is_pending(queued, channel->channel) && queued->may_go &&
			(is_digest || queued == chosen)) {
			queued->is_under_way = true;
			messages.items[messages.count++] = &queued->row.message;
		}
	}
	return messages;
}

static void submit(struct channel *channel, const struct alert_messages *messages)
{
	struct alert_outbox *outbox = channel->outbox;
	const struct texts *texts = &outbox->texts;
	struct transfer_request request = {
		.authorities = or_null(texts->ca_file), .timeout_us = TRANSFER_US};
	char *body;
	if (channel->channel == ALERT_MAIL) {
		const struct alert_mail_options mail = {.relay_name = texts->relay_name,
			.from = texts->mail_from,
			.to = texts->mail_to,
			.now_us = wall_clock_unix_us()};
		body = alert_mail_format(messages, &mail);
		request.kind = TRANSFER_MAIL;
		request.url = texts->smtp_url;
		request.user = or_null(texts->smtp_user);
		request.password = or_null(texts->smtp_password);
		request.mail_from = texts->mail_from;
		request.mail_to = texts->mail_to;
	} else {
		body = alert_webhook_format(messages->items[0], texts->relay_name);
		request.kind = TRANSFER_POST;
		request.url = texts->webhook_url;
		request.bearer = or_null(texts->webhook_token);
		request.content_type = "application/json";
	}
	request.body = body;
	request.body_length = strlen(body);
	transfer_submit(outbox->transfer, &request, on_transferred, channel);
	free(body);
}

static void run(struct channel *channel)
{
	struct alert_outbox *outbox = channel->outbox;
	struct error err = {0};
	if (!channel->is_configured || channel->is_busy ||
		channel->next_us > loop_now_us(outbox->loop)) {
		return;
	}
	struct queued *chosen = choose(channel);
	if (chosen == NULL) {
		return;
	}
	if (outbox->transfer == NULL) {
		outbox->transfer = transfer_open(outbox->loop, &err);
	}
	if (outbox->transfer == NULL) {
		on_failure(channel, &err);
		return;
	}
	struct alert_messages messages = take(channel, chosen);
	channel->is_busy = true;
	submit(channel, &messages);
	free(messages.items);
}

static void on_deadline(void *context, int reason)
{
	struct alert_outbox *outbox = context;
	outbox->channels[reason].next_us = 0;
	run(&outbox->channels[reason]);
}

/* --- life ------------------------------------------------------------------------------------- */

static void release_texts(struct texts *texts)
{
	free(texts->relay_name);
	memory_wipe_text(&texts->smtp_url);
	free(texts->mail_from);
	free(texts->mail_to);
	free(texts->smtp_user);
	memory_wipe_text(&texts->smtp_password);
	memory_wipe_text(&texts->webhook_url);
	memory_wipe_text(&texts->webhook_token);
	free(texts->ca_file);
}

void alert_outbox_configure(struct alert_outbox *outbox, const struct alert_delivery *delivery)
{
	release_texts(&outbox->texts);
	outbox->texts = (struct texts){
		.relay_name = memory_copy_text(delivery->relay_name),
		.smtp_url = memory_copy_text(delivery->smtp_url),
		.mail_from = memory_copy_text(delivery->mail_from),
		.mail_to = memory_copy_text(delivery->mail_to),
		.smtp_user = memory_copy_text(delivery->smtp_user),
		.smtp_password = memory_copy_text(delivery->smtp_password),
		.webhook_url = memory_copy_text(delivery->webhook_url),
		.webhook_token = memory_copy_text(delivery->webhook_token),
		.ca_file = memory_copy_text(delivery->ca_file),
	};
	outbox->channels[ALERT_MAIL].is_configured = delivery->smtp_url[0] != '\0';
	outbox->channels[ALERT_WEBHOOK].is_configured = delivery->webhook_url[0] != '\0';
	for (unsigned i = 0; i < ALERT_CHANNELS; i++) {
		struct channel *channel = &outbox->channels[i];
		channel->next_us = 0;
		if (channel->is_configured) {
			run(channel);
		} else {
			drop_all(channel);
		}
	}
}

struct alert_outbox *alert_outbox_new(struct loop *loop, int64_t last_id,
	void (*on_settled)(void *context), void *context, struct error *err)
{
	struct alert_outbox *outbox = memory_new(sizeof(*outbox));
	outbox->loop = loop;
	outbox->last_id = last_id;
	outbox->on_settled = on_settled;
	outbox->context = context;
	TAILQ_INIT(&outbox->queue);
	for (unsigned i = 0; i < ALERT_CHANNELS; i++) {
		outbox->channels[i].outbox = outbox;
		outbox->channels[i].channel = (enum alert_channel)i;
	}
	if (!deadlines_init(&outbox->deadlines, loop, ALERT_CHANNELS, on_deadline, outbox, err)) {
		alert_outbox_free(&outbox);
	}
	return outbox;
}

void alert_outbox_free(struct alert_outbox **outbox)
{
	struct alert_outbox *gone = *outbox;
	struct queued *queued;
	if (gone == NULL) {
		return;
	}
	*outbox = NULL;
	gone->is_closing = true;
	transfer_close(&gone->transfer);
	deadlines_release(&gone->deadlines);
	while ((queued = TAILQ_FIRST(&gone->queue)) != NULL) {
		TAILQ_REMOVE(&gone->queue, queued, link);
		free(queued);
	}
	release_texts(&gone->texts);
	free(gone);
}

void alert_outbox_read_stats(const struct alert_outbox *outbox, enum alert_channel channel,
	struct alert_channel_stats *stats_out)
{
	const struct channel *from = &outbox->channels[channel];
	*stats_out = from->stats;
	stats_out->is_configured = from->is_configured;
	stats_out->pending = count_pending(outbox, channel);
}
