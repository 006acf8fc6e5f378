/*
 * config_rules: the checks between options.
 */
#include "app/config_rules.h"

#include "app/config_options.h"
#include "base/memory.h"

#include <stdlib.h>
#include <string.h>

#define SLOT_PREFIX    "walrelay_"
#define SLOT_BYTES_MAX 63

static void derive_slot(struct config *config)
{
	char slot[SLOT_BYTES_MAX + 1];

	(void)snprintf(slot, sizeof(slot), SLOT_PREFIX "%s", config->relay.name);
	for (char *c = slot; *c != '\0'; c++) {
		if (*c >= 'A' && *c <= 'Z') {
			*c = (char)(*c - 'A' + 'a');
		} else if (!(*c >= 'a' && *c <= 'z') && !(*c >= '0' && *c <= '9')) {
			*c = '_';
		}
	}
	free(config->upstream.slot);
	config->upstream.slot = memory_copy_text(slot);
}

static bool is_empty(const char *text)
{
	return *text == '\0';
}

/* key needs other, which is missing. */
static void require(const struct config *config, struct config_report *report, const char *section,
	const char *key, const char *other)
{
	config_report_error(report, config->file, config_line(config, section, key),
		"\"%s\" in [%s] needs \"%s\", which is not set", key, section, other);
}

static void check_pair(const struct config *config, struct config_report *report,
	const char *section, const char *keys[2], const char *a, const char *b)
{
	if (!is_empty(a) && is_empty(b)) {
		require(config, report, section, keys[0], keys[1]);
	}
	if (is_empty(a) && !is_empty(b)) {
		require(config, report, section, keys[1], keys[0]);
	}
}

static void check_relay(const struct config *config, struct config_report *report)
{
	const struct config_relay *relay = &config->relay;

	check_pair(config, report, "relay", (const char *[]){"tls_cert", "tls_key"},
		relay->tls_cert, relay->tls_key);
	if (!is_empty(relay->tls_client_ca) && is_empty(relay->tls_cert)) {
		require(config, report, "relay", "tls_client_ca", "tls_cert");
	}
	if (!is_empty(relay->tls_crl) && is_empty(relay->tls_client_ca)) {
		require(config, report, "relay", "tls_crl", "tls_client_ca");
	}
	if (relay->proxy_protocol && is_empty(relay->proxy_from)) {
		require(config, report, "relay", "proxy_protocol", "proxy_from");
	}
}

static void check_alerts(const struct config *config, struct config_report *report)
{
	const struct config_alerts *alerts = &config->alerts;

	if (!is_empty(alerts->smtp_url) && is_empty(alerts->mail_from)) {
		require(config, report, "alerts", "smtp_url", "mail_from");
	}
	check_pair(config, report, "alerts", (const char *[]){"smtp_user", "smtp_password_file"},
		alerts->smtp_user, alerts->smtp_password_file);
	check_pair(config, report, "alerts", (const char *[]){"smtp_url", "mail_to"},
		alerts->smtp_url, alerts->mail_to);
	if (!is_empty(alerts->webhook_token_file) && is_empty(alerts->webhook_url)) {
		require(config, report, "alerts", "webhook_token_file", "webhook_url");
	}
	if (strchr(alerts->mail_from, ',') != NULL) {
		config_report_error(report, config->file,
			config_line(config, "alerts", "mail_from"),
			"invalid value \"%s\" for \"mail_from\" in [alerts]: expected one mail "
			"address",
			alerts->mail_from);
	}
}

static void check_spool(const struct config *config, struct config_report *report)
{
	const struct config_spool *spool = &config->spool;

	if (config_is_set(config, "spool", "retain_size") &&
		spool->retain_bytes > spool->max_bytes) {
		config_report_warning(report, config->file,
			config_line(config, "spool", "retain_size"),
			"\"retain_size\" is more than \"max_size\", which wins");
	}
}

static void check_destination(const struct config *config,
	const struct config_destination *destination, struct config_report *report)
{
	char section[CONFIG_SECTION_SIZE];

	config_destination_section(destination, section);
	if (destination->over_limit.action != CONFIG_ALERT && destination->daily_limit_bytes == 0 &&
		destination->monthly_limit_bytes == 0) {
		config_report_warning(report, config->file,
			config_line(config, section, "over_limit"),
			"\"over_limit\" in [%s] has no effect without \"daily_limit\" or "
			"\"monthly_limit\"",
			section);
	}
}

void config_apply_rules(struct config *config, struct config_report *report)
{
	if (!config_is_set(config, "upstream", "slot")) {
		derive_slot(config);
	}
	check_relay(config, report);
	check_spool(config, report);
	check_alerts(config, report);
	for (size_t i = 0; i < config->destination_count; i++) {
		check_destination(config, &config->destinations[i], report);
	}
}
