/*
 * error: fills the caller's struct error.
 *
 * Every text is formatted aside before it is stored, so arguments may point into the error itself.
 * What does not fit is cut, never an error of its own.
 */
#include "base/error.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static void store(char *target, size_t size, const char *format, va_list arguments)
	PRINTF_LIKE(3, 0);

static void store(char *target, size_t size, const char *format, va_list arguments)
{
	char text[sizeof(((struct error *)NULL)->message)];

	assert(size <= sizeof(text));
	(void)vsnprintf(text, size, format, arguments);
	memcpy(target, text, strlen(text) + 1);
}

static void append(char *target, size_t size, const char *text)
{
	size_t used = strlen(target);

	(void)snprintf(target + used, size - used, "%s", text);
}

static void reset(struct error *err, enum error_kind kind)
{
	err->kind = kind;
	err->saved_errno = 0;
	err->sqlstate[0] = '\0';
	err->detail[0] = '\0';
	err->hint[0] = '\0';
}

bool error_set(struct error *err, enum error_kind kind, const char *format, ...)
{
	va_list arguments;

	assert(kind != ERROR_NONE);
	if (err == NULL) {
		return false;
	}
	va_start(arguments, format);
	store(err->message, sizeof(err->message), format, arguments);
	va_end(arguments);
	reset(err, kind);
	return false;
}

static enum error_kind kind_of_errno(int number)
{
	return number == ENOSPC || number == EDQUOT ? ERROR_FULL : ERROR_SYSTEM;
}

bool error_set_errno(struct error *err, const char *format, ...)
{
	int number = errno;
	char description[128];
	va_list arguments;

	if (err == NULL) {
		return false;
	}
	va_start(arguments, format);
	store(err->message, sizeof(err->message), format, arguments);
	va_end(arguments);
	append(err->message, sizeof(err->message), ": ");
	append(err->message, sizeof(err->message),
		strerror_r(number, description, sizeof(description)));
	reset(err, kind_of_errno(number));
	err->saved_errno = number;
	errno = number;
	return false;
}

bool error_wrap(struct error *err, const char *format, ...)
{
	char message[sizeof(err->message)];
	va_list arguments;

	if (err == NULL) {
		return false;
	}
	va_start(arguments, format);
	store(message, sizeof(message), format, arguments);
	va_end(arguments);
	append(message, sizeof(message), ": ");
	append(message, sizeof(message), err->message);
	memcpy(err->message, message, strlen(message) + 1);
	return false;
}

bool error_detail(struct error *err, const char *format, ...)
{
	va_list arguments;

	if (err != NULL) {
		va_start(arguments, format);
		store(err->detail, sizeof(err->detail), format, arguments);
		va_end(arguments);
	}
	return false;
}

bool error_hint(struct error *err, const char *format, ...)
{
	va_list arguments;

	if (err != NULL) {
		va_start(arguments, format);
		store(err->hint, sizeof(err->hint), format, arguments);
		va_end(arguments);
	}
	return false;
}

bool error_sqlstate(struct error *err, const char *sqlstate)
{
	assert(strlen(sqlstate) == 5);
	if (err != NULL) {
		memcpy(err->sqlstate, sqlstate, sizeof(err->sqlstate));
	}
	return false;
}
