/*
 * backup_passthrough: BASE_BACKUP and UPLOAD_MANIFEST answered by the upstream, message by message.
 *
 * The provider behind downstream/passthrough.h. Each session that needs it gets a replication
 * connection of its own to the upstream; names are resolved and the connection is made on a thread
 * of its own, so that neither DNS nor a slow server ever holds a sender loop. The command goes as
 * it came, the answer comes back as it is; the connection stays until the session ends, because
 * UPLOAD_MANIFEST and the BASE_BACKUP it serves must share it. While the session has no room the
 * upstream's socket is not read. Between two relays the data cross compressed, by about 5 MB of
 * memory at each; the client sees what it asked for.
 */
#ifndef APP_BACKUP_PASSTHROUGH_H
#define APP_BACKUP_PASSTHROUGH_H

#include "downstream/passthrough.h"

struct backup_passthrough;
struct cluster;

/* Both texts are copied. relay_name: the connections call themselves "NAME backup". */
struct backup_passthrough *backup_passthrough_new(const char *conninfo, const char *relay_name);
/* After every handle was closed. Waits for connections that are still being made. Accepts NULL,
 * sets NULL. */
void backup_passthrough_free(struct backup_passthrough **passthrough);
/* Any thread; for connections made from now on. */
void backup_passthrough_set_conninfo(struct backup_passthrough *passthrough, const char *conninfo);
/* Any thread; for commands given from now on. Off at first. On: a client that asks for it gets the
 * data of a backup compressed, and an upstream that can is asked for them
 * (protocol/backup_command).
 */
void backup_passthrough_use_link(struct backup_passthrough *passthrough, bool is_used);
/* Before the first session: refuse to pass on a backup of any other cluster, should conninfo lead
 * there. */
void backup_passthrough_set_cluster(
	struct backup_passthrough *passthrough, struct cluster *cluster);
/* Of several servers that conninfo names, the one that is followed; "": none is now, and libpq
 * takes the first that lets it in. */
struct backup_place {
	char host[256];
	char host_address[64];
	char port[16];
};
/* Before the first session. find is called on sessions' loops. */
void backup_passthrough_set_place(struct backup_passthrough *passthrough,
	void (*find)(void *context, struct backup_place *place_out), void *context);
/* What downstream is given; valid as long as passthrough. */
const struct passthrough *backup_passthrough_interface(struct backup_passthrough *passthrough);

#endif
