/*
 * meter: a block of counters a loop, each on cache lines of its own.
 */
#include "destination/meter.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "base/memory.h"

#define TCP_HEADER_BYTES       20u
#define IPV4_HEADER_BYTES      20u
#define IPV6_HEADER_BYTES      40u
#define TIMESTAMP_BYTES        12u
#define HANDSHAKE_OPTION_BYTES 20u
/* Of a segment's payload when the kernel did not tell. */
#define SEGMENT_BYTES_USUAL 1448u
#define PLAIN_MESSAGE_BYTES 131072u
#define PLAIN_HEADER_BYTES  30u

struct block {
	_Alignas(128) _Atomic uint64_t bytes[METER_COUNTERS];
	_Atomic uint64_t kind_wal_bytes[METER_KINDS];
	_Atomic uint64_t kind_encoded_bytes[METER_KINDS];
};

struct meter {
	unsigned loop_count;
	struct block *blocks;
};

static uint64_t header_bytes(const struct meter_tcp *tcp)
{
	return (tcp->is_ipv6 ? IPV6_HEADER_BYTES : IPV4_HEADER_BYTES) + TCP_HEADER_BYTES +
	       (tcp->has_timestamps ? TIMESTAMP_BYTES : 0);
}

static uint64_t handshake_bytes(const struct meter_tcp *tcp)
{
	return (tcp->is_ipv6 ? IPV6_HEADER_BYTES : IPV4_HEADER_BYTES) + TCP_HEADER_BYTES +
	       HANDSHAKE_OPTION_BYTES;
}

static uint64_t segment_bytes_of(const struct meter_tcp *tcp)
{
	return tcp->segment_bytes != 0 ? tcp->segment_bytes : SEGMENT_BYTES_USUAL;
}

uint64_t meter_billed_sent(const struct meter_tcp *tcp)
{
	if (!tcp->is_tcp) {
		return 0;
	}
	uint64_t segment_bytes = segment_bytes_of(tcp);
	uint64_t unsent_segments = (tcp->unsent_bytes + segment_bytes - 1) / segment_bytes;
	return tcp->bytes_sent + tcp->unsent_bytes +
	       (tcp->segments_sent + unsent_segments + tcp->closing_sent) * header_bytes(tcp) +
	       handshake_bytes(tcp);
}

uint64_t meter_billed_received(const struct meter_tcp *tcp)
{
	if (!tcp->is_tcp) {
		return 0;
	}
	return tcp->bytes_received +
	       (tcp->segments_received + tcp->closing_received) * header_bytes(tcp) +
	       handshake_bytes(tcp);
}

uint64_t meter_plain_billed(const struct meter_tcp *tcp, uint64_t wal_bytes)
{
	if (!tcp->is_tcp) {
		return 0;
	}
	uint64_t segment_bytes = segment_bytes_of(tcp);
	uint64_t messages = wal_bytes / PLAIN_MESSAGE_BYTES;
	uint64_t stream_bytes = wal_bytes + messages * PLAIN_HEADER_BYTES;
	return stream_bytes + stream_bytes / segment_bytes * header_bytes(tcp);
}

uint64_t meter_saved(const struct meter_counts *counts)
{
	uint64_t billed = counts->bytes[METER_BILLED_SENT] - counts->bytes[METER_BACKUP_BILLED];
	uint64_t plain = counts->bytes[METER_PLAIN_BILLED];
	return plain > billed ? plain - billed : 0;
}

struct meter *meter_new(unsigned loop_count)
{
	struct meter *meter = memory_new(sizeof(*meter));
	size_t size = loop_count * sizeof(struct block);
	meter->loop_count = loop_count;
	meter->blocks = aligned_alloc(_Alignof(struct block), size);
	assert(meter->blocks != NULL);
	for (unsigned i = 0; i < loop_count; i++) {
		for (int counter = 0; counter < METER_COUNTERS; counter++) {
			atomic_init(&meter->blocks[i].bytes[counter], 0);
		}
		for (int kind = 0; kind < METER_KINDS; kind++) {
			atomic_init(&meter->blocks[i].kind_wal_bytes[kind], 0);
			atomic_init(&meter->blocks[i].kind_encoded_bytes[kind], 0);
		}
	}
	return meter;
}

void meter_free(struct meter **meter)
{
	if (*meter != NULL) {
		free((*meter)->blocks);
		free(*meter);
		*meter = NULL;
	}
}

/* By the only one who writes there. */
static void add(_Atomic uint64_t *counter, uint64_t delta)
{
	uint64_t before = atomic_load_explicit(counter, memory_order_relaxed);
	atomic_store_explicit(counter, before + delta, memory_order_relaxed);
}

void meter_add(struct meter *meter, unsigned loop, const struct meter_counts *delta)
{
	assert(loop < meter->loop_count);
	for (int counter = 0; counter < METER_COUNTERS; counter++) {
		add(&meter->blocks[loop].bytes[counter], delta->bytes[counter]);
	}
}

void meter_add_kinds(struct meter *meter, unsigned loop, const struct meter_kinds *delta)
{
	assert(loop < meter->loop_count);
	struct block *block = &meter->blocks[loop];
	for (int kind = 0; kind < METER_KINDS; kind++) {
		add(&block->kind_wal_bytes[kind], delta->wal_bytes[kind]);
		add(&block->kind_encoded_bytes[kind], delta->encoded_bytes[kind]);
	}
}

void meter_read(const struct meter *meter, struct meter_counts *sum_out)
{
	struct meter_counts sum = {{0}};
	for (unsigned i = 0; i < meter->loop_count; i++) {
		for (int counter = 0; counter < METER_COUNTERS; counter++) {
			sum.bytes[counter] += atomic_load_explicit(
				&meter->blocks[i].bytes[counter], memory_order_relaxed);
		}
	}
	*sum_out = sum;
}

void meter_read_kinds(const struct meter *meter, struct meter_kinds *sum_out)
{
	struct meter_kinds sum = {{0}, {0}};
	for (unsigned i = 0; i < meter->loop_count; i++) {
		const struct block *block = &meter->blocks[i];
		for (int kind = 0; kind < METER_KINDS; kind++) {
			sum.wal_bytes[kind] += atomic_load_explicit(
				&block->kind_wal_bytes[kind], memory_order_relaxed);
			sum.encoded_bytes[kind] += atomic_load_explicit(
				&block->kind_encoded_bytes[kind], memory_order_relaxed);
		}
	}
	*sum_out = sum;
}

void meter_difference(const struct meter_counts *after, const struct meter_counts *before,
	struct meter_counts *delta_out)
{
	for (int counter = 0; counter < METER_COUNTERS; counter++) {
		assert(after->bytes[counter] >= before->bytes[counter]);
		delta_out->bytes[counter] = after->bytes[counter] - before->bytes[counter];
	}
}

void meter_sum(struct meter_counts *sum, const struct meter_counts *delta)
{
	for (int counter = 0; counter < METER_COUNTERS; counter++) {
		sum->bytes[counter] += delta->bytes[counter];
	}
}
