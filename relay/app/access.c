/*
 * access: hba_file and auth_file, both read before either is judged, so that one run of `check`
 * shows every problem.
 */
#include "app/access.h"

#include "downstream/hba.h"
#include "downstream/user_list.h"

static void on_problem(void *context, const char *file, unsigned line, const char *message)
{
	config_report_error(context, file, line, "%s", message);
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
	if (access.hba == NULL || access.users == NULL) {
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
}
