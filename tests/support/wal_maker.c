/*
 * wal_maker: writes WAL the way XLogInsert does, one record after the other.
 */
#include "support/wal_maker.h"

#include "protocol/crc32c.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define SHORT_HEADER 24u
#define LONG_HEADER  40u
#define HEADER       24u
#define SYSTEM       UINT64_C(7300000000000000001)

struct wal_maker *wal_maker_new(tli_t tli, lsn_t start, uint32_t segment_bytes, uint64_t seed)
{
	struct wal_maker *maker = calloc(1, sizeof(*maker));

	assert(maker != NULL && start % segment_bytes == 0);
	maker->tli = tli;
	maker->segment_bytes = segment_bytes;
	maker->magic = WAL_MAKER_MAGIC_15;
	maker->start = start;
	maker->at = start;
	maker->random = seed * 2 + 1;
	return maker;
}

void wal_maker_free(struct wal_maker *maker)
{
	free(maker->bytes);
	free(maker);
}

const uint8_t *wal_maker_bytes(const struct wal_maker *maker, lsn_t lsn)
{
	assert(lsn >= maker->start && lsn <= maker->at);
	return maker->bytes + (lsn - maker->start);
}

uint64_t wal_maker_random(struct wal_maker *maker, uint64_t below)
{
	maker->random ^= maker->random << 13;
	maker->random ^= maker->random >> 7;
	maker->random ^= maker->random << 17;
	return maker->random % below;
}

static uint8_t *reserve(struct wal_maker *maker, size_t length)
{
	size_t used = maker->at - maker->start;

	while (used + length > maker->capacity) {
		size_t capacity = maker->capacity == 0 ? maker->segment_bytes : 2 * maker->capacity;

		maker->bytes = realloc(maker->bytes, capacity);
		assert(maker->bytes != NULL);
		memset(maker->bytes + maker->capacity, 0, capacity - maker->capacity);
		maker->capacity = capacity;
	}
	return maker->bytes + used;
}

static void put(uint8_t *at, uint64_t value, size_t length)
{
	memcpy(at, &value, length);
}

static void begin_page(struct wal_maker *maker, uint16_t info, uint32_t left)
{
	bool is_long = maker->at % maker->segment_bytes == 0;
	uint32_t length = is_long ? LONG_HEADER : SHORT_HEADER;
	uint8_t *page = reserve(maker, length);

	assert(maker->at % WAL_PAGE_BYTES == 0);
	put(page, maker->magic, 2);
	put(page + 2, (uint64_t)(info | (left > 0 ? 1 : 0) | (is_long ? 2 : 0)), 2);
	put(page + 4, maker->tli, 4);
	put(page + 8, maker->at, 8);
	put(page + 16, left, 4);
	if (is_long) {
		put(page + 24, SYSTEM, 8);
		put(page + 32, maker->segment_bytes, 4);
		put(page + 36, WAL_PAGE_BYTES, 4);
	}
	maker->at += length;
}

static void add_bytes(struct wal_maker *maker, const uint8_t *bytes, size_t length)
{
	while (length > 0) {
		size_t part;

		if (maker->at % WAL_PAGE_BYTES == 0) {
			begin_page(maker, 0, (uint32_t)length);
		}
		part = WAL_PAGE_BYTES - maker->at % WAL_PAGE_BYTES;
		part = part < length ? part : length;
		memcpy(reserve(maker, part), bytes, part);
		maker->at += part;
		bytes += part;
		length -= part;
	}
}

static void align(struct wal_maker *maker)
{
	(void)reserve(maker, 8);
	maker->at = (maker->at + 7) & ~(lsn_t)7;
}

static uint8_t *build(
	struct wal_maker *maker, uint8_t info, uint8_t rmgr, const uint8_t *body, size_t body_bytes)
{
	uint8_t *record = calloc(1, HEADER + body_bytes);
	uint32_t crc;

	assert(record != NULL);
	put(record, HEADER + body_bytes, 4);
	put(record + 4, wal_maker_random(maker, 1000000), 4);
	put(record + 8, maker->previous, 8);
	record[16] = info;
	record[17] = rmgr;
	if (body_bytes > 0) {
		memcpy(record + HEADER, body, body_bytes);
	}
	crc = crc32c_update_portable(CRC32C_INIT, record + HEADER, body_bytes);
	put(record + 20, crc32c_finish(crc32c_update_portable(crc, record, 20)), 4);
	return record;
}

static lsn_t insert(
	struct wal_maker *maker, uint8_t info, uint8_t rmgr, const uint8_t *body, size_t body_bytes)
{
	uint8_t *record;

	if (maker->at % WAL_PAGE_BYTES == 0) {
		begin_page(maker, 0, 0);
	}
	record = build(maker, info, rmgr, body, body_bytes);
	maker->previous = maker->at;
	add_bytes(maker, record, HEADER + body_bytes);
	align(maker);
	free(record);
	assert(maker->record_count < WAL_MAKER_RECORDS_MAX);
	maker->starts[maker->record_count] = maker->previous;
	maker->ends[maker->record_count++] = maker->at;
	return maker->at;
}

lsn_t wal_maker_record(struct wal_maker *maker, size_t body_bytes)
{
	uint8_t *body = malloc(body_bytes + 1);
	lsn_t end;

	assert(body != NULL);
	for (size_t i = 0; i < body_bytes; i++) {
		body[i] = (uint8_t)wal_maker_random(maker, 256);
	}
	end = insert(maker, 0x20, 10, body, body_bytes);
	free(body);
	return end;
}

lsn_t wal_maker_checkpoint(struct wal_maker *maker, lsn_t redo)
{
	uint8_t body[2 + 88] = {255, 88};

	put(body + 2, redo, 8);
	return insert(maker, 0x10, 0, body, sizeof(body));
}

lsn_t wal_maker_switch(struct wal_maker *maker)
{
	lsn_t end = insert(maker, 0x40, 0, NULL, 0);

	while (maker->at % maker->segment_bytes != 0) {
		size_t rest = WAL_PAGE_BYTES - maker->at % WAL_PAGE_BYTES;

		/* Before version 11 the pages have headers. */
		if (maker->magic < 0xD098 && rest == WAL_PAGE_BYTES) {
			begin_page(maker, 0, 0);
			rest -= SHORT_HEADER;
		}
		memset(reserve(maker, rest), 0, rest);
		maker->at += rest;
	}
	return end;
}

lsn_t wal_maker_leading(struct wal_maker *maker, size_t bytes)
{
	uint8_t *body = malloc(bytes);

	assert(body != NULL && maker->at % maker->segment_bytes == 0);
	for (size_t i = 0; i < bytes; i++) {
		body[i] = (uint8_t)wal_maker_random(maker, 256);
	}
	add_bytes(maker, body, bytes);
	align(maker);
	free(body);
	maker->previous = maker->start - 4096;
	return maker->at;
}

lsn_t wal_maker_abandon(struct wal_maker *maker)
{
	size_t room = WAL_PAGE_BYTES - maker->at % WAL_PAGE_BYTES;
	uint8_t body[64];
	uint8_t *record;
	lsn_t begun;

	if (maker->at % WAL_PAGE_BYTES == 0) {
		begin_page(maker, 0, 0);
		room -= maker->at % WAL_PAGE_BYTES;
	}
	begun = maker->at;
	record = build(maker, 0x20, 10, maker->bytes, room);
	memcpy(reserve(maker, room), record, room);
	free(record);
	maker->at += room;
	begin_page(maker, 8, 0);
	/* XLOG_OVERWRITE_CONTRECORD: which record, and when. */
	memset(body, 0, sizeof(body));
	body[0] = 255;
	body[1] = 16;
	put(body + 2, begun, 8);
	(void)insert(maker, 0xD0, 0, body, 18);
	return begun;
}

void wal_maker_fill(struct wal_maker *maker, lsn_t lsn)
{
	while (maker->at < lsn) {
		uint64_t kind = wal_maker_random(maker, 100);
		size_t most = kind < 60 ? 200 : kind < 90 ? 4000 : kind < 99 ? 20000 : 60000;

		(void)wal_maker_record(maker, wal_maker_random(maker, most));
	}
}

struct wal_maker *wal_maker_fork(const struct wal_maker *maker, tli_t tli, lsn_t fork)
{
	lsn_t start = fork - fork % maker->segment_bytes;
	struct wal_maker *forked = wal_maker_new(tli, start, maker->segment_bytes, fork + tli);

	assert(start >= maker->start && fork <= maker->at);
	forked->magic = maker->magic;
	memcpy(reserve(forked, fork - start + 8), wal_maker_bytes(maker, start), fork - start);
	memset(forked->bytes + (fork - start), 0, 8);
	forked->at = fork;
	for (size_t i = 0; i < maker->record_count && maker->ends[i] <= fork; i++) {
		forked->previous = maker->starts[i];
		if (maker->ends[i] > start) {
			forked->starts[forked->record_count] = maker->starts[i];
			forked->ends[forked->record_count++] = maker->ends[i];
		}
	}
	return forked;
}

lsn_t wal_maker_last_end(const struct wal_maker *maker, lsn_t lsn)
{
	lsn_t last = 0;

	for (size_t i = 0; i < maker->record_count && maker->ends[i] <= lsn; i++) {
		last = maker->ends[i];
	}
	return last;
}
