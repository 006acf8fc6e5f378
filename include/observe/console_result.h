/*
 * console_result: the rows that answer a statement of the console, built cell after cell.
 *
 * Texts are copied and belong to the result. A whole row is given before the next one begins, in
 * the order and with the types of the columns.
 */
#ifndef OBSERVE_CONSOLE_RESULT_H
#define OBSERVE_CONSOLE_RESULT_H

#include "protocol/lsn.h"
#include "protocol/pg_value.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CONSOLE_NOT_KNOWN UINT64_MAX /* NULL, where a number is given */

struct console_result {
	struct pg_typed_column *columns; /* owned, names too */
	size_t column_count;             /* 0: there are no rows */
	struct pg_value *values;         /* row after row */
	size_t value_count;
};

/* columns are copied. */
void console_result_init(
	struct console_result *result, const struct pg_typed_column *columns, size_t count);
/* A zeroed one may be released. */
void console_result_release(struct console_result *result);

size_t console_result_row_count(const struct console_result *result);
const struct pg_value *console_result_row(const struct console_result *result, size_t index);

void console_put_null(struct console_result *result);
/* NULL is NULL. */
void console_put_text(struct console_result *result, const char *text);
/* "" is NULL, too. */
void console_put_known(struct console_result *result, const char *text);
void console_put_bool(struct console_result *result, bool value);
/* CONSOLE_NOT_KNOWN is NULL, what does not fit the largest that does. */
void console_put_number(struct console_result *result, uint64_t value);
/* Of an int4. */
void console_put_signed(struct console_result *result, int32_t value);
void console_put_float(struct console_result *result, double value);
/* LSN_INVALID is NULL. */
void console_put_lsn(struct console_result *result, lsn_t lsn);
/* Unix time; 0 is NULL. */
void console_put_time(struct console_result *result, int64_t unix_us);
/* 0 is NULL. */
void console_put_xid(struct console_result *result, uint32_t xid);
/* Less than 0 is NULL. */
void console_put_interval(struct console_result *result, int64_t us);
/* Days since 1970. */
void console_put_date(struct console_result *result, int32_t day);
/* Of a peer as connection_peer_name() gives it ("10.0.0.7:43210", "[2001:db8::1]:43210",
 * "[local]"), an inet and an int4: NULL and -1 for what is none, as PostgreSQL shows a Unix socket.
 */
void console_put_address(struct console_result *result, const char *peer);
void console_put_port(struct console_result *result, const char *peer);

#endif
