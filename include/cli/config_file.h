/*
 * config_file: the configuration that a command is given, read with libpq's judgement of connection
 * strings.
 */
#ifndef CLI_CONFIG_FILE_H
#define CLI_CONFIG_FILE_H

#include "app/config.h"

#include <stdbool.h>

/* What libpq says of connection strings. */
extern const struct config_conninfo config_file_conninfo;

/* The caller's to free; NULL: it has errors, which were told on standard error. tells_warnings: so
 * are the warnings of one that is right. */
struct config *config_file_load(const char *path, bool tells_warnings);

#endif
