/*
 * named_files: what the files hold that a configuration names, read before any of it is taken.
 */
#ifndef APP_NAMED_FILES_H
#define APP_NAMED_FILES_H

#include "app/access.h"
#include "app/alerting.h"
#include "app/config.h"
#include "base/error.h"

#include <stdbool.h>

struct named_files {
	struct access access;
	struct alerting_secrets secrets;
};

/* false: the report says why, and nothing is held. Else both belong to the caller. */
bool named_files_load(const struct config *config, struct config_report *report,
	struct named_files *named_out) MUST_CHECK;

#endif
