/*
 * named_files: all are read, so that all faults are reported at once.
 */
#include "app/named_files.h"

bool named_files_load(
	const struct config *config, struct config_report *report, struct named_files *named_out)
{
	struct named_files named = {0};
	bool has_access = access_load(config, report, &named.access);
	bool has_secrets = alerting_load(config, report, &named.secrets);
	if (!has_access || !has_secrets) {
		access_release(&named.access);
		alerting_secrets_release(&named.secrets);
		return false;
	}
	*named_out = named;
	return true;
}
