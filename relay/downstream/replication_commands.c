/*
 * replication_commands: one function a command, each appending what a walsender of the cluster's
 * version would answer.
 */
#include "downstream/replication_commands.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct pg_column text_column(const char *name)
{
	return (struct pg_column){name, PG_OID_TEXT, -1, -1};
}

static struct pg_column int8_column(const char *name)
{
	return (struct pg_column){name, PG_OID_INT8, 8, -1};
}

static int server_version(const struct replication_context *context)
{
	struct cluster_parameters parameters;
	cluster_read_parameters(context->cluster, &parameters);
	return parameters.server_version_num;
}

/* Until 12 every replication command completed as SELECT. */
static void write_complete(struct wire_writer *writer, const char *tag, int server_version_num)
{
	pg_write_command_complete(writer, server_version_num >= 130000 ? tag : "SELECT");
}

struct wal_position replication_position(const struct replication_context *context)
{
	return context->forward_flushed ? wal_store_flushed(context->store)
					: wal_store_received(context->store);
}

static bool identify_system(const struct replication_context *context,
	const struct repl_command *command, struct wire_writer *writer, struct error *err)
{
	(void)command;
	(void)err;
	int version = server_version(context);
	struct cluster_identity identity;
	cluster_read_identity(context->cluster, &identity);
	struct wal_position position = replication_position(context);
	struct pg_column timeline = int8_column("timeline");
	if (version < 160000) {
		timeline = (struct pg_column){"timeline", PG_OID_INT4, 4, -1};
	}
	const struct pg_column columns[] = {
		text_column("systemid"), timeline, text_column("xlogpos"), text_column("dbname")};
	char system_identifier[24];
	char tli[16];
	char lsn[LSN_TEXT_SIZE];
	snprintf(system_identifier, sizeof(system_identifier), "%" PRIu64,
		identity.system_identifier);
	snprintf(tli, sizeof(tli), "%" PRIu32, position.tli);
	const char *const values[] = {system_identifier, tli, lsn_format(position.lsn, lsn), NULL};
	pg_write_row_description(writer, columns, 4);
	pg_write_data_row(writer, values, NULL, 4);
	write_complete(writer, "IDENTIFY_SYSTEM", version);
	return true;
}

/* false: not a setting this relay can tell. */
static bool find_setting(
	const struct replication_context *context, const char *name, char *out, size_t size)
{
	struct cluster_parameters cluster;
	char version_num[16];
	char link_offer[LINK_OFFER_TEXT_SIZE] = "";
	if (context->link_offer != NULL) {
		link_offer_format(context->link_offer, link_offer);
	}
	cluster_read_parameters(context->cluster, &cluster);
	snprintf(version_num, sizeof(version_num), "%d", cluster.server_version_num);
	const struct {
		const char *name;
		const char *value;
	} settings[] = {
		{"application_name", context->settings->application_name},
		{"data_directory_mode", cluster.data_directory_mode},
		{"default_transaction_read_only", cluster.default_transaction_read_only},
		{"in_hot_standby", cluster.in_hot_standby},
		{"integer_datetimes", cluster.integer_datetimes},
		{"server_encoding", cluster.server_encoding},
		{"server_version", cluster.server_version},
		{"server_version_num", version_num},
		{"timezone", cluster.time_zone},
		/* A server in recovery has only read-only transactions. */
		{"transaction_read_only", strcmp(cluster.in_hot_standby, "on") == 0
						  ? "on"
						  : cluster.default_transaction_read_only},
		{"wal_segment_size", cluster.wal_segment_size_text},
		{LINK_SETTING_NAME, link_offer},
	};
	for (size_t i = 0; i < sizeof(settings) / sizeof(settings[0]); i++) {
		if (strcmp(name, settings[i].name) == 0 &&
			(settings[i].value[0] != '\0' || i == 0)) {
			snprintf(out, size, "%s", settings[i].value);
			return true;
		}
	}
	return false;
}

static bool show(const struct replication_context *context, const struct repl_command *command,
	struct wire_writer *writer, struct error *err)
{
	char text[LINK_OFFER_TEXT_SIZE];
	if (!find_setting(context, command->show_name, text, sizeof(text))) {
		error_set(err, ERROR_NOT_FOUND, "unrecognized configuration parameter \"%s\"",
			command->show_name);
		return error_sqlstate(err, "42704");
	}
	/* A relay's offer of a link says beside it where its status page is. */
	bool has_page = strcmp(command->show_name, LINK_SETTING_NAME) == 0 &&
			context->page_url != NULL && context->page_url[0] != '\0';
	const struct pg_column columns[] = {
		text_column(command->show_name), text_column(LINK_PAGE_COLUMN)};
	const char *const values[] = {text, context->page_url};
	pg_write_row_description(writer, columns, has_page ? 2 : 1);
	pg_write_data_row(writer, values, NULL, has_page ? 2 : 1);
	write_complete(writer, "SHOW", server_version(context));
	return true;
}

/* The row description goes out before the file is opened, so it precedes the error, as in
 * SendTimeLineHistory. */
static bool timeline_history(const struct replication_context *context,
	const struct repl_command *command, struct wire_writer *writer, struct error *err)
{
	int version = server_version(context);
	struct pg_column columns[] = {text_column("filename"), text_column("content")};
	if (version < 140000) {
		columns[1].type_oid = PG_OID_BYTEA;
	}
	if (version < 160000) {
		columns[0].type_modifier = 0;
		columns[1].type_modifier = 0;
	}
	pg_write_row_description(writer, columns, 2);
	char *content;
	size_t length;
	if (!wal_store_read_history_file(context->store, command->tli, &content, &length, err)) {
		return false;
	}
	char name[TIMELINE_FILE_NAME_SIZE];
	const char *const values[] = {timeline_history_file_name(command->tli, name), content};
	const size_t lengths[] = {strlen(name), length};
	pg_write_data_row(writer, values, lengths, 2);
	free(content);
	write_complete(writer, "TIMELINE_HISTORY", version);
	return true;
}

static bool read_slot(const struct replication_context *context, const struct repl_command *command,
	struct wire_writer *writer, struct error *err)
{
	(void)err;
	const struct pg_column columns[] = {
		text_column("slot_type"), text_column("restart_lsn"), int8_column("restart_tli")};
	const char *values[] = {NULL, NULL, NULL};
	char lsn[LSN_TEXT_SIZE];
	char tli[16];
	struct slot_stats slot;
	if (slots_find(context->slots, command->slot, &slot)) {
		values[0] = "physical";
		if (slot.restart_lsn != LSN_INVALID) {
			values[1] = lsn_format(slot.restart_lsn, lsn);
			snprintf(tli, sizeof(tli), "%" PRIu32, slot.restart_tli);
			values[2] = tli;
		}
	}
	pg_write_row_description(writer, columns, 3);
	pg_write_data_row(writer, values, NULL, 3);
	write_complete(writer, "READ_REPLICATION_SLOT", server_version(context));
	return true;
}

static bool refuse_sql(const struct replication_context *context,
	const struct repl_command *command, struct wire_writer *writer, struct error *err)
{
	(void)command;
	(void)writer;
	error_set(err, ERROR_INVALID,
		"cannot execute SQL commands in WAL sender for physical replication");
	error_hint(err, "This is walrelay \"%s\"; connect to the primary for SQL.",
		context->relay_name);
	return error_sqlstate(err, "0A000");
}

static bool refuse_logical(const struct replication_context *context,
	const struct repl_command *command, struct wire_writer *writer, struct error *err)
{
	(void)command;
	(void)writer;
	error_set(err, ERROR_INVALID, "logical replication is not possible through walrelay \"%s\"",
		context->relay_name);
	error_hint(err, "Connect to the primary or a standby for logical replication.");
	return error_sqlstate(err, "0A000");
}

typedef bool answer(const struct replication_context *context, const struct repl_command *command,
	struct wire_writer *writer, struct error *err);

bool replication_command_answer(const struct replication_context *context,
	const struct repl_command *command, struct wire_writer *writer, struct error *err)
{
	static answer *const answers[] = {
		[REPL_IDENTIFY_SYSTEM] = identify_system,
		[REPL_SHOW] = show,
		[REPL_TIMELINE_HISTORY] = timeline_history,
		[REPL_READ_SLOT] = read_slot,
		[REPL_CREATE_LOGICAL_SLOT] = refuse_logical,
		[REPL_ALTER_SLOT] = refuse_logical,
		[REPL_START_LOGICAL] = refuse_logical,
		[REPL_SQL] = refuse_sql,
	};
	assert((size_t)command->kind < sizeof(answers) / sizeof(answers[0]));
	assert(answers[command->kind] != NULL);
	return answers[command->kind](context, command, writer, err);
}

void replication_write_slot_created(
	struct wire_writer *writer, const char *slot, int server_version_num)
{
	const struct pg_column columns[] = {text_column("slot_name"),
		text_column("consistent_point"), text_column("snapshot_name"),
		text_column("output_plugin")};
	const char *const values[] = {slot, "0/0", NULL, NULL};
	pg_write_row_description(writer, columns, 4);
	pg_write_data_row(writer, values, NULL, 4);
	write_complete(writer, "CREATE_REPLICATION_SLOT", server_version_num);
}

void replication_write_slot_dropped(struct wire_writer *writer, int server_version_num)
{
	pg_write_command_complete(writer, "DROP_REPLICATION_SLOT");
	if (server_version_num < 130000) {
		pg_write_command_complete(writer, "SELECT");
	}
}

void replication_write_stream_end(
	struct wire_writer *writer, tli_t next_tli, lsn_t switch_lsn, int server_version_num)
{
	if (next_tli != 0) {
		const struct pg_column columns[] = {
			int8_column("next_tli"), text_column("next_tli_startpos")};
		char tli[16];
		char lsn[LSN_TEXT_SIZE];
		snprintf(tli, sizeof(tli), "%" PRIu32, next_tli);
		const char *const values[] = {tli, lsn_format(switch_lsn, lsn)};
		pg_write_row_description(writer, columns, 2);
		pg_write_data_row(writer, values, NULL, 2);
	}
	pg_write_command_complete(writer, "START_STREAMING");
	write_complete(writer, "START_REPLICATION", server_version_num);
}
