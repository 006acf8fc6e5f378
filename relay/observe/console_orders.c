/*
 * console_orders: carries commands out, on the console's loop.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/log.h"
#include "base/memory.h"
#include "base/units.h"
#include "observe/console_job.h"
#include "observe/console_state.h"
#include "observe/console_tables.h"
#include "observe/standby_labels.h"

/* The lowest cap that still lets keepalives through, as in the configuration: 8 kbit/s. */
#define RATE_MIN UINT64_C(1000)

/* Is it done, has it failed, or will somebody say so later? */
enum outcome { DONE, FAILED, LATER };

/* --- who may -----------------------------------------------------------------------------------
 */

static bool is_admin(const struct console *console, const struct console_peer *peer)
{
	size_t length = strlen(peer->user);
	for (const char *at = console->admin_users; *at != '\0'; at += strspn(at, ", \t")) {
		size_t word = strcspn(at, ", \t");
		if (word == length && strncmp(at, peer->user, length) == 0) {
			return true;
		}
		at += word;
	}
	return peer->is_owner;
}

static bool may_change(const struct console_job *job, struct error *err)
{
	if (is_admin(job->console, job->peer)) {
		return true;
	}
	error_set(err, ERROR_DENIED, "permission denied for %s",
		console_command_tag(job->command.kind));
	error_hint(err, "\"admin_users\" in [relay] names who may change something; a Unix socket "
			"lets the relay's own user.");
	return error_sqlstate(err, "42501");
}

static void log_order(const struct console_job *job)
{
	log_info("console", "user \"%s\" %s: %.*s%s%s", job->peer->user, job->peer->address,
		(int)(job->command.length < 512 ? job->command.length : 512), job->command.text,
		job->ok ? "" : ": ", job->ok ? "" : job->err.message);
}

/* --- what is shown -----------------------------------------------------------------------------
 */

static void put_setting(
	void *context, const char *section, const char *key, const char *value, bool is_default)
{
	console_put_text(context, section);
	console_put_text(context, key);
	console_put_text(context, value);
	console_put_bool(context, is_default);
}

static void show_from_snapshot(const struct console *console, enum console_command_kind kind,
	struct console_result *result)
{
	struct snapshot snapshot;
	snapshot_take(&console->sources, &snapshot);
	if (kind == CONSOLE_SHOW_USAGE || kind == CONSOLE_SHOW_USAGE_BY_MONTH) {
		console_table_fill_usage(kind == CONSOLE_SHOW_USAGE_BY_MONTH, &snapshot,
			console->sources.destinations, result);
	} else {
		console_table_fill(kind, &snapshot, result);
	}
	snapshot_release(&snapshot);
}

static void show(struct console_job *job)
{
	const struct console *console = job->console;
	const struct pg_typed_column *columns;
	size_t count;
	(void)console_table_columns(job->command.kind, &columns, &count);
	console_result_init(&job->result, columns, count);
	switch (job->command.kind) {
	case CONSOLE_SHOW_HELP: console_table_fill_help(&job->result); return;
	case CONSOLE_SHOW_VERSION: console_table_fill_version(&job->result); return;
	case CONSOLE_SHOW_CONFIG:
		console->orders.each_setting(console->orders.context, put_setting, &job->result);
		return;
	default: show_from_snapshot(console, job->command.kind, &job->result); return;
	}
}

/* --- destinations ------------------------------------------------------------------------------
 */

static enum outcome destination_outcome(struct console_job *job, bool is_there)
{
	if (is_there) {
		return DONE;
	}
	error_set(
		&job->err, ERROR_NOT_FOUND, "destination \"%s\" does not exist", job->command.name);
	error_hint(&job->err, "SHOW DESTINATIONS lists them.");
	error_sqlstate(&job->err, "42704");
	return FAILED;
}

static enum outcome pause_destination(const struct console_orders *orders, struct console_job *job)
{
	return destination_outcome(job, orders->pause(orders->context, job->command.name));
}

static enum outcome resume_destination(const struct console_orders *orders, struct console_job *job)
{
	return destination_outcome(job, orders->resume(orders->context, job->command.name));
}

static enum outcome set_cap(const struct console_orders *orders, struct console_job *job)
{
	const char *text = job->command.value;
	uint64_t rate = 0;
	if (strcasecmp(text, "default") != 0 &&
		(!units_parse_rate(text, &rate) || rate < RATE_MIN)) {
		error_set(&job->err, ERROR_INVALID, "invalid rate: \"%s\"", text);
		error_hint(&job->err, "At least 8kbit/s, such as 50Mbit/s or 6MB/s; DEFAULT: as "
				      "configured. PAUSE "
				      "stops all.");
		error_sqlstate(&job->err, "22023");
		return FAILED;
	}
	return destination_outcome(job, orders->set_cap(orders->context, job->command.name, rate));
}

/* --- standbys ----------------------------------------------------------------------------------
 */

static enum outcome not_one_standby(struct console_job *job, size_t count)
{
	if (count == 0) {
		error_set(&job->err, ERROR_NOT_FOUND, "standby \"%s\" does not exist",
			job->command.name);
		error_sqlstate(&job->err, "42704");
	} else {
		error_set(&job->err, ERROR_CONFLICT, "there are %zu standbys \"%s\"", count,
			job->command.name);
		error_sqlstate(&job->err, "42725");
	}
	error_hint(&job->err, "SHOW STANDBYS lists them; a pid names one of them.");
	return FAILED;
}

/* By application name, by the label that metrics give it, or by pid. */
static bool is_called(const struct standby_stats *standby, const char *label,
	const struct console_command *command)
{
	char pid[16];
	snprintf(pid, sizeof(pid), "%u", standby->pid);
	return strcmp(standby->application_name, command->name) == 0 ||
	       strcmp(label, command->name) == 0 || strcmp(pid, command->name) == 0;
}

static enum outcome kill_standby(const struct console_orders *orders, struct console_job *job)
{
	struct snapshot snapshot;
	uint32_t pid = 0;
	size_t found = 0;
	snapshot_take(&job->console->sources, &snapshot);
	char(*labels)[STANDBY_LABEL_SIZE] =
		memory_new((snapshot.standby_count + 1) * sizeof(*labels));
	standby_labels_make(snapshot.standbys, snapshot.standby_count, labels);
	for (size_t i = 0; i < snapshot.standby_count; i++) {
		if (is_called(&snapshot.standbys[i], labels[i], &job->command)) {
			pid = snapshot.standbys[i].pid;
			found++;
		}
	}
	free(labels);
	snapshot_release(&snapshot);
	if (found != 1) {
		return not_one_standby(job, found);
	}
	orders->kill(orders->context, pid);
	return DONE;
}

/* --- what takes its time -----------------------------------------------------------------------
 */

static void end_ok(void *context)
{
	struct console_job *job = context;
	job->ok = true;
	log_order(job);
	console_job_end(job, true);
}

static void end_failed(void *context)
{
	struct console_job *job = context;
	job->ok = false;
	log_order(job);
	console_job_end(job, false);
}

static void on_done(void *context, bool ok, const struct error *err)
{
	struct console_job *job = context;
	if (!ok) {
		job->err = *err;
	}
	loop_post(job->console->loop, ok ? end_ok : end_failed, job);
}

static enum outcome later(bool has_begun)
{
	return has_begun ? LATER : FAILED;
}

static enum outcome drop_slot(const struct console_orders *orders, struct console_job *job)
{
	return later(
		orders->drop_slot(orders->context, job->command.name, on_done, job, &job->err));
}

static enum outcome skip(const struct console_orders *orders, struct console_job *job)
{
	return later(orders->skip(orders->context, job->command.lsn, on_done, job, &job->err));
}

static enum outcome add_pin(const struct console_orders *orders, struct console_job *job)
{
	const char *text = job->command.value;
	int64_t for_us = 0;
	if (text[0] != '\0' && (!units_parse_time(text, &for_us) || for_us <= 0)) {
		error_set(&job->err, ERROR_INVALID, "invalid time: \"%s\"", text);
		error_hint(&job->err, "A number and ms, s, min, h or d, such as 7d.");
		error_sqlstate(&job->err, "22023");
		return FAILED;
	}
	return later(orders->add_pin(orders->context, job->command.name, job->command.lsn, for_us,
		on_done, job, &job->err));
}

static enum outcome drop_pin(const struct console_orders *orders, struct console_job *job)
{
	return later(orders->drop_pin(orders->context, job->command.name, on_done, job, &job->err));
}

static enum outcome reload(const struct console_orders *orders, struct console_job *job)
{
	return orders->reload(orders->context, &job->err) ? DONE : FAILED;
}

/* --- a job -------------------------------------------------------------------------------------
 */

typedef enum outcome order(const struct console_orders *orders, struct console_job *job);

static order *const all_orders[CONSOLE_KINDS] = {
	[CONSOLE_RELOAD] = reload,
	[CONSOLE_PAUSE] = pause_destination,
	[CONSOLE_RESUME] = resume_destination,
	[CONSOLE_SET_CAP] = set_cap,
	[CONSOLE_PIN] = add_pin,
	[CONSOLE_UNPIN] = drop_pin,
	[CONSOLE_DROP_SLOT] = drop_slot,
	[CONSOLE_KILL] = kill_standby,
	[CONSOLE_SKIP] = skip,
};

void console_job_run(struct console_job *job)
{
	order *carry_out = all_orders[job->command.kind];
	if (carry_out == NULL) {
		show(job);
		console_job_end(job, true);
		return;
	}
	enum outcome outcome =
		may_change(job, &job->err) ? carry_out(&job->console->orders, job) : FAILED;
	if (outcome == DONE) {
		end_ok(job);
	} else if (outcome == FAILED) {
		end_failed(job);
	}
}
