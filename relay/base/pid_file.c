/*
 * pid_file: an open file, locked.
 */
#include "base/pid_file.h"

#include "base/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <unistd.h>

struct pid_file {
	int fd;
};

/* 0: not told. */
static long read_pid(int fd)
{
	char text[32];
	ssize_t length = pread(fd, text, sizeof(text) - 1, 0);

	text[length > 0 ? length : 0] = '\0';
	return strtol(text, NULL, 10);
}

static bool write_pid(int fd)
{
	char text[32];
	int length = snprintf(text, sizeof(text), "%ld\n", (long)getpid());

	return ftruncate(fd, 0) == 0 && pwrite(fd, text, (size_t)length, 0) == length;
}

bool pid_file_acquire(const char *path, struct pid_file **file_out, struct error *err)
{
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	if (fd < 0) {
		return error_set_errno(err, "could not open lock file \"%s\"", path);
	}
	if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
		if (errno == EWOULDBLOCK) {
			(void)error_set(err, ERROR_CONFLICT,
				"lock file \"%s\" is held by process %ld", path, read_pid(fd));
			(void)error_hint(
				err, "Is another walrelay running with this data directory?");
		} else {
			(void)error_set_errno(err, "could not lock file \"%s\"", path);
		}
		close(fd);
		return false;
	}
	if (!write_pid(fd)) {
		(void)error_set_errno(err, "could not write lock file \"%s\"", path);
		close(fd);
		return false;
	}
	*file_out = memory_new(sizeof(**file_out));
	(*file_out)->fd = fd;
	return true;
}

void pid_file_release(struct pid_file **file)
{
	if (*file == NULL) {
		return;
	}
	(void)!ftruncate((*file)->fd, 0);
	close((*file)->fd);
	free(*file);
	*file = NULL;
}
