/*
 * relay_replace: remembers how this process was started, tries the binary that stands there now,
 * and executes it.
 */
#include "app/relay_replace.h"

#include "base/memory.h"
#include "net/inherited_sockets.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <spawn.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

/* Set once, before any thread; alive until exec. */
static char *binary_path;
static char **arguments;

bool relay_replace_remember(int argc, char **argv, struct error *err)
{
	char path[PATH_MAX];
	ssize_t length = readlink("/proc/self/exe", path, sizeof path - 1);
	if (length < 0) {
		return error_set_errno(err, "could not find the running binary");
	}
	path[length] = '\0';
	binary_path = memory_copy_text(path);
	arguments = memory_new(((size_t)argc + 2) * sizeof *arguments);
	arguments[0] = binary_path;
	arguments[1] = memory_copy_text("serve");
	for (int i = 1; i < argc; i++) {
		arguments[i + 1] = memory_copy_text(argv[i]);
	}
	return true;
}

bool relay_replace_is_possible(const char *config_path, struct error *err)
{
	char *check[] = {
		binary_path, "check", "--offline", "-c", (char *)(uintptr_t)config_path, NULL};
	pid_t pid;
	posix_spawn_file_actions_t actions;
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
	int failure = posix_spawn(&pid, binary_path, &actions, NULL, check, environ);
	posix_spawn_file_actions_destroy(&actions);
	if (failure != 0) {
		errno = failure;
		return error_set_errno(err, "could not start \"%s\"", binary_path);
	}
	int status = 0;
	while (waitpid(pid, &status, 0) < 0) {
		if (errno != EINTR) {
			return error_set_errno(err, "could not wait for \"%s\"", binary_path);
		}
	}
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
		error_set(err, ERROR_INVALID,
			"the binary \"%s\" refuses the configuration, this one goes on",
			binary_path);
		return error_hint(
			err, "Run \"%s check -c %s\" to see why.", binary_path, config_path);
	}
	return true;
}

bool relay_replace_now(const int *listening_fds, size_t count, struct error *err)
{
	if (!inherited_sockets_pass(listening_fds, count, err)) {
		return false;
	}
	execv(binary_path, arguments);
	return error_set_errno(err, "could not execute \"%s\"", binary_path);
}
