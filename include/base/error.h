/*
 * error: why something failed, handed up as the last parameter.
 *
 * A function that can fail returns false and fills the caller's struct error; it never logs what it
 * reports. Outputs are untouched on failure. The one who handles an error logs it, once.
 * Messages follow PostgreSQL's style guide: lower case, no period, names in double quotes; detail
 * and hint apart.
 */
#ifndef BASE_ERROR_H
#define BASE_ERROR_H

#include <stdbool.h>

#define MUST_CHECK               __attribute__((warn_unused_result))
#define PRINTF_LIKE(text, first) __attribute__((format(printf, text, first)))

enum error_kind {
	ERROR_NONE,
	ERROR_SYSTEM,    /* a system call failed; saved_errno tells which way */
	ERROR_INVALID,   /* input that breaks its format or its contract */
	ERROR_NOT_FOUND, /* asked for what does not exist (any more) */
	ERROR_CONFLICT,  /* exists already, or is in use by somebody else */
	ERROR_FULL,      /* no room: disk, limit or quota; may pass by itself */
	ERROR_DIVERGED,  /* same position, different bytes: two histories */
	ERROR_DENIED,    /* not allowed */
};

struct error {
	enum error_kind kind;
	int saved_errno;
	char sqlstate[6]; /* five characters when the error is meant for a client, else "" */
	char message[512];
	char detail[256];
	char hint[256];
};

/* Each returns false, so that a failing function can end with `return error_set(err, ...)`.
 * err may be NULL where the caller does not care. */
bool error_set(struct error *err, enum error_kind kind, const char *format, ...) PRINTF_LIKE(3, 4);
/* Appends ": strerror(errno)" and keeps errno. */
bool error_set_errno(struct error *err, const char *format, ...) PRINTF_LIKE(2, 3);
/* Puts "context: " in front of a message on its way up. */
bool error_wrap(struct error *err, const char *format, ...) PRINTF_LIKE(2, 3);
bool error_detail(struct error *err, const char *format, ...) PRINTF_LIKE(2, 3);
bool error_hint(struct error *err, const char *format, ...) PRINTF_LIKE(2, 3);
bool error_sqlstate(struct error *err, const char *sqlstate);

#endif
