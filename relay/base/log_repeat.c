/*
 * log_repeat: kinds are told apart by level and a 64-bit hash of all their text.
 */
#include "base/log_repeat.h"

#include <stdio.h>
#include <string.h>

/* FNV-1a; an end of text counts, so that parts cannot be shifted from one to the next. */
static uint64_t add_text(uint64_t hash, const char *text)
{
	const unsigned char *at = (const unsigned char *)(text != NULL ? text : "");
	do {
		hash = (hash ^ *at) * UINT64_C(1099511628211);
	} while (*at++ != '\0');
	return hash;
}

static uint64_t hash_of(const struct log_repeat_line *line)
{
	uint64_t hash = add_text(UINT64_C(14695981039346656037), line->scope);
	hash = add_text(hash, line->message);
	return add_text(hash, line->detail);
}

static bool is_over(const struct log_repeat_kind *kind, int64_t now_us)
{
	return now_us - kind->began_us >= LOG_REPEAT_WINDOW_US;
}

/* A free place, or that of the oldest kind of which nothing has to be told. */
static struct log_repeat_kind *find_place(struct log_repeat *repeat)
{
	struct log_repeat_kind *found = NULL;
	for (unsigned i = 0; i < LOG_REPEAT_KINDS; i++) {
		struct log_repeat_kind *kind = &repeat->kinds[i];
		if (kind->written == 0) {
			return kind;
		}
		if (kind->held == 0 && (found == NULL || kind->began_us < found->began_us)) {
			found = kind;
		}
	}
	return found;
}

static void begin(struct log_repeat_kind *kind, const struct log_repeat_line *line, uint64_t hash,
	int64_t now_us)
{
	kind->hash = hash;
	kind->began_us = now_us;
	kind->written = 1;
	kind->held = 0;
	kind->level = line->level;
	kind->has_scope = line->scope != NULL;
	snprintf(kind->scope, sizeof(kind->scope), "%s", line->scope != NULL ? line->scope : "");
	snprintf(kind->message, sizeof(kind->message), "%s", line->message);
}

bool log_repeat_admit(struct log_repeat *repeat, const struct log_repeat_line *line, int64_t now_us)
{
	uint64_t hash = hash_of(line);
	for (unsigned i = 0; i < LOG_REPEAT_KINDS; i++) {
		struct log_repeat_kind *kind = &repeat->kinds[i];
		if (kind->written == 0 || kind->hash != hash || kind->level != line->level) {
			continue;
		}
		if (kind->held == 0 && is_over(kind, now_us)) {
			begin(kind, line, hash, now_us);
			return true;
		}
		if (kind->written < LOG_REPEAT_BURST) {
			kind->written++;
			return true;
		}
		kind->held++;
		return false;
	}
	struct log_repeat_kind *place = find_place(repeat);
	if (place != NULL) {
		begin(place, line, hash, now_us);
	}
	return true;
}

bool log_repeat_take(
	struct log_repeat *repeat, int64_t now_us, bool is_end, struct log_repeat_kind *kind_out)
{
	for (unsigned i = 0; i < LOG_REPEAT_KINDS; i++) {
		struct log_repeat_kind *kind = &repeat->kinds[i];
		if (kind->held > 0 && (is_end || is_over(kind, now_us))) {
			*kind_out = *kind;
			kind->written = 0;
			kind->held = 0;
			return true;
		}
	}
	return false;
}
