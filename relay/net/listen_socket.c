/*
 * listen_socket: addresses in text to sockets that listen.
 *
 * A Unix socket's path left behind by a process that died is told from a living one by connecting
 * to it: only a refused connection lets it be removed.
 */
#include "net/listen_socket.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define BACKLOG      4096 /* the kernel cuts it to net.core.somaxconn */
#define DEFAULT_PORT 5432
#define ITEM_MAX     300

struct inherited {
	int *fds;
	size_t count;
};

/* --- text ------------------------------------------------------------------------------------ */

struct address_item {
	bool is_unix;
	char host[ITEM_MAX]; /* "" for any; the directory of a Unix socket */
	char port[8];
};

/* Copies the next item without surrounding blanks; false at the end of the list. */
static bool next_item(const char **at, char item_out[ITEM_MAX], bool *fits_out)
{
	const char *start = *at + strspn(*at, " \t,");
	if (*start == '\0') {
		return false;
	}
	size_t length = strcspn(start, ",");
	*at = start + length;
	while (start[length - 1] == ' ' || start[length - 1] == '\t') {
		length--;
	}
	*fits_out = length < ITEM_MAX;
	length = *fits_out ? length : ITEM_MAX - 1;
	memcpy(item_out, start, length);
	item_out[length] = '\0';
	return true;
}

static bool is_port(const char *text)
{
	size_t digits = strspn(text, "0123456789");
	return digits > 0 && digits <= 5 && text[digits] == '\0' && atoi(text) <= 65535;
}

static bool parse_item(const char *text, struct address_item *item_out, struct error *err)
{
	memset(item_out, 0, sizeof(*item_out));
	if (text[0] == '/') {
		item_out->is_unix = true;
		memcpy(item_out->host, text, strlen(text) + 1);
		return true;
	}
	const char *colon = strrchr(text, ':');
	if (colon == NULL || !is_port(colon + 1)) {
		return error_set(err, ERROR_INVALID,
			"address \"%s\" is not host:port, [v6]:port, *:port or an absolute "
			"directory",
			text);
	}
	size_t length = (size_t)(colon - text);
	bool is_bracketed = length >= 2 && text[0] == '[' && text[length - 1] == ']';
	if (!is_bracketed && memchr(text, ':', length) != NULL) {
		return error_set(err, ERROR_INVALID,
			"IPv6 address in \"%s\" must stand in brackets, as in [::1]:6433", text);
	}
	size_t host_length = is_bracketed ? length - 2 : length;
	if (host_length == 0) {
		return error_set(err, ERROR_INVALID,
			"address \"%s\" has no host (use *:port for every interface)", text);
	}
	memcpy(item_out->host, text + is_bracketed, host_length);
	if (strcmp(item_out->host, "*") == 0) {
		item_out->host[0] = '\0';
	}
	memcpy(item_out->port, colon + 1, strlen(colon + 1) + 1);
	return true;
}

bool listen_addresses_are_valid(const char *addresses, struct error *err)
{
	char text[ITEM_MAX];
	bool fits;
	size_t count = 0;
	struct address_item item;
	for (const char *at = addresses; next_item(&at, text, &fits); count++) {
		if (!fits) {
			return error_set(
				err, ERROR_INVALID, "address \"%.40s...\" is too long", text);
		}
		if (!parse_item(text, &item, err)) {
			return false;
		}
	}
	return count > 0 || error_set(err, ERROR_INVALID, "no address to listen on");
}

static void format_address(const struct sockaddr_storage *address, char *text_out, size_t size)
{
	char host[INET6_ADDRSTRLEN] = "";
	if (address->ss_family == AF_INET6) {
		const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)address;
		inet_ntop(AF_INET6, &v6->sin6_addr, host, sizeof(host));
		snprintf(text_out, size, "[%s]:%u", host, ntohs(v6->sin6_port));
	} else if (address->ss_family == AF_INET) {
		const struct sockaddr_in *v4 = (const struct sockaddr_in *)address;
		inet_ntop(AF_INET, &v4->sin_addr, host, sizeof(host));
		snprintf(text_out, size, "%s:%u", host, ntohs(v4->sin_port));
	} else {
		const struct sockaddr_un *path = (const struct sockaddr_un *)address;
		snprintf(text_out, size, "%s", path->sun_path);
	}
}

/* --- inherited sockets ----------------------------------------------------------------------- */

static bool is_same_address(
	const struct sockaddr_storage *wanted, const struct sockaddr_storage *bound)
{
	if (wanted->ss_family != bound->ss_family) {
		return false;
	}
	if (wanted->ss_family == AF_INET) {
		const struct sockaddr_in *a = (const struct sockaddr_in *)wanted;
		const struct sockaddr_in *b = (const struct sockaddr_in *)bound;
		return a->sin_addr.s_addr == b->sin_addr.s_addr &&
		       (a->sin_port == 0 || a->sin_port == b->sin_port);
	}
	if (wanted->ss_family == AF_INET6) {
		const struct sockaddr_in6 *a = (const struct sockaddr_in6 *)wanted;
		const struct sockaddr_in6 *b = (const struct sockaddr_in6 *)bound;
		return memcmp(&a->sin6_addr, &b->sin6_addr, sizeof(a->sin6_addr)) == 0 &&
		       (a->sin6_port == 0 || a->sin6_port == b->sin6_port);
	}
	const struct sockaddr_un *a = (const struct sockaddr_un *)wanted;
	const struct sockaddr_un *b = (const struct sockaddr_un *)bound;
	return strncmp(a->sun_path, b->sun_path, sizeof(a->sun_path)) == 0;
}

static bool is_listening(int fd)
{
	int listening = 0;
	socklen_t size = sizeof(listening);
	return getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &size) == 0 && listening != 0;
}

static int take_inherited(struct inherited *inherited, const struct sockaddr_storage *wanted)
{
	for (size_t i = 0; i < inherited->count; i++) {
		struct sockaddr_storage bound = {0};
		socklen_t size = sizeof(bound);
		int fd = inherited->fds[i];
		if (fd >= 0 && is_listening(fd) &&
			getsockname(fd, (struct sockaddr *)&bound, &size) == 0 &&
			is_same_address(wanted, &bound)) {
			inherited->fds[i] = -1;
			return fd;
		}
	}
	return -1;
}

/* --- sockets --------------------------------------------------------------------------------- */

static bool add_socket(struct listen_sockets *sockets, int fd, struct error *err)
{
	struct sockaddr_storage bound = {0};
	socklen_t size = sizeof(bound);
	struct listen_socket *grown =
		realloc(sockets->sockets, (sockets->count + 1) * sizeof(*grown));
	if (grown != NULL) {
		sockets->sockets = grown;
	}
	if (grown == NULL || getsockname(fd, (struct sockaddr *)&bound, &size) != 0) {
		close(fd);
		return error_set(err, ERROR_SYSTEM, "could not keep a listening socket");
	}
	struct listen_socket *added = &sockets->sockets[sockets->count++];
	memset(added, 0, sizeof(*added));
	added->fd = fd;
	added->is_unix = bound.ss_family == AF_UNIX;
	format_address(&bound, added->address, sizeof(added->address));
	return true;
}

static int bind_socket(const struct sockaddr *address, socklen_t size, struct error *err)
{
	int on = 1;
	int fd = socket(address->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0) {
		error_set_errno(err, "could not create a socket");
		return -1;
	}
	if (address->sa_family != AF_UNIX) {
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	}
	if (address->sa_family == AF_INET6) {
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
	}
	if (bind(fd, address, size) != 0 || listen(fd, BACKLOG) != 0) {
		struct sockaddr_storage shown = {0};
		char text[128];
		int failure = errno;
		memcpy(&shown, address, size);
		format_address(&shown, text, sizeof(text));
		close(fd);
		errno = failure;
		error_set_errno(err, "could not listen on \"%s\"", text);
		return -1;
	}
	return fd;
}

static bool is_family_missing(const struct error *err)
{
	return err->saved_errno == EAFNOSUPPORT || err->saved_errno == EADDRNOTAVAIL;
}

static bool open_tcp(const struct address_item *item, struct inherited *inherited,
	struct listen_sockets *sockets, struct error *err)
{
	struct addrinfo hints = {
		.ai_flags = AI_PASSIVE | AI_NUMERICSERV, .ai_socktype = SOCK_STREAM};
	struct addrinfo *found = NULL;
	const char *host = item->host[0] == '\0' ? NULL : item->host;
	int failure = getaddrinfo(host, item->port, &hints, &found);
	if (failure != 0) {
		return error_set(err, ERROR_SYSTEM, "could not resolve \"%s\": %s", item->host,
			gai_strerror(failure));
	}
	size_t opened = 0;
	bool ok = true;
	struct error last = {0};
	for (struct addrinfo *at = found; at != NULL && ok; at = at->ai_next) {
		struct sockaddr_storage wanted = {0};
		memcpy(&wanted, at->ai_addr, at->ai_addrlen);
		int fd = take_inherited(inherited, &wanted);
		if (fd < 0) {
			fd = bind_socket(at->ai_addr, at->ai_addrlen, &last);
		}
		/* A name or "*" may stand for a family this machine does not speak. */
		ok = fd >= 0 ? add_socket(sockets, fd, &last) : is_family_missing(&last);
		opened += fd >= 0 && ok;
	}
	freeaddrinfo(found);
	if (!ok || opened == 0) {
		if (err != NULL) {
			*err = last;
		}
		return false;
	}
	return true;
}

/* True when nothing listens at path (any more). */
static bool clear_path(const struct sockaddr_un *address, struct error *err)
{
	struct stat status;
	if (lstat(address->sun_path, &status) != 0) {
		return errno == ENOENT ||
		       error_set_errno(err, "could not examine \"%s\"", address->sun_path);
	}
	if (!S_ISSOCK(status.st_mode)) {
		return error_set(err, ERROR_CONFLICT, "\"%s\" exists and is not a socket",
			address->sun_path);
	}
	int probe = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (probe < 0) {
		return error_set_errno(err, "could not create a socket");
	}
	bool is_stale = connect(probe, (const struct sockaddr *)address, sizeof(*address)) != 0 &&
			errno == ECONNREFUSED;
	close(probe);
	if (!is_stale) {
		return error_set(err, ERROR_CONFLICT, "another process listens on \"%s\"",
			address->sun_path);
	}
	if (unlink(address->sun_path) != 0) {
		return error_set_errno(
			err, "could not remove the stale socket \"%s\"", address->sun_path);
	}
	return true;
}

static bool open_unix(const struct address_item *item, unsigned port, struct inherited *inherited,
	struct listen_sockets *sockets, struct error *err)
{
	struct sockaddr_storage wanted = {0};
	struct sockaddr_un *address = (struct sockaddr_un *)&wanted;
	address->sun_family = AF_UNIX;
	int length = snprintf(
		address->sun_path, sizeof(address->sun_path), "%s/.s.PGSQL.%u", item->host, port);
	if (length < 0 || (size_t)length >= sizeof(address->sun_path)) {
		return error_set(err, ERROR_INVALID,
			"directory \"%s\" is too long for a Unix socket", item->host);
	}
	int fd = take_inherited(inherited, &wanted);
	if (fd >= 0) {
		return add_socket(sockets, fd, err);
	}
	if (!clear_path(address, err)) {
		return false;
	}
	fd = bind_socket((struct sockaddr *)address, sizeof(*address), err);
	if (fd < 0) {
		return false;
	}
	/* As PostgreSQL's default: who may come in is decided by the rules for "local". */
	if (chmod(address->sun_path, 0777) != 0) {
		error_set_errno(err, "could not set permissions of \"%s\"", address->sun_path);
		close(fd);
		return false;
	}
	return add_socket(sockets, fd, err);
}

static unsigned first_port(const struct listen_sockets *sockets)
{
	if (sockets->count == 0 || sockets->sockets[0].is_unix) {
		return DEFAULT_PORT;
	}
	return (unsigned)atoi(strrchr(sockets->sockets[0].address, ':') + 1);
}

/* TCP addresses first: a Unix socket's name takes the port that the first of them got. */
static bool open_kind(const char *addresses, bool is_unix, struct inherited *inherited,
	struct listen_sockets *sockets, struct error *err)
{
	char text[ITEM_MAX];
	bool fits;
	struct address_item item;
	unsigned port = first_port(sockets);
	for (const char *at = addresses; next_item(&at, text, &fits);) {
		if (!parse_item(text, &item, err)) {
			return false;
		}
		if (item.is_unix != is_unix) {
			continue;
		}
		bool opened = is_unix ? open_unix(&item, port, inherited, sockets, err)
				      : open_tcp(&item, inherited, sockets, err);
		if (!opened) {
			return false;
		}
	}
	return true;
}

bool listen_sockets_open(const char *addresses, int *inherited, size_t inherited_count,
	struct listen_sockets *sockets_out, struct error *err)
{
	struct listen_sockets sockets = {0};
	struct inherited from = {.fds = inherited, .count = inherited_count};
	if (!listen_addresses_are_valid(addresses, err)) {
		return false;
	}
	if (!open_kind(addresses, false, &from, &sockets, err) ||
		!open_kind(addresses, true, &from, &sockets, err)) {
		listen_sockets_close(&sockets);
		return false;
	}
	*sockets_out = sockets;
	return true;
}

void listen_sockets_close(struct listen_sockets *sockets)
{
	for (size_t i = 0; i < sockets->count; i++) {
		if (sockets->sockets[i].is_unix) {
			unlink(sockets->sockets[i].address);
		}
		close(sockets->sockets[i].fd);
	}
	listen_sockets_release(sockets);
}

void listen_sockets_release(struct listen_sockets *sockets)
{
	free(sockets->sockets);
	sockets->sockets = NULL;
	sockets->count = 0;
}
