/*
 * access: hba_file, auth_file and what TLS is served with, all read before any is judged, so that
 * one run of `check` shows every problem.
 */
#include "app/access.h"

#include "downstream/hba.h"
#include "downstream/user_list.h"
#include "net/tls_context.h"

/* What ALPN says, of PostgreSQL 17 and later. */
#define TLS_PROTOCOL "postgresql"

static void on_problem(void *context, const char *file, unsigned line, const char *message)
{
	config_report_error(context, file, line, "%s", message);
}

struct tls_problems {
	const struct config *config;
	struct config_report *report;
};

static void on_tls_problem(void *context, enum tls_file file, const char *message)
{
	static const char *const keys[] = {[TLS_CERTIFICATE] = "tls_cert",
		[TLS_KEY] = "tls_key",
		[TLS_CLIENT_CA] = "tls_client_ca",
		[TLS_CRL] = "tls_crl"};
	const struct tls_problems *problems = context;
	const struct config *config = problems->config;
	config_report_error(problems->report, config->file,
		config_line(config, "relay", keys[file]), "\"%s\": %s", keys[file], message);
}

/* true when there is nothing to load, too. */
static bool load_tls(
	const struct config *config, struct config_report *report, struct tls_context **tls_out)
{
	const struct config_relay *relay = &config->relay;
	const struct tls_options options = {
		.certificate = relay->tls_cert,
		.key = relay->tls_key,
		.client_ca = relay->tls_client_ca,
		.crl = relay->tls_crl,
		.is_1_3_only = relay->tls_min_version == CONFIG_TLS_1_3,
		.protocol = TLS_PROTOCOL,
	};
	struct tls_problems problems = {.config = config, .report = report};
	if (relay->tls_cert[0] == '\0' || relay->tls_key[0] == '\0') {
		return true;
	}
	*tls_out = tls_context_load(&options, on_tls_problem, &problems);
	return *tls_out != NULL;
}

/* As PostgreSQL: what asks for certificates without saying whose is a mistake, what asks for TLS
 * where there is none only never matches. */
static bool check_rules(
	const struct config *config, const struct access *access, struct config_report *report)
{
	const struct hba_rule *certificates = hba_first_for_certificates(access->hba);
	const struct hba_rule *tls = hba_first_for_tls(access->hba);
	const char *file = hba_file(access->hba);
	if (certificates != NULL && config->relay.tls_client_ca[0] == '\0') {
		config_report_error(report, file, hba_rule_line(certificates),
			"client certificates can only be checked if \"tls_client_ca\" is set");
		return false;
	}
	if (tls != NULL && access->tls == NULL) {
		config_report_warning(report, file, hba_rule_line(tls),
			"hostssl cannot match because \"tls_cert\" is not set");
	}
	return true;
}

bool access_load(
	const struct config *config, struct config_report *report, struct access *access_out)
{
	const char *hba_file = config->relay.hba_file;
	const char *auth_file = config->relay.auth_file;
	struct access access = {0};
	access.hba = hba_file[0] != '\0' ? hba_load(hba_file, on_problem, report) : hba_default();
	access.users = auth_file[0] != '\0' ? user_list_load(auth_file, on_problem, report)
					    : user_list_parse("", "", 0, on_problem, report);
	bool has_tls = load_tls(config, report, &access.tls);
	if (access.hba == NULL || access.users == NULL || !has_tls ||
		!check_rules(config, &access, report)) {
		access_release(&access);
		return false;
	}
	*access_out = access;
	return true;
}

void access_release(struct access *access)
{
	hba_unref(&access->hba);
	user_list_unref(&access->users);
	tls_context_unref(&access->tls);
}
