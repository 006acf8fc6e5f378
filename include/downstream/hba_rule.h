/*
 * hba_rule: one line of pg_hba.conf: parsing it, and whether it speaks of a connection.
 *
 *   local                      DATABASE USER METHOD [OPTION...]
 *   host|hostssl|hostnossl     DATABASE USER ADDRESS METHOD [OPTION...]
 *   host|hostssl|hostnossl     DATABASE USER ADDRESS MASK METHOD [OPTION...]
 *
 * Source: PostgreSQL documentation, "The pg_hba.conf File"; src/backend/libpq/hba.c of PostgreSQL
 * 15 for what a line may look like and the words it is refused with. What needs a catalog, a name
 * server or another program is refused: +group, @file, /regex, sameuser and its kin, host names,
 * other methods, options but clientcert. A quoted keyword is a plain name. Methods are trust,
 * reject, scram-sha-256 and cert.
 *
 * An IPv4 peer that an IPv6 socket shows as ::ffff:a.b.c.d is an IPv4 peer (PostgreSQL never meets
 * one: its IPv6 sockets take IPv6 only).
 */
#ifndef DOWNSTREAM_HBA_RULE_H
#define DOWNSTREAM_HBA_RULE_H

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

enum hba_method { HBA_TRUST, HBA_REJECT, HBA_SCRAM_SHA_256, HBA_CERT };
/* Option clientcert; method cert implies verify-full. */
enum hba_client_cert {
	HBA_CLIENT_CERT_OFF,
	HBA_CLIENT_CERT_VERIFY_CA,
	HBA_CLIENT_CERT_VERIFY_FULL
};

struct hba_connection {
	const char *user;
	const char *database; /* what the client asked for; not looked at for replication */
	bool is_replication;
	bool is_local; /* Unix socket */
	bool is_tls;
	const struct sockaddr_storage *peer;
};

struct hba_rule;

enum hba_line { HBA_LINE_EMPTY, HBA_LINE_RULE, HBA_LINE_BAD };

/* line: after continuation lines are joined, without its newline; number: of its first line. */
enum hba_line hba_rule_parse(const char *line, size_t length, unsigned number,
	struct hba_rule **rule_out, struct error *err);
/* Accepts NULL, sets NULL. */
void hba_rule_free(struct hba_rule **rule);

/* samehost and samenet ask the kernel for its interfaces. */
bool hba_rule_matches(const struct hba_rule *rule, const struct hba_connection *connection);
enum hba_method hba_rule_method(const struct hba_rule *rule);
enum hba_client_cert hba_rule_client_cert(const struct hba_rule *rule);
bool hba_rule_is_for_tls(const struct hba_rule *rule); /* hostssl */
unsigned hba_rule_line(const struct hba_rule *rule);

#endif
