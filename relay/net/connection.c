/*
 * connection: bytes of one accepted socket, in and out, on its loop.
 *
 * Reading and writing are tried at once and the poller is asked only for what the transport said it
 * waits for. Everything told to the owner apart from fresh input (room again, the end, input left
 * over after a pause) is told from loop_defer(), so no call of the owner is ever answered by a
 * callback from inside it.
 */
#include "net/connection.h"

#include <assert.h>
#include <errno.h>
#include <event2/buffer.h>
#include <event2/event.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/memory.h"
#include "net/lingering.h"
#include "net/output_queue.h"
#include "net/peer_address.h"
#include "net/socket_tuning.h"
#include "net/transport.h"

#define READ_BYTES 16384

enum news {
	NEWS_SECURED = 1,
	NEWS_READABLE = 2, /* the transport has input that the socket does not show */
	NEWS_INPUT = 4,
	NEWS_WRITABLE = 8,
	NEWS_CLOSED = 16,
};

struct connection {
	struct loop *loop;
	int fd;
	struct transport *transport;
	struct connection_options options;
	struct connection_callbacks callbacks;
	void *context;
	struct evbuffer *input;
	struct output_queue output;
	struct event *read_event;
	struct event *write_event;
	short armed;       /* EV_READ | EV_WRITE as the poller has them */
	short read_needs;  /* what the transport waits for before it can read, write, shake hands */
	short write_needs; /* 0: a write may be tried */
	short handshake_needs; /* 0: over */
	bool is_paused;
	bool is_input_full;
	bool has_read_ended;
	bool has_write_failed;
	bool is_closed_told;
	bool is_above_low_water;
	bool is_lingering; /* connection_free_after_flush(): the owner is gone */
	bool is_freed;
	bool is_drain_wanted; /* the peer is gone, but what it sent may still lie in the kernel */
	connection_last_look *last_look;
	void *last_look_context;
	unsigned news; /* what a deferred call will tell; 0: none is queued */
	struct lingering lingering;
	struct sockaddr_storage peer;
	bool is_local;
	bool shares_machine;
	char peer_name[PEER_ADDRESS_SIZE];
	char reason[128];
};

static void on_event(evutil_socket_t fd, short events, void *context);
static void tell_news(void *context);

static void add_news(struct connection *connection, enum news news)
{
	if (connection->news == 0) {
		loop_defer(connection->loop, tell_news, connection);
	}
	connection->news |= news;
}

static void set_armed(struct event *event, bool was_armed, bool wanted)
{
	if (was_armed == wanted) {
		return;
	}
	int failed = wanted ? event_add(event, NULL) : event_del(event);
	assert(failed == 0);
}

static bool may_read(const struct connection *connection)
{
	return !connection->is_paused && !connection->is_input_full && !connection->has_read_ended;
}

/* What the transport has left over: bytes for the kernel, input that no poller will tell of. */
static void note_transport(struct connection *connection)
{
	const struct transport *transport = connection->transport;
	if (transport->pending_bytes > 0 && connection->write_needs == 0 &&
		!connection->has_write_failed) {
		connection->write_needs = EV_WRITE;
	}
	if (transport->has_input && connection->handshake_needs == 0 && may_read(connection)) {
		add_news(connection, NEWS_READABLE);
	}
}

static void arm_events(struct connection *connection)
{
	note_transport(connection);
	short wanted = connection->handshake_needs;
	if (connection->handshake_needs == 0) {
		wanted |= may_read(connection) ? connection->read_needs : 0;
		wanted |= connection->write_needs;
	}
	set_armed(connection->read_event, connection->armed & EV_READ, wanted & EV_READ);
	set_armed(connection->write_event, connection->armed & EV_WRITE, wanted & EV_WRITE);
	connection->armed = wanted;
}

static void note_end(struct connection *connection, const char *reason)
{
	if (connection->reason[0] == '\0') {
		snprintf(connection->reason, sizeof(connection->reason), "%s", reason);
	}
	add_news(connection, NEWS_CLOSED);
}

static void fail(struct connection *connection)
{
	const struct transport *transport = connection->transport;
	int failure = transport->failure_errno;
	connection->is_drain_wanted = failure == ECONNRESET || failure == EPIPE;
	connection->has_write_failed = true;
	connection->write_needs = 0;
	connection->handshake_needs = 0;
	output_queue_drain(&connection->output, output_queue_length(&connection->output));
	note_end(connection, transport->failure);
}

static void write_output(struct connection *connection)
{
	enum transport_result result =
		connection->transport->ops->write(connection->transport, &connection->output);
	connection->write_needs = 0;
	if (result == TRANSPORT_FAILED) {
		fail(connection);
	} else if (result != TRANSPORT_DONE) {
		connection->write_needs = result == TRANSPORT_WANT_READ ? EV_READ : EV_WRITE;
	}
	if (connection->is_above_low_water &&
		connection_output_bytes(connection) <= connection->options.output_low_water) {
		connection->is_above_low_water = false;
		add_news(connection, NEWS_WRITABLE);
	}
}

static void take_input(struct connection *connection, const void *bytes, size_t length)
{
	if (connection->is_lingering) {
		return;
	}
	if (evbuffer_add(connection->input, bytes, length) != 0) {
		log_write(LOG_LEVEL_ERROR, connection->peer_name, "out of memory");
		abort();
	}
	connection->callbacks.on_input(connection->context, connection->input);
	if (!connection->is_freed) {
		connection->is_input_full = evbuffer_get_length(connection->input) >=
					    connection->options.input_bytes_max;
	}
}

/* True when there was something to read and the connection is still there. */
static bool read_input(struct connection *connection)
{
	char bytes[READ_BYTES];
	size_t room = connection->options.input_bytes_max - evbuffer_get_length(connection->input);
	size_t got = 0;
	enum transport_result result = connection->transport->ops->read(
		connection->transport, bytes, room < sizeof(bytes) ? room : sizeof(bytes), &got);
	connection->read_needs = result == TRANSPORT_WANT_WRITE ? EV_WRITE : EV_READ;
	switch (result) {
	case TRANSPORT_DONE: take_input(connection, bytes, got); return !connection->is_freed;
	case TRANSPORT_CLOSED:
		connection->has_read_ended = true;
		note_end(connection, "closed by the peer");
		return false;
	case TRANSPORT_FAILED:
		connection->has_read_ended = true;
		fail(connection);
		return false;
	case TRANSPORT_WANT_READ:
	case TRANSPORT_WANT_WRITE: break;
	}
	return false;
}

static void shake_hands(struct connection *connection)
{
	enum transport_result result = connection->transport->ops->handshake(connection->transport);
	connection->handshake_needs = 0;
	if (result == TRANSPORT_FAILED) {
		connection->has_read_ended = true;
		fail(connection);
	} else if (result != TRANSPORT_DONE) {
		connection->handshake_needs = result == TRANSPORT_WANT_READ ? EV_READ : EV_WRITE;
	} else if (connection->transport->tls != NULL) {
		add_news(connection, NEWS_SECURED);
	}
}

/* The owner is gone: the end of the output, or of the socket, is the end of the connection. */
static void end_lingering(struct connection *connection)
{
	/* Closing with unread input would make the kernel reset the connection, and the reset may
	 * overtake what was just written. */
	char bytes[READ_BYTES];
	connection->transport->ops->finish(connection->transport);
	shutdown(connection->fd, SHUT_WR);
	for (int round = 0; round < 8; round++) {
		(void)recv(connection->fd, bytes, sizeof(bytes), MSG_DONTWAIT);
	}
	connection_free(&connection);
}

static bool is_output_over(const struct connection *connection)
{
	return connection->has_write_failed || connection_output_bytes(connection) == 0;
}

static void on_event(evutil_socket_t fd, short events, void *context)
{
	(void)fd;
	struct connection *connection = context;
	if (connection->handshake_needs & events) {
		shake_hands(connection);
		arm_events(connection);
		if (connection->handshake_needs == 0) {
			connection_flush(connection);
		}
		/* A hundred that shake hands must not keep news from the upstream waiting. */
		loop_let_posts_in(connection->loop);
		return;
	}
	if (connection->write_needs & events) {
		write_output(connection);
		/* A hundred sockets that have room again must not run ahead of news from the
		 * upstream. */
		loop_let_posts_in(connection->loop);
	}
	if (may_read(connection) && (connection->read_needs & events)) {
		read_input(connection);
	}
	if (connection->is_freed) {
		return;
	}
	if (connection->is_lingering && is_output_over(connection)) {
		end_lingering(connection);
		return;
	}
	arm_events(connection);
}

static void tell_closed(struct connection *connection)
{
	if (connection->is_lingering || connection->is_closed_told) {
		return;
	}
	while (connection->is_drain_wanted && may_read(connection) && read_input(connection)) {
	}
	if (connection->is_freed || connection->is_lingering) {
		return;
	}
	connection->has_read_ended = true;
	connection->is_closed_told = true;
	arm_events(connection);
	connection->callbacks.on_closed(connection->context, connection->reason);
}

static void tell_news(void *context)
{
	struct connection *connection = context;
	unsigned news = connection->news;
	connection->news = 0;
	if (connection->is_freed || connection->is_lingering) {
		return;
	}
	if ((news & NEWS_SECURED) && connection->callbacks.on_secured != NULL) {
		connection->callbacks.on_secured(connection->context);
	}
	if ((news & NEWS_READABLE) && !connection->is_freed && !connection->is_lingering) {
		on_event(connection->fd, EV_READ, connection);
	}
	if ((news & NEWS_INPUT) && !connection->is_freed && !connection->is_lingering &&
		!connection->is_paused && !connection->is_closed_told &&
		evbuffer_get_length(connection->input) > 0) {
		connection->callbacks.on_input(connection->context, connection->input);
	}
	if ((news & NEWS_WRITABLE) && !connection->is_freed && !connection->is_closed_told &&
		!connection->has_write_failed && !connection->is_lingering) {
		connection->callbacks.on_writable(connection->context);
	}
	if ((news & NEWS_CLOSED) && !connection->is_freed) {
		tell_closed(connection);
	}
}

/* The owner may drain input at any time, not only when it is told of more. */
static void on_input_changed(
	struct evbuffer *input, const struct evbuffer_cb_info *info, void *context)
{
	(void)info;
	struct connection *connection = context;
	if (connection->is_input_full && !connection->is_freed &&
		evbuffer_get_length(input) < connection->options.input_bytes_max) {
		connection->is_input_full = false;
		arm_events(connection);
	}
}

static bool open_parts(struct connection *connection, struct error *err)
{
	struct event_base *base = loop_event_base(connection->loop);
	int flags = fcntl(connection->fd, F_GETFL);
	if (flags < 0 || fcntl(connection->fd, F_SETFL, flags | O_NONBLOCK) != 0) {
		return error_set_errno(err, "could not make a socket non-blocking");
	}
	connection->transport = transport_plain_new(connection->fd);
	connection->input = evbuffer_new();
	connection->read_event =
		event_new(base, connection->fd, EV_READ | EV_PERSIST, on_event, connection);
	connection->write_event =
		event_new(base, connection->fd, EV_WRITE | EV_PERSIST, on_event, connection);
	if (connection->transport == NULL || connection->input == NULL ||
		!output_queue_init(&connection->output) || connection->read_event == NULL ||
		connection->write_event == NULL ||
		evbuffer_add_cb(connection->input, on_input_changed, connection) == NULL) {
		return error_set(err, ERROR_SYSTEM, "out of memory");
	}
	return true;
}

struct connection *connection_new(struct loop *loop, int fd, const struct sockaddr *peer,
	const struct connection_options *options, const struct connection_callbacks *callbacks,
	void *context, struct error *err)
{
	assert(options->input_bytes_max > 0);
	struct connection *connection = memory_new(sizeof(*connection));
	connection->loop = loop;
	connection->fd = fd;
	connection->options = *options;
	connection->callbacks = *callbacks;
	connection->context = context;
	connection->read_needs = EV_READ;
	connection->shares_machine = peer_address_shares_machine(fd);
	connection_set_peer_address(connection, peer);
	if (!open_parts(connection, err)) {
		connection_free(&connection);
		return NULL;
	}
	socket_set_common(connection->fd);
	shake_hands(connection);
	arm_events(connection);
	return connection;
}

static void destroy(void *context)
{
	struct connection *connection = context;
	if (connection->input != NULL) {
		evbuffer_free(connection->input);
	}
	free(connection);
}

void connection_free(struct connection **connection)
{
	struct connection *gone = *connection;
	if (gone == NULL) {
		return;
	}
	*connection = NULL;
	assert(!gone->is_freed);
	if (gone->last_look != NULL) {
		gone->last_look(gone->last_look_context, gone);
	}
	gone->is_freed = true;
	if (gone->read_event != NULL) {
		event_free(gone->read_event);
	}
	if (gone->write_event != NULL) {
		event_free(gone->write_event);
	}
	lingering_release(&gone->lingering);
	if (gone->transport != NULL) {
		gone->transport->ops->free(gone->transport);
	}
	close(gone->fd);
	output_queue_release(&gone->output);
	loop_defer(gone->loop, destroy, gone);
}

void connection_set_last_look(
	struct connection *connection, connection_last_look *look, void *context)
{
	connection->last_look = look;
	connection->last_look_context = context;
}

static void give_up_lingering(void *context)
{
	struct connection *connection = context;
	connection_free(&connection);
}

void connection_free_after_flush(struct connection **connection, int64_t timeout_us)
{
	struct connection *leaving = *connection;
	if (leaving == NULL) {
		return;
	}
	*connection = NULL;
	leaving->is_lingering = true;
	leaving->is_paused = false;
	evbuffer_drain(leaving->input, evbuffer_get_length(leaving->input));
	connection_flush(leaving);
	if (is_output_over(leaving)) {
		end_lingering(leaving);
		return;
	}
	if (!lingering_start(
		    &leaving->lingering, leaving->loop, timeout_us, give_up_lingering, leaving)) {
		connection_free(&leaving);
		return;
	}
	arm_events(leaving);
}

static bool takes_output(const struct connection *connection)
{
	return !connection->has_write_failed && !connection->is_closed_told;
}

void connection_write(struct connection *connection, const void *bytes, size_t length)
{
	if (takes_output(connection)) {
		output_queue_add(&connection->output, bytes, length);
	}
}

void connection_write_file(struct connection *connection, const void *bytes, size_t length,
	const struct output_file *file, output_release *release, void *context)
{
	if (takes_output(connection) && length > 0) {
		output_queue_add_reference(
			&connection->output, bytes, length, file, release, context);
	} else {
		release(context);
	}
}

void connection_write_reference(struct connection *connection, const void *bytes, size_t length,
	output_release *release, void *context)
{
	connection_write_file(connection, bytes, length, NULL, release, context);
}

void connection_write_from(struct connection *connection, struct evbuffer *from, size_t length)
{
	if (takes_output(connection)) {
		output_queue_move(&connection->output, from, length);
	} else {
		evbuffer_drain(from, length);
	}
}

void connection_flush(struct connection *connection)
{
	size_t waiting = connection_output_bytes(connection);
	if (waiting > connection->options.output_low_water) {
		connection->is_above_low_water = true;
	}
	if (waiting == 0 || connection->write_needs != 0 || connection->handshake_needs != 0 ||
		connection->has_write_failed) {
		return;
	}
	write_output(connection);
	arm_events(connection);
}

void connection_set_low_water(struct connection *connection, size_t bytes)
{
	connection->options.output_low_water = bytes;
}

size_t connection_output_bytes(const struct connection *connection)
{
	size_t bytes = output_queue_length(&connection->output);
	return connection->has_write_failed ? 0 : bytes + connection->transport->pending_bytes;
}

bool connection_start_tls(struct connection *connection, struct tls_context *tls, struct error *err)
{
	struct transport *plain = connection->transport;
	size_t early_length = evbuffer_get_length(connection->input);
	assert(connection->transport->tls == NULL);
	if (connection_output_bytes(connection) > 0) {
		return error_set(err, ERROR_INVALID, "the client does not read what it asked for");
	}
	struct transport *secured =
		transport_tls_new(plain, tls, evbuffer_pullup(connection->input, -1), early_length);
	plain->ops->free(plain);
	connection->transport = secured;
	evbuffer_drain(connection->input, early_length);
	shake_hands(connection);
	arm_events(connection);
	return true;
}

const struct tls_facts *connection_tls(const struct connection *connection)
{
	return connection->transport->tls;
}

void connection_pause_reading(struct connection *connection)
{
	connection->is_paused = true;
	arm_events(connection);
}

void connection_resume_reading(struct connection *connection)
{
	if (!connection->is_paused) {
		return;
	}
	connection->is_paused = false;
	if (evbuffer_get_length(connection->input) > 0) {
		add_news(connection, NEWS_INPUT);
	}
	arm_events(connection);
}

const char *connection_peer_name(const struct connection *connection)
{
	return connection->peer_name;
}

const struct sockaddr_storage *connection_peer_address(const struct connection *connection)
{
	return &connection->peer;
}

void connection_set_peer_address(struct connection *connection, const struct sockaddr *peer)
{
	connection->is_local = peer_address_is_local(connection->fd, peer);
	connection->peer = peer_address_plain(peer);
	peer_address_format(
		&connection->peer, connection->peer_name, sizeof(connection->peer_name));
}

bool connection_is_local(const struct connection *connection)
{
	return connection->is_local;
}

bool connection_shares_machine(const struct connection *connection)
{
	return connection->shares_machine;
}

int connection_fd(const struct connection *connection)
{
	return connection->fd;
}

void connection_read_stats(const struct connection *connection, struct connection_stats *stats_out)
{
	stats_out->wire_sent_bytes = connection->transport->wire_sent_bytes;
	stats_out->wire_received_bytes = connection->transport->wire_received_bytes;
	stats_out->output_bytes = connection_output_bytes(connection);
}
