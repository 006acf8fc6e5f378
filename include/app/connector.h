/*
 * connector: libpq connections made on short-lived threads, delivered to a loop.
 *
 * Resolving a name blocks, whatever libpq is told, and a loop that serves standbys must not. An
 * attempt may be given up at any time: whoever asked hears nothing more, and the thread cleans up
 * after itself.
 */
#ifndef APP_CONNECTOR_H
#define APP_CONNECTOR_H

#include "base/error.h"
#include "net/loop.h"

#include <stdbool.h>
#include <stdint.h>

struct connector;
struct connecting;
struct pg_conn;

/* On the loop. connection: established, and the callee's; or NULL and err says why not.
 * has_backup_link: it leads to a relay that sends base backups compressed. */
typedef void connector_done(
	void *context, struct pg_conn *connection, bool has_backup_link, const struct error *err);

struct connector *connector_new(void);
/* Every attempt must have ended or been given up. Waits a few seconds for threads that still try,
 * and leaves them to themselves then. Accepts NULL, sets NULL. */
void connector_free(struct connector **connector);

struct connector_target {
	const char *conninfo; /* timeouts where it has none are set here */
	/* In place of those of conninfo, which may have several; "": as there. */
	const char *host;
	const char *host_address;
	const char *port;
	const char *application_name;
	uint64_t system_identifier; /* of the only cluster that will do; 0: any */
	bool asks_backup_link;
};

/* The loop's thread. Begins an attempt to make a physical replication connection; what target
 * points at is copied. done comes later, once, never from inside this call. */
struct connecting *connector_start(struct connector *connector,
	const struct connector_target *target, struct loop *loop, connector_done *done,
	void *context);
/* The loop's thread, before done has come: it will not. Accepts NULL, sets NULL. */
void connector_give_up(struct connecting **connecting);

#endif
