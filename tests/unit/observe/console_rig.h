/*
 * console_rig: a console with one session, whose client and orders are played here, on one loop that
 * is turned by hand.
 */
#ifndef TESTS_UNIT_OBSERVE_CONSOLE_RIG_H
#define TESTS_UNIT_OBSERVE_CONSOLE_RIG_H

#include "support/cmocka_all.h"

#include <string.h>

#include "fake_readers.h"
#include "observe/console.h"

#define SENT_SIZE 65536

struct console_rig {
	struct loop *loop;
	struct console *console;
	const struct console_service *service;
	void *handle;
	struct console_peer peer;
	struct console_client client;
	char kinds[512]; /* types of the messages that were sent */
	char text[SENT_SIZE]; /* their strings, as far as they are printable */
	unsigned idle_count;
	bool is_full; /* there is no room */
	/* Orders. */
	char ordered[256];
	bool is_known; /* destinations, slots, pins */
	console_done *done; /* of an order that waits; NULL: none */
	void *done_context;
	bool waits; /* orders that take their time are not done at once */
};
extern struct console_rig test;

int console_rig_setup(void **state);
int console_rig_teardown(void **state);
#define CONSOLE_TEST(name)                                                                         \
	cmocka_unit_test_setup_teardown(name, console_rig_setup, console_rig_teardown)

/* Until what was posted has posted, too. */
void turn(void);
/* The one of "ops" is open at first. */
void open_session(const char *user);
/* What was sent before is forgotten. */
void send_message(char type, const void *body, size_t length);
/* Types of the messages that answer the query. */
const char *query(const char *text);

#define SEND(type, literal) send_message(type, literal, sizeof(literal) - 1)
#define TEXT_HAS(part)      assert_non_null(strstr(test.text, part))

#endif
