/*
 * metrics_link: one table a side. What batches are made of is told by kind of WAL, with the label
 * "kind".
 */
#include "observe/metrics_link.h"

#include <event2/buffer.h>
#include <inttypes.h>

#include "observe/metrics_text.h"

static void write_seconds(
	struct evbuffer *out, const char *name, uint64_t microseconds, const char *help)
{
	metrics_begin_family(out, name, "counter", help);
	evbuffer_add_printf(out, "%s %" PRIu64 ".%06" PRIu64 "\n", name, microseconds / 1000000,
		microseconds % 1000000);
}

static void write_kinds(
	struct evbuffer *out, const char *name, const uint64_t *bytes, const char *help)
{
	metrics_begin_family(out, name, "counter", help);
	for (int kind = 0; kind < LINK_KIND_COUNT; kind++) {
		evbuffer_add_printf(out, "%s{", name);
		metrics_write_label(out, "kind", link_kind_name((enum link_kind)kind));
		evbuffer_add_printf(out, "} %" PRIu64 "\n", bytes[kind]);
	}
}

static void write_sending(const struct shared_encoder_stats *link, struct evbuffer *out)
{
	metrics_write_number(out, "walrelay_link_batches_total", "counter", link->batches,
		"Batches encoded, each once for all relays that follow.");
	metrics_write_number(out, "walrelay_link_frames_total", "counter", link->frames,
		"Batches at which a receiver can begin.");
	write_kinds(out, "walrelay_link_wal_bytes_total", link->raw, "WAL encoded, by what it is.");
	write_kinds(out, "walrelay_link_encoded_bytes_total", link->sent,
		"What that WAL takes in batches, by an estimate.");
	write_seconds(out, "walrelay_link_encode_cpu_seconds_total", link->encode_cpu_us,
		"CPU time of encoding.");
	metrics_write_number(out, "walrelay_link_noted_bytes_total", "counter", link->noted_bytes,
		"WAL read for the page images in it, which was here before links were.");
	metrics_write_number(out, "walrelay_link_cache_hits_total", "counter", link->cache_hits,
		"Batches sent that had been encoded for another receiver.");
	metrics_write_number(out, "walrelay_link_cache_misses_total", "counter", link->cache_misses,
		"Batches sent that had to be encoded first.");
	metrics_write_number(out, "walrelay_link_cache_bytes", "gauge", link->cache_bytes,
		"Encoded batches kept for those who come a little later.");
	metrics_write_number(out, "walrelay_link_encoders", "gauge", link->encoders,
		"Encoders: one for each frame that is being made.");
	metrics_write_number(out, "walrelay_link_plain_requests_total", "counter",
		link->plain_requests,
		"Batches a receiver could not decode and asked for as they are.");
	metrics_begin_family(
		out, "walrelay_link_level", "gauge", "Compression level in force for links.");
	evbuffer_add_printf(out, "walrelay_link_level %d\n", link->level);
}

static void write_receiving(const struct upstream_stats *upstream, struct evbuffer *out)
{
	metrics_write_number(out, "walrelay_link_upstream_version", "gauge", upstream->link_version,
		"Version of the link to the upstream; 0: it is plain.");
	metrics_write_number(out, "walrelay_link_upstream_lanes", "gauge", upstream->link_lanes,
		"Connections over which the link with the upstream has its WAL.");
	metrics_write_number(out, "walrelay_link_upstream_batches_total", "counter",
		upstream->link_batches, "Batches received from the upstream.");
	metrics_write_number(out, "walrelay_link_upstream_wal_bytes_total", "counter",
		upstream->link_raw_bytes, "WAL in batches received from the upstream.");
	metrics_write_number(out, "walrelay_link_upstream_encoded_bytes_total", "counter",
		upstream->link_batch_bytes, "Size of the batches received from the upstream.");
	metrics_write_number(out, "walrelay_link_upstream_plain_requests_total", "counter",
		upstream->link_plain_requests,
		"Batches that could not be decoded and were asked for as they are.");
	write_seconds(out, "walrelay_link_decode_cpu_seconds_total", upstream->link_decode_us,
		"CPU time of decoding.");
}

void metrics_write_link(const struct snapshot *snapshot, struct evbuffer *out)
{
	if (snapshot->is_link_offered) {
		write_sending(&snapshot->link, out);
	}
	write_receiving(&snapshot->upstream, out);
}
