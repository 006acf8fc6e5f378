/*
 * result_message: what libpq has taken apart, put together again as the server sent it.
 *
 * Each appends whole backend messages to a writer.
 */
#ifndef APP_RESULT_MESSAGE_H
#define APP_RESULT_MESSAGE_H

#include "base/error.h"
#include "protocol/wire.h"

struct pg_result;

/* RowDescription with types, sizes and modifiers, a DataRow each, CommandComplete. */
void result_write_rows(struct wire_writer *writer, const struct pg_result *result);
void result_write_command_complete(struct wire_writer *writer, const struct pg_result *result);
/* type: 'H' CopyOutResponse or 'G' CopyInResponse, with the formats of its columns. */
void result_write_copy(struct wire_writer *writer, char type, const struct pg_result *result);
/* Severity, SQLSTATE, message, detail and hint, as far as there. */
void result_write_notice(struct wire_writer *writer, const struct pg_result *result);
/* An ErrorResponse; one that libpq made up itself gets SQLSTATE 08006. */
void result_read_error(const struct pg_result *result, struct error *err_out);

#endif
