/*
 * alerting: translates the configuration, and takes a snapshot a second.
 */
#include "app/alerting.h"

#include <stdlib.h>

#include "app/certificate_dates.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/wall_clock.h"
#include "observe/recorder.h"

#define LOOK_US INT64_C(1000000)

enum { DEADLINE_LOOK, DEADLINES };

struct alerting {
	struct loop *loop;
	struct alerts *alerts;
	char *relay_name; /* a reload does not change it */
	struct snapshot_sources sources;
	struct recorder *recorder;
	struct deadlines deadlines;
};

struct certificate_list {
	struct alert_certificate items[2];
	size_t count;
};

static void add_certificate(struct certificate_list *list, const char *key, const char *path)
{
	int64_t not_after_us;
	if (path[0] != '\0' && certificate_dates_read(path, &not_after_us)) {
		list->items[list->count++] = (struct alert_certificate){path, key, not_after_us};
	}
}

/* As they are when they are loaded: a file that is replaced later is not in force yet. */
static struct certificate_list read_certificates(const struct config *config)
{
	struct certificate_list list = {.count = 0};
	add_certificate(&list, "tls_cert", config->relay.tls_cert);
	add_certificate(&list, "tls_client_ca", config->relay.tls_client_ca);
	return list;
}

/* Texts belong to the configuration, the secrets and the list. */
static struct alerts_options translate(const struct alerting *alerting, const struct config *config,
	const struct alerting_secrets *secrets, const struct certificate_list *certificates)
{
	const struct config_alerts *alerts = &config->alerts;
	return (struct alerts_options){
		.repeat_every_us = alerts->repeat_every_us,
		.thresholds =
			{
				.lag_bytes = alerts->lag_bytes,
				.lag_time_us = alerts->lag_time_us,
				.spool_free_bytes = alerts->spool_free_bytes,
				.spool_max_bytes = config->spool.max_bytes,
			},
		.certificates = certificates->items,
		.certificate_count = certificates->count,
		.delivery =
			{
				.relay_name = alerting->relay_name,
				.smtp_url = alerts->smtp_url,
				.mail_from = alerts->mail_from,
				.mail_to = alerts->mail_to,
				.smtp_user = alerts->smtp_user,
				.smtp_password = secrets->smtp_password,
				.webhook_url = alerts->webhook_url,
				.webhook_token = secrets->webhook_token,
				.ca_file = alerts->ca_file,
			},
	};
}

static void on_deadline(void *context, int reason)
{
	struct alerting *alerting = context;
	struct snapshot snapshot;
	snapshot_take(&alerting->sources, &snapshot);
	recorder_take(alerting->recorder, &snapshot);
	alerts_look(alerting->alerts, &snapshot, wall_clock_unix_us());
	snapshot_release(&snapshot);
	log_tell_repeats(false);
	deadlines_set(&alerting->deadlines, reason, loop_now_us(alerting->loop) + LOOK_US);
}

struct alerting *alerting_new(struct loop *loop, struct database *database,
	const struct config *config, const struct alerting_secrets *secrets, struct error *err)
{
	struct alerting *alerting = memory_new(sizeof(*alerting));
	struct certificate_list certificates = read_certificates(config);
	alerting->loop = loop;
	alerting->recorder = recorder_new();
	alerting->relay_name = memory_copy_text(config->relay.name);
	struct alerts_options options = translate(alerting, config, secrets, &certificates);
	alerting->alerts = alerts_open(loop, database, &options, err);
	if (alerting->alerts == NULL || !deadlines_init(&alerting->deadlines, loop, DEADLINES,
						on_deadline, alerting, err)) {
		alerting_free(&alerting);
	}
	return alerting;
}

void alerting_start(struct alerting *alerting, const struct snapshot_sources *sources)
{
	alerting->sources = *sources;
	deadlines_set(&alerting->deadlines, DEADLINE_LOOK, loop_now_us(alerting->loop) + LOOK_US);
}

void alerting_stop(struct alerting *alerting)
{
	deadlines_clear(&alerting->deadlines, DEADLINE_LOOK);
}

void alerting_free(struct alerting **alerting)
{
	struct alerting *gone = *alerting;
	if (gone == NULL) {
		return;
	}
	*alerting = NULL;
	deadlines_release(&gone->deadlines);
	alerts_close(&gone->alerts);
	recorder_free(&gone->recorder);
	free(gone->relay_name);
	free(gone);
}

void alerting_reload(struct alerting *alerting, const struct config *config,
	const struct alerting_secrets *secrets)
{
	struct certificate_list certificates = read_certificates(config);
	struct alerts_options options = translate(alerting, config, secrets, &certificates);
	alerts_configure(alerting->alerts, &options);
}

struct alerts *alerting_alerts(struct alerting *alerting)
{
	return alerting->alerts;
}

const struct recorder *alerting_recorder(const struct alerting *alerting)
{
	return alerting->recorder;
}
