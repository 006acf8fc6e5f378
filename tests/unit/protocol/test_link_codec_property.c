/*
 * Whatever happens to both ends of a link, at random: what a decoder gives out is what was put in.
 *
 * One encoder, which is cut, restarted, moved, told of less and more reach; several decoders, which
 * join anywhere, miss batches, hold less, hold something else. All of it follows from a seed, which
 * is shown: WALRELAY_SEED is the first (1), WALRELAY_TRIALS how many follow.
 */
#include "protocol/link_codec.h"

#include "link_wal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define START     ((lsn_t)0x30 << 24)
#define WAL_BYTES ((size_t)4 << 20)
#define RECEIVERS 4
#define TRIALS    12

/* One receiver, and the WAL that it can read. */
struct receiver {
	struct link_wal *wal;
	const uint8_t *bytes;
	size_t held_from, held_to;
	bool holds_all;    /* within the encoder's reach: it may lack nothing */
	bool holds_others; /* bytes: nothing is promised but that nothing wrong comes out */
	struct link_decoder *decoder;
	bool is_joined; /* it has had every batch of this frame */
};

struct trial {
	struct link_wal *wal;
	uint8_t *others;
	struct link_encoder *encoder;
	uint64_t reach;
	struct receiver receivers[RECEIVERS];
	size_t right, need_plain;
};

static size_t read_held(void *context, lsn_t lsn, size_t length, const uint8_t **bytes_out)
{
	struct receiver *receiver = context;
	lsn_t start = receiver->wal->start;

	if (lsn < start + receiver->held_from || lsn >= start + receiver->held_to) {
		return 0;
	}
	*bytes_out = receiver->bytes + (lsn - start);
	return length < start + receiver->held_to - lsn ? length : start + receiver->held_to - lsn;
}

static bool one_in(struct trial *trial, uint64_t count)
{
	return link_wal_random(trial->wal, count) == 0;
}

static void restart_decoder(struct receiver *receiver)
{
	struct link_source source = {.read = read_held, .context = receiver};

	link_decoder_free(&receiver->decoder);
	receiver->decoder = link_decoder_new(receiver->wal->segment_bytes, &source);
	assert_non_null(receiver->decoder);
	receiver->is_joined = false;
}

static void restart_encoder(struct trial *trial)
{
	struct link_encoder_options options = {.segment_bytes = trial->wal->segment_bytes,
		.level = 1 + (int)link_wal_random(trial->wal, 5),
		.reach_bytes = trial->reach,
		.index_bytes = 1 << 14 << link_wal_random(trial->wal, 4),
		.recompress = (unsigned)link_wal_random(trial->wal, 8),
		.ends_at_records = one_in(trial, 2),
		.earlier = link_wal_source(trial->wal)};

	link_encoder_free(&trial->encoder);
	trial->encoder = link_encoder_new(&options);
	assert_non_null(trial->encoder);
}

/* Timelines, switches, records that were never finished, damage. */
static void make_wal(struct trial *trial)
{
	struct link_wal *wal = trial->wal;

	while (wal->length < WAL_BYTES) {
		wal->compresses = one_in(trial, 2);
		link_wal_fill(wal, wal->length + link_wal_random(wal, 600000));
		switch (link_wal_random(wal, 5)) {
		case 0: link_wal_add_switch(wal); break;
		case 1: link_wal_abandon(wal); break;
		case 2: wal->tli++; break;
		case 3:
			for (size_t at = wal->length - 2000; at < wal->length; at++) {
				wal->bytes[at] = (uint8_t)link_wal_random(wal, 256);
			}
			break;
		default: break;
		}
	}
}

static void set_up_trial(struct trial *trial, uint64_t seed)
{
	*trial = (struct trial){.reach = 1 << 30};
	trial->wal = link_wal_new(START, 1 << 20, WAL_BYTES + (4 << 20), seed);
	make_wal(trial);
	trial->others = malloc(trial->wal->length);
	assert_non_null(trial->others);
	memcpy(trial->others, trial->wal->bytes, trial->wal->length);
	for (size_t at = 0; at < trial->wal->length; at += 1 + link_wal_random(trial->wal, 9000)) {
		trial->others[at] ^= (uint8_t)(1 + link_wal_random(trial->wal, 255));
	}
	for (size_t i = 0; i < RECEIVERS; i++) {
		trial->receivers[i] = (struct receiver){.wal = trial->wal,
			.bytes = i == 3 ? trial->others : trial->wal->bytes,
			.holds_all = i == 0,
			.holds_others = i == 3};
		restart_decoder(&trial->receivers[i]);
	}
	restart_encoder(trial);
}

static void tear_down_trial(struct trial *trial)
{
	link_encoder_free(&trial->encoder);
	for (size_t i = 0; i < RECEIVERS; i++) {
		link_decoder_free(&trial->receivers[i].decoder);
	}
	link_wal_free(trial->wal);
	free(trial->others);
}

/* Something that may happen to the encoder between two batches. */
static void disturb(struct trial *trial, size_t at)
{
	struct link_wal *wal = trial->wal;
	size_t from;

	switch (link_wal_random(wal, 30)) {
	case 0:
		restart_encoder(trial);
		from = link_wal_random(wal, at + 1);
		link_encoder_note(trial->encoder, wal->start + from, wal->bytes + from, at - from);
		break;
	case 1: restart_encoder(trial); break;
	case 2:
		link_encoder_purge(trial->encoder, wal->start + link_wal_random(wal, at + 1));
		break;
	case 3:
		trial->reach = link_wal_random(wal, 3 << 20);
		link_encoder_set_reach(trial->encoder, trial->reach);
		break;
	case 4: link_encoder_set_level(trial->encoder, 1 + (int)link_wal_random(wal, 6)); break;
	case 5:
		link_encoder_set_recompress(trial->encoder, (unsigned)link_wal_random(wal, 8));
		break;
	default: break;
	}
}

static void receive(struct trial *trial, struct receiver *receiver, size_t at, size_t length,
	const uint8_t *batch, size_t batch_length)
{
	bool begins = (batch[1] & 1) != 0;
	struct link_decoded decoded;
	enum link_result result;

	receiver->held_to = at;
	receiver->held_from = receiver->holds_all ? (at > trial->reach ? at - trial->reach : 0)
			      : one_in(trial, 40) ? link_wal_random(trial->wal, at + 1)
						  : receiver->held_from;
	if (!receiver->holds_all && one_in(trial, 40)) {
		restart_decoder(receiver);
	}
	if (!receiver->holds_all && one_in(trial, 40)) {
		receiver->is_joined = false; /* the batch is lost */
		return;
	}
	result = link_decoder_decode(receiver->decoder, batch, batch_length, &decoded);
	receiver->is_joined = result == LINK_OK;
	if (result == LINK_OK) {
		assert_int_equal(decoded.start, trial->wal->start + at);
		assert_int_equal(decoded.length, length);
		assert_memory_equal(decoded.raw, trial->wal->bytes + at, length);
		trial->right++;
		return;
	}
	assert_non_null(decoded.reason);
	assert_null(decoded.raw);
	trial->need_plain++;
	/* Who holds what the encoder counts on gets everything; who holds less is told why not. */
	assert_true(!receiver->holds_all || !begins);
	assert_true(receiver->holds_others || result == LINK_NEED_PLAIN);
}

static void run_trial(struct trial *trial)
{
	struct link_wal *wal = trial->wal;
	size_t at = link_wal_random(wal, 2 << 20);

	while (at < wal->length) {
		size_t limit = (size_t)(link_batch_limit(wal->start + at) - wal->start) - at;
		size_t length = 1 + link_wal_random(wal, one_in(trial, 8) ? 100 : 80000);
		struct link_batch_stats stats;
		const uint8_t *batch;
		size_t batch_length;

		length = length < limit ? length : limit;
		length = length < wal->length - at ? length : wal->length - at;
		disturb(trial, at);
		wal->held_to = at;
		assert_true(link_encoder_encode(trial->encoder, wal->start + at, wal->bytes + at,
			length, &batch, &batch_length, &stats));
		assert_in_range(stats.raw_bytes, 1, length);
		length = stats.raw_bytes;
		for (size_t i = 0; i < RECEIVERS; i++) {
			receive(trial, &trial->receivers[i], at, length, batch, batch_length);
		}
		at += length;
	}
}

static uint64_t setting(const char *name, uint64_t otherwise)
{
	const char *text = getenv(name);

	return text != NULL ? strtoull(text, NULL, 10) : otherwise;
}

static void test_link_codec_property__what_comes_out_is_what_went_in_whatever_happens(void **state)
{
	uint64_t first = setting("WALRELAY_SEED", 1);
	uint64_t trials = setting("WALRELAY_TRIALS", TRIALS);
	size_t right = 0, need_plain = 0;

	(void)state;
	for (uint64_t seed = first; seed < first + trials; seed++) {
		struct trial trial;

		printf("seed %llu\n", (unsigned long long)seed);
		fflush(stdout);
		set_up_trial(&trial, seed);
		run_trial(&trial);
		right += trial.right;
		need_plain += trial.need_plain;
		tear_down_trial(&trial);
	}
	/* The trials are worth something only if both happen. */
	assert_true(right > 100 * trials);
	assert_true(need_plain > 10 * trials);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			test_link_codec_property__what_comes_out_is_what_went_in_whatever_happens),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
