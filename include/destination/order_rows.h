/*
 * order_rows: what operators said by hand of destinations, as rows of the state database. For
 * database jobs, on the database's thread.
 */
#ifndef DESTINATION_ORDER_ROWS_H
#define DESTINATION_ORDER_ROWS_H

#include "base/error.h"
#include "destination/account.h"

#include <stdbool.h>

struct sqlite3;

typedef void order_visit(
	void *context, const char *destination, const struct account_orders *orders);

/* Creates the table on first use. */
bool order_rows_load(struct sqlite3 *connection, order_visit *visit, void *context,
	struct error *err) MUST_CHECK;
bool order_rows_store(struct sqlite3 *connection, const char *destination,
	const struct account_orders *orders, struct error *err) MUST_CHECK;

#endif
