/*
 * encoder_level: a ladder of four steps.
 */
#include "downstream/encoder_level.h"

#include <assert.h>
#include <stdbool.h>

#define STEPS ((unsigned)(sizeof(steps) / sizeof(steps[0])))
/* Of their time, in hundredths: the most that the workers may need at the next step, and the most
 * that they may need where they are. */
#define NEXT_SHARE_MAX 50
#define SHARE_MAX      75

/* What a step costs, in hundredths of the first: of WAL as it mostly is less. */
static const struct {
	int level;
	int cost;
} steps[] = {{ENCODER_LEVEL_FIRST, 100}, {6, 200}, {9, 400}, {ENCODER_LEVEL_TOP, 600}};

void encoder_level_init(struct encoder_level *level, unsigned workers)
{
	assert(workers > 0);
	*level = (struct encoder_level){.workers = workers};
}

static void watch_from(struct encoder_level *level, int64_t now_us)
{
	level->watched_from_us = now_us;
	level->ready_bytes = 0;
	level->busy_us = 0;
}

static void enter(struct encoder_level *level, unsigned step, int64_t now_us)
{
	level->step = step;
	level->since_us = now_us;
}

static void settle(struct encoder_level *level, int64_t now_us)
{
	if (level->watched_from_us != 0 && now_us - level->ready_at_us > ENCODER_LEVEL_LINGER_US) {
		watch_from(level, 0);
		enter(level, 0, now_us);
	}
}

int encoder_level_at(struct encoder_level *level, int64_t now_us)
{
	settle(level, now_us);
	return steps[level->step].level;
}

static int64_t next_bar(const struct encoder_level *level, int64_t now_us)
{
	if (level->bar_us == 0 || now_us - level->since_us >= ENCODER_LEVEL_LASTED_US) {
		return ENCODER_LEVEL_BAR_US;
	}
	return level->bar_us < ENCODER_LEVEL_BAR_MAX_US ? 2 * level->bar_us
							: ENCODER_LEVEL_BAR_MAX_US;
}

static void go_down(struct encoder_level *level, int64_t now_us)
{
	if (level->step > 0) {
		level->bar_us = next_bar(level, now_us);
		level->barred_step = level->step;
		level->barred_until_us = now_us + level->bar_us;
		enter(level, level->step - 1, now_us);
	}
}

static bool may_go_up(const struct encoder_level *level, int64_t share, int64_t now_us)
{
	unsigned next = level->step + 1;
	return next < STEPS && (next < level->barred_step || now_us >= level->barred_until_us) &&
	       share * steps[next].cost <= NEXT_SHARE_MAX * steps[level->step].cost;
}

/* What was seen since watched_from_us. */
static void judge(struct encoder_level *level, int64_t now_us)
{
	int64_t time_us = (now_us - level->watched_from_us) * level->workers;
	int64_t share = level->busy_us * 100 / time_us;
	if (share > SHARE_MAX) {
		go_down(level, now_us);
	} else if (may_go_up(level, share, now_us)) {
		enter(level, level->step + 1, now_us);
	}
	watch_from(level, now_us);
}

void encoder_level_note_job(struct encoder_level *level, int64_t took_us)
{
	level->busy_us += took_us;
}

void encoder_level_note_ready(struct encoder_level *level, uint64_t bytes, int64_t now_us)
{
	assert(now_us > 0);
	settle(level, now_us);
	if (level->watched_from_us == 0) {
		watch_from(level, now_us);
	}
	level->ready_at_us = now_us;
	level->ready_bytes += bytes;
	if (now_us - level->watched_from_us >= ENCODER_LEVEL_WATCH_US &&
		level->ready_bytes >= ENCODER_LEVEL_WATCH_BYTES) {
		judge(level, now_us);
	}
}

void encoder_level_note_wait(struct encoder_level *level, int made_at, int64_t now_us)
{
	int in_force = encoder_level_at(level, now_us);
	if (made_at != ENCODER_LEVEL_NONE && made_at != in_force) {
		return;
	}
	go_down(level, now_us);
	if (level->watched_from_us != 0) {
		watch_from(level, now_us);
	}
}
