/*
 * config_helpers: a configuration from a text, with stand-ins for what only libpq can tell.
 */
#ifndef UNIT_APP_CONFIG_HELPERS_H
#define UNIT_APP_CONFIG_HELPERS_H

#include "app/config.h"

#define MINIMAL                                                                                    \
	"[relay]\nname = hub\ndata_dir = /d\n"                                                     \
	"[upstream]\nconninfo = host=db1\n"

extern const struct config_conninfo fake_conninfo;

/* In directory /etc/walrelay, as file "w.ini". problems_out: what the report says, one a line. */
struct config *parse_text(const char *text, char **problems_out);
/* text has no problems, and this is what it holds. */
struct config *parse_valid(const char *text);
/* text has exactly these problems, of which at least one is an error. */
void check_refused(const char *text, const char *problems);
/* text is accepted with exactly these warnings. */
void check_warned(const char *text, const char *problems);
/* What config_write() writes; free() it. */
char *written(const struct config *config);

#endif
