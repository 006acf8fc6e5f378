/*
 * log: one event, one line, one write(2).
 *
 * A line never exceeds PIPE_BUF, so lines of threads and processes never mix, in a pipe neither.
 * Control characters are escaped: what a peer sends cannot forge a line. The descriptor, once
 * private, keeps its number for good: a reload or reopen puts another file behind it, so writers
 * need no lock.
 */
#include "base/log.h"

#include "base/log_repeat.h"
#include "base/memory.h"
#include "base/monotonic_clock.h"
#include "base/utf8.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* One line with its end; messages are cut so that detail and hint still find room. */
#define LINE_SIZE    PIPE_BUF
#define MESSAGE_SIZE 2048

static const char *const level_names[] = {"debug", "info", "warning", "error"};
static const char *const level_titles[] = {"DEBUG", "INFO", "WARNING", "ERROR"};
/* syslog(3) priorities, as sd-daemon(3) wants them in front of a line. */
static const int level_priorities[] = {7, 6, 4, 3};
static const char *const format_names[] = {"text", "json"};

static atomic_int log_level = LOG_LEVEL_INFO;
static atomic_int log_format = LOG_FORMAT_TEXT;
static atomic_int log_fd = STDERR_FILENO;
static atomic_bool log_to_journal;

/* Guards the file's name, and configure and reopen against each other. */
static pthread_mutex_t configure_lock = PTHREAD_MUTEX_INITIALIZER;
static char *log_file;

static pthread_mutex_t repeat_lock = PTHREAD_MUTEX_INITIALIZER;
static struct log_repeat repeats;

struct line {
	char text[LINE_SIZE];
	size_t length;
	size_t length_max; /* what follows the text (quotes, brace, newline) keeps its place */
};

static bool name_find(const char *const *names, size_t count, const char *text, size_t *index_out)
{
	for (size_t i = 0; i < count; i++) {
		if (strcmp(names[i], text) == 0) {
			*index_out = i;
			return true;
		}
	}
	return false;
}

bool log_level_parse(const char *text, enum log_level *level_out)
{
	size_t index;

	if (!name_find(level_names, sizeof(level_names) / sizeof(level_names[0]), text, &index)) {
		return false;
	}
	*level_out = (enum log_level)index;
	return true;
}

bool log_format_parse(const char *text, enum log_format *format_out)
{
	size_t index;

	if (!name_find(
		    format_names, sizeof(format_names) / sizeof(format_names[0]), text, &index)) {
		return false;
	}
	*format_out = (enum log_format)index;
	return true;
}

/* systemd tells by JOURNAL_STREAM=DEVICE:INODE which socket is the journal's. */
static bool stderr_is_journal(void)
{
	const char *stream = getenv("JOURNAL_STREAM");
	unsigned long long device, inode;
	struct stat status;

	return stream != NULL && sscanf(stream, "%llu:%llu", &device, &inode) == 2 &&
	       fstat(STDERR_FILENO, &status) == 0 && status.st_dev == (dev_t)device &&
	       status.st_ino == (ino_t)inode;
}

static bool open_target(const char *file, int *fd_out, struct error *err)
{
	int fd = file == NULL ? fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3)
			      : open(file, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);

	if (fd < 0) {
		return error_set_errno(err, "could not open log file \"%s\"",
			file == NULL ? "standard error" : file);
	}
	*fd_out = fd;
	return true;
}

static void put_behind_descriptor(int fd)
{
	int present = atomic_load(&log_fd);

	if (present == STDERR_FILENO) {
		atomic_store(&log_fd, fd);
		return;
	}
	(void)dup3(fd, present, O_CLOEXEC);
	close(fd);
}

bool log_configure(const struct log_options *options, struct error *err)
{
	char *file = NULL;
	int fd;

	if (!open_target(options->file, &fd, err)) {
		return false;
	}
	if (options->file != NULL) {
		file = memory_copy_text(options->file);
	}
	pthread_mutex_lock(&configure_lock);
	put_behind_descriptor(fd);
	free(log_file);
	log_file = file;
	atomic_store(&log_to_journal, file == NULL && stderr_is_journal());
	atomic_store(&log_level, (int)options->level);
	atomic_store(&log_format, (int)options->format);
	pthread_mutex_unlock(&configure_lock);
	return true;
}

void log_reopen(void)
{
	struct error err;
	bool ok = true;
	int fd;

	pthread_mutex_lock(&configure_lock);
	if (log_file != NULL) {
		ok = open_target(log_file, &fd, &err);
		if (ok) {
			put_behind_descriptor(fd);
		}
	}
	pthread_mutex_unlock(&configure_lock);
	if (!ok) {
		log_error(LOG_LEVEL_WARNING, NULL, &err);
	}
}

bool log_is_enabled(enum log_level level)
{
	return (int)level >= atomic_load_explicit(&log_level, memory_order_relaxed);
}

static void put(struct line *line, const char *text, size_t length)
{
	size_t room = line->length_max - line->length;

	if (length > room) {
		length = room;
	}
	memcpy(line->text + line->length, text, length);
	line->length += length;
}

static void put_text(struct line *line, const char *text)
{
	put(line, text, strlen(text));
}

static size_t escape(const unsigned char *text, bool is_json, char out[8], size_t *taken_out)
{
	size_t length = utf8_character_length(text);

	*taken_out = length == 0 ? 1 : length;
	if (is_json && (*text == '"' || *text == '\\')) {
		return (size_t)sprintf(out, "\\%c", *text);
	}
	if (*text == '\n' || *text == '\r' || *text == '\t') {
		return (size_t)sprintf(out, "\\%c",
			*text == '\n'   ? 'n'
			: *text == '\r' ? 'r'
					: 't');
	}
	if (utf8_is_control(text) && length == 2) {
		return (size_t)sprintf(out, "\\u%04x", text[1]);
	}
	if (utf8_is_control(text)) {
		return (size_t)sprintf(out, is_json ? "\\u%04x" : "\\x%02x", *text);
	}
	if (length == 0) {
		return (size_t)(is_json ? sprintf(out, "\\ufffd") : sprintf(out, "\\x%02x", *text));
	}
	memcpy(out, text, length);
	return length;
}

/* Never half an escape or half a character. */
static void put_escaped(struct line *line, const char *text, bool is_json)
{
	const unsigned char *next = (const unsigned char *)text;

	while (*next != '\0') {
		char piece[8];
		size_t taken;
		size_t length = escape(next, is_json, piece, &taken);

		if (length > line->length_max - line->length) {
			return;
		}
		put(line, piece, length);
		next += taken;
	}
}

static void put_time(struct line *line, char separator, const char *zone)
{
	struct timespec now;
	struct tm day;
	char text[96];

	clock_gettime(CLOCK_REALTIME, &now);
	gmtime_r(&now.tv_sec, &day);
	(void)snprintf(text, sizeof(text), "%04d-%02d-%02d%c%02d:%02d:%02d.%03ld%s",
		day.tm_year + 1900, day.tm_mon + 1, day.tm_mday, separator, day.tm_hour, day.tm_min,
		day.tm_sec, now.tv_nsec / 1000000, zone);
	put_text(line, text);
}

static void format_text(struct line *line, enum log_level level, const char *scope,
	const char *message, const struct error *err, bool to_journal)
{
	if (!to_journal) {
		char pid[32];

		put_time(line, ' ', " UTC");
		(void)snprintf(pid, sizeof(pid), " [%ld] ", (long)getpid());
		put_text(line, pid);
	}
	put_text(line, level_titles[level]);
	put_text(line, ": ");
	if (scope != NULL) {
		put_escaped(line, scope, false);
		put_text(line, ": ");
	}
	put_escaped(line, message, false);
	if (err != NULL && err->detail[0] != '\0') {
		put_text(line, " DETAIL: ");
		put_escaped(line, err->detail, false);
	}
	if (err != NULL && err->hint[0] != '\0') {
		put_text(line, " HINT: ");
		put_escaped(line, err->hint, false);
	}
}

/* Only values are cut: the line stays valid JSON. */
static void put_member(struct line *line, const char *name, const char *value)
{
	size_t overhead = strlen(",\"\":\"\"") + strlen(name);

	if (value == NULL || value[0] == '\0' || line->length_max - line->length < overhead) {
		return;
	}
	put_text(line, ",\"");
	put_text(line, name);
	put_text(line, "\":\"");
	line->length_max--;
	put_escaped(line, value, true);
	line->length_max++;
	put_text(line, "\"");
}

static void format_json(struct line *line, enum log_level level, const char *scope,
	const char *message, const struct error *err)
{
	char pid[32];

	put_text(line, "{\"time\":\"");
	put_time(line, 'T', "Z");
	put_text(line, "\",\"level\":\"");
	put_text(line, level_names[level]);
	(void)snprintf(pid, sizeof(pid), "\",\"pid\":%ld", (long)getpid());
	put_text(line, pid);
	put_member(line, "scope", scope);
	put_member(line, "message", message);
	if (err != NULL) {
		put_member(line, "detail", err->detail);
		put_member(line, "hint", err->hint);
		put_member(line, "sqlstate", err->sqlstate);
	}
	line->length_max++;
	put_text(line, "}");
}

static void write_line(const struct line *line)
{
	ssize_t written;

	do {
		written = write(atomic_load(&log_fd), line->text, line->length);
	} while (written < 0 && errno == EINTR);
}

static void write_event(
	enum log_level level, const char *scope, const char *message, const struct error *err)
{
	bool to_journal = atomic_load_explicit(&log_to_journal, memory_order_relaxed);
	int saved_errno = errno;
	struct line line = {.length = 0, .length_max = LINE_SIZE - 2};

	if (to_journal) {
		char prefix[8];

		(void)snprintf(prefix, sizeof(prefix), "<%d>", level_priorities[level]);
		put_text(&line, prefix);
	}
	if (atomic_load_explicit(&log_format, memory_order_relaxed) == LOG_FORMAT_JSON) {
		format_json(&line, level, scope, message, err);
	} else {
		format_text(&line, level, scope, message, err, to_journal);
	}
	line.length_max = LINE_SIZE;
	put_text(&line, "\n");
	write_line(&line);
	errno = saved_errno;
}

/* --- lines alike ------------------------------------------------------------------------------ */

static void tell_repeats(bool is_end)
{
	struct log_repeat_kind kind;
	char message[MESSAGE_SIZE];

	for (;;) {
		pthread_mutex_lock(&repeat_lock);
		bool is_due = log_repeat_take(&repeats, monotonic_clock_us(), is_end, &kind);
		pthread_mutex_unlock(&repeat_lock);
		if (!is_due) {
			return;
		}
		(void)snprintf(message, sizeof(message), "message repeated %u more times: %s",
			kind.held, kind.message);
		write_event((enum log_level)kind.level, kind.has_scope ? kind.scope : NULL, message,
			NULL);
	}
}

void log_tell_repeats(bool is_end)
{
	int saved_errno = errno;

	tell_repeats(is_end);
	errno = saved_errno;
}

/* Who debugs wants to see every line. */
static void emit(
	enum log_level level, const char *scope, const char *message, const struct error *err)
{
	const struct log_repeat_line line = {.level = (int)level,
		.scope = scope,
		.message = message,
		.detail = err != NULL ? err->detail : NULL};
	bool is_admitted = true;

	if (level != LOG_LEVEL_DEBUG) {
		log_tell_repeats(false);
		pthread_mutex_lock(&repeat_lock);
		is_admitted = log_repeat_admit(&repeats, &line, monotonic_clock_us());
		pthread_mutex_unlock(&repeat_lock);
	}
	if (is_admitted) {
		write_event(level, scope, message, err);
	}
}

void log_write(enum log_level level, const char *scope, const char *format, ...)
{
	char message[MESSAGE_SIZE];
	va_list arguments;

	if (!log_is_enabled(level)) {
		return;
	}
	va_start(arguments, format);
	(void)vsnprintf(message, sizeof(message), format, arguments);
	va_end(arguments);
	emit(level, scope, message, NULL);
}

void log_error(enum log_level level, const char *scope, const struct error *err)
{
	if (log_is_enabled(level)) {
		emit(level, scope, err->message, err);
	}
}
