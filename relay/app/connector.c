/*
 * connector: one detached thread an attempt; it owns copies of all it needs.
 *
 * An attempt has two holders, the loop and the thread, and each may be the last. The lock decides
 * between delivering and giving up: once given up, the thread no longer touches the loop, which may
 * be gone by then.
 */
#include "app/connector.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <libpq-fe.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/memory.h"
#include "protocol/backup_command.h"
#include "protocol/link_terms.h"

#define FREE_TIMEOUT_SECONDS 5

struct connector {
	pthread_mutex_t lock;
	pthread_cond_t idle;
	unsigned threads;
	bool is_freed; /* the last thread frees it */
};

struct connecting {
	struct connector *connector;
	char *conninfo;
	char *host;
	char *host_address;
	char *port;
	char *application_name;
	uint64_t system_identifier;
	bool asks_backup_link;
	bool has_backup_link;
	struct loop *loop;
	connector_done *done;
	void *context;
	PGconn *connection;
	struct error err;
	pthread_mutex_t lock;
	bool is_given_up;
};

struct connector *connector_new(void)
{
	struct connector *connector = memory_new(sizeof(*connector));
	pthread_mutex_init(&connector->lock, NULL);
	pthread_cond_init(&connector->idle, NULL);
	return connector;
}

static void destroy_connector(struct connector *connector)
{
	pthread_mutex_destroy(&connector->lock);
	pthread_cond_destroy(&connector->idle);
	free(connector);
}

void connector_free(struct connector **connector)
{
	struct connector *gone = *connector;
	if (gone == NULL) {
		return;
	}
	struct timespec end;
	clock_gettime(CLOCK_REALTIME, &end);
	end.tv_sec += FREE_TIMEOUT_SECONDS;
	pthread_mutex_lock(&gone->lock);
	while (gone->threads > 0 &&
		pthread_cond_timedwait(&gone->idle, &gone->lock, &end) != ETIMEDOUT) {
	}
	gone->is_freed = true;
	bool is_last = gone->threads == 0;
	pthread_mutex_unlock(&gone->lock);
	if (is_last) {
		destroy_connector(gone);
	}
	*connector = NULL;
}

static void leave_connector(struct connector *connector)
{
	pthread_mutex_lock(&connector->lock);
	assert(connector->threads > 0);
	connector->threads--;
	bool is_last = connector->threads == 0 && connector->is_freed;
	pthread_cond_signal(&connector->idle);
	pthread_mutex_unlock(&connector->lock);
	if (is_last) {
		destroy_connector(connector);
	}
}

static void destroy_connecting(struct connecting *connecting)
{
	if (connecting->connection != NULL) {
		PQfinish(connecting->connection);
	}
	pthread_mutex_destroy(&connecting->lock);
	memory_wipe_text(&connecting->conninfo);
	free(connecting->host);
	free(connecting->host_address);
	free(connecting->port);
	free(connecting->application_name);
	free(connecting);
}

/* libpq ends its messages with a line feed and may put several lines into one. */
static void set_connect_error(struct connecting *connecting, const char *what)
{
	char message[400];
	size_t length = 0;
	for (const char *at = PQerrorMessage(connecting->connection);
		*at != '\0' && length + 1 < sizeof(message); at++) {
		message[length++] = *at == '\n' ? ' ' : *at;
	}
	while (length > 0 && message[length - 1] == ' ') {
		length--;
	}
	message[length] = '\0';
	error_set(&connecting->err, ERROR_SYSTEM, "%s: %s", what, message);
	error_sqlstate(&connecting->err, "08006");
}

/* On the loop. */
static void deliver(void *context)
{
	struct connecting *connecting = context;
	/* The thread that posted this may still hold the lock. */
	pthread_mutex_lock(&connecting->lock);
	bool is_given_up = connecting->is_given_up;
	pthread_mutex_unlock(&connecting->lock);
	if (!is_given_up) {
		PGconn *connection = connecting->connection;
		connecting->connection = NULL;
		connecting->done(connecting->context, connection, connecting->has_backup_link,
			&connecting->err);
	}
	destroy_connecting(connecting);
}

/* What stands behind dbname overrides the connection string, what stands before it does not: a
 * server that went silent must not hold a backup for the two hours of the system's own keepalive.
 */
static const char *const parameter_names[] = {"connect_timeout", "keepalives_idle",
	"keepalives_interval", "keepalives_count", "dbname", "replication", "application_name",
	"host", "hostaddr", "port", NULL};

static bool open_connection(struct connecting *connecting)
{
	const char *const values[] = {"10", "30", "10", "3", connecting->conninfo, "true",
		connecting->application_name, connecting->host, connecting->host_address,
		connecting->port, NULL};
	connecting->connection = PQconnectdbParams(parameter_names, values, 1);
	if (PQstatus(connecting->connection) != CONNECTION_OK) {
		set_connect_error(connecting, "could not connect to the upstream");
		return false;
	}
	return true;
}

static bool check_system(struct connecting *connecting)
{
	if (connecting->system_identifier == 0) {
		return true;
	}
	PGresult *result = PQexec(connecting->connection, "IDENTIFY_SYSTEM");
	bool is_answered = PQresultStatus(result) == PGRES_TUPLES_OK && PQntuples(result) == 1;
	uint64_t found = is_answered ? strtoull(PQgetvalue(result, 0, 0), NULL, 10) : 0;
	PQclear(result);
	if (!is_answered) {
		set_connect_error(connecting, "could not ask the upstream who it is");
		return false;
	}
	if (found != connecting->system_identifier) {
		error_set(&connecting->err, ERROR_CONFLICT,
			"the server for base backups belongs to another cluster");
		error_detail(&connecting->err,
			"Its system identifier is %" PRIu64 ", the relay's is %" PRIu64 ".", found,
			connecting->system_identifier);
		error_sqlstate(&connecting->err, "55000");
		return false;
	}
	return true;
}

/* A server that is no relay does not know the setting, and has said so in its log before. */
static void ask_backup_link(struct connecting *connecting)
{
	struct link_offer ours;
	struct link_terms terms;
	link_offer_init(&ours);
	bool is_added = link_abilities_add(&ours.abilities, BACKUP_ABILITY, BACKUP_ABILITY_METHOD);
	assert(is_added);
	PGresult *result = PQexec(connecting->connection, "SHOW " LINK_SETTING_NAME);
	connecting->has_backup_link = PQresultStatus(result) == PGRES_TUPLES_OK &&
				      PQntuples(result) == 1 &&
				      link_offer_agree(&ours, PQgetvalue(result, 0, 0), &terms) &&
				      link_abilities_find(&terms.abilities, BACKUP_ABILITY) != NULL;
	PQclear(result);
}

static void *run_attempt(void *context)
{
	struct connecting *connecting = context;
	struct connector *connector = connecting->connector;
	if (!open_connection(connecting) || !check_system(connecting)) {
		PQfinish(connecting->connection);
		connecting->connection = NULL;
	} else if (connecting->asks_backup_link) {
		ask_backup_link(connecting);
	}
	pthread_mutex_lock(&connecting->lock);
	bool is_given_up = connecting->is_given_up;
	if (!is_given_up) {
		loop_post(connecting->loop, deliver, connecting);
	}
	pthread_mutex_unlock(&connecting->lock);
	if (is_given_up) {
		destroy_connecting(connecting);
	}
	leave_connector(connector);
	return NULL;
}

static bool start_thread(struct connecting *connecting)
{
	pthread_t thread;
	pthread_attr_t attributes;
	pthread_attr_init(&attributes);
	pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
	int failure = pthread_create(&thread, &attributes, run_attempt, connecting);
	pthread_attr_destroy(&attributes);
	if (failure != 0) {
		errno = failure;
		return error_set_errno(
			&connecting->err, "could not start a thread to connect to the upstream");
	}
	return true;
}

struct connecting *connector_start(struct connector *connector,
	const struct connector_target *target, struct loop *loop, connector_done *done,
	void *context)
{
	struct connecting *connecting = memory_new(sizeof(*connecting));
	connecting->connector = connector;
	connecting->conninfo = memory_copy_text(target->conninfo);
	connecting->host = memory_copy_text(target->host);
	connecting->host_address = memory_copy_text(target->host_address);
	connecting->port = memory_copy_text(target->port);
	connecting->application_name = memory_copy_text(target->application_name);
	connecting->system_identifier = target->system_identifier;
	connecting->asks_backup_link = target->asks_backup_link;
	connecting->loop = loop;
	connecting->done = done;
	connecting->context = context;
	pthread_mutex_init(&connecting->lock, NULL);
	pthread_mutex_lock(&connector->lock);
	connector->threads++;
	pthread_mutex_unlock(&connector->lock);
	if (!start_thread(connecting)) {
		leave_connector(connector);
		loop_post(loop, deliver, connecting);
	}
	return connecting;
}

void connector_give_up(struct connecting **connecting)
{
	struct connecting *gone = *connecting;
	if (gone == NULL) {
		return;
	}
	*connecting = NULL;
	pthread_mutex_lock(&gone->lock);
	gone->is_given_up = true;
	pthread_mutex_unlock(&gone->lock);
	/* deliver(), if it is on its way, or else the thread frees what is left. */
}
