/*
 * status_server: what the relay says about itself over HTTP.
 *
 * GET only, nothing it serves changes anything: the status page at /, /healthz, /readyz, /metrics,
 * /api/status (with ?history=1 also the last hour) and /api/usage. Any other path is 404, any other
 * method 405. Where it listens on loopback alone, a request for a host that is not this machine's is
 * answered 421 (observe/http_host). It lives on one loop, which must not be one that serves standbys.
 */
#ifndef OBSERVE_STATUS_SERVER_H
#define OBSERVE_STATUS_SERVER_H

#include "base/error.h"
#include "net/loop.h"
#include "observe/snapshot.h"

#include <stddef.h>

struct status_server;

/* On a loop that does not serve standbys. What the sources name outlives the server and is only
 * read; the recorder is the server's own. addresses, inherited: as listener_open(). */
struct status_server *status_server_open(struct loop *loop, const struct snapshot_sources *sources,
	const char *addresses, int *inherited, size_t inherited_count,
	struct error *err) MUST_CHECK;
/* On its loop, or when that no longer runs. Accepts NULL, sets NULL. */
void status_server_close(struct status_server **server);
/* As listener_hand_over(): the sockets stay for the process that comes next. */
void status_server_hand_over(struct status_server **server, int *fds_out);

size_t status_server_count(const struct status_server *server);
const char *status_server_address(const struct status_server *server, size_t index);

#endif
