/*
 * data_directory: where the relay keeps everything.
 */
#ifndef APP_DATA_DIRECTORY_H
#define APP_DATA_DIRECTORY_H

#include "base/error.h"

#include <stdbool.h>

/* Makes it (0700) when it is missing; one that is open to others is an error. */
bool data_directory_make(const char *path, struct error *err) MUST_CHECK;
/* Of a file in it; malloc'ed. */
char *data_directory_path(const char *directory, const char *name);

#endif
