/*
 * console_rig: what was sent is kept as types and as text, orders as text.
 */
#include "console_rig.h"

#include <stdio.h>
#include <stdlib.h>

struct console_rig test;


/* --- the client --------------------------------------------------------------------------------
 */

static void note(const uint8_t *body, size_t length)
{
	size_t used = strlen(test.text);
	for (size_t i = 0; i < length && used + 2 < SENT_SIZE; i++) {
		test.text[used++] = body[i] >= ' ' && body[i] < 127 ? (char)body[i] : '~';
	}
	if (used + 1 < SENT_SIZE) {
		test.text[used++] = '|';
		test.text[used] = '\0';
	}
}

static void on_send(void *context, struct wire_writer *writer)
{
	(void)context;
	assert_false(writer->bad);
	for (size_t at = 0; at < writer->length;) {
		size_t length = wire_get_u32(writer->bytes + at + 1);
		size_t count = strlen(test.kinds);
		assert_true(at + 1 + length <= writer->length);
		if (count + 1 < sizeof(test.kinds)) {
			test.kinds[count] = (char)writer->bytes[at];
			test.kinds[count + 1] = '\0';
		}
		note(writer->bytes + at + 5, length - 4);
		at += 1 + length;
	}
	wire_writer_release(writer);
}

static bool has_room(void *context)
{
	(void)context;
	return !test.is_full;
}

static void on_idle(void *context)
{
	(void)context;
	test.idle_count++;
}

/* --- orders ------------------------------------------------------------------------------------
 */

static bool ordered(const char *what, const char *name)
{
	size_t used = strlen(test.ordered);
	snprintf(test.ordered + used, sizeof(test.ordered) - used, "%s(%s) ", what, name);
	return test.is_known;
}

static bool reload(void *context, struct error *err)
{
	(void)context;
	(void)err;
	return ordered("reload", "") || true;
}

static bool pause_destination(void *context, const char *name)
{
	(void)context;
	return ordered("pause", name);
}

static bool resume_destination(void *context, const char *name)
{
	(void)context;
	return ordered("resume", name);
}

static bool set_cap(void *context, const char *name, uint64_t bytes_per_second)
{
	char text[64];
	(void)context;
	snprintf(text, sizeof(text), "%s %llu", name, (unsigned long long)bytes_per_second);
	return ordered("cap", text);
}

static bool later(const char *what, const char *name, console_done *done, void *context,
	struct error *err)
{
	if (!ordered(what, name)) {
		error_set(err, ERROR_NOT_FOUND, "there is no \"%s\"", name);
		return error_sqlstate(err, "42704");
	}
	if (test.waits) {
		test.done = done;
		test.done_context = context;
	} else {
		done(context, true, NULL);
	}
	return true;
}

static bool drop_slot(void *context, const char *name, console_done *done, void *done_context,
	struct error *err)
{
	(void)context;
	return later("drop", name, done, done_context, err);
}

static bool skip_range(void *context, lsn_t lsn, console_done *done, void *done_context,
	struct error *err)
{
	char text[LSN_TEXT_SIZE];
	(void)context;
	return later("skip", lsn_format(lsn, text), done, done_context, err);
}

static bool add_pin(void *context, const char *name, lsn_t lsn, int64_t for_us, console_done *done,
	void *done_context, struct error *err)
{
	char text[128];
	(void)context;
	snprintf(text, sizeof(text), "%s " LSN_FORMAT " %lld", name, LSN_ARGS(lsn),
		(long long)(for_us / 1000000));
	return later("pin", text, done, done_context, err);
}

static bool drop_pin(void *context, const char *name, console_done *done, void *done_context,
	struct error *err)
{
	(void)context;
	return later("unpin", name, done, done_context, err);
}

static void kill_standby(void *context, uint32_t pid)
{
	char text[16];
	(void)context;
	snprintf(text, sizeof(text), "%u", pid);
	ordered("kill", text);
}

static void each_setting(void *context, console_setting_visit *visit, void *visit_context)
{
	(void)context;
	visit(visit_context, "relay", "name", "r", false);
}

static const struct console_orders orders = {
	.reload = reload,
	.pause = pause_destination,
	.resume = resume_destination,
	.set_cap = set_cap,
	.drop_slot = drop_slot,
	.kill = kill_standby,
	.skip = skip_range,
	.add_pin = add_pin,
	.drop_pin = drop_pin,
	.each_setting = each_setting,
};

/* --- a test ------------------------------------------------------------------------------------
 */

void turn(void)
{
	for (int i = 0; i < 4; i++) {
		loop_stop(test.loop);
		loop_run(test.loop);
	}
}

void open_session(const char *user)
{
	test.peer = (struct console_peer){
		.user = user, .application_name = "psql", .address = "10.0.0.1:5"};
	test.handle = test.service->open(
		test.service->context, test.loop, &test.peer, &test.client);
}

int console_rig_setup(void **state)
{
	struct error err;
	const struct snapshot_sources sources = {.relay_name = "r"};
	(void)state;
	memset(&test, 0, sizeof(test));
	fake_readers_reset();
	test.loop = loop_new("test", &err);
	const struct console_options options = {
		.loop = test.loop, .admin_users = "root, ops", .orders = &orders};
	test.console = console_new(&options);
	console_set_sources(test.console, &sources);
	test.service = console_interface(test.console);
	test.client = (struct console_client){
		.send = on_send, .has_room = has_room, .on_idle = on_idle};
	test.is_known = true;
	open_session("ops");
	return 0;
}

int console_rig_teardown(void **state)
{
	(void)state;
	if (test.handle != NULL) {
		assert_false(test.service->close(&test.handle));
	}
	turn();
	console_free(&test.console);
	loop_free(&test.loop);
	return 0;
}

void send_message(char type, const void *body, size_t length)
{
	const struct pg_message message = {
		.type = type, .body = body, .body_length = length, .consumed = length + 5};
	test.kinds[0] = '\0';
	test.text[0] = '\0';
	assert_true(test.service->message(test.handle, &message));
}

const char *query(const char *text)
{
	send_message('Q', text, strlen(text) + 1);
	turn();
	return test.kinds;
}
