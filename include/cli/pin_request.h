/*
 * pin_request: what `walrelay pin` is asked for, and the actions that need EC2.
 */
#ifndef CLI_PIN_REQUEST_H
#define CLI_PIN_REQUEST_H

#include "base/error.h"
#include "cli/pg_control.h"
#include "protocol/lsn.h"

#include <stdbool.h>
#include <stddef.h>

#define PIN_STATEMENT_SIZE 512

struct pin_request {
	const char *config_file;
	const char *conninfo;
	const char *lsn_text;
	const char *data_directory;
	const char *time;
	const char *action; /* add, list, drop, snapshot, prune */
	const char *name;
	const char *volume;
	const char *region;       /* NULL: of the environment */
	const char *profile;      /* NULL: as AWS's tools choose it */
	const char *endpoint_url; /* NULL: AWS's own */
	bool is_waited;
	struct pg_control control; /* with data_directory */
};

/* The LSN that is asked for; LSN_INVALID: none is. Checks the time too, and reads pg_control. */
bool pin_request_lsn(struct pin_request *request, lsn_t *lsn_out, struct error *err) MUST_CHECK;
/* "PIN ..."; lsn LSN_INVALID: without one. time: as PIN takes it. */
void pin_statement(
	const char *name, lsn_t lsn, const char *time, char statement_out[PIN_STATEMENT_SIZE]);
void pin_drop_statement(const char *name, char statement_out[PIN_STATEMENT_SIZE]);
/* On standard error; returns the exit code: the relay, or EC2, says no, or it failed. */
int pin_fail(const struct error *err);

/* Exit codes. */
int pin_snapshot(struct pin_request *request);
int pin_prune(const struct pin_request *request);

#endif
