/* Tests of app/backup_passthrough: answers, errors and manifests as they pass. */
#include "backup_session.h"

static void test_backup_passthrough__passes_one_copy_as_15_sends_it(void **state)
{
	(void)state;
	open_against(play_new_backup);
	run_command(BACKUP);
	assert_int_equal(session.finished, 1);
	close_against(true);
}

static void play_old_backup(struct fake_server *at)
{
	enter_server(at);
	fake_expect_query(at, BACKUP);
	play_start_rows(at);
	for (int tablespace = 0; tablespace < 3; tablespace++) {
		PLAY(at, 'H', "\0\0\0");
		PLAY(at, 'd', "tar");
		PLAY(at, 'N', "SWARNING\0VWARNING\0C01000\0Mchecksum\0Da page\0Hlook\0\0");
		PLAY(at, 'd', "more");
		PLAY(at, 'c', "");
	}
	play_end_rows(at);
	fake_expect_end(at);
}

static void test_backup_passthrough__passes_many_copies_and_notices(void **state)
{
	(void)state;
	open_against(play_old_backup);
	run_command(BACKUP);
	assert_int_equal(session.finished, 1);
	close_against(true);
}

static void play_startup_seen(struct fake_server *at)
{
	char startup[1024];
	fake_accept(at);
	ssize_t length = recv(at->connection, startup, sizeof(startup), MSG_PEEK);
	bool is_named =
		length > 0 && memmem(startup, (size_t)length, "application_name\0r backup", 26);
	bool is_walsender = length > 0 && memmem(startup, (size_t)length, "replication\0true", 17);
	fake_let_in(at, "15.18");
	fake_expect_query(at, BACKUP);
	if (is_named && is_walsender) {
		PLAY(at, 'C', "BASE_BACKUP\0");
	}
	fake_send_ready(at);
	fake_expect_end(at);
}

static void test_backup_passthrough__says_who_it_is(void **state)
{
	(void)state;
	open_against(play_startup_seen);
	run_command(BACKUP);
	assert_true(session.got.length > 0);
	close_against(true);
}

static void play_error_in_copy(struct fake_server *at)
{
	enter_server(at);
	fake_expect_query(at, BACKUP);
	PLAY(at, 'H', "\0\0\0");
	PLAY(at, 'd', "data");
	static const char error[] =
		"SERROR\0VERROR\0CXX001\0Mchecksum failure\0Din base/1\0Hlook there\0\0";
	fake_send(at, 'E', error, sizeof(error) - 1);
	fake_send_ready(at);
	play_one_copy(at);
	fake_expect_end(at);
}

static void test_backup_passthrough__after_an_error_the_next_command_is_answered(void **state)
{
	(void)state;
	open_against(play_error_in_copy);
	run_command(BACKUP);
	assert_int_equal(session.failed, 1);
	assert_string_equal(session.err.sqlstate, "XX001");
	assert_string_equal(session.err.message, "checksum failure");
	assert_string_equal(session.err.detail, "in base/1");
	assert_string_equal(session.err.hint, "look there");
	run_command(BACKUP);
	assert_int_equal(session.finished, 1);
	close_against(true);
}

static void play_two_connections(struct fake_server *at)
{
	enter_server(at);
	fake_expect_query(at, BACKUP);
	PLAY(at, 'H', "\0\0\0");
	PLAY(at, 'd', "data");
	fake_close(at);
	play_new_backup(at);
}

static void test_backup_passthrough__a_lost_server_fails_the_command_only(void **state)
{
	(void)state;
	open_against(play_two_connections);
	run_command(BACKUP);
	assert_int_equal(session.failed, 1);
	assert_string_equal(session.err.sqlstate, "08006");
	assert_string_equal(session.err.message, "lost the connection to the upstream: server "
						 "closed the connection unexpectedly");
	run_command(BACKUP);
	assert_int_equal(session.finished, 1);
	close_against(true);
}

static void play_leave_after_backup(struct fake_server *at)
{
	enter_server(at);
	play_one_copy(at);
	fake_close(at);
	sem_post(&go);
	play_new_backup(at);
}

static void test_backup_passthrough__an_idle_connection_that_ends_is_made_anew(void **state)
{
	(void)state;
	open_against(play_leave_after_backup);
	run_command(BACKUP);
	RUN_UNTIL(session.loop, sem_trywait(&go) == 0);
	RUN_TICKS(session.loop, 3);
	assert_int_equal(session.failed, 0);
	run_command(BACKUP);
	assert_int_equal(session.finished, 2);
	close_against(true);
}

static void expect_copy_done(struct fake_server *at)
{
	char message[5] = "";
	if (recv(at->connection, message, sizeof(message), MSG_WAITALL) != 5 || message[0] != 'c') {
		snprintf(at->problem, sizeof(at->problem), "expected CopyDone");
	}
}

static void play_upload(struct fake_server *at)
{
	uint8_t body[64];
	enter_server(at);
	fake_expect_query(at, UPLOAD);
	PLAY(at, 'G', "\0\0\0");
	fake_expect(at, 'd', body, sizeof(body));
	fake_expect(at, 'd', body, sizeof(body));
	expect_copy_done(at);
	PLAY(at, 'C', "UPLOAD_MANIFEST\0");
	fake_send_ready(at);
	play_one_copy(at);
	fake_expect_end(at);
}

static void test_backup_passthrough__a_manifest_and_its_backup_share_a_connection(void **state)
{
	(void)state;
	open_against(play_upload);
	give_command(UPLOAD);
	give_message('d', "too early: dropped", 18);
	RUN_UNTIL(session.loop, session.got.length > 0);
	give_message('d', "{\"a\":", 5);
	give_message('d', "1}", 2);
	give_message('c', "", 0);
	give_message('d', "too late: dropped", 17);
	RUN_UNTIL(session.loop, session.finished == 1);
	run_command(BACKUP);
	assert_int_equal(session.finished, 2);
	close_against(true);
}

static void play_refused_upload(struct fake_server *at)
{
	uint8_t body[64] = {0};
	enter_server(at);
	fake_expect_query(at, UPLOAD);
	PLAY(at, 'G', "\0\0\0");
	fake_expect(at, 'f', body, sizeof(body));
	fake_send_error(at, "57014", (const char *)body);
	fake_send_ready(at);
	fake_expect_end(at);
}

static void test_backup_passthrough__the_clients_failure_reaches_the_server(void **state)
{
	(void)state;
	open_against(play_refused_upload);
	give_command(UPLOAD);
	RUN_UNTIL(session.loop, session.got.length > 0);
	give_message('f', "disk on fire", 13);
	RUN_UNTIL(session.loop, session.failed == 1);
	assert_string_equal(session.err.sqlstate, "57014");
	assert_string_equal(session.err.message, "disk on fire");
	close_against(true);
}

static void play_slow_upload(struct fake_server *at)
{
	enter_server(at);
	fake_expect_query(at, UPLOAD);
	PLAY(at, 'G', "\0\0\0");
	sem_wait(&go);
	uint8_t *body = malloc(MEGABYTE);
	for (int i = 0; i < 16; i++) {
		fake_expect(at, 'd', body, MEGABYTE);
	}
	free(body);
	expect_copy_done(at);
	PLAY(at, 'C', "UPLOAD_MANIFEST\0");
	fake_send_ready(at);
	fake_expect_end(at);
}

static void test_backup_passthrough__a_slow_server_holds_the_clients_input(void **state)
{
	(void)state;
	char *bytes = calloc(1, MEGABYTE);
	open_against(play_slow_upload);
	give_command(UPLOAD);
	RUN_UNTIL(session.loop, session.got.length > 0);
	int given = 0;
	while (!session.is_held && given < 16) {
		give_message('d', bytes, MEGABYTE);
		given++;
		RUN_TICKS(session.loop, 1);
	}
	assert_true(session.is_held);
	sem_post(&go);
	RUN_UNTIL(session.loop, !session.is_held);
	for (; given < 16; given++) {
		give_message('d', bytes, MEGABYTE);
	}
	give_message('c', "", 0);
	RUN_UNTIL(session.loop, session.finished == 1);
	assert_false(session.is_held);
	free(bytes);
	close_against(true);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_backup_passthrough__passes_one_copy_as_15_sends_it),
		cmocka_unit_test(test_backup_passthrough__passes_many_copies_and_notices),
		cmocka_unit_test(test_backup_passthrough__says_who_it_is),
		cmocka_unit_test(
			test_backup_passthrough__after_an_error_the_next_command_is_answered),
		cmocka_unit_test(test_backup_passthrough__a_lost_server_fails_the_command_only),
		cmocka_unit_test(
			test_backup_passthrough__an_idle_connection_that_ends_is_made_anew),
		cmocka_unit_test(
			test_backup_passthrough__a_manifest_and_its_backup_share_a_connection),
		cmocka_unit_test(test_backup_passthrough__the_clients_failure_reaches_the_server),
		cmocka_unit_test(test_backup_passthrough__a_slow_server_holds_the_clients_input),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
