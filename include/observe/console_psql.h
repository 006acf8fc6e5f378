/*
 * console_psql: the two queries that psql makes up by itself and the console can answer: what
 * \gdesc asks, and the completion of SHOW.
 *
 * Source: DescribeQuery() of src/bin/psql/common.c and Query_for_list_of_show_vars of
 * src/bin/psql/tab-complete.c, PostgreSQL 13 to 18. Pure.
 */
#ifndef OBSERVE_CONSOLE_PSQL_H
#define OBSERVE_CONSOLE_PSQL_H

#include "observe/console_result.h"

#include <stdbool.h>

/* false: it is neither of them, and nothing is made. */
bool console_psql_answer(const char *text, size_t length, struct console_result *result_out);

#endif
