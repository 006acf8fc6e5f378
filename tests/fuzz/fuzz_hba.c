/*
 * A whole hba_file: refused with a report, or rules that can be asked about any connection.
 */
#include "fuzz.h"

#include "downstream/hba.h"

#include <assert.h>
#include <netinet/in.h>
#include <string.h>

static void on_problem(void *context, const char *file, unsigned line, const char *message)
{
	assert(strcmp(file, "hba.conf") == 0);
	assert(message[0] != '\0');
	(void)line;
	++*(unsigned *)context;
}

static void ask(const struct hba *hba, const struct sockaddr_storage *peer)
{
	for (unsigned kind = 0; kind < 8; kind++) {
		const struct hba_connection connection = {.user = "rep",
			.database = "walrelay",
			.is_replication = (kind & 1) != 0,
			.is_local = (kind & 2) != 0,
			.is_tls = (kind & 4) != 0,
			.peer = peer};
		const struct hba_rule *rule = hba_find(hba, &connection);

		if (rule != NULL) {
			assert(hba_rule_line(rule) >= 1);
			assert(hba_rule_matches(rule, &connection));
		}
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
	struct sockaddr_storage peer = {0};
	struct sockaddr_in *in = (struct sockaddr_in *)&peer;
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&peer;
	unsigned problems = 0;
	struct hba *hba = hba_parse("hba.conf", (const char *)bytes, length, on_problem, &problems);

	assert((hba == NULL) == (problems > 0));
	if (hba == NULL) {
		return 0;
	}
	in->sin_family = AF_INET;
	in->sin_addr.s_addr = htonl(0x0a000001);
	ask(hba, &peer);
	memset(&peer, 0, sizeof(peer));
	in6->sin6_family = AF_INET6;
	in6->sin6_addr = in6addr_loopback;
	ask(hba, &peer);
	hba_unref(&hba);
	return 0;
}
