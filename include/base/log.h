/*
 * log: one line per event, to standard error (text or JSON) or the journal's level prefixes.
 *
 * Any thread. A line is written with one write(2), so lines of threads never mix. Secrets never
 * reach here: callers mask them. Of lines alike ten pass within ten seconds, and then how many
 * more there were. Format text: "2026-01-02 03:04:05.678 UTC [pid] WARNING: message".
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include "base/error.h"

#include <stdbool.h>

enum log_level { LOG_LEVEL_DEBUG, LOG_LEVEL_INFO, LOG_LEVEL_WARNING, LOG_LEVEL_ERROR };
enum log_format { LOG_FORMAT_TEXT, LOG_FORMAT_JSON };

struct log_options {
	enum log_level level;
	enum log_format format;
	const char *file; /* NULL: standard error */
};

bool log_level_parse(const char *text, enum log_level *level_out) MUST_CHECK;
bool log_format_parse(const char *text, enum log_format *format_out) MUST_CHECK;

/* May be called again (reload). Before the first call: text, info, standard error. */
bool log_configure(const struct log_options *options, struct error *err) MUST_CHECK;
/* SIGUSR1: open the file anew. */
void log_reopen(void);
bool log_is_enabled(enum log_level level);
/* Now and then, so that counts of repeated lines are told though nothing else is; with is_end all
 * of them, also those that are still counted. */
void log_tell_repeats(bool is_end);

/* scope names what the line is about ("upstream", "standby walreceiver 10.0.0.7:4312", ...); may be
 * NULL. */
void log_write(enum log_level level, const char *scope, const char *format, ...) PRINTF_LIKE(3, 4);
/* The same with the error's detail and hint on the same event. */
void log_error(enum log_level level, const char *scope, const struct error *err);

#define log_debug(scope, ...)                                                                      \
	do {                                                                                       \
		if (log_is_enabled(LOG_LEVEL_DEBUG)) {                                             \
			log_write(LOG_LEVEL_DEBUG, scope, __VA_ARGS__);                            \
		}                                                                                  \
	} while (0)
#define log_info(scope, ...)    log_write(LOG_LEVEL_INFO, scope, __VA_ARGS__)
#define log_warning(scope, ...) log_write(LOG_LEVEL_WARNING, scope, __VA_ARGS__)

#endif
