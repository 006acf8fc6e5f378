/* Tests of app/backup_passthrough: back-pressure, nonsense, closing, and whom it connects to. */
#include "backup_session.h"

static void play_big_backup(struct fake_server *at)
{
	static const char block[32768] = "d";
	enter_server(at);
	fake_expect_query(at, BACKUP);
	PLAY(at, 'H', "\0\0\0");
	for (int i = 0; i < 1000; i++) {
		play_message(at, 'd', block, sizeof(block));
	}
	PLAY(at, 'c', "");
	play_end_rows(at);
	fake_expect_end(at);
}

static void test_backup_passthrough__takes_no_more_than_there_is_room_for(void **state)
{
	(void)state;
	open_against(play_big_backup);
	session.room = 10;
	give_command(BACKUP);
	RUN_UNTIL(session.loop, session.refusals > 0);
	RUN_TICKS(session.loop, 20);
	/* One look finds no room; after that nothing is read, so nothing looks again. */
	assert_int_equal(session.refusals, 1);
	while (session.finished + session.failed == 0) {
		session.room = 100;
		session.is_in_call = true;
		session.interface->resume(session.handle);
		session.is_in_call = false;
		RUN_UNTIL(session.loop, session.room == 0 || session.finished == 1);
	}
	assert_int_equal(session.finished, 1);
	close_against(true);
}

static void play_copy_both(struct fake_server *at)
{
	enter_server(at);
	fake_expect_query(at, BACKUP);
	fake_send_copy_both(at);
	fake_expect_end(at);
}

static void test_backup_passthrough__refuses_an_answer_that_is_none(void **state)
{
	(void)state;
	open_against(play_copy_both);
	run_command(BACKUP);
	assert_int_equal(session.failed, 1);
	assert_string_equal(session.err.sqlstate, "08P01");
	close_against(true);
}

static void play_copy_after_error(struct fake_server *at)
{
	enter_server(at);
	fake_expect_query(at, BACKUP);
	fake_send_error(at, "55000", "no");
	fake_send(at, 'H', "\0\0\0", 3);
	fake_expect_end(at);
}

static void test_backup_passthrough__a_copy_after_an_error_ends_it(void **state)
{
	(void)state;
	open_against(play_copy_after_error);
	run_command(BACKUP);
	assert_int_equal(session.failed, 1);
	close_against(true);
}

static void play_silence(struct fake_server *at)
{
	fake_accept(at);
	sem_post(&go);
	fake_expect_end(at);
}

static void test_backup_passthrough__may_be_closed_while_it_connects(void **state)
{
	(void)state;
	open_against(play_silence);
	give_command(BACKUP);
	RUN_UNTIL(session.loop, sem_trywait(&go) == 0);
	close_handle(&session);
	close_against(false);
	assert_int_equal(session.failed + session.finished, 0);
}

static void test_backup_passthrough__may_be_closed_before_it_begins(void **state)
{
	(void)state;
	open_session("host=127.0.0.1 port=1");
	give_command(BACKUP);
	free_session();
	assert_int_equal(session.failed + session.finished, 0);
}

static void test_backup_passthrough__may_be_closed_in_the_midst(void **state)
{
	(void)state;
	open_against(play_new_backup);
	session.close_when_sent = true;
	give_command(BACKUP);
	RUN_UNTIL(session.loop, session.handle == NULL);
	RUN_TICKS(session.loop, 3);
	assert_int_equal(session.failed + session.finished, 0);
	fake_server_join(&server);
	free_session();
	wire_writer_release(&sent);
	sem_destroy(&go);
}

static void test_backup_passthrough__says_why_it_cannot_connect(void **state)
{
	(void)state;
	char conninfo[128];
	snprintf(conninfo, sizeof(conninfo), "host=127.0.0.1 port=%u", fake_server_closed_port());
	open_session("host=127.0.0.1 port=1 nonsense=1");
	run_command(BACKUP);
	assert_string_equal(session.err.message,
		"could not connect to the upstream: invalid connection option \"nonsense\"");
	backup_passthrough_set_conninfo(session.passthrough, conninfo);
	run_command(BACKUP);
	assert_int_equal(session.failed, 2);
	assert_string_equal(session.err.sqlstate, "08006");
	assert_non_null(strstr(session.err.message, "could not connect to the upstream: "));
	assert_non_null(strstr(session.err.message, "Connection refused"));
	assert_null(strchr(session.err.message, '\n'));
	free_session();
}

static void play_identity(struct fake_server *at)
{
	enter_server(at);
	fake_expect_query(at, "IDENTIFY_SYSTEM");
	fake_send_row(at, "7600000000000000001", "1", "0/1", "", NULL);
	fake_send_complete(at, "IDENTIFY_SYSTEM");
	fake_send_ready(at);
	fake_expect_end(at);
}

static void test_backup_passthrough__refuses_another_cluster(void **state)
{
	(void)state;
	open_against(play_identity);
	backup_passthrough_set_cluster(session.passthrough, (struct cluster *)&known_system);
	known_system = 7600000000000000002;
	run_command(BACKUP);
	assert_int_equal(session.failed, 1);
	assert_string_equal(session.err.sqlstate, "55000");
	assert_string_equal(
		session.err.message, "the server for base backups belongs to another cluster");
	assert_string_equal(session.err.detail, "Its system identifier is 7600000000000000001, the "
						"relay's is 7600000000000000002.");
	close_against(true);
}

static void play_identity_then_backup(struct fake_server *at)
{
	enter_server(at);
	fake_expect_query(at, "IDENTIFY_SYSTEM");
	fake_send_row(at, "7600000000000000001", "1", "0/1", "", NULL);
	fake_send_complete(at, "IDENTIFY_SYSTEM");
	fake_send_ready(at);
	play_one_copy(at);
	fake_expect_end(at);
}

static void test_backup_passthrough__takes_the_right_cluster(void **state)
{
	(void)state;
	open_against(play_identity_then_backup);
	backup_passthrough_set_cluster(session.passthrough, (struct cluster *)&known_system);
	known_system = 7600000000000000001;
	run_command(BACKUP);
	assert_int_equal(session.finished, 1);
	close_against(true);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_backup_passthrough__takes_no_more_than_there_is_room_for),
		cmocka_unit_test(test_backup_passthrough__refuses_an_answer_that_is_none),
		cmocka_unit_test(test_backup_passthrough__a_copy_after_an_error_ends_it),
		cmocka_unit_test(test_backup_passthrough__may_be_closed_while_it_connects),
		cmocka_unit_test(test_backup_passthrough__may_be_closed_before_it_begins),
		cmocka_unit_test(test_backup_passthrough__may_be_closed_in_the_midst),
		cmocka_unit_test(test_backup_passthrough__says_why_it_cannot_connect),
		cmocka_unit_test(test_backup_passthrough__refuses_another_cluster),
		cmocka_unit_test(test_backup_passthrough__takes_the_right_cluster),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
