/*
 * wal_fixture: a wal_store in a directory of its own, and what tests do with one.
 *
 * Waits have a deadline and fail the test. Bytes come from a wal_maker.
 */
#ifndef SUPPORT_WAL_FIXTURE_H
#define SUPPORT_WAL_FIXTURE_H

#include "base/database.h"
#include "base/error.h"
#include "spool/slots.h"
#include "spool/wal_store.h"
#include "support/wal_maker.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FIXTURE_PATH_SIZE 256

/* Where every write or call of a workload is tried, this many go at once: the thread sanitizer,
 * fifteen times slower, judges the store's threads, not what a failure leaves. */
#ifdef __SANITIZE_THREAD__
#define FIXTURE_CALL_STEP 7
#else
#define FIXTURE_CALL_STEP 1
#endif

struct wal_fixture {
	char path[FIXTURE_PATH_SIZE];
	char directory[FIXTURE_PATH_SIZE]; /* path/wal */
	struct wal_store_options options;
	struct database *database;
	struct slots *slots;
	struct pins *pins;
	struct wal_store *store;
	void (*on_database)(struct wal_fixture *fixture); /* opened, nothing in it used yet */
	void *context;
};

/* A fresh directory, everything opened. Change options before fixture_reopen(). */
void fixture_open(struct wal_fixture *fixture);
/* The same where files need not stay in memory. */
void fixture_open_on_disk(struct wal_fixture *fixture);
/* Without opening anything. */
void fixture_make_directory(struct wal_fixture *fixture);
bool fixture_try_start(struct wal_fixture *fixture, struct error *err);
void fixture_start(struct wal_fixture *fixture);
void fixture_stop(struct wal_fixture *fixture);
void fixture_reopen(struct wal_fixture *fixture);
/* Stops and removes the directory. */
void fixture_close(struct wal_fixture *fixture);
void fixture_remove_files(const char *directory);
bool fixture_has_file(const struct wal_fixture *fixture, const char *name);

/* In pieces of at most piece bytes. */
void fixture_append(struct wal_fixture *fixture, const struct wal_maker *maker, lsn_t from,
	lsn_t to, size_t piece);
void fixture_begin(struct wal_fixture *fixture, const struct wal_maker *maker);
void fixture_wait_flushed(struct wal_fixture *fixture, tli_t tli, lsn_t lsn);
void fixture_wait(struct wal_fixture *fixture, bool (*is_true)(struct wal_fixture *fixture));
/* Reads from `from` on timeline tli up to `to` and compares; the cursor is at `to` afterwards. */
void fixture_check_bytes(struct wal_fixture *fixture, const struct wal_maker *maker, tli_t tli,
	lsn_t from, lsn_t to);
/* A history file's text: one line a parent. */
size_t fixture_history(char text_out[256], const struct wal_maker *parent, lsn_t fork);

#endif
