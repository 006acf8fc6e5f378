/*
 * A small table of addresses, emptied when the interval is over. Whoever finds no place in it is
 * counted with the others: those who flood from many addresses are not told apart.
 */
#include "downstream/stranger_log.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

#define HOSTS_MAX 64u

enum deadline { DEADLINE_INTERVAL, DEADLINES };

struct host {
	int family; /* AF_UNSPEC: by a Unix socket */
	uint8_t address[16];
	unsigned lines;
	unsigned left_out;
};

struct stranger_log {
	struct loop *loop;
	struct deadlines deadlines;
	struct host hosts[HOSTS_MAX];
	unsigned host_count;
	unsigned lines;
	unsigned others_left_out;
};

static struct host host_of(const struct sockaddr_storage *peer)
{
	struct host host = {.family = peer->ss_family};
	if (peer->ss_family == AF_INET) {
		struct sockaddr_in v4;
		memcpy(&v4, peer, sizeof(v4));
		memcpy(host.address, &v4.sin_addr, 4);
	} else if (peer->ss_family == AF_INET6) {
		struct sockaddr_in6 v6;
		memcpy(&v6, peer, sizeof(v6));
		memcpy(host.address, &v6.sin6_addr, 8);
	} else {
		host.family = AF_UNSPEC;
	}
	return host;
}

/* NULL: the table is full. */
static struct host *find_host(struct stranger_log *log, const struct sockaddr_storage *peer)
{
	struct host wanted = host_of(peer);
	for (unsigned i = 0; i < log->host_count; i++) {
		struct host *host = &log->hosts[i];
		if (host->family == wanted.family &&
			memcmp(host->address, wanted.address, sizeof(wanted.address)) == 0) {
			return host;
		}
	}
	if (log->host_count == HOSTS_MAX) {
		return NULL;
	}
	log->hosts[log->host_count] = wanted;
	return &log->hosts[log->host_count++];
}

static void say_left_out(const struct host *host)
{
	char address[INET6_ADDRSTRLEN] = "[local]";
	if (host->family != AF_UNSPEC) {
		inet_ntop(host->family, host->address, address, sizeof(address));
	}
	log_warning("clients", "%u more lines about %s%s were left out", host->left_out, address,
		host->family == AF_INET6 ? "/64" : "");
}

static void end_interval(struct stranger_log *log)
{
	for (unsigned i = 0; i < log->host_count; i++) {
		if (log->hosts[i].left_out > 0) {
			say_left_out(&log->hosts[i]);
		}
	}
	if (log->others_left_out > 0) {
		log_warning("clients", "%u more lines about other addresses were left out",
			log->others_left_out);
	}
	log->host_count = 0;
	log->lines = 0;
	log->others_left_out = 0;
}

static void on_deadline(void *context, int reason)
{
	(void)reason;
	end_interval(context);
}

struct stranger_log *stranger_log_new(struct loop *loop, struct error *err)
{
	struct stranger_log *log = memory_new(sizeof(*log));
	log->loop = loop;
	if (!deadlines_init(&log->deadlines, loop, DEADLINES, on_deadline, log, err)) {
		free(log);
		return NULL;
	}
	return log;
}

void stranger_log_free(struct stranger_log **log)
{
	if (*log != NULL) {
		end_interval(*log);
		deadlines_release(&(*log)->deadlines);
		free(*log);
		*log = NULL;
	}
}

static bool may_write(struct stranger_log *log, const struct sockaddr_storage *peer)
{
	if (!deadlines_is_set(&log->deadlines, DEADLINE_INTERVAL)) {
		deadlines_set(&log->deadlines, DEADLINE_INTERVAL,
			loop_now_us(log->loop) + STRANGER_LOG_INTERVAL_US);
	}
	struct host *host = find_host(log, peer);
	if (host == NULL) {
		log->others_left_out++;
		return false;
	}
	if (host->lines == STRANGER_LOG_LINES_EACH || log->lines == STRANGER_LOG_LINES_ALL) {
		host->left_out++;
		return false;
	}
	host->lines++;
	log->lines++;
	return true;
}

void stranger_log_write(struct stranger_log *log, enum log_level level,
	const struct sockaddr_storage *peer, const char *scope, const char *format, ...)
{
	char text[1024];
	va_list arguments;
	if (!log_is_enabled(level) || !may_write(log, peer)) {
		return;
	}
	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	log_write(level, scope, "%s", text);
}
