/*
 * console_result: one array of values; every text in it was allocated for it.
 */
#include "observe/console_result.h"

#include <arpa/inet.h>
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

void console_result_init(
	struct console_result *result, const struct pg_typed_column *columns, size_t count)
{
	*result = (struct console_result){.column_count = count};
	result->columns = memory_new((count + 1) * sizeof(*result->columns));
	for (size_t i = 0; i < count; i++) {
		result->columns[i].name = memory_copy_text(columns[i].name);
		result->columns[i].type = columns[i].type;
	}
}

static void free_text(const char *text)
{
	free((void *)(uintptr_t)text);
}

void console_result_release(struct console_result *result)
{
	for (size_t i = 0; i < result->column_count; i++) {
		free_text(result->columns[i].name);
	}
	for (size_t i = 0; i < result->value_count; i++) {
		free_text(result->values[i].text);
	}
	free(result->columns);
	free(result->values);
	*result = (struct console_result){0};
}

size_t console_result_row_count(const struct console_result *result)
{
	return result->column_count == 0 ? 0 : result->value_count / result->column_count;
}

const struct pg_value *console_result_row(const struct console_result *result, size_t index)
{
	assert(index < console_result_row_count(result));
	return &result->values[index * result->column_count];
}

/* --- cells -------------------------------------------------------------------------------------
 */

static enum pg_type next_type(const struct console_result *result)
{
	return result->columns[result->value_count % result->column_count].type;
}

static void put(struct console_result *result, const struct pg_value *value)
{
	result->values = memory_grow(result->values, result->value_count, sizeof(*result->values));
	result->values[result->value_count++] = *value;
}

void console_put_null(struct console_result *result)
{
	put(result, &(struct pg_value){.is_null = true});
}

void console_put_text(struct console_result *result, const char *text)
{
	enum pg_type type = next_type(result);
	assert(type == PG_TYPE_TEXT || type == PG_TYPE_NAME);
	if (text == NULL) {
		console_put_null(result);
		return;
	}
	put(result, &(struct pg_value){.text = memory_copy_text(text)});
}

void console_put_known(struct console_result *result, const char *text)
{
	console_put_text(result, text != NULL && text[0] != '\0' ? text : NULL);
}

void console_put_bool(struct console_result *result, bool value)
{
	assert(next_type(result) == PG_TYPE_BOOL);
	put(result, &(struct pg_value){.boolean = value});
}

void console_put_number(struct console_result *result, uint64_t value)
{
	enum pg_type type = next_type(result);
	uint64_t max = type == PG_TYPE_INT4 ? INT32_MAX : INT64_MAX;
	assert(type == PG_TYPE_INT4 || type == PG_TYPE_INT8 || type == PG_TYPE_OID);
	if (value == CONSOLE_NOT_KNOWN) {
		console_put_null(result);
		return;
	}
	put(result, &(struct pg_value){.integer = (int64_t)(value < max ? value : max)});
}

void console_put_signed(struct console_result *result, int32_t value)
{
	assert(next_type(result) == PG_TYPE_INT4);
	put(result, &(struct pg_value){.integer = value});
}

void console_put_float(struct console_result *result, double value)
{
	assert(next_type(result) == PG_TYPE_FLOAT8);
	put(result, &(struct pg_value){.number = value});
}

void console_put_lsn(struct console_result *result, lsn_t lsn)
{
	assert(next_type(result) == PG_TYPE_LSN);
	put(result, &(struct pg_value){.is_null = lsn == LSN_INVALID, .integer = (int64_t)lsn});
}

void console_put_time(struct console_result *result, int64_t unix_us)
{
	assert(next_type(result) == PG_TYPE_TIMESTAMPTZ);
	put(result, &(struct pg_value){.is_null = unix_us == 0, .integer = unix_us});
}

void console_put_xid(struct console_result *result, uint32_t xid)
{
	assert(next_type(result) == PG_TYPE_XID);
	put(result, &(struct pg_value){.is_null = xid == 0, .integer = xid});
}

void console_put_interval(struct console_result *result, int64_t us)
{
	assert(next_type(result) == PG_TYPE_INTERVAL);
	put(result, &(struct pg_value){.is_null = us < 0, .integer = us});
}

void console_put_date(struct console_result *result, int32_t day)
{
	assert(next_type(result) == PG_TYPE_DATE);
	put(result, &(struct pg_value){.integer = day});
}

/* false: it is no address with a port. */
static bool read_peer(const char *peer, struct pg_value *value, char address[64], long *port_out)
{
	const char *colon = strrchr(peer, ':');
	size_t length = colon == NULL ? 0 : (size_t)(colon - peer);
	bool is_bracketed = length > 1 && peer[0] == '[' && peer[length - 1] == ']';
	if (length == 0 || length >= 64) {
		return false;
	}
	memcpy(address, peer + is_bracketed, length - 2 * is_bracketed);
	address[length - 2 * is_bracketed] = '\0';
	value->address_length = is_bracketed ? 16 : 4;
	*port_out = strtol(colon + 1, NULL, 10);
	return inet_pton(is_bracketed ? AF_INET6 : AF_INET, address, value->address) == 1;
}

void console_put_address(struct console_result *result, const char *peer)
{
	struct pg_value value = {.is_null = false};
	char address[64];
	long port;
	assert(next_type(result) == PG_TYPE_INET);
	if (!read_peer(peer, &value, address, &port)) {
		console_put_null(result);
		return;
	}
	value.text = memory_copy_text(address);
	put(result, &value);
}

void console_put_port(struct console_result *result, const char *peer)
{
	struct pg_value value = {.is_null = false};
	char address[64];
	long port;
	console_put_signed(result, read_peer(peer, &value, address, &port) ? (int32_t)port : -1);
}
