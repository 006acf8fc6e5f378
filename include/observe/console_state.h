/*
 * console_state: the inside of the console, for the files that make it up (console.c,
 * console_orders.c) and nobody else.
 */
#ifndef OBSERVE_CONSOLE_STATE_H
#define OBSERVE_CONSOLE_STATE_H

#include "observe/console.h"

struct console {
	struct loop *loop;
	struct cluster *cluster;
	char *admin_users;
	struct console_orders orders;
	struct snapshot_sources sources;
	struct console_service service;
};

#endif
