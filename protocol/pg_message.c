/*
 * pg_message: what a client sends before and around the stream, decoded, and what a server answers,
 * appended to a writer. Nothing here keeps state or trusts a length before it was checked; a
 * startup packet's parameters are checked once, so that stepping through them cannot leave it.
 */
#include "protocol/pg_message.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define MESSAGE_HEADER_BYTES 5 /* type, int32 length */

#define STARTUP_HEADER_BYTES 8 /* int32 length, int32 code */
#define CANCEL_KEY_BYTES_MAX 256
#define OPTION_WORD_SIZE     1024

#define CODE_CANCEL PG_PROTOCOL(1234, 5678)
#define CODE_SSL    PG_PROTOCOL(1234, 5679)
#define CODE_GSSENC PG_PROTOCOL(1234, 5680)

#define TLS_HANDSHAKE_RECORD 0x16

enum authentication_code {
	AUTHENTICATION_OK = 0,
	AUTHENTICATION_SASL = 10,
	AUTHENTICATION_SASL_CONTINUE = 11,
	AUTHENTICATION_SASL_FINAL = 12,
};

static const char invalid_length[] = "invalid length of startup packet";

/* name\0 value\0 ... and one more zero byte that ends both the list and the packet. */
static bool parameters_are_well_formed(const uint8_t *bytes, size_t length)
{
	struct wire_reader reader;
	wire_reader_init(&reader, bytes, length);
	while (*wire_read_string(&reader)) {
		wire_read_string(&reader);
	}
	return wire_reader_is_done(&reader);
}

static enum decode_result startup_message_decode(
	const uint8_t *bytes, size_t length, struct startup_packet *packet, const char **reason_out)
{
	packet->kind = STARTUP_MESSAGE;
	/* Another major version may lay its body out in any way: the caller refuses it by number.
	 */
	if (packet->version >> 16 != 3) {
		return DECODE_OK;
	}
	if (!parameters_are_well_formed(bytes, length)) {
		*reason_out = "invalid startup packet layout: expected terminator as last byte";
		return DECODE_BAD;
	}
	packet->parameters = bytes;
	packet->parameters_length = length;
	return DECODE_OK;
}

static enum decode_result cancel_request_decode(
	const uint8_t *bytes, size_t length, struct startup_packet *packet, const char **reason_out)
{
	if (length <= 4) {
		*reason_out = "invalid length of cancel request packet";
		return DECODE_BAD;
	}
	if (length - 4 > CANCEL_KEY_BYTES_MAX) {
		*reason_out = "invalid length of cancel key";
		return DECODE_BAD;
	}
	packet->kind = STARTUP_CANCEL_REQUEST;
	packet->cancel_pid = wire_get_u32(bytes);
	packet->cancel_key = bytes + 4;
	packet->cancel_key_length = length - 4;
	return DECODE_OK;
}

static enum decode_result body_decode(uint32_t code, const uint8_t *body, size_t length,
	struct startup_packet *packet, const char **reason_out)
{
	switch (code) {
	case CODE_SSL:
	case CODE_GSSENC:
		if (length != 0) {
			*reason_out = invalid_length;
			return DECODE_BAD;
		}
		packet->kind = code == CODE_SSL ? STARTUP_SSL_REQUEST : STARTUP_GSSENC_REQUEST;
		return DECODE_OK;
	case CODE_CANCEL: return cancel_request_decode(body, length, packet, reason_out);
	default:
		packet->version = code;
		return startup_message_decode(body, length, packet, reason_out);
	}
}

enum decode_result startup_packet_decode(const uint8_t *bytes, size_t length,
	struct startup_packet *packet_out, const char **reason_out)
{
	if (length > 0 && bytes[0] == TLS_HANDSHAKE_RECORD) {
		*packet_out = (struct startup_packet){.kind = STARTUP_TLS_HELLO};
		return DECODE_OK;
	}
	if (length < 4) {
		return DECODE_MORE;
	}
	uint32_t claimed = wire_get_u32(bytes);
	if (claimed < STARTUP_HEADER_BYTES || claimed > STARTUP_BYTES_MAX) {
		*reason_out = invalid_length;
		return DECODE_BAD;
	}
	if (length < claimed) {
		return DECODE_MORE;
	}
	struct startup_packet packet = {.consumed = claimed};
	enum decode_result result = body_decode(wire_get_u32(bytes + 4),
		bytes + STARTUP_HEADER_BYTES, claimed - STARTUP_HEADER_BYTES, &packet, reason_out);
	if (result == DECODE_OK) {
		*packet_out = packet;
	}
	return result;
}

bool startup_parameter_next(const struct startup_packet *packet, size_t *at, const char **name_out,
	const char **value_out)
{
	if (*at >= packet->parameters_length) {
		return false;
	}
	struct wire_reader reader;
	wire_reader_init(&reader, packet->parameters, packet->parameters_length);
	reader.at = *at;
	const char *name = wire_read_string(&reader);
	if (!*name) {
		return false;
	}
	*name_out = name;
	*value_out = wire_read_string(&reader);
	*at = reader.at;
	return true;
}

const char *startup_parameter_find(const struct startup_packet *packet, const char *name)
{
	const char *found = NULL;
	const char *candidate;
	const char *value;
	for (size_t at = 0; startup_parameter_next(packet, &at, &candidate, &value);) {
		if (strcmp(candidate, name) == 0) {
			found = value;
		}
	}
	return found;
}

/* A case-insensitive prefix of word, at least length_min long. */
static bool is_prefix_of(const char *value, const char *word, size_t length_min)
{
	size_t length = strlen(value);
	return length >= length_min && length <= strlen(word) &&
	       strncasecmp(value, word, length) == 0;
}

/* parse_bool of src/backend/utils/adt/bool.c. */
static bool boolean_parse(const char *value, bool *boolean_out)
{
	if (is_prefix_of(value, "true", 1) || is_prefix_of(value, "yes", 1) ||
		is_prefix_of(value, "on", 2) || strcmp(value, "1") == 0) {
		*boolean_out = true;
		return true;
	}
	if (is_prefix_of(value, "false", 1) || is_prefix_of(value, "no", 1) ||
		is_prefix_of(value, "off", 2) || strcmp(value, "0") == 0) {
		*boolean_out = false;
		return true;
	}
	return false;
}

bool startup_replication_parse(const char *value, enum startup_replication *replication_out)
{
	if (strcmp(value, "database") == 0) {
		*replication_out = REPLICATION_LOGICAL;
		return true;
	}
	bool is_on;
	if (!boolean_parse(value, &is_on)) {
		return false;
	}
	*replication_out = is_on ? REPLICATION_PHYSICAL : REPLICATION_NONE;
	return true;
}

/* The next blank-divided word with its escapes resolved, as pg_split_opts does. */
static enum decode_result option_word_next(
	const char *options, size_t *at, char *word_out, size_t word_size)
{
	size_t length = 0;
	while (isspace((unsigned char)options[*at])) {
		++*at;
	}
	if (!options[*at]) {
		return DECODE_MORE;
	}
	for (; options[*at] && !isspace((unsigned char)options[*at]); ++*at) {
		if (options[*at] == '\\' && !options[++*at]) {
			break;
		}
		if (length + 1 >= word_size) {
			return DECODE_BAD;
		}
		word_out[length++] = options[*at];
	}
	word_out[length] = '\0';
	return DECODE_OK;
}

/* "name=value"; dashes in the name mean underscores, as in ParseLongOption. */
static enum decode_result option_assignment_decode(
	const char *word, char *name_out, size_t name_size, char *value_out, size_t value_size)
{
	const char *equals = strchr(word, '=');
	if (!equals || equals == word || (size_t)(equals - word) >= name_size ||
		strlen(equals + 1) >= value_size) {
		return DECODE_BAD;
	}
	size_t value_length = strlen(equals + 1);
	size_t name_length = (size_t)(equals - word);
	for (size_t i = 0; i < name_length; i++) {
		name_out[i] = word[i];
		if (word[i] == '-') {
			name_out[i] = '_';
		}
	}
	name_out[name_length] = '\0';
	memcpy(value_out, equals + 1, value_length + 1);
	return DECODE_OK;
}

enum decode_result startup_option_next(const char *options, size_t *at, char *name_out,
	size_t name_size, char *value_out, size_t value_size)
{
	char word[OPTION_WORD_SIZE] = "";
	enum decode_result result = option_word_next(options, at, word, sizeof(word));
	if (result != DECODE_OK) {
		return result;
	}
	if (strcmp(word, "-c") == 0) {
		if (option_word_next(options, at, word, sizeof(word)) != DECODE_OK) {
			return DECODE_BAD;
		}
		return option_assignment_decode(word, name_out, name_size, value_out, value_size);
	}
	if (strncmp(word, "-c", 2) == 0 || strncmp(word, "--", 2) == 0) {
		return option_assignment_decode(
			word + 2, name_out, name_size, value_out, value_size);
	}
	return DECODE_BAD;
}

enum decode_result pg_message_decode(const uint8_t *bytes, size_t length, size_t body_max,
	struct pg_message *message_out, const char **reason_out)
{
	if (length < MESSAGE_HEADER_BYTES) {
		return DECODE_MORE;
	}
	uint32_t claimed = wire_get_u32(bytes + 1);
	if (claimed < 4 || claimed > INT32_MAX || claimed - 4 > body_max) {
		*reason_out = "invalid message length";
		return DECODE_BAD;
	}
	size_t body_length = claimed - 4;
	if (length - MESSAGE_HEADER_BYTES < body_length) {
		return DECODE_MORE;
	}
	*message_out = (struct pg_message){
		.type = (char)bytes[0],
		.body = bytes + MESSAGE_HEADER_BYTES,
		.body_length = body_length,
		.consumed = MESSAGE_HEADER_BYTES + body_length,
	};
	return DECODE_OK;
}

bool sasl_initial_decode(const uint8_t *body, size_t length, const char **mechanism_out,
	const uint8_t **data_out, size_t *data_length_out, const char **reason_out)
{
	struct wire_reader reader;
	wire_reader_init(&reader, body, length);
	const char *mechanism = wire_read_string(&reader);
	const char *reason =
		reader.bad ? "invalid string in message" : "insufficient data left in message";
	uint32_t data_length = wire_read_u32(&reader);
	const uint8_t *data = NULL;
	if (data_length == UINT32_MAX) {
		data_length = 0;
	} else {
		data = wire_read_bytes(&reader, data_length);
	}
	if (!wire_reader_is_done(&reader)) {
		*reason_out = reader.bad ? reason : "invalid message format";
		return false;
	}
	*mechanism_out = mechanism;
	*data_out = data;
	*data_length_out = data_length;
	return true;
}

const char *query_decode(const uint8_t *body, size_t length)
{
	struct wire_reader reader;
	wire_reader_init(&reader, body, length);
	const char *text = wire_read_string(&reader);
	return wire_reader_is_done(&reader) ? text : NULL;
}

static void write_authentication(
	struct wire_writer *writer, enum authentication_code code, const void *data, size_t length)
{
	wire_begin_message(writer, 'R');
	wire_write_u32(writer, code);
	wire_write_bytes(writer, data, length);
	wire_end_message(writer);
}

void pg_write_authentication_ok(struct wire_writer *writer)
{
	write_authentication(writer, AUTHENTICATION_OK, NULL, 0);
}

void pg_write_authentication_sasl(struct wire_writer *writer, const char *const *mechanisms)
{
	wire_begin_message(writer, 'R');
	wire_write_u32(writer, AUTHENTICATION_SASL);
	for (; *mechanisms; mechanisms++) {
		wire_write_string(writer, *mechanisms);
	}
	wire_write_u8(writer, 0);
	wire_end_message(writer);
}

void pg_write_authentication_sasl_continue(
	struct wire_writer *writer, const void *data, size_t length)
{
	write_authentication(writer, AUTHENTICATION_SASL_CONTINUE, data, length);
}

void pg_write_authentication_sasl_final(struct wire_writer *writer, const void *data, size_t length)
{
	write_authentication(writer, AUTHENTICATION_SASL_FINAL, data, length);
}

void pg_write_negotiate_protocol(struct wire_writer *writer, uint32_t version,
	const char *const *unknown_options, size_t unknown_count)
{
	wire_begin_message(writer, 'v');
	wire_write_u32(writer, version);
	wire_write_u32(writer, (uint32_t)unknown_count);
	for (size_t i = 0; i < unknown_count; i++) {
		wire_write_string(writer, unknown_options[i]);
	}
	wire_end_message(writer);
}

void pg_write_parameter_status(struct wire_writer *writer, const char *name, const char *value)
{
	wire_begin_message(writer, 'S');
	wire_write_string(writer, name);
	wire_write_string(writer, value);
	wire_end_message(writer);
}

void pg_write_backend_key(
	struct wire_writer *writer, uint32_t pid, const void *key, size_t key_length)
{
	wire_begin_message(writer, 'K');
	wire_write_u32(writer, pid);
	wire_write_bytes(writer, key, key_length);
	wire_end_message(writer);
}

void pg_write_ready_in(struct wire_writer *writer, char transaction_state)
{
	wire_begin_message(writer, 'Z');
	wire_write_u8(writer, (uint8_t)transaction_state);
	wire_end_message(writer);
}

void pg_write_ready(struct wire_writer *writer)
{
	pg_write_ready_in(writer, 'I');
}

void pg_write_command_complete(struct wire_writer *writer, const char *tag)
{
	wire_begin_message(writer, 'C');
	wire_write_string(writer, tag);
	wire_end_message(writer);
}

/* Overall format 0 (text) and no columns: what a walsender says in each of the three. */
static void write_copy_response(struct wire_writer *writer, char type)
{
	wire_begin_message(writer, type);
	wire_write_u8(writer, 0);
	wire_write_u16(writer, 0);
	wire_end_message(writer);
}

void pg_write_copy_both(struct wire_writer *writer)
{
	write_copy_response(writer, 'W');
}

void pg_write_copy_in(struct wire_writer *writer)
{
	write_copy_response(writer, 'G');
}

void pg_write_copy_out(struct wire_writer *writer)
{
	write_copy_response(writer, 'H');
}

void pg_write_copy_done(struct wire_writer *writer)
{
	wire_write_bare_message(writer, 'c');
}

void pg_write_copy_data(struct wire_writer *writer, const void *data, size_t length)
{
	wire_begin_message(writer, 'd');
	wire_write_bytes(writer, data, length);
	wire_end_message(writer);
}

void pg_write_column(struct wire_writer *writer, const struct pg_column *column, uint16_t format)
{
	wire_write_string(writer, column->name);
	wire_write_u32(writer, 0); /* no table */
	wire_write_u16(writer, 0); /* nor an attribute of one */
	wire_write_u32(writer, column->type_oid);
	wire_write_u16(writer, (uint16_t)column->type_size);
	wire_write_u32(writer, (uint32_t)column->type_modifier);
	wire_write_u16(writer, format);
}

void pg_write_row_description(
	struct wire_writer *writer, const struct pg_column *columns, size_t count)
{
	wire_begin_message(writer, 'T');
	wire_write_u16(writer, (uint16_t)count);
	for (size_t i = 0; i < count; i++) {
		pg_write_column(writer, &columns[i], 0); /* text format */
	}
	wire_end_message(writer);
}

void pg_write_data_row(
	struct wire_writer *writer, const char *const *values, const size_t *lengths, size_t count)
{
	wire_begin_message(writer, 'D');
	wire_write_u16(writer, (uint16_t)count);
	for (size_t i = 0; i < count; i++) {
		if (!values[i]) {
			wire_write_u32(writer, UINT32_MAX);
			continue;
		}
		size_t length = lengths ? lengths[i] : strlen(values[i]);
		wire_write_u32(writer, (uint32_t)length);
		wire_write_bytes(writer, values[i], length);
	}
	wire_end_message(writer);
}

static void write_field(struct wire_writer *writer, char code, const char *value)
{
	if (value && *value) {
		wire_write_u8(writer, (uint8_t)code);
		wire_write_string(writer, value);
	}
}

static void write_fields(
	struct wire_writer *writer, char type, const struct pg_error_fields *fields)
{
	wire_begin_message(writer, type);
	write_field(writer, 'S', fields->severity);
	write_field(writer, 'V', fields->severity);
	write_field(writer, 'C', fields->sqlstate);
	write_field(writer, 'M', fields->message);
	write_field(writer, 'D', fields->detail);
	write_field(writer, 'H', fields->hint);
	if (fields->position > 0) {
		char position[16];
		snprintf(position, sizeof(position), "%u", fields->position);
		write_field(writer, 'P', position);
	}
	wire_write_u8(writer, 0);
	wire_end_message(writer);
}

void pg_write_error(struct wire_writer *writer, const struct pg_error_fields *fields)
{
	write_fields(writer, 'E', fields);
}

void pg_write_notice(struct wire_writer *writer, const struct pg_error_fields *fields)
{
	write_fields(writer, 'N', fields);
}
