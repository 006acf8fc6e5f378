/*
 * setting_names: which settings (GUCs) a client may name in its startup packet.
 *
 * Source: pg_settings of PostgreSQL 13 to 18, contexts user, superuser, backend and
 * superuser-backend, and those it does not show; src/backend/utils/misc/guc_tables.c.
 */
#ifndef DOWNSTREAM_SETTING_NAMES_H
#define DOWNSTREAM_SETTING_NAMES_H

#include <stdbool.h>

/* In any case of letters; also a name that could be an extension's ("prefix.name"). */
bool setting_is_known(const char *name);

#endif
