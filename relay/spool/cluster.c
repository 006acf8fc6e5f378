/*
 * cluster: identity and parameters as one row a key in the state database, and a copy in memory
 * under one mutex. The identity is in memory only once it is stored; the parameters follow the
 * upstream at once and are stored behind it, whole, when they changed.
 */
#include "spool/cluster.h"

#include "base/log.h"
#include "base/memory.h"
#include "base/sql.h"
#include "protocol/lsn.h"

#include <assert.h>
#include <inttypes.h>
#include <pthread.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NUMBER_TEXT_SIZE 24

struct cluster {
	struct database *database;
	pthread_mutex_t pin_lock; /* held while an identity is being pinned */
	pthread_mutex_t lock;     /* of everything below */
	struct cluster_identity identity;
	struct cluster_parameters parameters;
};

static const struct text_field {
	const char *key;
	size_t offset;
	size_t size;
} text_fields[] = {
#define TEXT_FIELD(name)                                                                           \
	{                                                                                          \
#name, offsetof(struct cluster_parameters, name),                                  \
			sizeof(((struct cluster_parameters *)0)->name)                             \
	}
	TEXT_FIELD(server_version),
	TEXT_FIELD(server_encoding),
	TEXT_FIELD(time_zone),
	TEXT_FIELD(data_directory_mode),
	TEXT_FIELD(integer_datetimes),
	TEXT_FIELD(in_hot_standby),
	TEXT_FIELD(default_transaction_read_only),
	TEXT_FIELD(wal_segment_size_text),
#undef TEXT_FIELD
};
#define TEXT_FIELD_COUNT (sizeof(text_fields) / sizeof(text_fields[0]))

static const char key_system_identifier[] = "system_identifier";
static const char key_segment_bytes[] = "segment_bytes";
static const char key_version_num[] = "server_version_num";

static bool store_value(
	struct sqlite3 *connection, const char *key, const char *value, struct error *err)
{
	const char *parameters[] = {key, value};
	return sql_run(connection, "INSERT OR REPLACE INTO cluster (key, value) VALUES (?1, ?2)",
		parameters, 2, NULL, NULL, err);
}

static bool store_number(
	struct sqlite3 *connection, const char *key, uint64_t value, struct error *err)
{
	char text[NUMBER_TEXT_SIZE];
	snprintf(text, sizeof(text), "%" PRIu64, value);
	return store_value(connection, key, text, err);
}

static void load_text(struct cluster *cluster, const char *key, const char *value)
{
	for (size_t i = 0; i < TEXT_FIELD_COUNT; i++) {
		const struct text_field *field = &text_fields[i];
		if (strcmp(key, field->key) == 0) {
			char *text = (char *)&cluster->parameters + field->offset;
			snprintf(text, field->size, "%s", value);
		}
	}
}

static bool load_row(void *context, const char *const *columns, struct error *err)
{
	(void)err;
	struct cluster *cluster = context;
	const char *key = columns[0];
	const char *value = columns[1];
	if (strcmp(key, key_system_identifier) == 0) {
		cluster->identity.system_identifier = strtoull(value, NULL, 10);
	} else if (strcmp(key, key_segment_bytes) == 0) {
		cluster->identity.segment_bytes = (uint32_t)strtoul(value, NULL, 10);
	} else if (strcmp(key, key_version_num) == 0) {
		cluster->parameters.server_version_num = atoi(value);
	} else {
		load_text(cluster, key, value);
	}
	return true;
}

static bool load_job(struct sqlite3 *connection, void *context, struct error *err)
{
	return database_execute(connection,
		       "CREATE TABLE IF NOT EXISTS cluster ("
		       "key TEXT NOT NULL PRIMARY KEY, value TEXT NOT NULL)",
		       err) &&
	       sql_run(connection, "SELECT key, value FROM cluster", NULL, 0, load_row, context,
		       err);
}

static void free_cluster(struct cluster *cluster)
{
	pthread_mutex_destroy(&cluster->pin_lock);
	pthread_mutex_destroy(&cluster->lock);
	free(cluster);
}

struct cluster *cluster_open(struct database *database, struct error *err)
{
	struct cluster *cluster = memory_new(sizeof(*cluster));
	cluster->database = database;
	pthread_mutex_init(&cluster->pin_lock, NULL);
	pthread_mutex_init(&cluster->lock, NULL);
	if (!database_run(database, load_job, cluster, err)) {
		error_wrap(err, "could not load what is known of the cluster");
		free_cluster(cluster);
		return NULL;
	}
	return cluster;
}

void cluster_close(struct cluster **cluster)
{
	if (*cluster) {
		free_cluster(*cluster);
		*cluster = NULL;
	}
}

static bool check_identity(const struct cluster_identity *known,
	const struct cluster_identity *identity, struct error *err)
{
	if (known->system_identifier != identity->system_identifier) {
		error_set(err, ERROR_CONFLICT,
			"database system identifier differs between the upstream and the spool");
		error_detail(err,
			"The upstream's identifier is %" PRIu64 ", the spool's identifier is "
			"%" PRIu64 ".",
			identity->system_identifier, known->system_identifier);
		return error_hint(err, "To leave the old cluster for good, run \"walrelay reset "
				       "--new-system\".");
	}
	if (known->segment_bytes != identity->segment_bytes) {
		error_set(err, ERROR_CONFLICT,
			"WAL segment size differs between the upstream and the spool");
		return error_detail(err,
			"The upstream's segments have %" PRIu32 " bytes, the spool's %" PRIu32 ".",
			identity->segment_bytes, known->segment_bytes);
	}
	return true;
}

static bool pin_job(struct sqlite3 *connection, void *context, struct error *err)
{
	const struct cluster_identity *identity = context;
	return store_number(connection, key_system_identifier, identity->system_identifier, err) &&
	       store_number(connection, key_segment_bytes, identity->segment_bytes, err);
}

static bool pin_new_identity(
	struct cluster *cluster, const struct cluster_identity *identity, struct error *err)
{
	struct cluster_identity copy = *identity;
	if (!database_run(cluster->database, pin_job, &copy, err)) {
		return error_wrap(err, "could not store the cluster's identity");
	}
	pthread_mutex_lock(&cluster->lock);
	cluster->identity = copy;
	pthread_mutex_unlock(&cluster->lock);
	return true;
}

bool cluster_pin_identity(
	struct cluster *cluster, const struct cluster_identity *identity, struct error *err)
{
	if (identity->system_identifier == 0 ||
		!wal_segment_bytes_is_valid(identity->segment_bytes)) {
		return error_set(err, ERROR_INVALID,
			"system identifier %" PRIu64 " with a WAL segment size of %" PRIu32
			" bytes is invalid",
			identity->system_identifier, identity->segment_bytes);
	}
	struct cluster_identity known;
	pthread_mutex_lock(&cluster->pin_lock);
	cluster_read_identity(cluster, &known);
	bool is_pinned = known.system_identifier != 0 ? check_identity(&known, identity, err)
						      : pin_new_identity(cluster, identity, err);
	pthread_mutex_unlock(&cluster->pin_lock);
	return is_pinned;
}

static bool reset_job(struct sqlite3 *connection, void *context, struct error *err)
{
	(void)context;
	return database_execute(connection, "DELETE FROM cluster", err);
}

bool cluster_reset(struct cluster *cluster, struct error *err)
{
	pthread_mutex_lock(&cluster->pin_lock);
	bool is_reset = database_run(cluster->database, reset_job, NULL, err);
	if (is_reset) {
		pthread_mutex_lock(&cluster->lock);
		cluster->identity = (struct cluster_identity){0};
		cluster->parameters = (struct cluster_parameters){0};
		pthread_mutex_unlock(&cluster->lock);
	}
	pthread_mutex_unlock(&cluster->pin_lock);
	return is_reset || error_wrap(err, "could not forget the cluster");
}

static bool store_parameters_job(struct sqlite3 *connection, void *context, struct error *err)
{
	const struct cluster_parameters *parameters = context;
	for (size_t i = 0; i < TEXT_FIELD_COUNT; i++) {
		const char *text = (const char *)parameters + text_fields[i].offset;
		if (!store_value(connection, text_fields[i].key, text, err)) {
			return false;
		}
	}
	return store_number(
		connection, key_version_num, (uint64_t)parameters->server_version_num, err);
}

static void store_parameters_done(void *context, bool ok, const struct error *err)
{
	if (!ok) {
		log_error(LOG_LEVEL_WARNING, "cluster", err);
	}
	free(context);
}

static bool parameters_are_equal(
	const struct cluster_parameters *a, const struct cluster_parameters *b)
{
	for (size_t i = 0; i < TEXT_FIELD_COUNT; i++) {
		size_t offset = text_fields[i].offset;
		if (strcmp((const char *)a + offset, (const char *)b + offset) != 0) {
			return false;
		}
	}
	return a->server_version_num == b->server_version_num;
}

void cluster_set_parameters(struct cluster *cluster, const struct cluster_parameters *parameters)
{
	assert(parameters->server_version_num > 0);
	pthread_mutex_lock(&cluster->lock);
	if (!parameters_are_equal(&cluster->parameters, parameters)) {
		cluster->parameters = *parameters;
		struct cluster_parameters *copy = memory_new(sizeof(*copy));
		*copy = *parameters;
		database_submit(
			cluster->database, store_parameters_job, store_parameters_done, copy);
	}
	pthread_mutex_unlock(&cluster->lock);
}

bool cluster_is_known(struct cluster *cluster)
{
	pthread_mutex_lock(&cluster->lock);
	bool is_known = cluster->identity.system_identifier != 0 &&
			cluster->parameters.server_version_num != 0;
	pthread_mutex_unlock(&cluster->lock);
	return is_known;
}

void cluster_read_identity(struct cluster *cluster, struct cluster_identity *identity_out)
{
	pthread_mutex_lock(&cluster->lock);
	*identity_out = cluster->identity;
	pthread_mutex_unlock(&cluster->lock);
}

void cluster_read_parameters(struct cluster *cluster, struct cluster_parameters *parameters_out)
{
	pthread_mutex_lock(&cluster->lock);
	*parameters_out = cluster->parameters;
	pthread_mutex_unlock(&cluster->lock);
}
