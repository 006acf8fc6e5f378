/*
 * pid_file: who holds it, and that the lock goes with its holder.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/pid_file.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static char directory[40];
static char path[64];

static int set_up(void **state)
{
	(void)state;
	strcpy(directory, "/tmp/test_pid_file.XXXXXX");
	assert_non_null(mkdtemp(directory));
	(void)snprintf(path, sizeof(path), "%s/walrelay.pid", directory);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	unlink(path);
	return rmdir(directory);
}

/* A process that holds the file until it is killed. */
static pid_t hold(void)
{
	int ready[2];
	pid_t pid;
	char byte;

	assert_int_equal(pipe(ready), 0);
	pid = fork();
	if (pid == 0) {
		struct pid_file *file;

		if (!pid_file_acquire(path, &file, NULL) || write(ready[1], "x", 1) != 1) {
			_exit(1);
		}
		for (;;) {
			pause();
		}
	}
	close(ready[1]);
	assert_int_equal(read(ready[0], &byte, 1), 1);
	close(ready[0]);
	return pid;
}

static void test_pid_file__names_its_holder(void **state)
{
	char expected[128];
	struct pid_file *file = NULL;
	struct error err = {0};
	pid_t pid = hold();

	(void)state;
	assert_false(pid_file_acquire(path, &file, &err));
	assert_int_equal(err.kind, ERROR_CONFLICT);
	(void)snprintf(
		expected, sizeof(expected), "lock file \"%s\" is held by process %d", path, pid);
	assert_string_equal(err.message, expected);
	assert_null(file);
	/* However it ends, the lock ends with it. */
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	assert_true(pid_file_acquire(path, &file, &err));
	pid_file_release(&file);
	assert_null(file);
	pid_file_release(&file);
}

static void test_pid_file__holds_the_number(void **state)
{
	struct pid_file *file;
	FILE *stream;
	int pid = 0;

	(void)state;
	stream = fopen(path, "w");
	(void)fputs("99999999999 left behind by somebody\n", stream);
	(void)fclose(stream);
	assert_true(pid_file_acquire(path, &file, NULL));
	stream = fopen(path, "r");
	assert_int_equal(fscanf(stream, "%d", &pid), 1);
	assert_int_equal(fgetc(stream), '\n');
	assert_int_equal(fgetc(stream), EOF);
	(void)fclose(stream);
	assert_int_equal(pid, getpid());
	pid_file_release(&file);
}

static void test_pid_file__says_why_it_cannot_be_opened(void **state)
{
	struct pid_file *file;
	struct error err = {0};

	(void)state;
	assert_false(pid_file_acquire("/nonexistent/w.pid", &file, &err));
	assert_int_equal(err.kind, ERROR_SYSTEM);
	assert_string_equal(err.message,
		"could not open lock file \"/nonexistent/w.pid\": No such file or directory");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_pid_file__names_its_holder),
		TEST(test_pid_file__holds_the_number),
		TEST(test_pid_file__says_why_it_cannot_be_opened),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
