/*
 * metrics_destinations: a family at a time, a sample a destination.
 */
#include "observe/metrics_destinations.h"

#include <event2/buffer.h>
#include <inttypes.h>
#include <string.h>

#include "observe/link_kinds.h"
#include "observe/metrics_text.h"
#include "protocol/link_codec.h"

static void begin_sample(
	struct evbuffer *out, const char *name, const struct destination_stats *destination)
{
	evbuffer_add_printf(out, "%s{", name);
	metrics_write_label(out, "destination", destination->name);
}

static void write_counter(const struct snapshot *snapshot, struct evbuffer *out, const char *name,
	enum meter_counter counter, const char *help)
{
	metrics_begin_family(out, name, "counter", help);
	for (size_t i = 0; i < snapshot->destination_count; i++) {
		begin_sample(out, name, &snapshot->destinations[i]);
		evbuffer_add_printf(
			out, "} %" PRIu64 "\n", snapshot->destinations[i].counted.bytes[counter]);
	}
}

static void write_counters(const struct snapshot *snapshot, struct evbuffer *out)
{
	write_counter(snapshot, out, "walrelay_destination_wal_bytes_total", METER_WAL,
		"WAL delivered, uncompressed.");
	write_counter(snapshot, out, "walrelay_destination_backup_bytes_total", METER_BACKUP,
		"Payload of base backups sent.");
	write_counter(snapshot, out, "walrelay_destination_wire_bytes_total", METER_WIRE_SENT,
		"Bytes sent: handed to TCP, TLS and framing included.");
	write_counter(snapshot, out, "walrelay_destination_wire_received_bytes_total",
		METER_WIRE_RECEIVED, "Bytes received from TCP, TLS and framing included.");
	write_counter(snapshot, out, "walrelay_destination_billed_bytes_total", METER_BILLED_SENT,
		"Bytes sent as the provider counts them: with IP and TCP headers and "
		"retransmissions.");
	write_counter(snapshot, out, "walrelay_destination_billed_received_bytes_total",
		METER_BILLED_RECEIVED, "Bytes received as the provider counts them.");
}

static void write_kinds(struct evbuffer *out, const struct destination_stats *destination,
	const char *name, const uint64_t *bytes)
{
	for (int kind = 0; kind < LINK_KIND_COUNT; kind++) {
		begin_sample(out, name, destination);
		evbuffer_add(out, ",", 1);
		metrics_write_label(out, "kind", link_kind_name((enum link_kind)kind));
		evbuffer_add_printf(out, "} %" PRIu64 "\n", bytes[kind]);
	}
}

enum kinds_of { KINDS_OF_WAL, KINDS_OF_BATCHES };

/* No sample where nothing went over links. */
static void write_link_family(const struct snapshot *snapshot, struct evbuffer *out,
	const char *name, enum kinds_of what, const char *help)
{
	metrics_begin_family(out, name, "counter", help);
	for (size_t i = 0; i < snapshot->destination_count; i++) {
		const struct meter_kinds *kinds = &snapshot->destinations[i].kinds;
		if (link_kinds_sum(kinds->wal_bytes) > 0) {
			write_kinds(out, &snapshot->destinations[i], name,
				what == KINDS_OF_WAL ? kinds->wal_bytes : kinds->encoded_bytes);
		}
	}
}

static void write_links(const struct snapshot *snapshot, struct evbuffer *out)
{
	write_link_family(snapshot, out, "walrelay_destination_link_wal_bytes_total", KINDS_OF_WAL,
		"WAL sent over links, by what it is; no sample where none was.");
	write_link_family(snapshot, out, "walrelay_destination_link_encoded_bytes_total",
		KINDS_OF_BATCHES,
		"What that WAL took in batches, each as often as it was sent, by an estimate.");
}

static void write_cost(const struct snapshot *snapshot, struct evbuffer *out)
{
	static const char name[] = "walrelay_destination_cost_total";
	metrics_begin_family(out, name, "counter", "Cost of what was sent and received.");
	for (size_t i = 0; i < snapshot->destination_count; i++) {
		const struct destination_stats *destination = &snapshot->destinations[i];
		begin_sample(out, name, destination);
		evbuffer_add(out, ",", 1);
		metrics_write_label(out, "currency", snapshot->currency);
		evbuffer_add_printf(out, "} %" PRId64 ".%09" PRId64 "\n",
			destination->cost_nanos / 1000000000, destination->cost_nanos % 1000000000);
	}
}

static void write_period(struct evbuffer *out, const char *name,
	const struct destination_stats *destination, const char *period, uint64_t value)
{
	begin_sample(out, name, destination);
	evbuffer_add(out, ",", 1);
	metrics_write_label(out, "period", period);
	evbuffer_add_printf(out, "} %" PRIu64 "\n", value);
}

static void write_used(const struct snapshot *snapshot, struct evbuffer *out)
{
	static const char name[] = "walrelay_destination_used_bytes";
	metrics_begin_family(out, name, "gauge", "Billed bytes sent in the present day or month.");
	for (size_t i = 0; i < snapshot->destination_count; i++) {
		const struct destination_stats *destination = &snapshot->destinations[i];
		write_period(out, name, destination, "day", destination->used.day_bytes);
		write_period(out, name, destination, "month", destination->used.month_bytes);
	}
}

static void write_limits(const struct snapshot *snapshot, struct evbuffer *out)
{
	static const char name[] = "walrelay_destination_limit_bytes";
	metrics_begin_family(out, name, "gauge", "Limit of billed bytes a day or month.");
	for (size_t i = 0; i < snapshot->destination_count; i++) {
		const struct destination_stats *destination = &snapshot->destinations[i];
		if (destination->daily_limit_bytes != 0) {
			write_period(out, name, destination, "day", destination->daily_limit_bytes);
		}
		if (destination->monthly_limit_bytes != 0) {
			write_period(
				out, name, destination, "month", destination->monthly_limit_bytes);
		}
	}
}

static void write_forecast(const struct snapshot *snapshot, struct evbuffer *out)
{
	static const char name[] = "walrelay_destination_forecast_bytes";
	metrics_begin_family(out, name, "gauge",
		"Billed bytes that the month will end with at the pace of the last days.");
	for (size_t i = 0; i < snapshot->destination_count; i++) {
		const struct destination_stats *destination = &snapshot->destinations[i];
		write_period(out, name, destination, "month", destination->forecast_bytes);
	}
}

static void write_caps(const struct snapshot *snapshot, struct evbuffer *out)
{
	static const char name[] = "walrelay_destination_rate_cap_bytes_per_second";
	metrics_begin_family(
		out, name, "gauge", "Cap in force, 0 while paused; no sample without one.");
	for (size_t i = 0; i < snapshot->destination_count; i++) {
		const struct destination_stats *destination = &snapshot->destinations[i];
		if (destination->state.cap_bytes != QUOTA_NO_CAP) {
			begin_sample(out, name, destination);
			evbuffer_add_printf(out, "} %" PRIu64 "\n", destination->state.cap_bytes);
		}
	}
}

static void write_states(const struct snapshot *snapshot, struct evbuffer *out)
{
	static const char name[] = "walrelay_destination_state";
	static const char *const states[] = {"ok", "warning", "throttled", "paused"};
	metrics_begin_family(out, name, "gauge", "1 for the state it is in, 0 for the others.");
	for (size_t i = 0; i < snapshot->destination_count; i++) {
		const struct destination_stats *destination = &snapshot->destinations[i];
		for (size_t s = 0; s < sizeof(states) / sizeof(states[0]); s++) {
			begin_sample(out, name, destination);
			evbuffer_add(out, ",", 1);
			metrics_write_label(out, "state", states[s]);
			evbuffer_add_printf(out, "} %d\n",
				strcmp(quota_state_name(&destination->state), states[s]) == 0);
		}
	}
}

void metrics_write_destinations(const struct snapshot *snapshot, struct evbuffer *out)
{
	write_counters(snapshot, out);
	write_links(snapshot, out);
	write_cost(snapshot, out);
	write_used(snapshot, out);
	write_limits(snapshot, out);
	write_forecast(snapshot, out);
	write_caps(snapshot, out);
	write_states(snapshot, out);
}
