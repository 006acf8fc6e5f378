/*
 * link_model: what is put comes back, whatever it is; what repeats gets short; damage is bounded.
 */
#include "protocol/link_model.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define BYTES   4000u
#define COLUMNS 3u

static uint32_t next_random(uint32_t *random)
{
	*random = *random * 1664525u + 1013904223u;
	return *random >> 16;
}

enum kind { ZEROS, NOISE, ONES, CYCLE, RARE, KINDS };

static void fill(uint8_t *bytes, enum kind kind, uint32_t seed)
{
	for (size_t i = 0; i < BYTES; i++) {
		uint32_t random = next_random(&seed);

		bytes[i] = (uint8_t)(kind == ZEROS   ? 0
				     : kind == NOISE ? random
				     : kind == ONES  ? 0xFF
				     : kind == CYCLE ? (uint8_t) "abcdefg"[i % 7]
						     : (random % 50 == 0 ? random >> 7 : 3));
	}
}

static struct link_model *new_model(void)
{
	struct link_model *model = link_model_new(COLUMNS, 0x5);

	assert_non_null(model);
	return model;
}

static void test_link_model__gives_back_what_it_took(void **state)
{
	struct link_model *writing = new_model(), *reading = new_model();
	uint8_t bytes[BYTES], back[BYTES], out[4 * BYTES];
	struct link_coder coder;

	(void)state;
	for (uint32_t seed = 0; seed < 100; seed++) {
		enum kind kind = (enum kind)(seed % KINDS);
		unsigned column = seed / 7 % COLUMNS;
		size_t cut = seed * 31 % BYTES, length;

		fill(bytes, kind, seed);
		link_coder_write(&coder, writing, out, sizeof(out));
		link_coder_put(&coder, column, 7, bytes, cut);
		link_coder_put(&coder, (column + 1) % COLUMNS, 0, bytes + cut, BYTES - cut);
		length = link_coder_finish(&coder);
		assert_false(coder.is_full);
		link_coder_read(&coder, reading, out, length);
		assert_true(link_coder_get(&coder, column, 7, back, cut));
		assert_true(
			link_coder_get(&coder, (column + 1) % COLUMNS, 0, back + cut, BYTES - cut));
		assert_memory_equal(back, bytes, BYTES);
		if (seed % 9 == 0) {
			link_model_reset(writing);
			link_model_reset(reading);
		}
	}
	link_model_free(&writing);
	link_model_free(&reading);
}

static size_t coded(enum kind kind, unsigned column)
{
	struct link_model *model = new_model();
	uint8_t bytes[BYTES], out[4 * BYTES];
	struct link_coder coder;
	size_t length;

	fill(bytes, kind, 1);
	link_coder_write(&coder, model, out, sizeof(out));
	link_coder_put(&coder, column, 0, bytes, BYTES);
	length = link_coder_finish(&coder);
	link_model_free(&model);
	return length;
}

static void test_link_model__what_repeats_gets_short(void **state)
{
	(void)state;
	assert_true(coded(ZEROS, 0) < BYTES / 20);
	assert_true(coded(CYCLE, 0) < BYTES / 20);
	/* Without the byte before, only that there are seven. */
	assert_in_range(coded(CYCLE, 1), BYTES / 4, BYTES / 2);
	assert_in_range(coded(NOISE, 1), BYTES, BYTES + BYTES / 10);
}

static void test_link_model__nothing_takes_no_bytes(void **state)
{
	struct link_model *model = new_model();
	struct link_coder coder;
	uint8_t out[1];

	(void)state;
	link_coder_write(&coder, model, out, 0);
	assert_int_equal(link_coder_finish(&coder), 0);
	assert_false(coder.is_full);
	link_model_free(&model);
}

static void test_link_model__says_when_there_is_no_room(void **state)
{
	struct link_model *model = new_model();
	uint8_t bytes[BYTES], *out = malloc(100);
	struct link_coder coder;

	(void)state;
	assert_non_null(out);
	fill(bytes, NOISE, 1);
	link_coder_write(&coder, model, out, 100);
	link_coder_put(&coder, 0, 0, bytes, BYTES);
	assert_true(coder.is_full);
	assert_int_equal(link_coder_finish(&coder), 100);
	free(out);
	link_model_free(&model);
}

static void test_link_model__knows_when_nobody_wrote_that(void **state)
{
	struct link_model *model = new_model();
	uint8_t *exact = malloc(5), back[BYTES];
	struct link_coder coder;

	(void)state;
	assert_non_null(exact);
	/* All ones are as good as nothing else: the least likely bit, and the end. */
	for (unsigned first = 0; first < 255; first++) {
		memset(exact, (int)first, 5);
		link_coder_read(&coder, model, exact, 5);
		assert_false(link_coder_get(&coder, first % COLUMNS, 0, back, BYTES));
		assert_int_equal(coder.at, 5);
		link_model_reset(model);
	}
	free(exact);
	link_model_free(&model);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_link_model__gives_back_what_it_took),
		cmocka_unit_test(test_link_model__what_repeats_gets_short),
		cmocka_unit_test(test_link_model__nothing_takes_no_bytes),
		cmocka_unit_test(test_link_model__says_when_there_is_no_room),
		cmocka_unit_test(test_link_model__knows_when_nobody_wrote_that),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
