/*
 * set_aside: gives what a data directory holds other names, so that the relay begins afresh and
 * nothing is lost.
 *
 *   wal, state.db, state.db-wal, state.db-shm  ->  wal.set-aside-20260102T030405Z, ...
 */
#ifndef CLI_SET_ASIDE_H
#define CLI_SET_ASIDE_H

#include "base/error.h"

#include <stdbool.h>
#include <stdint.h>

#define SET_ASIDE_SUFFIX_SIZE 32

/* now: seconds since 1970. */
void set_aside_suffix(int64_t now, char suffix_out[SET_ASIDE_SUFFIX_SIZE]);
/* What is not there is passed over. Nobody may have the files open. Durable before returning;
 * ERROR_CONFLICT before anything is done when a new name is taken. */
bool set_aside(const char *data_directory, const char *suffix, struct error *err) MUST_CHECK;

#endif
