/*
 * metrics: one small function a family; names and meanings are INTERFACE's and never change.
 */
#include "observe/metrics.h"

#include <event2/buffer.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "observe/metrics_alerts.h"
#include "observe/metrics_destinations.h"
#include "observe/metrics_link.h"
#include "observe/metrics_text.h"
#include "observe/standby_labels.h"

static void write_upstream(const struct snapshot *snapshot, struct evbuffer *out)
{
	const struct upstream_stats *upstream = &snapshot->upstream;
	metrics_write_number(out, "walrelay_upstream_connected", "gauge",
		upstream->state == UPSTREAM_STREAMING, "Whether WAL streams from the upstream.");
	metrics_write_number(out, "walrelay_upstream_received_lsn_bytes", "gauge",
		snapshot->store.received_lsn, "Last WAL byte + 1 received and written.");
	metrics_write_number(out, "walrelay_upstream_flushed_lsn_bytes", "gauge",
		snapshot->store.flushed_lsn, "Last WAL byte + 1 made durable and acknowledged.");
	metrics_write_number(out, "walrelay_upstream_lost_wal_bytes_total", "counter",
		snapshot->store.lost_bytes,
		"WAL that was acknowledged and is not part of the timeline followed then.");
	metrics_write_number(out, "walrelay_upstream_acknowledges_alone", "gauge",
		upstream->is_acknowledging_alone,
		"1 while too few standbys hold what is acknowledged (acknowledge = standbys N).");
	metrics_write_number(out, "walrelay_upstream_reconnects_total", "counter",
		upstream->reconnects, "Times the connection to the upstream was made anew.");
	metrics_write_number(out, "walrelay_upstream_wal_bytes_total", "counter",
		upstream->wal_bytes, "WAL received from the upstream.");
	metrics_write_number(out, "walrelay_upstream_wire_bytes_total", "counter",
		upstream->wire_bytes,
		"Bytes received from the upstream's stream, framing included.");
	metrics_write_number(out, "walrelay_timeline", "gauge", snapshot->store.tli,
		"Timeline of the WAL received last.");
}

static void write_spool(const struct snapshot *snapshot, struct evbuffer *out)
{
	const struct wal_store_stats *store = &snapshot->store;
	metrics_write_number(out, "walrelay_spool_bytes", "gauge", store->spool_bytes,
		"Size of the spool on disk.");
	metrics_write_number(out, "walrelay_spool_oldest_lsn_bytes", "gauge", store->oldest_lsn,
		"Oldest WAL byte held.");
	metrics_write_number(out, "walrelay_spool_free_bytes", "gauge", store->disk_free_bytes,
		"Free space on the spool's disk.");
}

typedef bool standby_value(
	const struct snapshot *snapshot, const struct standby_stats *standby, uint64_t *value_out);

static bool reported(lsn_t lsn, uint64_t *value_out)
{
	*value_out = lsn;
	return lsn != LSN_INVALID;
}

static bool sent_value(
	const struct snapshot *snapshot, const struct standby_stats *standby, uint64_t *value_out)
{
	(void)snapshot;
	return reported(standby->sent_lsn, value_out);
}

static bool write_value(
	const struct snapshot *snapshot, const struct standby_stats *standby, uint64_t *value_out)
{
	(void)snapshot;
	return reported(standby->write_lsn, value_out);
}

static bool flush_value(
	const struct snapshot *snapshot, const struct standby_stats *standby, uint64_t *value_out)
{
	(void)snapshot;
	return reported(standby->flush_lsn, value_out);
}

static bool replay_value(
	const struct snapshot *snapshot, const struct standby_stats *standby, uint64_t *value_out)
{
	(void)snapshot;
	return reported(standby->replay_lsn, value_out);
}

static bool lag_value(
	const struct snapshot *snapshot, const struct standby_stats *standby, uint64_t *value_out)
{
	*value_out = snapshot_lag_bytes(snapshot, standby);
	return true;
}

static const struct {
	const char *name;
	standby_value *value; /* false: not known, no sample */
	const char *help;
} standby_families[] = {
	{"walrelay_standby_sent_lsn_bytes", sent_value, "Last WAL byte + 1 sent to the standby."},
	{"walrelay_standby_write_lsn_bytes", write_value,
		"Last WAL byte + 1 the standby says it has written."},
	{"walrelay_standby_flush_lsn_bytes", flush_value,
		"Last WAL byte + 1 the standby says is durable."},
	{"walrelay_standby_replay_lsn_bytes", replay_value,
		"Last WAL byte + 1 the standby says it has replayed."},
	{"walrelay_standby_lag_bytes", lag_value,
		"WAL received here and not yet replayed by the standby."},
};

static void begin_standby_sample(struct evbuffer *out, const char *name, const char *label,
	const struct standby_stats *standby)
{
	evbuffer_add_printf(out, "%s{", name);
	metrics_write_label(out, "standby", label);
	evbuffer_add(out, ",", 1);
	metrics_write_label(out, "destination", standby->destination);
	evbuffer_add(out, "} ", 2);
}

static void write_replay_lag(
	const struct snapshot *snapshot, char (*labels)[STANDBY_LABEL_SIZE], struct evbuffer *out)
{
	static const char name[] = "walrelay_standby_replay_lag_seconds";
	metrics_begin_family(out, name, "gauge",
		"Time between sending WAL and hearing that the standby has replayed it.");
	for (size_t i = 0; i < snapshot->standby_count; i++) {
		const struct standby_stats *standby = &snapshot->standbys[i];
		if (snapshot_is_streaming(standby) && standby->replay_lag_us >= 0) {
			begin_standby_sample(out, name, labels[i], standby);
			evbuffer_add_printf(out, "%" PRId64 ".%06" PRId64 "\n",
				standby->replay_lag_us / 1000000, standby->replay_lag_us % 1000000);
		}
	}
}

static size_t count_streaming(const struct snapshot *snapshot, const char *destination)
{
	size_t streaming = 0;
	for (size_t i = 0; i < snapshot->standby_count; i++) {
		const struct standby_stats *standby = &snapshot->standbys[i];
		streaming += snapshot_is_streaming(standby) &&
			     strcmp(standby->destination, destination) == 0;
	}
	return streaming;
}

static void write_standby_counts(const struct snapshot *snapshot, struct evbuffer *out)
{
	static const char name[] = "walrelay_standbys";
	metrics_begin_family(out, name, "gauge", "Standbys that WAL is streamed to.");
	for (size_t i = 0; i < snapshot->destination_count; i++) {
		const char *destination = snapshot->destinations[i].name;
		evbuffer_add_printf(out, "%s{", name);
		metrics_write_label(out, "destination", destination);
		evbuffer_add_printf(out, "} %zu\n", count_streaming(snapshot, destination));
	}
}

static void write_standbys(const struct snapshot *snapshot, struct evbuffer *out)
{
	size_t count = snapshot->standby_count;
	char(*labels)[STANDBY_LABEL_SIZE] = memory_new((count + 1) * sizeof(*labels));
	standby_labels_make(snapshot->standbys, count, labels);
	write_standby_counts(snapshot, out);
	for (size_t f = 0; f < sizeof(standby_families) / sizeof(standby_families[0]); f++) {
		const char *name = standby_families[f].name;
		metrics_begin_family(out, name, "gauge", standby_families[f].help);
		for (size_t i = 0; i < count; i++) {
			const struct standby_stats *standby = &snapshot->standbys[i];
			uint64_t value;
			if (snapshot_is_streaming(standby) &&
				standby_families[f].value(snapshot, standby, &value)) {
				begin_standby_sample(out, name, labels[i], standby);
				evbuffer_add_printf(out, "%" PRIu64 "\n", value);
			}
		}
	}
	write_replay_lag(snapshot, labels, out);
	free(labels);
}

static void write_slots(const struct snapshot *snapshot, struct evbuffer *out)
{
	static const char name[] = "walrelay_slot_retained_bytes";
	metrics_begin_family(out, name, "gauge", "WAL that a slot of this relay holds.");
	for (size_t i = 0; i < snapshot->slot_count; i++) {
		const struct slot_stats *slot = &snapshot->slots[i];
		evbuffer_add_printf(out, "%s{", name);
		metrics_write_label(out, "slot", slot->name);
		evbuffer_add_printf(
			out, "} %" PRIu64 "\n", snapshot_retained_bytes(snapshot, slot));
	}
}

static void write_seconds(
	struct evbuffer *out, const char *name, const char *type, double value, const char *help)
{
	if (value >= 0) {
		metrics_begin_family(out, name, type, help);
		evbuffer_add_printf(out, "%s %.2f\n", name, value);
	}
}

static void write_if_known(struct evbuffer *out, const char *name, int64_t value, const char *help)
{
	if (value >= 0) {
		metrics_write_number(out, name, "gauge", (uint64_t)value, help);
	}
}

static void write_process(const struct process_stats *process, struct evbuffer *out)
{
	write_seconds(out, "process_cpu_seconds_total", "counter", process->cpu_seconds,
		"Total user and system CPU time spent in seconds.");
	write_seconds(out, "process_start_time_seconds", "gauge", process->start_time_seconds,
		"Start time of the process since unix epoch in seconds.");
	write_if_known(
		out, "process_open_fds", process->open_fds, "Number of open file descriptors.");
	write_if_known(out, "process_max_fds", process->max_fds,
		"Maximum number of open file descriptors.");
	write_if_known(out, "process_virtual_memory_bytes", process->virtual_memory_bytes,
		"Virtual memory size in bytes.");
	write_if_known(out, "process_virtual_memory_max_bytes", process->virtual_memory_max_bytes,
		"Maximum amount of virtual memory available in bytes.");
	write_if_known(out, "process_resident_memory_bytes", process->resident_memory_bytes,
		"Resident memory size in bytes.");
	write_if_known(out, "process_threads", process->threads, "Number of threads.");
}

void metrics_write(const struct snapshot *snapshot, struct evbuffer *out)
{
	metrics_begin_family(
		out, "walrelay_build_info", "gauge", "The version that runs; always 1.");
	evbuffer_add_printf(out, "walrelay_build_info{version=\"" WALRELAY_VERSION "\"} 1\n");
	write_upstream(snapshot, out);
	write_spool(snapshot, out);
	write_standbys(snapshot, out);
	metrics_write_destinations(snapshot, out);
	write_slots(snapshot, out);
	metrics_write_link(snapshot, out);
	metrics_write_alerts(snapshot, out);
	write_process(&snapshot->process, out);
}
