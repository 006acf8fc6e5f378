/*
 * result_message: from a PGresult back to messages, through its public accessors only.
 */
#include "app/result_message.h"

#include <libpq-fe.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "protocol/pg_message.h"

static void write_row_description(struct wire_writer *writer, const PGresult *result)
{
	int count = PQnfields(result);
	struct pg_column *columns = memory_new(((size_t)count + 1) * sizeof(*columns));
	for (int i = 0; i < count; i++) {
		columns[i] = (struct pg_column){
			.name = PQfname(result, i),
			.type_oid = PQftype(result, i),
			.type_size = (int16_t)PQfsize(result, i),
			.type_modifier = PQfmod(result, i),
		};
	}
	pg_write_row_description(writer, columns, (size_t)count);
	free(columns);
}

static void write_data_rows(struct wire_writer *writer, const PGresult *result)
{
	int count = PQnfields(result);
	const char **values = memory_new(((size_t)count + 1) * sizeof(*values));
	size_t *lengths = memory_new(((size_t)count + 1) * sizeof(*lengths));
	for (int row = 0; row < PQntuples(result); row++) {
		for (int i = 0; i < count; i++) {
			values[i] = PQgetisnull(result, row, i) ? NULL : PQgetvalue(result, row, i);
			lengths[i] = (size_t)PQgetlength(result, row, i);
		}
		pg_write_data_row(writer, values, lengths, (size_t)count);
	}
	free(values);
	free(lengths);
}

void result_write_rows(struct wire_writer *writer, const struct pg_result *result)
{
	write_row_description(writer, result);
	write_data_rows(writer, result);
	result_write_command_complete(writer, result);
}

void result_write_command_complete(struct wire_writer *writer, const struct pg_result *result)
{
	/* Reads only, whatever its signature says. */
	pg_write_command_complete(writer, PQcmdStatus((PGresult *)result));
}

void result_write_copy(struct wire_writer *writer, char type, const struct pg_result *result)
{
	int count = PQnfields(result);
	wire_begin_message(writer, type);
	wire_write_u8(writer, (uint8_t)PQbinaryTuples(result));
	wire_write_u16(writer, (uint16_t)count);
	for (int i = 0; i < count; i++) {
		wire_write_u16(writer, (uint16_t)PQfformat(result, i));
	}
	wire_end_message(writer);
}

void result_write_notice(struct wire_writer *writer, const struct pg_result *result)
{
	struct pg_error_fields fields = {
		.severity = PQresultErrorField(result, PG_DIAG_SEVERITY_NONLOCALIZED),
		.sqlstate = PQresultErrorField(result, PG_DIAG_SQLSTATE),
		.message = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY),
		.detail = PQresultErrorField(result, PG_DIAG_MESSAGE_DETAIL),
		.hint = PQresultErrorField(result, PG_DIAG_MESSAGE_HINT),
	};
	/* Before 9.6 servers send the severity in their own language only. */
	if (fields.severity == NULL) {
		fields.severity = PQresultErrorField(result, PG_DIAG_SEVERITY);
	}
	pg_write_notice(writer, &fields);
}

/* As much as fits. */
static void copy_text(char *text_out, size_t size, const char *text)
{
	size_t length = text == NULL ? 0 : strlen(text);
	length = length < size ? length : size - 1;
	if (length > 0) {
		memcpy(text_out, text, length);
	}
	text_out[length] = '\0';
}

void result_read_error(const struct pg_result *result, struct error *err_out)
{
	const char *sqlstate = PQresultErrorField(result, PG_DIAG_SQLSTATE);
	const char *message = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
	memset(err_out, 0, sizeof(*err_out));
	err_out->kind = ERROR_SYSTEM;
	copy_text(err_out->message, sizeof(err_out->message),
		message == NULL ? PQresultErrorMessage(result) : message);
	if (message == NULL) {
		/* libpq's own: what follows the first line is advice for whoever runs a client. */
		err_out->message[strcspn(err_out->message, "\n")] = '\0';
	}
	copy_text(err_out->detail, sizeof(err_out->detail),
		PQresultErrorField(result, PG_DIAG_MESSAGE_DETAIL));
	copy_text(err_out->hint, sizeof(err_out->hint),
		PQresultErrorField(result, PG_DIAG_MESSAGE_HINT));
	copy_text(err_out->sqlstate, sizeof(err_out->sqlstate),
		sqlstate == NULL ? "08006" : sqlstate);
}
