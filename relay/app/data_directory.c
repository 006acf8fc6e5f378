/*
 * data_directory: made with the relay's first start, and refused where others could look into it.
 */
#include "app/data_directory.h"

#include "base/memory.h"

#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>

#define PATH_SIZE 4096

char *data_directory_path(const char *directory, const char *name)
{
	char path[PATH_SIZE];
	snprintf(path, sizeof path, "%s/%s", directory, name);
	return memory_copy_text(path);
}

bool data_directory_make(const char *path, struct error *err)
{
	if (mkdir(path, 0700) != 0 && errno != EEXIST) {
		return error_set_errno(err, "could not create data directory \"%s\"", path);
	}
	struct stat info;
	if (stat(path, &info) != 0) {
		return error_set_errno(err, "could not look at data directory \"%s\"", path);
	}
	if (!S_ISDIR(info.st_mode)) {
		return error_set(err, ERROR_INVALID, "\"%s\" is not a directory", path);
	}
	if ((info.st_mode & 077) != 0) {
		error_set(err, ERROR_DENIED, "data directory \"%s\" is open to others", path);
		return error_hint(err, "chmod 0700 \"%s\"", path);
	}
	return true;
}
