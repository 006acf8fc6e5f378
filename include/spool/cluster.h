/*
 * cluster: what the relay knows of the PostgreSQL cluster whose WAL it holds, and pins for good.
 *
 * The upstream half learns it, the downstream half repeats it to clients; it survives in the state
 * database, so a relay started while its upstream is away answers as before. The system identifier
 * and the WAL segment size are pinned at first contact and never change without `walrelay reset`.
 * Any thread; readers get a copy.
 */
#ifndef SPOOL_CLUSTER_H
#define SPOOL_CLUSTER_H

#include "base/database.h"
#include "base/error.h"

#include <stdbool.h>
#include <stdint.h>

struct cluster;

struct cluster_identity {
	uint64_t system_identifier; /* 0: not known yet */
	uint32_t segment_bytes;
};

/* ParameterStatus and SHOW values taken verbatim from the upstream's walsender. */
struct cluster_parameters {
	int server_version_num;    /* 150018; 0: not known yet */
	char server_version[128];  /* "15.18 (Debian 15.18-0+deb12u1)" */
	char server_encoding[32];
	char time_zone[64];
	char data_directory_mode[8];         /* "0700" */
	char integer_datetimes[4];           /* "on" */
	char in_hot_standby[4];              /* "on", "off"; "" before 14 */
	char default_transaction_read_only[4];
	char wal_segment_size_text[16];      /* as SHOW said: "16MB" */
};

/* Creates its tables on first use and loads what was stored. */
struct cluster *cluster_open(struct database *database, struct error *err) MUST_CHECK;
void cluster_close(struct cluster **cluster);

/* Pins at first contact. Later: true when equal, ERROR_CONFLICT naming both when not. Blocks on the
 * disk: never on a loop that serves standbys. */
bool cluster_pin_identity(
	struct cluster *cluster, const struct cluster_identity *identity, struct error *err)
	MUST_CHECK;
/* Forgets everything, for `walrelay reset --new-system`. Blocks on the disk. */
bool cluster_reset(struct cluster *cluster, struct error *err) MUST_CHECK;
/* Takes effect at once for readers; stored behind the caller's back. */
void cluster_set_parameters(struct cluster *cluster, const struct cluster_parameters *parameters);

bool cluster_is_known(struct cluster *cluster); /* identity and parameters both */
void cluster_read_identity(struct cluster *cluster, struct cluster_identity *identity_out);
void cluster_read_parameters(struct cluster *cluster, struct cluster_parameters *parameters_out);

#endif
