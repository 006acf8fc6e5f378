/*
 * console: answers those who logged in to the database "walrelay".
 *
 * Conversations live on the loops of their sessions (observe/console_session); what they ask is
 * answered on one loop, the console's own, from a snapshot, and orders are carried out there by
 * whoever was given at creation. Anybody whom the rules let in may look; only admin_users, and the
 * user whom the relay runs as through a Unix socket, may change something. Each change is logged
 * with who asked for it.
 */
#ifndef OBSERVE_CONSOLE_H
#define OBSERVE_CONSOLE_H

#include "base/error.h"
#include "downstream/console_service.h"
#include "net/loop.h"
#include "observe/snapshot.h"
#include "protocol/lsn.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct console;

/* Says, once and on any thread, what became of an order that takes its time; err when it failed. */
typedef void console_done(void *context, bool ok, const struct error *err);
typedef void console_setting_visit(
	void *context, const char *section, const char *key, const char *value, bool is_default);

/* On the console's loop. Errors are for the client: with SQLSTATE. false: err says why; with done:
 * done is not called then. */
struct console_orders {
	void *context;
	bool (*reload)(void *context, struct error *err);
	/* false: there is no such destination. */
	bool (*pause)(void *context, const char *destination);
	bool (*resume)(void *context, const char *destination);
	bool (*set_cap)(void *context, const char *destination, uint64_t bytes_per_second);
	bool (*drop_slot)(void *context, const char *name, console_done *done, void *done_context,
		struct error *err);
	void (*kill)(void *context, uint32_t pid);
	bool (*skip)(void *context, lsn_t lsn, console_done *done, void *done_context,
		struct error *err);
	/* lsn LSN_INVALID: from the last checkpoint on; for_us 0: not said. */
	bool (*add_pin)(void *context, const char *name, lsn_t lsn, int64_t for_us,
		console_done *done, void *done_context, struct error *err);
	bool (*drop_pin)(void *context, const char *name, console_done *done, void *done_context,
		struct error *err);
	/* The configuration in force, secrets masked. */
	void (*each_setting)(void *context, console_setting_visit *visit, void *visit_context);
};

struct console_options {
	struct loop *loop; /* never one that serves standbys */
	struct cluster *cluster;
	const char *admin_users; /* comma-separated */
	const struct console_orders *orders;
};

/* No session may come before console_set_sources(). */
struct console *console_new(const struct console_options *options);
/* When its loop no longer runs and all its sessions have gone. Accepts NULL, sets NULL. */
void console_free(struct console **console);
/* What there is to be shown; copied. */
void console_set_sources(struct console *console, const struct snapshot_sources *sources);
/* On its loop: a reload. */
void console_set_admins(struct console *console, const char *admin_users);
/* What downstream is given; valid as long as the console. */
const struct console_service *console_interface(const struct console *console);

#endif
