/*
 * console_settings: the settings of PostgreSQL that clients ask a server for by SHOW, as the
 * console answers them. Pure.
 */
#ifndef OBSERVE_CONSOLE_SETTINGS_H
#define OBSERVE_CONSOLE_SETTINGS_H

#include "downstream/console_service.h"
#include "spool/cluster.h"

#define CONSOLE_SETTING_SIZE 160

/* name: in lower case. Returns the name as PostgreSQL spells it, NULL: it is not one of them. */
const char *console_setting_find(const char *name, const struct cluster_parameters *cluster,
	const struct console_peer *peer, char value_out[CONSOLE_SETTING_SIZE]);

#endif
