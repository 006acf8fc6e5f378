/*
 * config_options: the table of options, in the order of the manual.
 */
#include "app/config_options.h"

#include "base/edit_distance.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define MS     INT64_C(1000)
#define SECOND (1000 * MS)
#define MINUTE (60 * SECOND)
#define HOUR   (60 * MINUTE)
#define DAY    (24 * HOUR)
#define KB     INT64_C(1024)
#define MB     (1024 * KB)
#define NO_END INT64_MAX

/* The lowest cap that still lets keepalives through: 8 kbit/s. */
#define RATE_MIN INT64_C(1000)

#define IN(member)             offsetof(struct config, member)
#define IN_DESTINATION(member) offsetof(struct config_destination, member)

static const char *const section_names[] = {
	[CONFIG_RELAY] = "relay",
	[CONFIG_UPSTREAM] = "upstream",
	[CONFIG_SPOOL] = "spool",
	[CONFIG_LINK] = "link",
	[CONFIG_DESTINATION] = "destination",
	[CONFIG_EGRESS] = "egress",
	[CONFIG_ALERTS] = "alerts",
};
_Static_assert(sizeof(section_names) / sizeof(section_names[0]) == CONFIG_SECTIONS,
	"a section has no name");

/* Each in the order of its enum. */
static const char *const tls_versions[] = {"1.2", "1.3", NULL};
static const char *const log_levels[] = {"debug", "info", "warning", "error", NULL};
static const char *const log_formats[] = {"text", "json", NULL};
static const char *const remote_applies[] = {"standbys", "flush", NULL};
static const char *const forwards[] = {"received", "flushed", NULL};
static const char *const compressions[] = {"zstd", "none", NULL};
static const char *const providers[] = {"aws", "rackspace", "other", NULL};
static const char *const mail_schemes[] = {"smtp", "smtps", NULL};
static const char *const web_schemes[] = {"https", "http", NULL};

/* clang-format off */
const struct config_option config_options[] = {
{CONFIG_RELAY, "name", &config_type_name, IN(relay.name), CONFIG_REQUIRED | CONFIG_RESTART},
{CONFIG_RELAY, "listen", &config_type_addresses, IN(relay.listen), CONFIG_RESTART, "0.0.0.0:6433"},
{CONFIG_RELAY, "data_dir", &config_type_path, IN(relay.data_dir), CONFIG_REQUIRED | CONFIG_RESTART},
{CONFIG_RELAY, "http_listen", &config_type_addresses, IN(relay.http_listen),
	CONFIG_EMPTY_OK | CONFIG_RESTART, "127.0.0.1:9871"},
{CONFIG_RELAY, "page_url", &config_type_url, IN(relay.page_url), CONFIG_EMPTY_OK | CONFIG_RESTART, "",
	.names = web_schemes},
{CONFIG_RELAY, "auth_file", &config_type_path, IN(relay.auth_file), CONFIG_EMPTY_OK, ""},
{CONFIG_RELAY, "hba_file", &config_type_path, IN(relay.hba_file), CONFIG_EMPTY_OK, ""},
{CONFIG_RELAY, "tls_cert", &config_type_path, IN(relay.tls_cert), CONFIG_EMPTY_OK, ""},
{CONFIG_RELAY, "tls_key", &config_type_path, IN(relay.tls_key), CONFIG_EMPTY_OK, ""},
{CONFIG_RELAY, "tls_client_ca", &config_type_path, IN(relay.tls_client_ca), CONFIG_EMPTY_OK, ""},
{CONFIG_RELAY, "tls_crl", &config_type_path, IN(relay.tls_crl), CONFIG_EMPTY_OK, ""},
{CONFIG_RELAY, "tls_min_version", &config_type_choice, IN(relay.tls_min_version), 0, "1.2",
	.names = tls_versions},
{CONFIG_RELAY, "admin_users", &config_type_name_list, IN(relay.admin_users), CONFIG_EMPTY_OK, ""},
{CONFIG_RELAY, "max_connections", &config_type_integer, IN(relay.max_connections), 0, "1000",
	1, 65536},
{CONFIG_RELAY, "max_connections_per_address", &config_type_integer,
	IN(relay.max_connections_per_address), 0, "0", 0, 65536},
{CONFIG_RELAY, "authentication_timeout", &config_type_time, IN(relay.authentication_timeout_us), 0,
	"60s", 1 * SECOND, 10 * MINUTE},
{CONFIG_RELAY, "wal_sender_timeout", &config_type_time, IN(relay.wal_sender_timeout_us), 0, "60s",
	0, 24 * DAY},
{CONFIG_RELAY, "proxy_protocol", &config_type_bool, IN(relay.proxy_protocol), 0, "off"},
{CONFIG_RELAY, "proxy_from", &config_type_networks, IN(relay.proxy_from), CONFIG_EMPTY_OK, ""},
{CONFIG_RELAY, "sender_threads", &config_type_integer, IN(relay.sender_threads), CONFIG_RESTART,
	"0", 0, 256},
{CONFIG_RELAY, "log_level", &config_type_choice, IN(relay.log_level), 0, "info",
	.names = log_levels},
{CONFIG_RELAY, "log_format", &config_type_choice, IN(relay.log_format), 0, "text",
	.names = log_formats},
{CONFIG_RELAY, "log_file", &config_type_path, IN(relay.log_file), CONFIG_EMPTY_OK, ""},

{CONFIG_UPSTREAM, "conninfo", &config_type_conninfo, IN(upstream.conninfo),
	CONFIG_REQUIRED | CONFIG_SECRET},
{CONFIG_UPSTREAM, "slot", &config_type_slot, IN(upstream.slot), CONFIG_DERIVED, ""},
{CONFIG_UPSTREAM, "start", &config_type_start, IN(upstream.start), 0, "redo"},
{CONFIG_UPSTREAM, "acknowledge", &config_type_acknowledge, IN(upstream.acknowledge), 0, "relay"},
{CONFIG_UPSTREAM, "acknowledge_timeout", &config_type_time, IN(upstream.acknowledge_timeout_us), 0,
	"10s", 100 * MS, 1 * HOUR},
{CONFIG_UPSTREAM, "remote_apply", &config_type_choice, IN(upstream.remote_apply), 0, "standbys",
	.names = remote_applies},
{CONFIG_UPSTREAM, "forward", &config_type_choice, IN(upstream.forward), CONFIG_RESTART, "received",
	.names = forwards},
{CONFIG_UPSTREAM, "wal_receiver_timeout", &config_type_time, IN(upstream.wal_receiver_timeout_us),
	0, "60s", 0, 24 * DAY},
{CONFIG_UPSTREAM, "wal_receiver_status_interval", &config_type_time,
	IN(upstream.wal_receiver_status_interval_us), 0, "10s", 100 * MS, 1 * HOUR},

{CONFIG_SPOOL, "retain_size", &config_type_size, IN(spool.retain_bytes), 0, "16GB", 0, NO_END},
{CONFIG_SPOOL, "retain_time", &config_type_time, IN(spool.retain_us), 0, "24h", 0, 3650 * DAY},
{CONFIG_SPOOL, "max_size", &config_type_size, IN(spool.max_bytes), 0, "100GB", 4 * MB, NO_END},
{CONFIG_SPOOL, "min_free", &config_type_size, IN(spool.min_free_bytes), 0, "1GB", 0, NO_END},

{CONFIG_LINK, "compression", &config_type_choice, IN(link.compression), CONFIG_RESTART, "zstd",
	.names = compressions},
{CONFIG_LINK, "recompress", &config_type_bool, IN(link.recompress), CONFIG_RESTART, "on"},
{CONFIG_LINK, "level", &config_type_level, IN(link.level), CONFIG_RESTART, "auto"},
{CONFIG_LINK, "lanes", &config_type_lanes, IN(link.lanes), CONFIG_RESTART, "auto"},
{CONFIG_LINK, "congestion", &config_type_word, IN(link.congestion), CONFIG_EMPTY_OK | CONFIG_RESTART,
	"bbr"},
{CONFIG_LINK, "reference", &config_type_size, IN(link.reference_bytes), 0, "2GB", 0, NO_END},

{CONFIG_DESTINATION, "match", &config_type_matches, IN_DESTINATION(match), CONFIG_REQUIRED},
{CONFIG_DESTINATION, "provider", &config_type_choice, IN_DESTINATION(provider), 0, "other",
	.names = providers},
{CONFIG_DESTINATION, "rate_cap", &config_type_rate, IN_DESTINATION(rate_cap_bytes), CONFIG_EMPTY_OK,
	"", RATE_MIN, NO_END},
{CONFIG_DESTINATION, "rate_schedule", &config_type_rate_schedule, IN_DESTINATION(rate_schedule),
	CONFIG_EMPTY_OK, ""},
{CONFIG_DESTINATION, "daily_limit", &config_type_size, IN_DESTINATION(daily_limit_bytes),
	CONFIG_EMPTY_OK, "", 1, NO_END},
{CONFIG_DESTINATION, "monthly_limit", &config_type_size, IN_DESTINATION(monthly_limit_bytes),
	CONFIG_EMPTY_OK, "", 1, NO_END},
{CONFIG_DESTINATION, "warn_at", &config_type_percent, IN_DESTINATION(warn_at_basis_points), 0,
	"80%", 100, 10000},
{CONFIG_DESTINATION, "over_limit", &config_type_over_limit, IN_DESTINATION(over_limit), 0, "alert"},
{CONFIG_DESTINATION, "price_per_gb", &config_type_prices, IN_DESTINATION(price_per_gb), 0, "0"},
{CONFIG_DESTINATION, "price_in_per_gb", &config_type_prices, IN_DESTINATION(price_in_per_gb), 0,
	"0"},
{CONFIG_DESTINATION, "priority", &config_type_integer, IN_DESTINATION(priority), 0, "0",
	-1000, 1000},

{CONFIG_EGRESS, "rate_cap", &config_type_rate, IN(egress.rate_cap_bytes), CONFIG_EMPTY_OK, "",
	RATE_MIN, NO_END},
{CONFIG_EGRESS, "time_zone", &config_type_time_zone, IN(egress.time_zone), 0, "UTC"},
{CONFIG_EGRESS, "currency", &config_type_currency, IN(egress.currency), 0, "USD"},
{CONFIG_EGRESS, "billing_gb", &config_type_billing_gb, IN(egress.billing_gb_bytes), 0, "2^30"},
{CONFIG_EGRESS, "ip_ranges", &config_type_path_or_url, IN(egress.ip_ranges), CONFIG_EMPTY_OK, "",
	.names = web_schemes},

{CONFIG_ALERTS, "smtp_url", &config_type_url, IN(alerts.smtp_url), CONFIG_EMPTY_OK | CONFIG_SECRET,
	"", .names = mail_schemes},
{CONFIG_ALERTS, "mail_from", &config_type_mail_list, IN(alerts.mail_from), CONFIG_EMPTY_OK, ""},
{CONFIG_ALERTS, "mail_to", &config_type_mail_list, IN(alerts.mail_to), CONFIG_EMPTY_OK, ""},
{CONFIG_ALERTS, "smtp_user", &config_type_name, IN(alerts.smtp_user), CONFIG_EMPTY_OK, ""},
{CONFIG_ALERTS, "smtp_password_file", &config_type_path, IN(alerts.smtp_password_file),
	CONFIG_EMPTY_OK, ""},
{CONFIG_ALERTS, "webhook_url", &config_type_url, IN(alerts.webhook_url),
	CONFIG_EMPTY_OK | CONFIG_SECRET, "", .names = web_schemes},
{CONFIG_ALERTS, "webhook_token_file", &config_type_path, IN(alerts.webhook_token_file),
	CONFIG_EMPTY_OK, ""},
{CONFIG_ALERTS, "ca_file", &config_type_path, IN(alerts.ca_file), CONFIG_EMPTY_OK, ""},
{CONFIG_ALERTS, "repeat_every", &config_type_time, IN(alerts.repeat_every_us), 0, "6h",
	1 * MINUTE, 365 * DAY},
{CONFIG_ALERTS, "lag_bytes", &config_type_size, IN(alerts.lag_bytes), CONFIG_EMPTY_OK, "",
	1, NO_END},
{CONFIG_ALERTS, "lag_time", &config_type_time, IN(alerts.lag_time_us), CONFIG_EMPTY_OK, "",
	1 * SECOND, 365 * DAY},
{CONFIG_ALERTS, "spool_free", &config_type_size, IN(alerts.spool_free_bytes), CONFIG_EMPTY_OK, "",
	1, NO_END},
};
/* clang-format on */

const size_t config_option_count = sizeof(config_options) / sizeof(config_options[0]);

const char *config_section_name(enum config_section section)
{
	assert((unsigned)section < CONFIG_SECTIONS);
	return section_names[section];
}

bool config_section_find(const char *name, enum config_section *section_out)
{
	for (unsigned i = 0; i < CONFIG_SECTIONS; i++) {
		if (strcmp(section_names[i], name) == 0) {
			*section_out = (enum config_section)i;
			return true;
		}
	}
	return false;
}

enum config_section config_section_nearest(const char *name)
{
	return (enum config_section)edit_distance_nearest(name, section_names, CONFIG_SECTIONS);
}

const struct config_option *config_option_find(enum config_section section, const char *key)
{
	for (size_t i = 0; i < config_option_count; i++) {
		if (config_options[i].section == section &&
			strcmp(config_options[i].key, key) == 0) {
			return &config_options[i];
		}
	}
	return NULL;
}

const struct config_option *config_option_nearest(enum config_section section, const char *key)
{
	const char *keys[sizeof(config_options) / sizeof(config_options[0])];
	const struct config_option *first = NULL;
	size_t count = 0;

	for (size_t i = 0; i < config_option_count; i++) {
		if (config_options[i].section == section) {
			first = first == NULL ? &config_options[i] : first;
			keys[count++] = config_options[i].key;
		}
	}
	assert(first != NULL);
	/* A section's rows stand together. */
	return first + edit_distance_nearest(key, keys, count);
}
