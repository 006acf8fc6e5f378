/*
 * passthrough: how a session has a command answered by a connection of its own to the upstream.
 *
 * BASE_BACKUP and UPLOAD_MANIFEST cannot be answered from the spool. The session hands the
 * command's text to whoever was given at creation (app/backup_passthrough), which opens an upstream
 * connection for this session and sends the answer's messages back. Everything here runs on the
 * session's loop.
 */
#ifndef DOWNSTREAM_PASSTHROUGH_H
#define DOWNSTREAM_PASSTHROUGH_H

#include "base/error.h"
#include "net/loop.h"
#include "protocol/backup_progress.h"

#include <stdbool.h>
#include <stddef.h>

/* What the session offers. */
struct passthrough_client {
	void *context;
	/* A whole backend message toward the client; queued, flushed at the end of the callback. */
	void (*send)(void *context, char type, const void *body, size_t length);
	/* false: enough is queued; stop reading the upstream until resume is called. */
	bool (*has_room)(void *context);
	/* The command is answered (its CommandComplete was sent): the session sends ReadyForQuery.
	 */
	void (*finished)(void *context);
	/* The command failed: the session sends ErrorResponse and ReadyForQuery. */
	void (*failed)(void *context, const struct error *err);
	/* The upstream takes the client's COPY IN more slowly than it comes: hand over no more
	 * until told again (false). May be NULL: the upstream's connection then holds what comes.
	 */
	void (*hold_input)(void *context, bool is_held);
	/* How far the command is; often. May be NULL. */
	void (*progress)(void *context, const struct backup_progress *progress);
};

/* What the provider offers. */
struct passthrough {
	void *context;
	/* A handle for one session; never NULL. client stays valid until close. */
	void *(*open)(void *context, struct loop *loop, const struct passthrough_client *client);
	/* One command at a time. */
	void (*command)(void *handle, const char *text);
	/* 'd', 'c' or 'f' from the client while the upstream is in COPY IN (UPLOAD_MANIFEST). */
	void (*client_message)(void *handle, char type, const void *body, size_t length);
	/* Output fell below the low-water mark. */
	void (*resume)(void *handle);
	/* The session ends: drop the upstream connection. Sets NULL; no callback comes after it. */
	void (*close)(void **handle);
};

#endif
