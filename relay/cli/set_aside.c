/*
 * set_aside: a handful of renames in an order that a crash may cut anywhere.
 */
#include "cli/set_aside.h"

#include "base/durable_file.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>

#define NAME_SIZE 64

struct name {
	const char *before;
	const char *stem;
	const char *tail;
};

/* The database's journals go before it: left behind, they would be taken for a new database's. With
 * the suffix in front of "-wal" they still belong to the one set aside. */
static const struct name names[] = {
	{"wal", "wal", ""},
	{"state.db-shm", "state.db", "-shm"},
	{"state.db-wal", "state.db", "-wal"},
	{"state.db", "state.db", ""},
};
#define NAME_COUNT (sizeof(names) / sizeof(names[0]))

void set_aside_suffix(int64_t now, char suffix_out[SET_ASIDE_SUFFIX_SIZE])
{
	time_t seconds = (time_t)now;
	struct tm day;

	gmtime_r(&seconds, &day);
	(void)strftime(suffix_out, SET_ASIDE_SUFFIX_SIZE, ".set-aside-%Y%m%dT%H%M%SZ", &day);
}

static void new_name(const struct name *name, const char *suffix, char out[NAME_SIZE])
{
	(void)snprintf(
		out, NAME_SIZE, "%s%.*s%s", name->stem, SET_ASIDE_SUFFIX_SIZE, suffix, name->tail);
}

static bool exists(struct durable_directory *directory, const char *name)
{
	struct stat status;

	return fstatat(durable_directory_fd(directory), name, &status, AT_SYMLINK_NOFOLLOW) == 0;
}

static bool rename_all(struct durable_directory *directory, const char *suffix, struct error *err)
{
	char after[NAME_SIZE];

	for (size_t i = 0; i < NAME_COUNT; i++) {
		new_name(&names[i], suffix, after);
		if (exists(directory, after)) {
			return error_set(err, ERROR_CONFLICT, "\"%s/%s\" is already there",
				durable_directory_path(directory), after);
		}
	}
	for (size_t i = 0; i < NAME_COUNT; i++) {
		new_name(&names[i], suffix, after);
		if (exists(directory, names[i].before) &&
			!durable_directory_rename(directory, names[i].before, after, err)) {
			return false;
		}
	}
	return durable_directory_sync(directory, err);
}

bool set_aside(const char *data_directory, const char *suffix, struct error *err)
{
	struct durable_directory *directory = durable_directory_open(data_directory, NULL, err);
	bool ok;

	if (directory == NULL) {
		return false;
	}
	ok = rename_all(directory, suffix, err);
	durable_directory_close(&directory);
	return ok;
}
