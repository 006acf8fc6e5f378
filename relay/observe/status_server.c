/*
 * status_server: libevent's HTTP server on our sockets, answering from a fresh snapshot.
 */
#include "observe/status_server.h"

#include <assert.h>
#include <errno.h>
#include <event2/buffer.h>
#include <event2/event.h>
#include <event2/http.h>
#include <event2/keyvalq_struct.h>
#include <event2/listener.h>
#include <fcntl.h>
#include <limits.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "base/memory.h"
#include "net/listen_socket.h"
#include "observe/http_connections.h"
#include "observe/http_host.h"
#include "observe/metrics.h"
#include "observe/page.h"
#include "observe/readiness.h"
#include "observe/recorder.h"
#include "observe/snapshot.h"
#include "observe/status.h"
#include "observe/usage.h"

#define HEADERS_BYTES_MAX 8192
#define BODY_BYTES_MAX    1024
#define TIMEOUT_SECONDS   10
#define REST_US           100000
#define FULL_REST_US      10000
#define LOG_INTERVAL_US   60000000

/* RFC 9110; libevent has no name for it. */
#define HTTP_MISDIRECTED 421

enum deadline { DEADLINE_REST_OVER, DEADLINE_LOOK, DEADLINE_COUNT };

struct status_server {
	struct loop *loop;
	struct snapshot_sources sources;
	struct listen_sockets sockets;
	struct evhttp *http;
	struct http_connections *connections;
	struct evconnlistener **acceptors; /* one a socket, owned by http */
	struct deadlines deadlines;
	struct recorder *recorder; /* NULL: the sources have one, and somebody else keeps it */
	int64_t logged_at_us;      /* 0: never */
	bool is_local;             /* all sockets are bound to loopback */
	char machine_name[HOST_NAME_MAX + 1];
	char page_url[256];
};

/* libevent's acceptors report errors with a context of their own, from which none of ours is
 * reached.
 */
static struct status_server *open_server;

/* Of what is no page: nobody's browser shall take it for one. */
static const char data_policy[] = "default-src 'none'; frame-ancestors 'none'";

/* Each fills the body and returns the status code. */
typedef int answer(
	struct status_server *server, const struct evhttp_uri *uri, struct evbuffer *body);

static int answer_page(
	struct status_server *server, const struct evhttp_uri *uri, struct evbuffer *body)
{
	(void)uri;
	(void)server;
	evbuffer_add_reference(body, page_html, page_html_length, NULL, NULL);
	return HTTP_OK;
}

static int answer_health(
	struct status_server *server, const struct evhttp_uri *uri, struct evbuffer *body)
{
	(void)uri;
	(void)server;
	evbuffer_add(body, "ok\n", 3);
	return HTTP_OK;
}

static int answer_readiness(
	struct status_server *server, const struct evhttp_uri *uri, struct evbuffer *body)
{
	(void)uri;
	char reason[READINESS_REASON_SIZE];
	struct snapshot snapshot;
	snapshot_take(&server->sources, &snapshot);
	bool is_ready = readiness_check(&snapshot, reason);
	snapshot_release(&snapshot);
	evbuffer_add_printf(body, "%s\n", is_ready ? "ready" : reason);
	return is_ready ? HTTP_OK : HTTP_SERVUNAVAIL;
}

static int answer_metrics(
	struct status_server *server, const struct evhttp_uri *uri, struct evbuffer *body)
{
	(void)uri;
	struct snapshot snapshot;
	snapshot_take(&server->sources, &snapshot);
	metrics_write(&snapshot, body);
	snapshot_release(&snapshot);
	return HTTP_OK;
}

/* "?history=1" */
static bool asks_for(const struct evhttp_uri *uri, const char *name)
{
	const char *text = evhttp_uri_get_query(uri);
	struct evkeyvalq query = {0};
	if (text == NULL || evhttp_parse_query_str(text, &query) != 0) {
		return false;
	}
	const char *value = evhttp_find_header(&query, name);
	bool is_asked = value != NULL && strcmp(value, "1") == 0;
	evhttp_clear_headers(&query);
	return is_asked;
}

static int answer_status(
	struct status_server *server, const struct evhttp_uri *uri, struct evbuffer *body)
{
	struct snapshot snapshot;
	bool has_history = asks_for(uri, "history");
	snapshot_take(&server->sources, &snapshot);
	char *text = status_format(
		&snapshot, has_history ? recorder_history(server->sources.recorder) : NULL);
	snapshot_release(&snapshot);
	evbuffer_add_printf(body, "%s\n", text);
	free(text);
	return HTTP_OK;
}

static int answer_usage(
	struct status_server *server, const struct evhttp_uri *uri, struct evbuffer *body)
{
	const char *text = evhttp_uri_get_query(uri);
	struct evkeyvalq query = {0};
	struct usage_request request;
	struct error err = {0};
	if (text != NULL && evhttp_parse_query_str(text, &query) != 0) {
		text = NULL;
	}
	bool is_valid = usage_request_read(text != NULL ? evhttp_find_header(&query, "from") : NULL,
		text != NULL ? evhttp_find_header(&query, "to") : NULL,
		text != NULL ? evhttp_find_header(&query, "by") : NULL,
		text != NULL ? evhttp_find_header(&query, "destination") : NULL,
		destinations_today(server->sources.destinations), &request, &err);
	if (text != NULL) {
		evhttp_clear_headers(&query);
	}
	if (!is_valid) {
		json_t *fault = json_pack("{s:s}", "error", err.message);
		char *answer_text = json_dumps(fault, 0);
		evbuffer_add_printf(body, "%s\n", answer_text);
		free(answer_text);
		json_decref(fault);
		return HTTP_BADREQUEST;
	}
	struct snapshot snapshot;
	snapshot_take(&server->sources, &snapshot);
	char *usage = usage_format(&snapshot, server->sources.destinations, &request);
	snapshot_release(&snapshot);
	evbuffer_add_printf(body, "%s\n", usage);
	free(usage);
	return HTTP_OK;
}

static const char page_type[] = "text/html; charset=utf-8";

static const struct {
	const char *path;
	const char *content_type;
	answer *answer;
} routes[] = {
	{"/", page_type, answer_page},
	{"/healthz", "text/plain; charset=utf-8", answer_health},
	{"/readyz", "text/plain; charset=utf-8", answer_readiness},
	{"/metrics", "text/plain; version=0.0.4; charset=utf-8", answer_metrics},
	{"/api/status", "application/json", answer_status},
	{"/api/usage", "application/json", answer_usage},
};
#define ROUTE_COUNT (sizeof(routes) / sizeof(routes[0]))

static const char *reason_phrase(int code)
{
	switch (code) {
	case HTTP_OK: return "OK";
	case HTTP_BADREQUEST: return "Bad Request";
	case HTTP_NOTFOUND: return "Not Found";
	case HTTP_BADMETHOD: return "Method Not Allowed";
	case HTTP_MISDIRECTED: return "Misdirected Request";
	default: return "Service Unavailable";
	}
}

static void reply(
	struct evhttp_request *request, int code, const char *content_type, struct evbuffer *body)
{
	struct evkeyvalq *headers = evhttp_request_get_output_headers(request);
	bool is_page = content_type == page_type;
	evhttp_add_header(headers, "Content-Type", content_type);
	evhttp_add_header(headers, "Cache-Control", "no-store");
	evhttp_add_header(headers, "X-Content-Type-Options", "nosniff");
	evhttp_add_header(headers, "Referrer-Policy", "no-referrer");
	evhttp_add_header(headers, "Content-Security-Policy", is_page ? page_policy : data_policy);
	evhttp_send_reply(request, code, reason_phrase(code), body);
}

static void refuse(struct evhttp_request *request, int code)
{
	struct evbuffer *body = evbuffer_new();
	assert(body != NULL);
	if (code == HTTP_BADMETHOD) {
		evhttp_add_header(evhttp_request_get_output_headers(request), "Allow", "GET");
	}
	evbuffer_add_printf(body, "%s\n", reason_phrase(code));
	reply(request, code, "text/plain; charset=utf-8", body);
	evbuffer_free(body);
}

static size_t find_route(struct evhttp_request *request)
{
	const struct evhttp_uri *uri = evhttp_request_get_evhttp_uri(request);
	const char *path = uri == NULL ? NULL : evhttp_uri_get_path(uri);
	size_t route = 0;
	while (route < ROUTE_COUNT && (path == NULL || strcmp(path, routes[route].path) != 0)) {
		route++;
	}
	return route;
}

static bool is_meant(const struct status_server *server, struct evhttp_request *request)
{
	const char *host = evhttp_find_header(evhttp_request_get_input_headers(request), "Host");
	return !server->is_local || http_host_is_ours(host, server->machine_name, server->page_url);
}

static void on_request(struct evhttp_request *request, void *context)
{
	struct status_server *server = context;
	size_t route = find_route(request);
	if (!is_meant(server, request)) {
		refuse(request, HTTP_MISDIRECTED);
		return;
	}
	if (route == ROUTE_COUNT) {
		refuse(request, HTTP_NOTFOUND);
		return;
	}
	if (evhttp_request_get_command(request) != EVHTTP_REQ_GET) {
		refuse(request, HTTP_BADMETHOD);
		return;
	}
	struct evbuffer *body = evbuffer_new();
	assert(body != NULL);
	int code = routes[route].answer(server, evhttp_request_get_evhttp_uri(request), body);
	reply(request, code, routes[route].content_type, body);
	evbuffer_free(body);
}

static void set_accepting(struct status_server *server, bool wanted)
{
	for (size_t i = 0; i < server->sockets.count; i++) {
		int failed = wanted ? evconnlistener_enable(server->acceptors[i])
				    : evconnlistener_disable(server->acceptors[i]);
		assert(failed == 0);
	}
}

static void look(struct status_server *server)
{
	struct snapshot snapshot;
	if (server->recorder != NULL) {
		snapshot_take(&server->sources, &snapshot);
		recorder_take(server->recorder, &snapshot);
		snapshot_release(&snapshot);
	}
	http_connections_forget_gone(server->connections);
	deadlines_set(&server->deadlines, DEADLINE_LOOK,
		loop_now_us(server->loop) + RECORDER_INTERVAL_US);
}

static void on_deadline(void *context, int reason)
{
	struct status_server *server = context;
	if (reason == DEADLINE_LOOK) {
		look(server);
	} else {
		set_accepting(server, true);
	}
}

/* Those who were cut give their descriptors back before more come in. */
static struct bufferevent *on_accept(struct event_base *base, void *context)
{
	struct status_server *server = context;
	bool is_full;
	struct bufferevent *client = http_connections_add(server->connections, base, &is_full);
	if (is_full) {
		set_accepting(server, false);
		deadlines_set(&server->deadlines, DEADLINE_REST_OVER,
			loop_now_us(server->loop) + FULL_REST_US);
	}
	return client;
}

/* Out of descriptors: left alone, libevent would try again at once and for ever. */
static void on_accept_error(struct evconnlistener *acceptor, void *context)
{
	(void)acceptor;
	(void)context;
	struct status_server *server = open_server;
	int failure = errno;
	int64_t now_us = loop_now_us(server->loop);
	if (server->logged_at_us == 0 || now_us - server->logged_at_us >= LOG_INTERVAL_US) {
		server->logged_at_us = now_us;
		log_warning("http", "could not accept a connection: %s", strerror(failure));
	}
	set_accepting(server, false);
	deadlines_set(&server->deadlines, DEADLINE_REST_OVER, now_us + REST_US);
}

/* libevent closes what it accepts on, so it gets a duplicate: ours may be handed over. */
static bool accept_on(struct status_server *server, size_t index, struct error *err)
{
	int fd = fcntl(server->sockets.sockets[index].fd, F_DUPFD_CLOEXEC, 0);
	if (fd < 0) {
		return error_set_errno(err, "could not duplicate a socket");
	}
	struct evhttp_bound_socket *bound = evhttp_accept_socket_with_handle(server->http, fd);
	if (bound == NULL) {
		close(fd);
		return error_set(err, ERROR_SYSTEM, "could not accept HTTP connections");
	}
	server->acceptors[index] = evhttp_bound_socket_get_listener(bound);
	evconnlistener_set_error_cb(server->acceptors[index], on_accept_error);
	return true;
}

static bool open_http(struct status_server *server, struct error *err)
{
	server->http = evhttp_new(loop_event_base(server->loop));
	if (server->http == NULL) {
		return error_set(err, ERROR_SYSTEM, "out of memory");
	}
	evhttp_set_allowed_methods(
		server->http, EVHTTP_REQ_GET | EVHTTP_REQ_POST | EVHTTP_REQ_HEAD | EVHTTP_REQ_PUT |
				      EVHTTP_REQ_DELETE | EVHTTP_REQ_OPTIONS | EVHTTP_REQ_TRACE |
				      EVHTTP_REQ_CONNECT | EVHTTP_REQ_PATCH);
	evhttp_set_max_headers_size(server->http, HEADERS_BYTES_MAX);
	evhttp_set_max_body_size(server->http, BODY_BYTES_MAX);
	evhttp_set_timeout(server->http, TIMEOUT_SECONDS);
	evhttp_set_gencb(server->http, on_request, server);
	evhttp_set_bevcb(server->http, on_accept, server);
	server->acceptors = memory_new(server->sockets.count * sizeof(struct evconnlistener *));
	for (size_t i = 0; i < server->sockets.count; i++) {
		if (!accept_on(server, i, err)) {
			return false;
		}
	}
	return true;
}

static bool is_loopback(int fd)
{
	struct sockaddr_storage bound = {0};
	socklen_t length = sizeof(bound);
	if (getsockname(fd, (struct sockaddr *)&bound, &length) != 0) {
		return false;
	}
	if (bound.ss_family == AF_INET) {
		const struct sockaddr_in *address = (const struct sockaddr_in *)&bound;
		return ntohl(address->sin_addr.s_addr) >> 24 == IN_LOOPBACKNET;
	}
	return bound.ss_family == AF_INET6 &&
	       IN6_IS_ADDR_LOOPBACK(&((const struct sockaddr_in6 *)&bound)->sin6_addr);
}

static void learn_names(struct status_server *server)
{
	const char *page_url = server->sources.page_url;
	server->is_local = true;
	for (size_t i = 0; i < server->sockets.count; i++) {
		server->is_local = server->is_local && is_loopback(server->sockets.sockets[i].fd);
	}
	if (gethostname(server->machine_name, sizeof(server->machine_name) - 1) != 0) {
		server->machine_name[0] = '\0';
	}
	snprintf(
		server->page_url, sizeof(server->page_url), "%s", page_url != NULL ? page_url : "");
}

struct status_server *status_server_open(struct loop *loop, const struct snapshot_sources *sources,
	const char *addresses, int *inherited, size_t inherited_count, struct error *err)
{
	assert(open_server == NULL);
	struct status_server *server = memory_new(sizeof(*server));
	open_server = server;
	server->loop = loop;
	server->connections = http_connections_new();
	server->sources = *sources;
	if (sources->recorder == NULL) {
		server->recorder = recorder_new();
		server->sources.recorder = server->recorder;
	}
	if (!listen_sockets_open(addresses, inherited, inherited_count, &server->sockets, err) ||
		!deadlines_init(&server->deadlines, server->loop, DEADLINE_COUNT, on_deadline,
			server, err) ||
		!open_http(server, err)) {
		status_server_close(&server);
		return NULL;
	}
	learn_names(server);
	deadlines_set(&server->deadlines, DEADLINE_LOOK, loop_now_us(server->loop));
	return server;
}

static void free_server(struct status_server *server)
{
	deadlines_release(&server->deadlines);
	if (server->http != NULL) {
		evhttp_free(server->http);
	}
	http_connections_free(&server->connections);
	recorder_free(&server->recorder);
	free(server->acceptors);
	free(server);
	open_server = NULL;
}

void status_server_close(struct status_server **server)
{
	if (*server == NULL) {
		return;
	}
	listen_sockets_close(&(*server)->sockets);
	free_server(*server);
	*server = NULL;
}

void status_server_hand_over(struct status_server **server, int *fds_out)
{
	for (size_t i = 0; i < (*server)->sockets.count; i++) {
		fds_out[i] = (*server)->sockets.sockets[i].fd;
	}
	listen_sockets_release(&(*server)->sockets);
	free_server(*server);
	*server = NULL;
}

size_t status_server_count(const struct status_server *server)
{
	return server->sockets.count;
}

const char *status_server_address(const struct status_server *server, size_t index)
{
	assert(index < server->sockets.count);
	return server->sockets.sockets[index].address;
}
