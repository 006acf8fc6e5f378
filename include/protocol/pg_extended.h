/*
 * pg_extended: the messages of the extended query protocol, for statements without parameters.
 *
 * Source: PostgreSQL documentation, "Message Formats"; src/backend/tcop/postgres.c. Pure functions;
 * what is decoded points into the decoded bytes.
 */
#ifndef PROTOCOL_PG_EXTENDED_H
#define PROTOCOL_PG_EXTENDED_H

#include "protocol/wire.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* More columns than any result here has. */
#define PG_RESULT_FORMATS_MAX 128

struct pg_parse {
	const char *statement; /* "": the unnamed one */
	const char *query;
	unsigned parameter_count; /* whose types are given */
};

struct pg_bind {
	const char *portal; /* "": the unnamed one */
	const char *statement;
	unsigned parameter_count;
	int16_t formats[PG_RESULT_FORMATS_MAX]; /* of the result: none, one for all, one each */
	size_t format_count;
};

/* Describe and Close. */
struct pg_target {
	char kind; /* 'S': a prepared statement, 'P': a portal */
	const char *name;
};

struct pg_execute {
	const char *portal;
	uint32_t row_max; /* 0: all */
};

/* false: it is malformed, or asks for more than there can be. */
bool pg_parse_decode(const uint8_t *body, size_t length, struct pg_parse *parse_out);
bool pg_bind_decode(const uint8_t *body, size_t length, struct pg_bind *bind_out);
bool pg_target_decode(const uint8_t *body, size_t length, struct pg_target *target_out);
bool pg_execute_decode(const uint8_t *body, size_t length, struct pg_execute *execute_out);

void pg_write_parse_complete(struct wire_writer *writer);
void pg_write_bind_complete(struct wire_writer *writer);
void pg_write_close_complete(struct wire_writer *writer);
void pg_write_no_data(struct wire_writer *writer);
void pg_write_portal_suspended(struct wire_writer *writer);
void pg_write_empty_query(struct wire_writer *writer);
void pg_write_no_parameters(struct wire_writer *writer); /* ParameterDescription */

#endif
