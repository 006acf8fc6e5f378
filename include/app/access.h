/*
 * access: the files that say who may come in, loaded as the configuration names them.
 */
#ifndef APP_ACCESS_H
#define APP_ACCESS_H

#include "app/config.h"
#include "app/config_report.h"

#include <stdbool.h>

struct hba;
struct tls_context;
struct user_list;

struct access {
	struct hba *hba;
	struct user_list *users; /* empty without an auth_file */
	struct tls_context *tls; /* NULL without tls_cert */
};

/* Problems of all files go into the report; false when there is an error. */
bool access_load(const struct config *config, struct config_report *report,
	struct access *access_out) MUST_CHECK;
void access_release(struct access *access);

#endif
