/*
 * meter: bytes counted for one destination, by many loops at once.
 *
 * Each loop adds to counters that no other loop writes; a reader sums them. No lock, and no atomic
 * read-modify-write: one relaxed load and store a counter. Counters start at 0 with the process and
 * never go back.
 *
 * What is counted:
 *   wal             WAL delivered, uncompressed, whatever it was on the wire
 *   backup          payload of base backups
 *   wire_sent       what TCP was handed: framing and TLS included
 *   wire_received   what TCP handed over
 *   billed_sent     what a provider counts of it: IP packets that left, whole, so with headers,
 *                   handshake, pure acknowledgements and retransmissions
 *   billed_received likewise of what came in
 *   backup_billed   the part of billed_sent that left while a base backup passed
 *   plain_billed    what the same WAL would have been billed as a plain stream: messages of 128 kB
 *                   with 30 bytes of header each, in full segments; less than any real standby's
 *
 * Billed bytes come from the kernel's account of a connection, TCP_INFO (tcp(7), struct tcp_info in
 * linux/tcp.h, filled by tcp_get_info() of net/ipv4/tcp.c):
 *   tcpi_bytes_sent     payload bytes sent, retransmissions included (RFC 4898 HCDataOctetsOut)
 *   tcpi_segs_out       segments sent, pure acknowledgements, FIN and retransmissions included (RFC
 *                       4898 SegsOut); a segment handed to the card in one piece to be split there
 *                       counts as many as will leave
 *   tcpi_bytes_received payload bytes got, tcpi_segs_in segments got
 *   tcpi_options        TCPI_OPT_TIMESTAMPS: each segment carries 12 bytes of options
 *   tcpi_notsent_bytes  what the kernel has yet to send
 * A segment has an IP header (20 bytes, IPv6: 40), a TCP header (20) and its options. The SYN-ACK
 * is sent before the connection exists and so is in no tcpi_segs_out: it counts as one segment with
 * 20 bytes of options, as the SYN does that came in. Options beyond timestamps (SACK) are counted
 * nowhere: they ride on acknowledgements of what arrives past a loss, so billed_received lacks
 * those where what is sent gets lost.
 */
#ifndef DESTINATION_METER_H
#define DESTINATION_METER_H

#include <stdbool.h>
#include <stdint.h>

enum meter_counter {
	METER_WAL,
	METER_BACKUP,
	METER_WIRE_SENT,
	METER_WIRE_RECEIVED,
	METER_BILLED_SENT,
	METER_BILLED_RECEIVED,
	METER_BACKUP_BILLED,
	METER_PLAIN_BILLED,
	METER_COUNTERS,
};

struct meter_counts {
	uint64_t bytes[METER_COUNTERS];
};

/* What went over links, by what it is: bytes of WAL, and what they took. Kinds are numbered by those
 * who add, as protocol/link_codec does. In no ledger: it tells of this process alone. */
#define METER_KINDS 10

struct meter_kinds {
	uint64_t wal_bytes[METER_KINDS];
	uint64_t encoded_bytes[METER_KINDS];
};

/* What the kernel said of one connection; zeros for what is no TCP: a Unix socket bills nothing. */
struct meter_tcp {
	uint64_t bytes_sent;
	uint64_t segments_sent;
	uint64_t bytes_received;
	uint64_t segments_received;
	uint64_t unsent_bytes;  /* only for a connection about to be closed: the kernel goes on */
	unsigned segment_bytes; /* payload of a full segment */
	unsigned closing_sent;  /* likewise: FIN and acknowledgements that follow */
	unsigned closing_received;
	bool is_tcp;
	bool is_ipv6;
	bool has_timestamps;
};

uint64_t meter_billed_sent(const struct meter_tcp *tcp);
uint64_t meter_billed_received(const struct meter_tcp *tcp);
/* Over a connection of that kind; only is_tcp, is_ipv6, has_timestamps and segment_bytes count. */
uint64_t meter_plain_billed(const struct meter_tcp *tcp, uint64_t wal_bytes);
/* What came of it that less was sent than that; 0 where it was more. */
uint64_t meter_saved(const struct meter_counts *counts);

struct meter;

struct meter *meter_new(unsigned loop_count);
/* Accepts NULL, sets NULL. */
void meter_free(struct meter **meter);
/* On the loop of that number, below loop_count. */
void meter_add(struct meter *meter, unsigned loop, const struct meter_counts *delta);
/* Likewise. */
void meter_add_kinds(struct meter *meter, unsigned loop, const struct meter_kinds *delta);
/* Any thread. */
void meter_read(const struct meter *meter, struct meter_counts *sum_out);
void meter_read_kinds(const struct meter *meter, struct meter_kinds *sum_out);

/* after - before, each counter of which is not less. */
void meter_difference(const struct meter_counts *after, const struct meter_counts *before,
	struct meter_counts *delta_out);
void meter_sum(struct meter_counts *sum, const struct meter_counts *delta);

#endif
