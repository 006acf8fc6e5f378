/* Tests of app/watchdog: what the service manager hears, and when it hears nothing. */
#include "support/cmocka_all.h"

#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "app/service_manager.h"
#include "app/watchdog.h"
#include "net/loop.h"

/* The service manager, and two loops it does not know of. */
struct rig {
	char directory[32];
	int socket;
	struct loop *main_loop;
	struct loop *watched_loop;
	struct watchdog *watchdog;
	sem_t reached;
	sem_t let_go;
};

static void hold(void *context)
{
	struct rig *rig = context;
	sem_post(&rig->reached);
	sem_wait(&rig->let_go);
}

static void open_service_manager(struct rig *rig)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	strcpy(rig->directory, "/tmp/watchdog.XXXXXX");
	assert_non_null(mkdtemp(rig->directory));
	snprintf(address.sun_path, sizeof address.sun_path, "%s/notify", rig->directory);
	rig->socket = socket(AF_UNIX, SOCK_DGRAM, 0);
	assert_int_equal(bind(rig->socket, (struct sockaddr *)&address, sizeof address), 0);
	setenv("NOTIFY_SOCKET", address.sun_path, 1);
}

static int set_up(void **state)
{
	struct rig *rig = calloc(1, sizeof *rig);
	struct error err = {0};
	open_service_manager(rig);
	sem_init(&rig->reached, 0, 0);
	sem_init(&rig->let_go, 0, 0);
	rig->main_loop = loop_new("main", &err);
	rig->watched_loop = loop_new("sender 0", &err);
	assert_true(loop_start(rig->watched_loop, &err));
	rig->watchdog = watchdog_new(rig->main_loop, &err);
	watchdog_watch(rig->watchdog, rig->watched_loop);
	*state = rig;
	return 0;
}

static int tear_down(void **state)
{
	struct rig *rig = *state;
	char path[64];
	loop_stop(rig->watched_loop);
	loop_join(rig->watched_loop);
	loop_free(&rig->watched_loop);
	watchdog_free(&rig->watchdog);
	loop_free(&rig->main_loop);
	unsetenv("NOTIFY_SOCKET");
	close(rig->socket);
	snprintf(path, sizeof path, "%s/notify", rig->directory);
	unlink(path);
	rmdir(rig->directory);
	free(rig);
	return 0;
}

static bool has_heard(struct rig *rig)
{
	char text[64] = "";
	ssize_t length = recv(rig->socket, text, sizeof text - 1, MSG_DONTWAIT);
	return length > 0 && strcmp(text, "WATCHDOG=1") == 0;
}

/* Returns when the loop runs nothing but this; what was posted before has run. */
static void hold_loop(struct rig *rig)
{
	loop_post(rig->watched_loop, hold, rig);
	sem_wait(&rig->reached);
}

static void test_watchdog__tells_while_every_loop_turns(void **state)
{
	struct rig *rig = *state;
	for (int i = 0; i < 3; i++) {
		assert_true(watchdog_round(rig->watchdog));
		assert_true(has_heard(rig));
		hold_loop(rig);
		sem_post(&rig->let_go);
	}
}

static void test_watchdog__is_silent_while_a_loop_hangs(void **state)
{
	struct rig *rig = *state;
	hold_loop(rig);
	assert_true(watchdog_round(rig->watchdog));
	assert_true(has_heard(rig));
	assert_false(watchdog_round(rig->watchdog));
	assert_false(watchdog_round(rig->watchdog));
	assert_false(has_heard(rig));
	sem_post(&rig->let_go);
	hold_loop(rig);
	assert_true(watchdog_round(rig->watchdog));
	assert_true(has_heard(rig));
	sem_post(&rig->let_go);
}

static void test_watchdog__makes_no_rounds_unasked(void **state)
{
	struct rig *rig = *state;
	unsetenv("WATCHDOG_USEC");
	assert_int_equal(service_manager_watchdog_us(), 0);
	watchdog_start(rig->watchdog);
	assert_false(has_heard(rig));
}

static void test_watchdog__keeps_the_pace_it_is_asked_for(void **state)
{
	(void)state;
	char pid[16];
	snprintf(pid, sizeof pid, "%d", (int)getpid());
	setenv("WATCHDOG_PID", pid, 1);
	setenv("WATCHDOG_USEC", "30000000", 1);
	assert_int_equal(service_manager_watchdog_us(), 30000000);
	setenv("WATCHDOG_PID", "1", 1);
	assert_int_equal(service_manager_watchdog_us(), 0);
	unsetenv("WATCHDOG_PID");
	unsetenv("WATCHDOG_USEC");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			test_watchdog__tells_while_every_loop_turns, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			test_watchdog__is_silent_while_a_loop_hangs, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			test_watchdog__makes_no_rounds_unasked, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			test_watchdog__keeps_the_pace_it_is_asked_for, set_up, tear_down),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
