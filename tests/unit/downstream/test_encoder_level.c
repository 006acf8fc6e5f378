/* When links are compressed harder: courses of what happens, and the level after each. */
#include "downstream/encoder_level.h"

#include "cmocka_all.h"

#define S       INT64_C(1000000)
#define WORKERS 2

enum happening {
	READY,   /* each 100 ms of so many seconds a reader finds 512 kB ready, workers busy */
	TRICKLE, /* so with 10 kB */
	WAIT,    /* for what is made at this level */
	PASS,    /* nothing for so many seconds */
};

struct event {
	enum happening happening;
	int64_t number;
	int busy; /* of all workers' time, in hundredths */
	int level;
};

#define EVENTS_MAX 12

static const struct course {
	const char *name;
	struct event events[EVENTS_MAX];
} courses[] = {
	{"up a step at a time while the link waits, and no further",
		{{READY, 1, 0, 6}, {READY, 1, 0, 9}, {READY, 1, 0, 12}, {READY, 100, 0, 12}}},
	{"not for little", {{TRICKLE, 10, 0, 3}, {TRICKLE, 1, 0, 6}}},
	{"not when the next step would take more than half of the time",
		{{READY, 10, 26, 3}, {READY, 1, 25, 6}, {READY, 10, 26, 6}, {READY, 1, 25, 9},
			{READY, 10, 34, 9}, {READY, 1, 33, 12}, {READY, 10, 75, 12}}},
	{"down at once when a reader waits", {{READY, 2, 0, 9}, {WAIT, 9, 0, 6}}},
	{"also for what nobody has begun",
		{{READY, 2, 0, 9}, {WAIT, ENCODER_LEVEL_NONE, 0, 6},
			{WAIT, ENCODER_LEVEL_NONE, 0, 3}, {WAIT, ENCODER_LEVEL_NONE, 0, 3}}},
	{"once for all that was made at the level before",
		{{READY, 3, 0, 12}, {WAIT, 12, 0, 9}, {WAIT, 12, 0, 9}, {WAIT, 9, 0, 6}}},
	{"what was made at a lower one says nothing", {{READY, 2, 0, 9}, {WAIT, 3, 0, 9}}},
	{"down when others need the processor",
		{{READY, 2, 0, 9}, {READY, 1, 76, 6}, {READY, 1, 76, 3}, {READY, 9, 100, 3}}},
	{"a wait begins the watch anew",
		{{TRICKLE, 10, 0, 3}, {WAIT, 3, 0, 3}, {TRICKLE, 10, 0, 3}, {TRICKLE, 1, 0, 6}}},
	{"what failed is tried again after a while",
		{{READY, 2, 0, 9}, {WAIT, 9, 0, 6}, {READY, 9, 0, 6}, {READY, 1, 0, 9}}},
	{"which doubles", {{READY, 2, 0, 9}, {WAIT, 9, 0, 6}, {READY, 10, 0, 9}, {WAIT, 9, 0, 6},
				  {READY, 19, 0, 6}, {READY, 1, 0, 9}, {WAIT, 9, 0, 6},
				  {READY, 39, 0, 6}, {READY, 1, 0, 9}}},
	{"but not when it had lasted",
		{{READY, 2, 0, 9}, {WAIT, 9, 0, 6}, {READY, 10, 0, 9}, {READY, 300, 34, 9},
			{WAIT, 9, 0, 6}, {READY, 9, 0, 6}, {READY, 1, 0, 9}}},
	{"steps below what failed may be taken meanwhile",
		{{READY, 3, 0, 12}, {WAIT, 12, 0, 9}, {WAIT, 9, 0, 6}, {WAIT, 6, 0, 3},
			{READY, 39, 0, 3}, {READY, 1, 0, 6}, {READY, 1, 0, 9}, {WAIT, 9, 0, 6},
			{PASS, 11, 0, 3}, {READY, 1, 0, 6}, {READY, 9, 0, 6}}},
	{"back to the first when nobody finds anything ready",
		{{READY, 3, 0, 12}, {PASS, 10, 0, 12}, {PASS, 1, 0, 3}, {READY, 1, 0, 6}}},
	{"and what was barred stays so",
		{{READY, 1, 0, 6}, {WAIT, 6, 0, 3}, {READY, 10, 0, 6}, {WAIT, 6, 0, 3},
			{PASS, 11, 0, 3}, {READY, 8, 0, 3}, {READY, 1, 0, 6}}},
};

struct play {
	struct encoder_level level;
	int64_t now_us;
};

static void find_ready(struct play *play, const struct event *event, uint64_t bytes)
{
	int64_t until_us = play->now_us + event->number * S;
	encoder_level_note_ready(&play->level, 0, play->now_us);
	while (play->now_us < until_us) {
		play->now_us += S / 10;
		encoder_level_note_job(&play->level, S / 10 * WORKERS * event->busy / 100);
		encoder_level_note_ready(&play->level, bytes, play->now_us);
	}
}

static void happen(struct play *play, const struct event *event)
{
	switch (event->happening) {
	case READY: find_ready(play, event, 512 << 10); break;
	case TRICKLE: find_ready(play, event, 10 << 10); break;
	case WAIT: encoder_level_note_wait(&play->level, (int)event->number, play->now_us); break;
	case PASS: play->now_us += event->number * S; break;
	}
}

static void test_encoder_level__courses(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(courses) / sizeof(courses[0]); i++) {
		const struct course *course = &courses[i];
		struct play play = {.now_us = 1000 * S};
		encoder_level_init(&play.level, WORKERS);
		for (size_t j = 0; j < EVENTS_MAX && course->events[j].level != 0; j++) {
			happen(&play, &course->events[j]);
			int level = encoder_level_at(&play.level, play.now_us);
			if (level != course->events[j].level) {
				fail_msg("%s: %d after event %zu", course->name, level, j);
			}
		}
	}
}

/* However long it goes on failing, it is tried again. */
static void test_encoder_level__a_bar_does_not_grow_for_ever(void **state)
{
	(void)state;
	const struct event ready = {.happening = READY, .number = 1};
	struct play play = {.now_us = 1000 * S};
	int64_t longest_us = 0;
	encoder_level_init(&play.level, WORKERS);
	for (int i = 0; i < 12; i++) {
		int64_t from_us = play.now_us;
		while (encoder_level_at(&play.level, play.now_us) == 3) {
			happen(&play, &ready);
		}
		longest_us = play.now_us - from_us;
		encoder_level_note_wait(&play.level, 6, play.now_us);
	}
	assert_in_range(longest_us, ENCODER_LEVEL_BAR_MAX_US, ENCODER_LEVEL_BAR_MAX_US + 2 * S);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_encoder_level__courses),
		cmocka_unit_test(test_encoder_level__a_bar_does_not_grow_for_ever),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
