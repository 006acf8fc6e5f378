/*
 * console_service: how sessions that logged in to the console are answered by somebody else.
 *
 * The session lets them in, divides what they send into messages and ends them; what a message
 * means is known to whoever was given at creation (observe/console). Everything here runs on the
 * session's loop.
 */
#ifndef DOWNSTREAM_CONSOLE_SERVICE_H
#define DOWNSTREAM_CONSOLE_SERVICE_H

#include "net/loop.h"
#include "protocol/pg_message.h"
#include "protocol/wire.h"

#include <stdbool.h>
#include <stdint.h>

/* The version of PostgreSQL that it speaks like where the upstream's is not known yet. */
#define CONSOLE_SERVER_VERSION     "15.0"
#define CONSOLE_SERVER_VERSION_NUM 150000

/* Who it is. Valid as long as the session. */
struct console_peer {
	const char *user;
	const char *application_name;
	const char *address; /* for the log */
	bool is_owner; /* through a Unix socket, of the user that the relay runs as, or root */
};

/* What the session offers. */
struct console_client {
	void *context;
	/* Sends and releases what writer holds; whole messages. */
	void (*send)(void *context, struct wire_writer *writer);
	/* false: enough is queued; go on when resume is called. */
	bool (*has_room)(void *context);
	/* It is not busy any more; after close: nothing comes from it any more. Never from within
	 * message. */
	void (*on_idle)(void *context);
};

/* What the provider offers. */
struct console_service {
	void *context;
	/* A handle for one session; never NULL. peer and client stay valid until close and the last
	 * on_idle. ReadyForQuery was sent. */
	void *(*open)(void *context, struct loop *loop, const struct console_peer *peer,
		const struct console_client *client);
	/* While it is not busy; body and all belong to the call. false: no such message. */
	bool (*message)(void *handle, const struct pg_message *message);
	/* Work is under way elsewhere, or there is no room for its results: no message may come. */
	bool (*is_busy)(const void *handle);
	/* There is room again. */
	void (*resume)(void *handle);
	/* The session ends. Sets NULL. true: something is under way, and on_idle comes once, when
	 * it is over. */
	bool (*close)(void **handle);
};

#endif
