/*
 * guarded_copy: pages that are there, and pages that a file no longer has.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/guarded_copy.h"

#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAGE 4096

static char *map_two_pages(int *fd_out)
{
	int fd = memfd_create("two", 0);
	char *pages;

	assert_int_equal(ftruncate(fd, 2 * PAGE), 0);
	pages = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	assert_true(pages != MAP_FAILED);
	memset(pages, 'x', 2 * PAGE);
	*fd_out = fd;
	return pages;
}

static void test_guarded_copy__survives_a_page_that_is_gone(void **state)
{
	static char copy[2 * PAGE];
	int fd;
	char *pages = map_two_pages(&fd);

	(void)state;
	assert_true(guarded_copy(copy, pages, 2 * PAGE));
	assert_memory_equal(copy, pages, 2 * PAGE);
	assert_int_equal(ftruncate(fd, PAGE), 0);
	/* More than once: the way back stays open. */
	for (int i = 0; i < 3; i++) {
		assert_false(guarded_copy(copy, pages + 100, 2 * PAGE - 100));
		assert_true(guarded_copy(copy, pages, PAGE));
	}
	munmap(pages, 2 * PAGE);
	close(fd);
}

static void leave(int number)
{
	(void)number;
	_exit(7);
}

static void test_guarded_copy__leaves_other_faults_to_who_was_there(void **state)
{
	int status;

	(void)state;
	pid_t child = fork();
	if (child == 0) {
		int fd;
		volatile char *pages = map_two_pages(&fd);

		signal(SIGBUS, leave);
		if (guarded_copy((char[1]){0}, (const char *)pages, 1) && ftruncate(fd, 0) == 0) {
			(void)*pages;
		}
		_exit(1);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 7);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_guarded_copy__leaves_other_faults_to_who_was_there),
		cmocka_unit_test(test_guarded_copy__survives_a_page_that_is_gone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
