/*
 * server_error: a server's error, or a result nobody expected, as one of ours.
 */
#ifndef UPSTREAM_SERVER_ERROR_H
#define UPSTREAM_SERVER_ERROR_H

#include "base/error.h"

#include <libpq-fe.h>

/* "context: primary message" with SQLSTATE, detail and hint where the server gave them. Returns
 * false. */
bool server_error_set(struct error *err, const PGresult *result, const char *format, ...)
	PRINTF_LIKE(3, 4);

#endif
