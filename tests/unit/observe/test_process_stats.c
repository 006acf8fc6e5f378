/* Tests of observe/process_stats against what this process knows of itself. */
#include "support/cmocka_all.h"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "observe/process_stats.h"

static void test_process_stats__agree_with_the_process(void **state)
{
	(void)state;
	struct process_stats before;
	struct process_stats after;
	struct rlimit limit;
	/* A name that would end the parsing of a careless reader. */
	assert_int_equal(prctl(PR_SET_NAME, "a) R 1 2 (x", 0, 0, 0), 0);
	process_stats_read(&before);
	int fd = open("/dev/null", O_RDONLY);
	process_stats_read(&after);
	close(fd);
	assert_int_equal(after.open_fds, before.open_fds + 1);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	assert_int_equal(after.max_fds, limit.rlim_cur);
	assert_true(after.resident_memory_bytes > 100000);
	assert_true(after.virtual_memory_bytes >= after.resident_memory_bytes);
	assert_true(after.threads >= 1);
	double now = (double)time(NULL);
	assert_true(after.start_time_seconds > now - 600 && after.start_time_seconds < now + 2);
}

static void test_process_stats__cpu_time_grows_with_work(void **state)
{
	(void)state;
	struct process_stats first;
	struct process_stats later;
	process_stats_read(&first);
	assert_true(first.cpu_seconds >= 0);
	clock_t end = clock() + CLOCKS_PER_SEC / 20;
	while (clock() < end) {
	}
	process_stats_read(&later);
	assert_true(later.cpu_seconds > first.cpu_seconds);
	assert_true(later.cpu_seconds < first.cpu_seconds + 60);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_process_stats__agree_with_the_process),
		cmocka_unit_test(test_process_stats__cpu_time_grows_with_work),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
