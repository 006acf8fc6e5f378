/*
 * operator_orders: carries out what an operator orders at the console.
 *
 * On the main loop. What stays in force over a restart (a pause, a pin, a dropped slot) is stored;
 * a cap is not, and ends with the next reload.
 */
#ifndef APP_OPERATOR_ORDERS_H
#define APP_OPERATOR_ORDERS_H

#include "app/config.h"
#include "base/error.h"
#include "downstream/console_service.h"
#include "net/loop.h"
#include "observe/snapshot.h"

#include <stdbool.h>

struct cluster;
struct operator_orders;

struct operator_options {
	struct loop *loop; /* the main one */
	struct cluster *cluster;
	bool (*reload)(void *context, struct error *err);
	const struct config *(*config)(void *context); /* in force */
	void *context;
};

/* With a console for them. */
struct operator_orders *operator_orders_new(const struct operator_options *options);
/* Once sessions of the console and the loop are gone. Accepts NULL, sets NULL. */
void operator_orders_free(struct operator_orders **orders);
/* Before the first session comes: what there is to be shown and ordered. It outlives the last one.
 */
void operator_orders_connect(
	struct operator_orders *orders, const struct snapshot_sources *sources);
/* The configuration in force is another. */
void operator_orders_reload(struct operator_orders *orders);
/* For downstream; valid as long as the orders. */
const struct console_service *operator_orders_console(const struct operator_orders *orders);

#endif
