/*
 * access_file: reading the files that say who may come in, and saying what is wrong with them.
 *
 * Every problem is reported with file and line; a file with one is not taken at all.
 */
#ifndef DOWNSTREAM_ACCESS_FILE_H
#define DOWNSTREAM_ACCESS_FILE_H

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>

#define ACCESS_FILE_BYTES_MAX (16u << 20)

/* line 0: the file as a whole. */
typedef void access_report(void *context, const char *file, unsigned line, const char *message);

/* A regular file's text, malloc'ed, with a 0 after it that length does not count. is_secret:
 * refused when group or others have any access to it. */
bool access_file_read(const char *path, bool is_secret, char **text_out, size_t *length_out,
	struct error *err) MUST_CHECK;
/* Wipes and frees. Accepts NULL, sets NULL. */
void access_file_release(char **text, size_t length);

#endif
