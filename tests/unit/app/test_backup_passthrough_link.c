/* Tests of app/backup_passthrough between relays: compressed by one, given back by the other. */
#include "backup_session.h"

#include "protocol/backup_stream.h"

#define ASKED "BASE_BACKUP ( LABEL 'x',  PROGRESS, link 'zstd')"

static struct fake_server *playing;

static void play_offer(struct fake_server *at, const char *offer)
{
	fake_accept(at);
	fake_let_in(at, "15.18");
	if (offer != NULL) {
		fake_answer(at, "SHOW walrelay.link", offer);
	} else {
		fake_refuse(
			at, "SHOW walrelay.link", "42704", "unrecognized configuration parameter");
	}
}

/* --- the upstream is a relay ----------------------------------------------------------------- */

static void send_chunk(void *context, const uint8_t *bytes, size_t length)
{
	(void)context;
	fake_send(playing, 'd', bytes, length);
}

/* What the client must see, and what goes over the wire for it. */
static void play_payload(struct backup_encoder *encoder, const void *payload, size_t length)
{
	wire_begin_message(&sent, 'd');
	wire_write_bytes(&sent, payload, length);
	wire_end_message(&sent);
	backup_encoder_write(encoder, payload, length);
}

static void play_encoded(struct fake_server *at, bool is_whole)
{
	static uint8_t block[32769] = "d";
	struct backup_encoder *encoder = backup_encoder_new(send_chunk, NULL);
	playing = at;
	play_offer(at, "1 lanes backup=zstd");
	fake_expect_query(at, ASKED);
	play_start_rows(at);
	PLAY(at, 'H', "\0\0\0");
	backup_encoder_begin(encoder);
	play_payload(encoder, "nbase.tar\0\0", 11);
	for (int i = 0; i < 40; i++) {
		play_payload(encoder, block, sizeof(block));
	}
	if (is_whole) {
		backup_encoder_end(encoder);
		PLAY(at, 'c', "");
		play_end_rows(at);
	} else {
		backup_encoder_flush(encoder);
		fake_send(at, 'c', "", 0);
		fake_send(at, 'C', "BASE_BACKUP", 12);
		fake_send_ready(at);
	}
	backup_encoder_free(&encoder);
	fake_expect_end(at);
}

static void play_whole(struct fake_server *at)
{
	play_encoded(at, true);
}

static void play_broken_off(struct fake_server *at)
{
	play_encoded(at, false);
}

static void test_backup_passthrough_link__the_client_gets_what_the_server_sent(void **state)
{
	(void)state;
	open_against(play_whole);
	backup_passthrough_use_link(session.passthrough, true);
	run_command(BACKUP);
	assert_int_equal(session.finished, 1);
	close_against(true);
}

static void test_backup_passthrough_link__a_full_client_loses_nothing(void **state)
{
	(void)state;
	open_against(play_whole);
	backup_passthrough_use_link(session.passthrough, true);
	session.room = 0;
	give_command(BACKUP);
	while (session.finished + session.failed == 0) {
		size_t before = session.refusals;
		RUN_UNTIL(session.loop,
			session.refusals > before || session.finished + session.failed > 0);
		session.room = 3;
		session.interface->resume(session.handle);
	}
	assert_int_equal(session.finished, 1);
	close_against(true);
}

static void test_backup_passthrough_link__a_copy_that_is_not_whole_has_failed(void **state)
{
	(void)state;
	open_against(play_broken_off);
	backup_passthrough_use_link(session.passthrough, true);
	run_command(BACKUP);
	assert_int_equal(session.failed, 1);
	assert_string_equal(session.err.sqlstate, "08P01");
	assert_string_equal(session.err.message, "invalid answer from the upstream: the stream of "
						 "a base backup was broken off");
	close_against(true);
}

static void play_nonsense(struct fake_server *at)
{
	play_offer(at, "1 backup=zstd");
	fake_expect_query(at, ASKED);
	PLAY(at, 'H', "\0\0\0");
	fake_send(at, 'd', "dreams", 6);
	fake_expect_end(at);
}

static void test_backup_passthrough_link__nonsense_has_failed(void **state)
{
	(void)state;
	open_against(play_nonsense);
	backup_passthrough_use_link(session.passthrough, true);
	run_command(BACKUP);
	assert_int_equal(session.failed, 1);
	assert_string_equal(session.err.sqlstate, "08P01");
	close_against(true);
}

static void play_between_relays(struct fake_server *at)
{
	play_offer(at, "1 backup=zstd");
	fake_expect_query(at, ASKED);
	PLAY(at, 'H', "\0\0\0");
	PLAY(at, 'd', "a chunk of a stream");
	PLAY(at, 'c', "");
	play_end_rows(at);
	fake_expect_end(at);
}

static void test_backup_passthrough_link__passes_between_relays_as_it_is(void **state)
{
	(void)state;
	open_against(play_between_relays);
	backup_passthrough_use_link(session.passthrough, true);
	run_command(ASKED);
	assert_int_equal(session.finished, 1);
	close_against(true);
}

/* --- the client is a relay ------------------------------------------------------------------- */

static void play_server(struct fake_server *at)
{
	play_offer(at, NULL);
	play_one_copy(at);
	fake_expect_end(at);
}

/* Decodes the CopyData among what the session got; the number of payloads. */
static int decode_copy(bool *is_whole_out)
{
	struct backup_decoder *decoder = backup_decoder_new();
	static const char *const payloads[] = {"nbase.tar\0", "d\0\1\2", "p\0\0\0\0\0\0\0\4"};
	int count = 0;
	const uint8_t *payload;
	size_t length;
	const char *reason;
	backup_decoder_begin(decoder);
	for (size_t at = 0; at < session.got.length;) {
		const uint8_t *message = session.got.bytes + at;
		at += 1 + wire_get_u32(message + 1);
		if (message[0] != 'd') {
			continue;
		}
		backup_decoder_give(decoder, message + 5, wire_get_u32(message + 1) - 4);
		while (backup_decoder_read(decoder, &payload, &length, &reason) == DECODE_OK) {
			assert_true(count < 3);
			assert_memory_equal(payload, payloads[count], length);
			count++;
		}
	}
	*is_whole_out = backup_decoder_is_whole(decoder);
	backup_decoder_free(&decoder);
	return count;
}

static void test_backup_passthrough_link__compresses_for_a_relay(void **state)
{
	(void)state;
	bool is_whole;
	open_against(play_server);
	backup_passthrough_use_link(session.passthrough, true);
	run_command(ASKED);
	assert_int_equal(session.finished, 1);
	assert_int_equal(decode_copy(&is_whole), 3);
	assert_true(is_whole);
	close_against(false);
}

static void play_pause(struct fake_server *at)
{
	play_offer(at, NULL);
	fake_expect_query(at, BACKUP);
	PLAY(at, 'H', "\0\0\0");
	PLAY(at, 'd', "nbase.tar\0\0");
	sem_wait(&go);
	fake_send_error(at, "57P01", "terminating connection");
	fake_close(at);
}

static void test_backup_passthrough_link__a_slow_servers_data_is_not_held(void **state)
{
	(void)state;
	bool is_whole = true;
	open_against(play_pause);
	backup_passthrough_use_link(session.passthrough, true);
	give_command(ASKED);
	RUN_UNTIL(session.loop, decode_copy(&is_whole) == 1);
	assert_false(is_whole);
	sem_post(&go);
	RUN_UNTIL(session.loop, session.failed == 1);
	assert_string_equal(session.err.sqlstate, "57P01");
	assert_int_equal(decode_copy(&is_whole), 1);
	assert_false(is_whole);
	close_against(false);
}

static void test_backup_passthrough_link__asks_for_nothing_unless_told(void **state)
{
	(void)state;
	open_against(play_new_backup);
	run_command(BACKUP);
	assert_int_equal(session.finished, 1);
	close_against(true);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			test_backup_passthrough_link__the_client_gets_what_the_server_sent),
		cmocka_unit_test(test_backup_passthrough_link__a_full_client_loses_nothing),
		cmocka_unit_test(test_backup_passthrough_link__a_copy_that_is_not_whole_has_failed),
		cmocka_unit_test(test_backup_passthrough_link__nonsense_has_failed),
		cmocka_unit_test(test_backup_passthrough_link__passes_between_relays_as_it_is),
		cmocka_unit_test(test_backup_passthrough_link__compresses_for_a_relay),
		cmocka_unit_test(test_backup_passthrough_link__a_slow_servers_data_is_not_held),
		cmocka_unit_test(test_backup_passthrough_link__asks_for_nothing_unless_told),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
