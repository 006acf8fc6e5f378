/*
 * cli_helpers: what a command prints, a directory to work in, and configurations made by hand.
 */
#ifndef UNIT_CLI_CLI_HELPERS_H
#define UNIT_CLI_CLI_HELPERS_H

#include "app/config.h"

/* Standard output and error of a call. */
struct captured {
	char *out;
	char *err;
};
void capture_begin(void);
void capture_end(struct captured *captured_out);
void captured_release(struct captured *captured);

/* An empty directory, the working one until scratch_leave() removes it with all that is in it. */
void scratch_enter(void);
void scratch_leave(void);
/* As setup and teardown of a test. */
int scratch_set_up(void **state);
int scratch_tear_down(void **state);
const char *scratch_path(void);
void scratch_write(const char *name, const char *text, unsigned mode);
/* NULL: no such file; else its text; free() it. */
char *scratch_read(const char *name);

/* Of the text, in the scratch directory, as file "w.ini". */
struct config *scratch_config(const char *text);
/* The report as text, scratch directory shown as "."; free() it. Releases the report. */
char *report_text(struct config_report *report);

#endif
