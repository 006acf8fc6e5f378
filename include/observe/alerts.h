/*
 * alerts: looks at snapshots, tells what is wrong and what is well again: to the log at once, by
 * mail and web hook as it can be had.
 *
 * What is on and what is to be sent is in the state database before it is sent, in one transaction,
 * so that a crash loses nothing and repeats nothing, but for a message taken by the other side in
 * the very moment of the crash, which comes again with the same id. Everything happens on one loop,
 * which must not be one that serves standbys; the disk is touched by the database's thread.
 */
#ifndef OBSERVE_ALERTS_H
#define OBSERVE_ALERTS_H

#include "base/error.h"
#include "net/loop.h"
#include "observe/alert.h"
#include "observe/alert_book.h"
#include "observe/alert_conditions.h"
#include "observe/alert_outbox.h"

#include <stddef.h>
#include <stdint.h>

struct alerts;
struct database;
struct snapshot;

/* All of it is copied. */
struct alerts_options {
	int64_t repeat_every_us;
	struct alert_thresholds thresholds;
	const struct alert_certificate *certificates;
	size_t certificate_count;
	struct alert_delivery delivery;
};

/* Blocks on the database. What was not delivered before is delivered from here on. */
struct alerts *alerts_open(struct loop *loop, struct database *database,
	const struct alerts_options *options, struct error *err) MUST_CHECK;
/* When the loop no longer runs, and while the database does. Accepts NULL, sets NULL. */
void alerts_close(struct alerts **alerts);
/* A reload. */
void alerts_configure(struct alerts *alerts, const struct alerts_options *options);

/* About once a second. */
void alerts_look(struct alerts *alerts, const struct snapshot *snapshot, int64_t unix_now_us);

/* entries_out: malloc'ed, those that are on. */
void alerts_read(const struct alerts *alerts, struct alert_entry **entries_out, size_t *count_out,
	struct alert_channel_stats channels_out[ALERT_CHANNELS]);

#endif
