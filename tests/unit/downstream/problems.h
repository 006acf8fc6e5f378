/*
 * problems: collects what a file's reader reports, as "FILE:LINE: message" lines.
 */
#ifndef TESTS_PROBLEMS_H
#define TESTS_PROBLEMS_H

#include <stdio.h>
#include <string.h>

struct problems {
	char text[8192];
};

static inline void problems_add(void *context, const char *file, unsigned line, const char *message)
{
	struct problems *problems = context;
	size_t length = strlen(problems->text);

	snprintf(problems->text + length, sizeof(problems->text) - length, "%s:%u: %s\n", file,
		line, message);
}

#endif
