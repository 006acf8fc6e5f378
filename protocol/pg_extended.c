/*
 * pg_extended: field after field, and one question at the end.
 */
#include "protocol/pg_extended.h"

bool pg_parse_decode(const uint8_t *body, size_t length, struct pg_parse *parse_out)
{
	struct wire_reader reader;
	struct pg_parse parse;
	wire_reader_init(&reader, body, length);
	parse.statement = wire_read_string(&reader);
	parse.query = wire_read_string(&reader);
	parse.parameter_count = wire_read_u16(&reader);
	(void)wire_read_bytes(&reader, (size_t)parse.parameter_count * 4);
	if (!wire_reader_is_done(&reader)) {
		return false;
	}
	*parse_out = parse;
	return true;
}

static void skip_parameters(struct wire_reader *reader, unsigned *count_out)
{
	unsigned formats = wire_read_u16(reader);
	(void)wire_read_bytes(reader, (size_t)formats * 2);
	*count_out = wire_read_u16(reader);
	for (unsigned i = 0; i < *count_out && !reader->bad; i++) {
		uint32_t length = wire_read_u32(reader);
		if (length != UINT32_MAX) {
			(void)wire_read_bytes(reader, length);
		}
	}
}

bool pg_bind_decode(const uint8_t *body, size_t length, struct pg_bind *bind_out)
{
	struct wire_reader reader;
	struct pg_bind bind;
	wire_reader_init(&reader, body, length);
	bind.portal = wire_read_string(&reader);
	bind.statement = wire_read_string(&reader);
	skip_parameters(&reader, &bind.parameter_count);
	bind.format_count = wire_read_u16(&reader);
	if (bind.format_count > PG_RESULT_FORMATS_MAX) {
		return false;
	}
	for (size_t i = 0; i < bind.format_count; i++) {
		bind.formats[i] = (int16_t)wire_read_u16(&reader);
		if (bind.formats[i] != 0 && bind.formats[i] != 1) {
			return false;
		}
	}
	if (!wire_reader_is_done(&reader)) {
		return false;
	}
	*bind_out = bind;
	return true;
}

bool pg_target_decode(const uint8_t *body, size_t length, struct pg_target *target_out)
{
	struct wire_reader reader;
	struct pg_target target;
	wire_reader_init(&reader, body, length);
	target.kind = (char)wire_read_u8(&reader);
	target.name = wire_read_string(&reader);
	if (!wire_reader_is_done(&reader) || (target.kind != 'S' && target.kind != 'P')) {
		return false;
	}
	*target_out = target;
	return true;
}

bool pg_execute_decode(const uint8_t *body, size_t length, struct pg_execute *execute_out)
{
	struct wire_reader reader;
	struct pg_execute execute;
	wire_reader_init(&reader, body, length);
	execute.portal = wire_read_string(&reader);
	execute.row_max = wire_read_u32(&reader);
	if (!wire_reader_is_done(&reader)) {
		return false;
	}
	/* Negative means all, as 0 does. */
	if (execute.row_max > INT32_MAX) {
		execute.row_max = 0;
	}
	*execute_out = execute;
	return true;
}

void pg_write_parse_complete(struct wire_writer *writer)
{
	wire_write_bare_message(writer, '1');
}

void pg_write_bind_complete(struct wire_writer *writer)
{
	wire_write_bare_message(writer, '2');
}

void pg_write_close_complete(struct wire_writer *writer)
{
	wire_write_bare_message(writer, '3');
}

void pg_write_no_data(struct wire_writer *writer)
{
	wire_write_bare_message(writer, 'n');
}

void pg_write_portal_suspended(struct wire_writer *writer)
{
	wire_write_bare_message(writer, 's');
}

void pg_write_empty_query(struct wire_writer *writer)
{
	wire_write_bare_message(writer, 'I');
}

void pg_write_no_parameters(struct wire_writer *writer)
{
	wire_begin_message(writer, 't');
	wire_write_u16(writer, 0);
	wire_end_message(writer);
}
