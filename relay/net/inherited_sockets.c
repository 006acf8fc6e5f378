/*
 * inherited_sockets: the two ends of the LISTEN_FDS convention.
 */
#include "net/inherited_sockets.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define FIRST_FD 3
#define FDS_MAX  1024

static long number_in_environment(const char *name)
{
	const char *text = getenv(name);
	if (text == NULL || *text == '\0') {
		return -1;
	}
	char *end;
	errno = 0;
	long number = strtol(text, &end, 10);
	return errno == 0 && *end == '\0' ? number : -1;
}

void inherited_sockets_take(int **fds_out, size_t *count_out)
{
	long pid = number_in_environment("LISTEN_PID");
	long count = number_in_environment("LISTEN_FDS");
	*fds_out = NULL;
	*count_out = 0;
	unsetenv("LISTEN_PID");
	unsetenv("LISTEN_FDS");
	unsetenv("LISTEN_FDNAMES");
	if (pid != (long)getpid() || count <= 0 || count > FDS_MAX) {
		return;
	}
	int *fds = calloc((size_t)count, sizeof(*fds));
	if (fds == NULL) {
		return;
	}
	for (long i = 0; i < count; i++) {
		int fd = FIRST_FD + (int)i;
		int flags = fcntl(fd, F_GETFL);
		bool is_usable = flags >= 0 && fcntl(fd, F_SETFD, FD_CLOEXEC) == 0 &&
				 fcntl(fd, F_SETFL, flags | O_NONBLOCK) == 0;
		fds[i] = is_usable ? fd : -1;
	}
	*fds_out = fds;
	*count_out = (size_t)count;
}

static void set_number(const char *name, long number)
{
	char text[24];
	snprintf(text, sizeof(text), "%ld", number);
	setenv(name, text, 1);
}

bool inherited_sockets_pass(const int *fds, size_t count, struct error *err)
{
	int *high = calloc(count + 1, sizeof(*high));
	if (high == NULL) {
		return error_set(err, ERROR_SYSTEM, "out of memory");
	}
	/* First out of the way of their new numbers, then down to them. */
	bool moved = true;
	for (size_t i = 0; i < count && moved; i++) {
		high[i] = fcntl(fds[i], F_DUPFD_CLOEXEC, FIRST_FD + (int)count);
		moved = high[i] >= 0;
	}
	for (size_t i = 0; i < count && moved; i++) {
		moved = dup2(high[i], FIRST_FD + (int)i) >= 0;
	}
	free(high);
	if (!moved) {
		return error_set_errno(err, "could not move a socket for the next process");
	}
	set_number("LISTEN_PID", (long)getpid());
	set_number("LISTEN_FDS", (long)count);
	return true;
}

void inherited_sockets_close(int *fds, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (fds[i] >= 0) {
			close(fds[i]);
			fds[i] = -1;
		}
	}
}
