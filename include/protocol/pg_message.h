/*
 * pg_message: PostgreSQL's frontend/backend protocol 3, as a replication server needs it.
 *
 * Source: PostgreSQL documentation, "Frontend/Backend Protocol"; src/backend/tcop/backend_startup.c
 * and src/backend/libpq/pqcomm.c for what servers accept. Pure functions over bytes.
 */
#ifndef PROTOCOL_PG_MESSAGE_H
#define PROTOCOL_PG_MESSAGE_H

#include "protocol/decode.h"
#include "protocol/wire.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* --- the first packet: int32 length, int32 code, body ---------------------------------------- */

#define STARTUP_BYTES_MAX     10000 /* MAX_STARTUP_PACKET_LENGTH */
#define PG_NAME_BYTES_MAX     63    /* NAMEDATALEN - 1: longer names are truncated */
#define PG_PROTOCOL(major, minor) ((uint32_t)(major) << 16 | (minor))

enum startup_kind {
	STARTUP_SSL_REQUEST,
	STARTUP_GSSENC_REQUEST,
	STARTUP_CANCEL_REQUEST,
	STARTUP_MESSAGE,       /* any protocol version: the caller judges major and minor */
	STARTUP_TLS_HELLO,     /* first byte 0x16: direct TLS; nothing consumed */
};

enum startup_replication {
	REPLICATION_NONE,     /* an ordinary session */
	REPLICATION_PHYSICAL, /* any spelling of true */
	REPLICATION_LOGICAL,  /* "database" */
};

/* Pointers point into the decoded bytes. */
struct startup_packet {
	enum startup_kind kind;
	size_t consumed;
	uint32_t version;     /* STARTUP_MESSAGE: major << 16 | minor */
	const uint8_t *parameters; /* name\0 value\0 ... \0, checked to be well formed */
	size_t parameters_length;
	uint32_t cancel_pid;       /* STARTUP_CANCEL_REQUEST, with the key of 1 to 256 bytes */
	const uint8_t *cancel_key;
	size_t cancel_key_length;
};

/* DECODE_BAD: reason_out says why (an invalid length, a malformed layout). */
enum decode_result startup_packet_decode(const uint8_t *bytes, size_t length,
	struct startup_packet *packet_out, const char **reason_out);
/* Steps through the parameters; *at begins at 0. */
bool startup_parameter_next(const struct startup_packet *packet, size_t *at, const char **name_out,
	const char **value_out);
/* NULL when absent; the last one wins, as in PostgreSQL. */
const char *startup_parameter_find(const struct startup_packet *packet, const char *name);
/* "replication": false for a spelling that PostgreSQL's parse_bool does not know. */
bool startup_replication_parse(const char *value, enum startup_replication *replication_out);
/* One "-c name=value" or "--name=value" after the other out of "options" (pg_split_opts: blanks
 * divide, backslash escapes). Copies into the caller's buffers; *at begins at 0. DECODE_MORE: no
 * more; DECODE_BAD: not of this form, or longer than the buffers. */
enum decode_result startup_option_next(const char *options, size_t *at, char *name_out,
	size_t name_size, char *value_out, size_t value_size);

/* --- messages with a type byte --------------------------------------------------------------- */

struct pg_message {
	char type;
	const uint8_t *body; /* into the decoded bytes */
	size_t body_length;
	size_t consumed; /* type, length and body */
};

/* body_max bounds the body before anything waits for it. */
enum decode_result pg_message_decode(const uint8_t *bytes, size_t length, size_t body_max,
	struct pg_message *message_out, const char **reason_out);

/* 'p' in a SASL exchange. Initial: mechanism, then the client's first data (NULL: none). A reason is
 * in the words of src/backend/libpq/pqformat.c. */
bool sasl_initial_decode(const uint8_t *body, size_t length, const char **mechanism_out,
	const uint8_t **data_out, size_t *data_length_out, const char **reason_out);
/* 'Q' or any body that is one C string: NULL when it is not terminated or has bytes after it. */
const char *query_decode(const uint8_t *body, size_t length);

/* --- backend messages, appended to a writer -------------------------------------------------- */

void pg_write_authentication_ok(struct wire_writer *writer);
/* mechanisms: NULL-terminated list. */
void pg_write_authentication_sasl(struct wire_writer *writer, const char *const *mechanisms);
void pg_write_authentication_sasl_continue(
	struct wire_writer *writer, const void *data, size_t length);
void pg_write_authentication_sasl_final(
	struct wire_writer *writer, const void *data, size_t length);
/* version: newest this server speaks, full major << 16 | minor; unknown: options not understood. */
void pg_write_negotiate_protocol(struct wire_writer *writer, uint32_t version,
	const char *const *unknown_options, size_t unknown_count);
void pg_write_parameter_status(struct wire_writer *writer, const char *name, const char *value);
void pg_write_backend_key(
	struct wire_writer *writer, uint32_t pid, const void *key, size_t key_length);
void pg_write_ready(struct wire_writer *writer); /* 'Z' 'I' */
/* 'Z' and where the session is: 'I' idle, 'T' in a transaction block, 'E' in a failed one. */
void pg_write_ready_in(struct wire_writer *writer, char transaction_state);
void pg_write_command_complete(struct wire_writer *writer, const char *tag);
void pg_write_copy_both(struct wire_writer *writer); /* 'W' 0, no columns */
void pg_write_copy_in(struct wire_writer *writer);   /* 'G' */
void pg_write_copy_out(struct wire_writer *writer);  /* 'H' */
void pg_write_copy_done(struct wire_writer *writer);
void pg_write_copy_data(struct wire_writer *writer, const void *data, size_t length);

struct pg_column {
	const char *name;
	uint32_t type_oid;
	int16_t type_size; /* -1: variable */
	int32_t type_modifier;
};
#define PG_OID_TEXT  25
#define PG_OID_BYTEA 17
#define PG_OID_INT4  23
#define PG_OID_INT8  20
#define PG_OID_OID   26
/* Of a row description, which is begun; format: 0 text, 1 binary. */
void pg_write_column(struct wire_writer *writer, const struct pg_column *column, uint16_t format);
void pg_write_row_description(
	struct wire_writer *writer, const struct pg_column *columns, size_t count);
/* A value of NULL is SQL's NULL; lengths may be NULL: values are C strings. */
void pg_write_data_row(struct wire_writer *writer, const char *const *values,
	const size_t *lengths, size_t count);

/* ErrorResponse 'E' or NoticeResponse 'N'. Fields that are NULL or "" are left out. */
struct pg_error_fields {
	const char *severity; /* "ERROR", "FATAL", "WARNING", ... sent as S and V */
	const char *sqlstate;
	const char *message;
	const char *detail;
	const char *hint;
	unsigned position; /* in the query, in characters from 1 on; 0: nowhere */
};
void pg_write_error(struct wire_writer *writer, const struct pg_error_fields *fields);
void pg_write_notice(struct wire_writer *writer, const struct pg_error_fields *fields);

#endif
