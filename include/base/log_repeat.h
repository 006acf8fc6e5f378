/*
 * log_repeat: which of many lines alike are written.
 *
 * So many alike pass within a window; what comes more is held back and counted, and the count is
 * told when the window is over. Pure: time is an argument; not synchronised. Remembers the last
 * LOG_REPEAT_KINDS kinds of line; one that finds no place passes.
 */
#ifndef BASE_LOG_REPEAT_H
#define BASE_LOG_REPEAT_H

#include <stdbool.h>
#include <stdint.h>

#define LOG_REPEAT_KINDS        16
#define LOG_REPEAT_BURST        10
#define LOG_REPEAT_WINDOW_US    INT64_C(10000000)
#define LOG_REPEAT_SCOPE_SIZE   160
#define LOG_REPEAT_MESSAGE_SIZE 512

struct log_repeat_line {
	int level;
	const char *scope; /* may be NULL */
	const char *message;
	const char *detail; /* may be NULL */
};

struct log_repeat_kind {
	uint64_t hash; /* of the whole line */
	int64_t began_us;
	unsigned written; /* 0: a free place */
	unsigned held;
	int level;
	bool has_scope;
	char scope[LOG_REPEAT_SCOPE_SIZE]; /* cut, as the message */
	char message[LOG_REPEAT_MESSAGE_SIZE];
};

/* Zeroed: nothing was written. */
struct log_repeat {
	struct log_repeat_kind kinds[LOG_REPEAT_KINDS];
};

/* False: held back. */
bool log_repeat_admit(
	struct log_repeat *repeat, const struct log_repeat_line *line, int64_t now_us);
/* Takes out a kind of which lines were held back and whose window is over, or any with is_end.
 * False: there is none. */
bool log_repeat_take(
	struct log_repeat *repeat, int64_t now_us, bool is_end, struct log_repeat_kind *kind_out);

#endif
