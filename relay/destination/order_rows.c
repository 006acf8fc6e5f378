/*
 * order_rows: one row a destination that ever had an order; days as text, "" for none.
 */
#include "destination/order_rows.h"

#include <string.h>

#include "base/database.h"
#include "base/sql.h"

struct visitor {
	order_visit *visit;
	void *context;
};

static bool read_day(const char *text, calendar_day *day_out)
{
	*day_out = CALENDAR_NEVER;
	return text[0] == '\0' || calendar_parse_day(text, day_out);
}

static bool visit_row(void *context, const char *const *columns, struct error *err)
{
	const struct visitor *visitor = context;
	struct account_orders orders = {.is_paused = strcmp(columns[1], "0") != 0};
	if (!read_day(columns[2], &orders.let_go_day) ||
		!read_day(columns[3], &orders.let_go_month)) {
		return error_set(err, ERROR_INVALID,
			"state database: orders for destination \"%s\" are invalid", columns[0]);
	}
	visitor->visit(visitor->context, columns[0], &orders);
	return true;
}

bool order_rows_load(
	struct sqlite3 *connection, order_visit *visit, void *context, struct error *err)
{
	struct visitor visitor = {visit, context};
	return database_execute(connection,
		       "CREATE TABLE IF NOT EXISTS destination_orders ("
		       "destination TEXT NOT NULL PRIMARY KEY, is_paused INTEGER NOT NULL, "
		       "let_go_day TEXT NOT NULL, let_go_month TEXT NOT NULL)",
		       err) &&
	       sql_run(connection,
		       "SELECT destination, is_paused, let_go_day, let_go_month "
		       "FROM destination_orders",
		       NULL, 0, visit_row, &visitor, err);
}

static const char *day_text(calendar_day day, char text_out[CALENDAR_DAY_TEXT_SIZE])
{
	return day == CALENDAR_NEVER ? "" : calendar_format_day(day, text_out);
}

bool order_rows_store(struct sqlite3 *connection, const char *destination,
	const struct account_orders *orders, struct error *err)
{
	char day[CALENDAR_DAY_TEXT_SIZE], month[CALENDAR_DAY_TEXT_SIZE];
	const char *parameters[] = {destination, orders->is_paused ? "1" : "0",
		day_text(orders->let_go_day, day), day_text(orders->let_go_month, month)};
	return sql_run(connection,
		"INSERT OR REPLACE INTO destination_orders "
		"(destination, is_paused, let_go_day, let_go_month) VALUES (?1, ?2, ?3, ?4)",
		parameters, 4, NULL, NULL, err);
}
