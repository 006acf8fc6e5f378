/*
 * standby_player: plays many standbys from one process, cheaply: what a server needs for each is
 * then the server's own.
 *
 * Each connection asks for WAL from LSN on, throws it away and confirms it as written and flushed.
 * Says "ready" when all stream. Ends when END_LSN (if given) has reached everybody or its standard
 * input is closed, and prints the bytes received in all.
 */
#include <errno.h>
#include <inttypes.h>
#include <libpq-fe.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#define POSTGRES_EPOCH_S   946684800
#define WAL_HEADER_BYTES   25
#define REPLY_BYTES        34
#define REPLY_EVERY_MS     1000
#define KEEPALIVE_REPLY_AT 17
#define CONNINFO_BYTES_MAX 1024

struct player {
	PGconn *connection;
	uint64_t position;
	uint64_t received;
	bool is_done;
};

static struct player *players;
static int player_count;
static uint64_t end_lsn;
static int done_count;

static void put_u64(char *at, uint64_t value)
{
	for (int i = 7; i >= 0; i--) {
		at[i] = (char)(value & 0xff);
		value >>= 8;
	}
}

static uint64_t get_u64(const char *at)
{
	uint64_t value = 0;
	for (int i = 0; i < 8; i++) {
		value = value << 8 | (uint8_t)at[i];
	}
	return value;
}

static void fail(const char *what, PGconn *connection)
{
	fprintf(stderr, "standby_player: %s: %s", what, PQerrorMessage(connection));
	exit(1);
}

static void reply(struct player *player)
{
	struct timespec now;
	clock_gettime(CLOCK_REALTIME, &now);
	char message[REPLY_BYTES] = {'r'};
	put_u64(message + 1, player->position);
	put_u64(message + 9, player->position);
	put_u64(message + 17, player->position);
	put_u64(message + 25,
		(uint64_t)(now.tv_sec - POSTGRES_EPOCH_S) * 1000000 + (uint64_t)now.tv_nsec / 1000);
	if (PQputCopyData(player->connection, message, sizeof(message)) < 0 ||
		PQflush(player->connection) < 0) {
		fail("reply", player->connection);
	}
}

static void start(struct player *player, const char *conninfo, uint64_t lsn)
{
	char full[CONNINFO_BYTES_MAX];
	snprintf(full, sizeof(full), "%s replication=true", conninfo);
	player->connection = PQconnectdb(full);
	if (PQstatus(player->connection) != CONNECTION_OK) {
		fail("connect", player->connection);
	}
	PQclear(PQexec(player->connection, "IDENTIFY_SYSTEM"));
	char command[128];
	snprintf(command, sizeof(command), "START_REPLICATION %" PRIX64 "/%" PRIX64, lsn >> 32,
		lsn & 0xffffffff);
	PGresult *result = PQexec(player->connection, command);
	if (PQresultStatus(result) != PGRES_COPY_BOTH) {
		fail("START_REPLICATION", player->connection);
	}
	PQclear(result);
	player->position = lsn;
	PQsetnonblocking(player->connection, 1);
	reply(player);
}

static void take(struct player *player, const char *message, int length)
{
	if (message[0] == 'w' && length > WAL_HEADER_BYTES) {
		uint64_t lsn = get_u64(message + 1);
		if (lsn != player->position) {
			fprintf(stderr, "standby_player: a gap at %" PRIX64 "\n", player->position);
			exit(1);
		}
		player->position += (uint64_t)length - WAL_HEADER_BYTES;
		player->received += (uint64_t)length - WAL_HEADER_BYTES;
	} else if (message[0] == 'k' && length > KEEPALIVE_REPLY_AT &&
		   message[KEEPALIVE_REPLY_AT]) {
		reply(player);
	}
}

static void read_all(struct player *player)
{
	if (!PQconsumeInput(player->connection)) {
		fail("read", player->connection);
	}
	char *message;
	int length;
	while ((length = PQgetCopyData(player->connection, &message, 1)) > 0) {
		take(player, message, length);
		PQfreemem(message);
	}
	if (length < 0) {
		fail("stream", player->connection);
	}
	if (end_lsn && player->position >= end_lsn && !player->is_done) {
		player->is_done = true;
		done_count++;
	}
}

static int connect_all(const char *conninfo, uint64_t lsn)
{
	int poll = epoll_create1(EPOLL_CLOEXEC);
	struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL};
	epoll_ctl(poll, EPOLL_CTL_ADD, STDIN_FILENO, &event);
	players = calloc((size_t)player_count, sizeof(*players));
	for (int i = 0; i < player_count; i++) {
		start(&players[i], conninfo, lsn);
		event.data.ptr = &players[i];
		epoll_ctl(poll, EPOLL_CTL_ADD, PQsocket(players[i].connection), &event);
	}
	return poll;
}

/* Until everybody has everything, or standard input is closed. */
static void play(int poll)
{
	struct epoll_event events[64];
	time_t replied_at = time(NULL);
	while (!end_lsn || done_count < player_count) {
		int count = epoll_wait(poll, events, 64, REPLY_EVERY_MS);
		for (int i = 0; i < count; i++) {
			if (events[i].data.ptr) {
				read_all(events[i].data.ptr);
				continue;
			}
			char byte;
			if (read(STDIN_FILENO, &byte, 1) <= 0) {
				return;
			}
		}
		if (time(NULL) != replied_at) {
			replied_at = time(NULL);
			for (int i = 0; i < player_count; i++) {
				reply(&players[i]);
			}
		}
	}
}

int main(int argc, char **argv)
{
	unsigned high, low, end_high = 0, end_low = 0;
	if (argc < 4 || argc > 5 || sscanf(argv[3], "%X/%X", &high, &low) != 2 ||
		(argc == 5 && sscanf(argv[4], "%X/%X", &end_high, &end_low) != 2)) {
		fprintf(stderr, "usage: standby_player CONNINFO COUNT LSN [END_LSN]\n");
		return 2;
	}
	player_count = atoi(argv[2]);
	end_lsn = (uint64_t)end_high << 32 | end_low;
	int poll = connect_all(argv[1], (uint64_t)high << 32 | low);
	printf("ready\n");
	fflush(stdout);
	play(poll);
	uint64_t total = 0;
	for (int i = 0; i < player_count; i++) {
		total += players[i].received;
		PQfinish(players[i].connection);
	}
	printf("%" PRIu64 "\n", total);
	return 0;
}
