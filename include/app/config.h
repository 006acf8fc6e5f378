/*
 * config: the configuration file, parsed and validated into typed fields.
 *
 * Loading never stops at the first fault: every one goes into the report with file and line, and a
 * configuration that has one is refused as a whole. A loaded configuration is immutable. Paths are
 * absolute (a relative one is relative to the directory of the file that names it), sizes in bytes,
 * rates in bytes a second, times in microseconds. Only app/ and cli/ see it: each module is handed
 * its own options.
 */
#ifndef APP_CONFIG_H
#define APP_CONFIG_H

#include "app/config_report.h"
#include "base/error.h"
#include "base/log.h"
#include "protocol/lsn.h"
#include "upstream/upstream.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/socket.h>

enum config_tls_version { CONFIG_TLS_1_2, CONFIG_TLS_1_3 };

struct config_relay {
	char *name;
	char *listen; /* valid for listener_open() */
	char *data_dir;
	char *http_listen; /* likewise; "": off */
	char *page_url;    /* where people reach it; "": not told */
	char *auth_file;   /* "": no users */
	char *hba_file;    /* "": the built-in rules */
	char *tls_cert;    /* "": no TLS */
	char *tls_key;
	char *tls_client_ca; /* "": clients are not asked for certificates */
	char *tls_crl;       /* "": no revocations */
	enum config_tls_version tls_min_version;
	char *admin_users; /* comma-separated */
	unsigned max_connections;
	unsigned max_connections_per_address; /* 0: no limit */
	int64_t authentication_timeout_us;
	int64_t wal_sender_timeout_us; /* 0: off */
	bool proxy_protocol;
	char *proxy_from;        /* comma-separated CIDRs; "": nobody */
	unsigned sender_threads; /* 0: one per core */
	enum log_level log_level;
	enum log_format log_format;
	char *log_file; /* "": standard error */
};

struct config_start {
	enum upstream_start kind;
	lsn_t lsn; /* with UPSTREAM_START_LSN */
};

struct config_acknowledge {
	unsigned standbys; /* 0: relay, what our own disk holds */
};

enum config_remote_apply { CONFIG_REMOTE_APPLY_STANDBYS, CONFIG_REMOTE_APPLY_FLUSH };
enum config_forward { CONFIG_FORWARD_RECEIVED, CONFIG_FORWARD_FLUSHED };

struct config_upstream {
	char *conninfo;
	char *slot; /* "": none */
	struct config_start start;
	struct config_acknowledge acknowledge;
	int64_t acknowledge_timeout_us;
	enum config_remote_apply remote_apply;
	enum config_forward forward;
	int64_t wal_receiver_timeout_us; /* 0: off */
	int64_t wal_receiver_status_interval_us;
};

struct config_spool {
	uint64_t retain_bytes;
	int64_t retain_us;
	uint64_t max_bytes; /* 0: no limit */
	uint64_t min_free_bytes;
};

enum config_compression { CONFIG_COMPRESSION_ZSTD, CONFIG_COMPRESSION_NONE };

struct config_level {
	bool is_auto;
	int level; /* when it is not */
};

struct config_link {
	enum config_compression compression;
	bool recompress; /* images that PostgreSQL compressed */
	struct config_level level;
	struct config_level lanes; /* connections; its level is their number */
	char *congestion;          /* "": the system's */
	uint64_t reference_bytes;
};

enum config_match_kind {
	CONFIG_MATCH_NETWORK,
	CONFIG_MATCH_AWS_REGION,
	CONFIG_MATCH_USER,
	CONFIG_MATCH_APPLICATION,
};

struct config_network {
	sa_family_t family;
	uint8_t address[16]; /* 4 or 16 bytes of it, host bits zero */
	unsigned prefix_bits;
};

struct config_match {
	enum config_match_kind kind;
	struct config_network network;
	char *text; /* region, user or application */
};

struct config_matches {
	struct config_match *items;
	size_t count;
};

/* One stretch of the day with a cap of its own; end <= start: it runs past midnight. */
struct config_rate_window {
	unsigned start_minute;
	unsigned end_minute;
	unsigned days; /* bit 0: Monday; of the day on which it starts */
	uint64_t bytes_per_second;
};

struct config_rate_schedule {
	struct config_rate_window *items;
	size_t count;
};

enum config_over_limit_action { CONFIG_ALERT, CONFIG_THROTTLE, CONFIG_PAUSE };

struct config_over_limit {
	enum config_over_limit_action action;
	uint64_t bytes_per_second; /* with CONFIG_THROTTLE */
};

struct config_price_tier {
	int64_t price_nanos;  /* 10^-9 of the currency, a GB */
	uint64_t up_to_bytes; /* of the month; UINT64_MAX in the last tier */
};

struct config_prices {
	struct config_price_tier *items; /* one or more */
	size_t count;
};

enum config_provider { CONFIG_PROVIDER_AWS, CONFIG_PROVIDER_RACKSPACE, CONFIG_PROVIDER_OTHER };

struct config_destination {
	char *name;
	struct config_matches match;
	enum config_provider provider;
	uint64_t rate_cap_bytes; /* a second; 0: none */
	struct config_rate_schedule rate_schedule;
	uint64_t daily_limit_bytes;    /* 0: none */
	uint64_t monthly_limit_bytes;  /* 0: none */
	unsigned warn_at_basis_points; /* 8000: 80 % */
	struct config_over_limit over_limit;
	struct config_prices price_per_gb;
	struct config_prices price_in_per_gb;
	int priority;
};

struct config_egress {
	uint64_t rate_cap_bytes; /* a second; 0: none */
	char *time_zone;
	char *currency;
	uint64_t billing_gb_bytes;
	char *ip_ranges; /* path or URL; "": none */
};

struct config_alerts {
	char *smtp_url; /* "": no mail */
	char *mail_from;
	char *mail_to;
	char *smtp_user;
	char *smtp_password_file;
	char *webhook_url; /* "": none */
	char *webhook_token_file;
	char *ca_file; /* "": the system's authorities */
	int64_t repeat_every_us;
	uint64_t lag_bytes;        /* 0: no alert */
	int64_t lag_time_us;       /* 0: no alert */
	uint64_t spool_free_bytes; /* 0: no alert */
};

/* What the configuration cannot know by itself, so that it needs no libpq. */
struct config_conninfo {
	bool (*is_valid)(const char *conninfo, struct error *err); /* upstream_conninfo_is_valid */
	char *(*masked)(const char *conninfo);                     /* upstream_conninfo_masked */
};

struct config {
	char *file;
	struct config_relay relay;
	struct config_upstream upstream;
	struct config_spool spool;
	struct config_link link;
	struct config_destination *destinations; /* in the order of the file */
	size_t destination_count;
	struct config_egress egress;
	struct config_alerts alerts;
	struct config_conninfo conninfo;
	struct config_places *places; /* which line says what; see config_line() */
};

/* NULL when the report has an error: unreadable file, bad syntax, bad value, ... */
struct config *config_load(const char *file, const struct config_conninfo *conninfo,
	struct config_report *report) MUST_CHECK;
/* The same over bytes; directory: what relative paths are relative to. */
struct config *config_parse(const char *file, const char *directory, const char *text,
	size_t length, const struct config_conninfo *conninfo,
	struct config_report *report) MUST_CHECK;
/* For `check`, which goes on to what a faulty file names: NULL only when the file cannot be read.
 * What was refused has its default; what is missing though required is NULL. */
struct config *config_load_anyway(const char *file, const struct config_conninfo *conninfo,
	struct config_report *report) MUST_CHECK;
/* Accepts NULL, sets NULL. */
void config_free(struct config **config);

/* Line of the file that sets the option; the section's, or 1, where it has its default. */
unsigned config_line(const struct config *config, const char *section, const char *key);
#define CONFIG_SECTION_SIZE 80
/* "destination NAME" */
void config_destination_section(
	const struct config_destination *destination, char section_out[CONFIG_SECTION_SIZE]);
bool config_is_set(const struct config *config, const char *section, const char *key);

/* Every option in force with its value as text, in the order of the manual; secrets masked. The
 * texts belong to the call. */
typedef void config_visit(
	void *context, const char *section, const char *key, const char *value, bool is_default);
void config_each(const struct config *config, config_visit *visit, void *context);
/* As a configuration file that would be accepted, but for what is masked. */
void config_write(const struct config *config, FILE *out);

/* Reload: one warning in the report for each option that differs and takes effect only with a
 * restart. */
void config_compare(
	const struct config *old, const struct config *next, struct config_report *report);

#endif
