/*
 * connection_meter: totals of one connection as they were last read, and the differences handed on.
 *
 * The kernel is asked only when something may have moved: a standby that sits at the tip of an idle
 * primary costs nothing.
 */
#include "downstream/connection_meter.h"

#include <assert.h>
#include <stdlib.h>

#include "base/memory.h"
#include "net/tcp_usage.h"

_Static_assert(METER_KINDS == LINK_KIND_COUNT, "each kind of WAL has its counters");

struct connection_meter {
	const struct connection *connection;
	struct destination *destination;
	unsigned loop;
	struct meter_counts counted; /* totals; is in the meters */
	struct meter_tcp kind;       /* as first seen: what a plain stream is measured by */
	bool is_kind_known;
	bool is_quiet; /* the kernel had nothing left to do */
	bool is_backup;
};

static struct meter_tcp read_tcp(struct connection_meter *meter, bool is_last)
{
	struct tcp_usage usage;
	tcp_usage_read(connection_fd(meter->connection), &usage);
	meter->is_quiet = usage.is_quiet;
	return (struct meter_tcp){
		.bytes_sent = usage.bytes_sent,
		.segments_sent = usage.segments_sent,
		.bytes_received = usage.bytes_received,
		.segments_received = usage.segments_received,
		.unsent_bytes = is_last ? usage.unsent_bytes : 0,
		.closing_sent = is_last ? usage.closing_sent : 0,
		.closing_received = is_last ? usage.closing_received : 0,
		.segment_bytes = usage.segment_bytes,
		.is_tcp = usage.is_tcp,
		.is_ipv6 = usage.is_ipv6,
		.has_timestamps = usage.has_timestamps,
	};
}

static void raise(uint64_t *total, uint64_t value)
{
	if (value > *total) {
		*total = value;
	}
}

static void hand_on(struct connection_meter *meter, const struct meter_counts *totals)
{
	struct meter_counts delta;
	meter_difference(totals, &meter->counted, &delta);
	meter_add(destination_meter(meter->destination), meter->loop, &delta);
	meter->counted = *totals;
}

static void read_kernel(struct connection_meter *meter, struct meter_counts *totals, bool is_last)
{
	uint64_t billed_before = totals->bytes[METER_BILLED_SENT];
	struct meter_tcp tcp = read_tcp(meter, is_last);
	if (!meter->is_kind_known) {
		meter->kind = tcp;
		meter->is_kind_known = true;
	}
	/* A socket that was reset forgets nothing, but no total may ever go back. */
	raise(&totals->bytes[METER_BILLED_SENT], meter_billed_sent(&tcp));
	raise(&totals->bytes[METER_BILLED_RECEIVED], meter_billed_received(&tcp));
	if (meter->is_backup) {
		totals->bytes[METER_BACKUP_BILLED] +=
			totals->bytes[METER_BILLED_SENT] - billed_before;
	}
}

static void take(struct connection_meter *meter, struct meter_counts *totals, bool is_last)
{
	struct connection_stats stats;
	connection_read_stats(meter->connection, &stats);
	bool has_moved = totals->bytes[METER_WIRE_SENT] != stats.wire_sent_bytes ||
			 totals->bytes[METER_WIRE_RECEIVED] != stats.wire_received_bytes;
	if (!has_moved && meter->is_quiet && !is_last) {
		return;
	}
	totals->bytes[METER_WIRE_SENT] = stats.wire_sent_bytes;
	totals->bytes[METER_WIRE_RECEIVED] = stats.wire_received_bytes;
	read_kernel(meter, totals, is_last);
	totals->bytes[METER_PLAIN_BILLED] =
		meter_plain_billed(&meter->kind, totals->bytes[METER_WAL]);
	hand_on(meter, totals);
}

static void take_last(void *context, const struct connection *connection)
{
	struct connection_meter *meter = context;
	struct meter_counts totals = meter->counted;
	assert(meter->connection == connection);
	take(meter, &totals, true);
	free(meter);
}

struct connection_meter *connection_meter_attach(
	struct connection *connection, struct destination *destination, unsigned loop)
{
	struct connection_meter *meter = memory_new(sizeof(*meter));
	meter->connection = connection;
	meter->destination = destination;
	meter->loop = loop;
	connection_set_last_look(connection, take_last, meter);
	return meter;
}

void connection_meter_move(struct connection_meter *meter, struct destination *destination)
{
	meter->destination = destination;
}

void connection_meter_take(
	struct connection_meter *meter, uint64_t wal_bytes, uint64_t backup_bytes, bool is_backup)
{
	struct meter_counts totals = meter->counted;
	totals.bytes[METER_WAL] = wal_bytes;
	totals.bytes[METER_BACKUP] = backup_bytes;
	/* What the kernel holds when a backup ends is still the backup's. */
	meter->is_backup = is_backup || (meter->is_backup && !meter->is_quiet);
	take(meter, &totals, false);
}

void connection_meter_add_batch(
	struct connection_meter *meter, const struct link_batch_stats *stats)
{
	struct meter_kinds delta;
	for (int kind = 0; kind < LINK_KIND_COUNT; kind++) {
		delta.wal_bytes[kind] = stats->raw[kind];
		delta.encoded_bytes[kind] = stats->sent[kind];
	}
	meter_add_kinds(destination_meter(meter->destination), meter->loop, &delta);
}
