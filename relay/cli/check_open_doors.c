/*
 * check_open_doors: would the rules let a stranger in? Asked of the rules themselves, for an
 * address of the Internet at large and a user that no rule names.
 */
#include "cli/check_rules.h"

#include "downstream/hba.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

/* Of the networks for documentation (RFC 5737, RFC 3849): nobody's, so no narrow rule names one. */
static const char *const strangers[] = {"203.0.113.77", "2001:db8:77::1"};

static bool address_is_local(const char *address)
{
	return *address == '/' || strncmp(address, "127.", 4) == 0 ||
	       strncmp(address, "[::1]", 5) == 0 || strncmp(address, "localhost:", 10) == 0;
}

/* malloc'ed; NULL: it listens for this machine alone. */
static char *public_address(const char *listen)
{
	char *copy = strdup(listen), *next = copy, *found = NULL;

	while (found == NULL && next != NULL) {
		const char *address = strsep(&next, ",");

		if (!address_is_local(address)) {
			found = strdup(address);
		}
	}
	free(copy);
	return found;
}

static struct sockaddr_storage peer_of(const char *text)
{
	struct sockaddr_storage peer = {0};
	struct sockaddr_in *v4 = (struct sockaddr_in *)&peer;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&peer;

	if (inet_pton(AF_INET, text, &v4->sin_addr) == 1) {
		v4->sin_family = AF_INET;
	} else if (inet_pton(AF_INET6, text, &v6->sin6_addr) == 1) {
		v6->sin6_family = AF_INET6;
	}
	return peer;
}

/* The rule that trusts this user from that address; NULL: none does. */
static const struct hba_rule *trusting_rule(
	const struct hba *hba, const char *user, const struct sockaddr_storage *peer)
{
	for (int i = 0; i < 4; i++) {
		struct hba_connection connection = {.user = user,
			.database = i < 2 ? NULL : "walrelay",
			.is_replication = i < 2,
			.is_tls = i % 2 == 1,
			.peer = peer};
		const struct hba_rule *rule = hba_find(hba, &connection);

		if (rule != NULL && hba_rule_method(rule) == HBA_TRUST &&
			hba_rule_client_cert(rule) == HBA_CLIENT_CERT_OFF) {
			return rule;
		}
	}
	return NULL;
}

static const struct hba_rule *find_open_door(const struct hba *hba)
{
	const struct hba_rule *rule = NULL;

	for (size_t i = 0; rule == NULL && i < sizeof(strangers) / sizeof(strangers[0]); i++) {
		struct sockaddr_storage peer = peer_of(strangers[i]);

		rule = trusting_rule(hba, "stranger", &peer);
	}
	return rule;
}

void check_open_doors(
	const struct config *config, const struct access *access, struct config_report *report)
{
	char *address = public_address(config->relay.listen);
	const struct hba_rule *rule = address == NULL ? NULL : find_open_door(access->hba);

	if (rule != NULL) {
		config_report_warning(report, config->relay.hba_file, hba_rule_line(rule),
			"this lets anybody in from anywhere without a password, while the relay "
			"listens on %s",
			address);
	}
	free(address);
}
