/*
 * A conversation with the console, message by message: the first byte says who has logged in, and
 * what the relay makes of orders; then a type, two bytes of length, and a body each. Whatever it
 * is, the session answers and is ready for more.
 */
#include "fuzz.h"

#include "base/log.h"
#include "console_rig.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* Of the first byte. */
#define IS_GUEST   1
#define IS_OWNER   2
#define IS_UNKNOWN 4 /* what orders name */
#define WAITS      8 /* orders take their time, and there is no room at first */

#define BODY_MAX 600u

static bool is_busy(void)
{
	return test.service->is_busy(test.handle);
}

/* What the session waits for comes. */
static void serve(void)
{
	turn();
	for (int i = 0; i < 1000 && is_busy(); i++) {
		test.is_full = false;
		test.kinds[0] = test.text[0] = '\0';
		if (test.done != NULL) {
			console_done *done = test.done;
			test.done = NULL;
			done(test.done_context, !test.is_known, &(struct error){.message = "gone"});
		}
		turn();
		test.service->resume(test.handle);
	}
	assert(!is_busy());
}

/* A type that the session ends the connection for ends the conversation. */
static bool say(char type, const uint8_t *body, size_t length)
{
	uint8_t *exact = malloc(length + 1);
	const struct pg_message message = {
		.type = type, .body = exact, .body_length = length, .consumed = length + 5};
	assert(exact != NULL);
	memcpy(exact, body, length);
	test.kinds[0] = test.text[0] = '\0';
	bool goes_on = test.service->message(test.handle, &message);
	free(exact);
	return goes_on;
}

static void converse(const uint8_t *bytes, size_t length, bool waits)
{
	while (length >= 3) {
		size_t count = ((size_t)bytes[1] << 8 | bytes[2]) % (BODY_MAX + 1);
		count = count < length - 3 ? count : length - 3;
		test.is_full = waits;
		if (!say((char)bytes[0], bytes + 3, count)) {
			break;
		}
		serve();
		bytes += 3 + count;
		length -= 3 + count;
	}
}

/* It may also be left while an order of its is under way. */
static void leave(const uint8_t *bytes, size_t length)
{
	static const uint8_t order[] = "DROP SLOT s; SHOW HELP";
	if (length % 2 == 0 || bytes[0] % 16 >= WAITS) {
		return;
	}
	test.waits = true;
	if (say('Q', order, sizeof(order))) {
		turn();
	}
	if (test.service->close(&test.handle)) {
		if (test.done != NULL) {
			test.done(test.done_context, true, NULL);
		}
		turn();
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
	const struct log_options quiet = {.level = LOG_LEVEL_ERROR};
	struct error err = {0};
	void *nothing = NULL;
	if (length == 0) {
		return 0;
	}
	if (!log_configure(&quiet, &err)) {
		abort();
	}
	console_rig_setup(&nothing);
	test.peer.user = (bytes[0] & IS_GUEST) != 0 ? "guest" : "ops";
	test.peer.is_owner = (bytes[0] & IS_OWNER) != 0;
	test.is_known = (bytes[0] & IS_UNKNOWN) == 0;
	test.waits = (bytes[0] & WAITS) != 0;
	converse(bytes + 1, length - 1, test.waits);
	leave(bytes, length);
	console_rig_teardown(&nothing);
	return 0;
}
