/*
 * check_alerts: whether alerts could be sent, as far as can be told without sending one.
 */
#include "app/alerting.h"
#include "app/certificate_dates.h"
#include "cli/check_rules.h"

#include <curl/curl.h>
#include <stdint.h>
#include <strings.h>

/* The URL itself may hold a secret: what is said of it does not repeat it. */
static void check_url(
	const struct config *config, const char *key, const char *url, struct config_report *report)
{
	CURLU *parsed;
	CURLUcode code;

	if (*url == '\0') {
		return;
	}
	parsed = curl_url();
	code = parsed == NULL ? CURLUE_OUT_OF_MEMORY : curl_url_set(parsed, CURLUPART_URL, url, 0);
	if (code != CURLUE_OK) {
		config_report_error(report, config->file, config_line(config, "alerts", key),
			"invalid URL for \"%s\" in [alerts]: %s", key, curl_url_strerror(code));
	}
	curl_url_cleanup(parsed);
}

static void check_plain_text(const struct config *config, struct config_report *report)
{
	const struct config_alerts *alerts = &config->alerts;

	if (*alerts->webhook_token_file != '\0' &&
		strncasecmp(alerts->webhook_url, "http:", 5) == 0) {
		config_report_warning(report, config->file,
			config_line(config, "alerts", "webhook_token_file"),
			"\"webhook_token_file\" goes over \"webhook_url\" in clear: use https");
	}
}

void check_alerts(const struct config *config, struct config_report *report)
{
	const struct config_alerts *alerts = &config->alerts;
	struct alerting_secrets secrets;
	int64_t not_after_us;

	check_url(config, "smtp_url", alerts->smtp_url, report);
	check_url(config, "webhook_url", alerts->webhook_url, report);
	check_plain_text(config, report);
	if (*alerts->ca_file != '\0' && !certificate_dates_read(alerts->ca_file, &not_after_us)) {
		config_report_error(report, config->file, config_line(config, "alerts", "ca_file"),
			"\"%s\" (\"ca_file\") cannot be read or holds no certificate in PEM",
			alerts->ca_file);
	}
	if (alerting_load(config, report, &secrets)) {
		alerting_secrets_release(&secrets);
	}
}
