/*
 * alerting: what the configuration says of alerts, with the files it names, and the timer by which
 * the relay looks at itself.
 *
 * On the main loop.
 */
#ifndef APP_ALERTING_H
#define APP_ALERTING_H

#include "app/config.h"
#include "app/config_report.h"
#include "base/error.h"
#include "net/loop.h"
#include "observe/alerts.h"
#include "observe/snapshot.h"

struct alerting;
struct database;

/* What the files of [alerts] hold. */
struct alerting_secrets {
	char *smtp_password; /* never NULL once loaded; "": none */
	char *webhook_token;
};

/* Problems go into the report, without what was read; false when there is an error. */
bool alerting_load(const struct config *config, struct config_report *report,
	struct alerting_secrets *secrets_out) MUST_CHECK;
void alerting_secrets_release(struct alerting_secrets *secrets);

struct alerting *alerting_new(struct loop *loop, struct database *database,
	const struct config *config, const struct alerting_secrets *secrets,
	struct error *err) MUST_CHECK;
/* Once there is something to look at; the sources outlive it (those of alerts are its own). */
void alerting_start(struct alerting *alerting, const struct snapshot_sources *sources);
/* The relay goes down: what ends now is no news. */
void alerting_stop(struct alerting *alerting);
/* While the database runs and the loop does not. Accepts NULL, sets NULL. */
void alerting_free(struct alerting **alerting);
void alerting_reload(struct alerting *alerting, const struct config *config,
	const struct alerting_secrets *secrets);

struct alerts *alerting_alerts(struct alerting *alerting);
/* Kept from alerting_start() on, by the same looks. */
const struct recorder *alerting_recorder(const struct alerting *alerting);

#endif
