/*
 * alert_book: a list of entries, one a ladder and subject.
 */
#include "observe/alert_book.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

/* The present update. */
struct update {
	struct alert_book *book;
	int64_t now_us;
	alert_tell *tell;
	void *context;
	bool has_told;
};

static struct alert_entry *find_entry(
	const struct alert_book *book, enum alert_kind kind, const char *subject)
{
	for (size_t i = 0; i < book->count; i++) {
		struct alert_entry *entry = &book->entries[i];
		if (alert_rule(entry->kind)->ladder == alert_rule(kind)->ladder &&
			strcmp(entry->subject, subject) == 0) {
			return entry;
		}
	}
	return NULL;
}

static struct alert_entry *add_entry(struct alert_book *book)
{
	book->entries = memory_grow(book->entries, book->count, sizeof(*book->entries));
	return &book->entries[book->count++];
}

static void tell(struct update *update, struct alert_entry *entry, enum alert_event event)
{
	struct alert_news news = {
		.event = event,
		.kind = entry->kind,
		.since_us = entry->since_us,
		.at_us = update->now_us,
	};
	snprintf(news.subject, sizeof(news.subject), "%s", entry->subject);
	snprintf(news.text, sizeof(news.text), "%s", entry->text);
	snprintf(news.figures, sizeof(news.figures), "%s", entry->figures);
	entry->told_us = update->now_us;
	update->has_told = true;
	update->tell(update->context, &news);
}

static void take_words(struct alert_entry *entry, const struct alert_condition *condition)
{
	snprintf(entry->text, sizeof(entry->text), "%s", condition->text);
	snprintf(entry->figures, sizeof(entry->figures), "%s", condition->figures);
}

static void begin(
	struct update *update, struct alert_entry *entry, const struct alert_condition *condition)
{
	entry->kind = condition->kind;
	entry->since_us = update->now_us;
	entry->milder_us = 0;
	entry->is_raised = false;
	take_words(entry, condition);
}

/* True once it has been milder, or over, for as long as its kind wants. */
static bool is_past(struct update *update, struct alert_entry *entry)
{
	if (entry->milder_us == 0) {
		entry->milder_us = update->now_us;
	}
	return update->now_us - entry->milder_us >= alert_rule(entry->kind)->clear_after_us;
}

static void follow(
	struct update *update, struct alert_entry *entry, const struct alert_condition *condition)
{
	if (condition->kind < entry->kind && entry->is_raised && !is_past(update, entry)) {
		return;
	}
	if (condition->kind != entry->kind) {
		/* What was bad already needs no patience to be told that it is bad otherwise. */
		bool was_raised = entry->is_raised;
		int64_t since_us = entry->since_us;
		begin(update, entry, condition);
		if (was_raised) {
			entry->is_raised = true;
			tell(update, entry, ALERT_RAISED);
			return;
		}
		entry->since_us = since_us;
	}
	entry->milder_us = 0;
	take_words(entry, condition);
	if (!entry->is_raised) {
		if (update->now_us - entry->since_us >= alert_rule(entry->kind)->raise_after_us) {
			entry->is_raised = true;
			tell(update, entry, ALERT_RAISED);
		}
	} else if (update->now_us - entry->told_us >= update->book->repeat_every_us) {
		tell(update, entry, ALERT_REPEATED);
	}
}

static void look_at(struct update *update, const struct alert_condition *condition)
{
	struct alert_entry *entry = find_entry(update->book, condition->kind, condition->subject);
	if (entry == NULL) {
		if (condition->is_unknown) {
			return;
		}
		entry = add_entry(update->book);
		snprintf(entry->subject, sizeof(entry->subject), "%s", condition->subject);
		begin(update, entry, condition);
	}
	/* Two long subjects may have become one. */
	if (entry->is_seen) {
		return;
	}
	entry->is_seen = true;
	if (condition->is_unknown) {
		entry->milder_us = 0;
	} else {
		follow(update, entry, condition);
	}
}

/* True: it stays in the book. */
static bool look_at_unseen(struct update *update, struct alert_entry *entry)
{
	if (!entry->is_raised) {
		return false;
	}
	if (!is_past(update, entry)) {
		return true;
	}
	tell(update, entry, ALERT_RECOVERED);
	return false;
}

static void not_after(int64_t *time_us, int64_t now_us)
{
	*time_us = *time_us > now_us ? now_us : *time_us;
}

bool alert_book_update(struct alert_book *book, const struct alert_conditions *conditions,
	int64_t now_us, alert_tell *tell_it, void *context)
{
	struct update update = {
		.book = book, .now_us = now_us, .tell = tell_it, .context = context};
	for (size_t i = 0; i < book->count; i++) {
		struct alert_entry *entry = &book->entries[i];
		entry->is_seen = false;
		not_after(&entry->since_us, now_us);
		not_after(&entry->told_us, now_us);
		not_after(&entry->milder_us, now_us);
	}
	for (size_t i = 0; i < conditions->count; i++) {
		look_at(&update, &conditions->items[i]);
	}
	size_t kept = 0;
	for (size_t i = 0; i < book->count; i++) {
		struct alert_entry *entry = &book->entries[i];
		if (entry->is_seen || look_at_unseen(&update, entry)) {
			/* They do not overlap unless they are the same. */
			memmove(&book->entries[kept++], entry, sizeof(*entry));
		}
	}
	book->count = kept;
	return update.has_told;
}

void alert_book_restore(struct alert_book *book, const struct alert_entry *entry)
{
	if (find_entry(book, entry->kind, entry->subject) == NULL) {
		*add_entry(book) = *entry;
	}
}

void alert_book_release(struct alert_book *book)
{
	free(book->entries);
	book->entries = NULL;
	book->count = 0;
}
