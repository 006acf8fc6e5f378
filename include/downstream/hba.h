/*
 * hba: the rules that say who may connect from where, and how they prove who they are.
 *
 * pg_hba.conf's syntax (see downstream/hba_rule.h); the first rule that matches decides, and where
 * none does nobody comes in. `all` as a database never covers replication. Immutable after loading;
 * references are counted, on any thread.
 */
#ifndef DOWNSTREAM_HBA_H
#define DOWNSTREAM_HBA_H

#include "downstream/access_file.h"
#include "downstream/hba_rule.h"

#include <stddef.h>

struct hba;

/* NULL after every problem has been reported. */
struct hba *hba_load(const char *path, access_report *report, void *context);
/* The same from memory; file is the name that problems are reported with. */
struct hba *hba_parse(
	const char *file, const char *text, size_t length, access_report *report, void *context);
/* Without a file: local trust, 127.0.0.1 and ::1 scram-sha-256, console and replication alike. */
struct hba *hba_default(void);
struct hba *hba_ref(struct hba *hba);
/* Accepts NULL, sets NULL. */
void hba_unref(struct hba **hba);

/* The rule that decides, valid as long as hba; NULL: none matches. */
const struct hba_rule *hba_find(const struct hba *hba, const struct hba_connection *connection);
/* The first rule that needs clients' certificates, that needs TLS; NULL: none does. */
const struct hba_rule *hba_first_for_certificates(const struct hba *hba);
const struct hba_rule *hba_first_for_tls(const struct hba *hba);
/* The name it was loaded by. */
const char *hba_file(const struct hba *hba);

#endif
