/*
 * alert_book: which alerts are on, since when, and when somebody was last told of them.
 *
 * Pure but for what it remembers: conditions and the time go in, what is to be told comes out. An
 * alert is told when it is raised, when it gets graver or milder, again after repeat_every, and
 * when it is over. A clock that steps back delays a repetition by no more than repeat_every.
 */
#ifndef OBSERVE_ALERT_BOOK_H
#define OBSERVE_ALERT_BOOK_H

#include "observe/alert.h"

struct alert_entry {
	enum alert_kind kind;
	bool is_raised;    /* else it waits for raise_after */
	int64_t since_us;  /* Unix time; from when on it holds */
	int64_t told_us;   /* last; 0: never */
	int64_t milder_us; /* from when on it is no longer so bad; 0: it is */
	bool is_seen;      /* in the conditions looked at last */
	char subject[ALERT_SUBJECT_SIZE];
	char text[ALERT_TEXT_SIZE];
	char figures[ALERT_FIGURES_SIZE];
};

struct alert_book {
	struct alert_entry *entries;
	size_t count;
	int64_t repeat_every_us;
};

typedef void alert_tell(void *context, const struct alert_news *news);

/* After a restart: it was raised then, and somebody was told. */
void alert_book_restore(struct alert_book *book, const struct alert_entry *entry);
/* Tells in the order of what is raised, then of what is over. True: there was something. */
bool alert_book_update(struct alert_book *book, const struct alert_conditions *conditions,
	int64_t now_us, alert_tell *tell, void *context);
void alert_book_release(struct alert_book *book);

#endif
