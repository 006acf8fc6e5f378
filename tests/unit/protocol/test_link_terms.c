/*
 * link_terms: offers, what two of them have in common, and the options of START_REPLICATION, there
 * and back through the grammar.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "protocol/link_codec.h"
#include "protocol/link_terms.h"

#include <stdio.h>
#include <string.h>

static struct link_offer offer_of(uint32_t min, uint32_t max)
{
	struct link_offer offer = {.version_min = min, .version_max = max};

	assert_true(link_abilities_add(&offer.abilities, "lz4", "1.9.4"));
	assert_true(link_abilities_add(&offer.abilities, "backup", "zstd"));
	assert_true(link_abilities_add(&offer.abilities, "lanes", NULL));
	return offer;
}

static void test_link_terms__formats_offers(void **state)
{
	(void)state;
	char text[LINK_OFFER_TEXT_SIZE];
	struct link_offer offer = offer_of(1, 1);

	assert_string_equal(link_offer_format(&offer, text), "1 lz4=1.9.4 backup=zstd lanes");
	offer = offer_of(2, 4294967295);
	assert_string_equal(
		link_offer_format(&offer, text), "2-4294967295 lz4=1.9.4 backup=zstd lanes");
	link_offer_init(&offer);
	assert_int_equal(offer.version_min, LINK_VERSION_OLDEST);
	assert_int_equal(offer.version_max, LINK_VERSION_NEWEST);
}

static void test_link_terms__agrees(void **state)
{
	(void)state;
	static const struct {
		const char *name, *theirs;
		uint32_t version; /* 0: none */
		const char *abilities;
	} cases[] = {
		{"the same", "2-3 lz4=1.9.4 backup=zstd lanes", 3, "lz4=1.9.4 backup=zstd lanes"},
		{"older", "1-2", 2, ""},
		{"newer", "3-9 lanes", 3, "lanes"},
		{"newest only", "3", 3, ""},
		{"too old", "1 lanes", 0, ""},
		{"too new", "4-5 lanes", 0, ""},
		{"any order", "lanes  2 lz4=1.9.4", 2, "lz4=1.9.4 lanes"},
		{"other values", "2 lz4=1.9.40 backup=lz4 lanes=2", 2, ""},
		{"words of tomorrow", "2 WORD=\xc3\xa9? lanes $", 2, "lanes"},
		{"often", "2 lanes lanes lanes lanes lanes lanes lanes lanes lanes", 2, "lanes"},
		{"nothing", "", 0, ""},
		{"blanks", "   ", 0, ""},
		{"no version", "lanes backup=zstd", 0, ""},
		{"version 0", "0 lanes", 0, ""},
		{"upside down", "3-2 lanes", 0, ""},
		{"too large", "4294967296", 0, ""},
		{"half a range", "2- lanes", 0, ""},
		{"negative", "-2 lanes", 0, ""},
	};
	struct link_offer ours = offer_of(2, 3);

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct link_terms terms = {.version = 0};
		struct link_offer same = {.version_min = 1, .version_max = 1};
		char text[LINK_OFFER_TEXT_SIZE];

		print_message("  %s\n", cases[i].name);
		assert_int_equal(
			link_offer_agree(&ours, cases[i].theirs, &terms), cases[i].version != 0);
		assert_int_equal(terms.version, cases[i].version);
		same.abilities = terms.abilities;
		link_offer_format(&same, text);
		assert_string_equal(text[1] == ' ' ? text + 2 : text + 1, cases[i].abilities);
	}
}

static void test_link_terms__recompresses_what_both_ends_do_alike(void **state)
{
	(void)state;
	struct link_offer ours;
	struct link_terms terms;
	char theirs[LINK_OFFER_TEXT_SIZE];

	link_offer_init(&ours);
	link_offer_add_recompress(&ours);
	assert_true(link_offer_agree(&ours, link_offer_format(&ours, theirs), &terms));
	assert_int_equal(link_terms_recompress(&terms),
		LINK_RECOMPRESS_LZ4 | LINK_RECOMPRESS_ZSTD | LINK_RECOMPRESS_PGLZ);
	assert_true(link_offer_agree(&ours, "1 lz4=0.0.1 zstd pglz=1 pglz=2 lanes", &terms));
	assert_int_equal(link_terms_recompress(&terms), LINK_RECOMPRESS_PGLZ);
	assert_true(link_offer_agree(&ours, "1 lanes", &terms));
	assert_int_equal(link_terms_recompress(&terms), 0);
}

static void test_link_terms__finds_abilities(void **state)
{
	(void)state;
	struct link_offer offer = offer_of(1, 1);

	assert_string_equal(link_abilities_find(&offer.abilities, "lz4"), "1.9.4");
	assert_string_equal(link_abilities_find(&offer.abilities, "lanes"), "");
	assert_null(link_abilities_find(&offer.abilities, "lane"));
	assert_null(link_abilities_find(&offer.abilities, "lanes2"));
}

static void test_link_terms__refuses_abilities_that_are_none(void **state)
{
	(void)state;
	struct link_abilities abilities = {.count = 0};
	static const char *const names[] = {
		"", "Lz4", "a b", "a=b", "'", "4lz", "abcdefghijklmnopqrstuvwxyz012345"};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		assert_false(link_abilities_add(&abilities, names[i], NULL));
	}
	assert_false(link_abilities_add(&abilities, "lz4", "1 9"));
	for (size_t i = 0; i < LINK_ABILITIES_MAX; i++) {
		assert_true(link_abilities_add(&abilities, "a", NULL));
	}
	assert_false(link_abilities_add(&abilities, "a", NULL));
}

static enum link_start_result parse(
	const struct link_offer *ours, const char *options, struct link_start *start_out)
{
	char query[LINK_START_TEXT_SIZE + 64];
	struct repl_command command;
	const char *message = NULL;
	enum link_start_result result;

	snprintf(query, sizeof(query), "START_REPLICATION 0/3000000 TIMELINE 1 %s", options);
	assert_int_equal(repl_command_parse(query, &command, &message), REPL_PARSE_OK);
	result = link_start_parse(ours, command.options, command.option_count, start_out, &message);
	assert_int_equal(
		message != NULL, result == LINK_START_SYNTAX || result == LINK_START_UNSUPPORTED);
	return result;
}

static void assert_same_start(const struct link_start *start, const struct link_start *again)
{
	char text[LINK_START_TEXT_SIZE], text_again[LINK_START_TEXT_SIZE];

	assert_int_equal(start->has_held, again->has_held);
	assert_string_equal(link_start_format(start, text), link_start_format(again, text_again));
}

static void test_link_terms__round_trips_a_start(void **state)
{
	(void)state;
	struct link_offer ours = offer_of(1, 1);
	struct link_start start = {
		.terms = {.version = 1, .abilities = ours.abilities},
		.has_held = true,
		.held_lsn = 0x3A45678,
		.held_hash = 0x0ae0daaf44bc2cf5,
		.promise = {0x1000000, 2147483648},
	};
	struct link_start again;
	char text[LINK_START_TEXT_SIZE];

	assert_string_equal(link_start_format(&start, text),
		"(link '1', abilities 'lz4=1.9.4 backup=zstd lanes', held '0/3A45678', held_hash "
		"'0ae0daaf44bc2cf5', oldest '0/1000000', keep '2147483648')");
	assert_int_equal(parse(&ours, text, &again), LINK_START_OK);
	assert_same_start(&start, &again);

	start = (struct link_start){.terms = {.version = 1}};
	assert_string_equal(link_start_format(&start, text),
		"(link '1', abilities '', oldest '0/0', keep '0')");
	assert_int_equal(parse(&ours, text, &again), LINK_START_OK);
	assert_same_start(&start, &again);
}

static void test_link_terms__longest_texts_fit(void **state)
{
	(void)state;
	struct link_offer offer = {.version_min = 4294967294, .version_max = 4294967295};
	struct link_start start = {.terms = {.version = 4294967295},
		.has_held = true,
		.held_lsn = UINT64_MAX,
		.promise = {UINT64_MAX, LINK_KEEP_BYTES_MAX}};
	struct link_start again;
	char text[LINK_START_TEXT_SIZE];

	for (size_t i = 0; i < LINK_ABILITIES_MAX; i++) {
		assert_true(
			link_abilities_add(&offer.abilities, "abcdefghijklmno", "abcdefghijklmno"));
	}
	link_offer_format(&offer, text);
	start.terms.abilities = offer.abilities;
	assert_int_equal(parse(&offer, link_start_format(&start, text), &again), LINK_START_OK);
	assert_int_equal(text[strlen(text) - 1], ')');
	assert_int_equal(again.terms.abilities.count, LINK_ABILITIES_MAX);
}

static void test_link_terms__judges_a_start(void **state)
{
	(void)state;
	static const struct {
		const char *options;
		enum link_start_result result;
	} cases[] = {
		{"", LINK_START_NONE},
		{"(link '1')", LINK_START_OK},
		{"(link 1)", LINK_START_OK},
		{"(link '1', abilities 'lanes of tomorrow')", LINK_START_OK},
		{"(link '1', oldest '0/0', keep '4611686018427387904')", LINK_START_OK},
		{"(link '2')", LINK_START_UNSUPPORTED},
		{"(link '0')", LINK_START_UNSUPPORTED},
		{"(link '1', lune 'x')", LINK_START_UNSUPPORTED},
		{"(proto_version '1')", LINK_START_UNSUPPORTED},
		{"(abilities 'lanes')", LINK_START_SYNTAX},
		{"(link)", LINK_START_SYNTAX},
		{"(link '')", LINK_START_SYNTAX},
		{"(link 'x')", LINK_START_SYNTAX},
		{"(link '1', link '1')", LINK_START_SYNTAX},
		{"(link '1', held '0/1')", LINK_START_SYNTAX},
		{"(link '1', held_hash '0000000000000000')", LINK_START_SYNTAX},
		{"(link '1', held '0/1', held_hash '000000000000000')", LINK_START_SYNTAX},
		{"(link '1', held '0/1', held_hash '000000000000000G')", LINK_START_SYNTAX},
		{"(link '1', held '01', held_hash '0000000000000000')", LINK_START_SYNTAX},
		{"(link '1', oldest '0/1')", LINK_START_SYNTAX},
		{"(link '1', lane '2', token '0123456789abcdef')", LINK_START_OK},
		{"(link '1', lane '4294967295', token 'ffffffffffffffff')", LINK_START_OK},
		{"(link '1', lane '0', token '0123456789abcdef')", LINK_START_SYNTAX},
		{"(link '1', lane '4294967296', token '0123456789abcdef')", LINK_START_SYNTAX},
		{"(link '1', lane '2', token '0123456789ABCDEF')", LINK_START_SYNTAX},
		{"(link '1', lane '2', token '0123456789abcde')", LINK_START_SYNTAX},
		{"(link '1', lane '2')", LINK_START_SYNTAX},
		{"(link '1', token '0123456789abcdef')", LINK_START_SYNTAX},
		{"(link '1', keep '1')", LINK_START_SYNTAX},
		{"(link '1', oldest '0/1', keep '4611686018427387905')", LINK_START_SYNTAX},
		{"(link '1', oldest '0/1', keep '-1')", LINK_START_SYNTAX},
		{"(link '1', oldest '0/1', keep '99999999999999999999999')", LINK_START_SYNTAX},
		{"(link '1', oldest 'x', keep '1')", LINK_START_SYNTAX},
	};
	struct link_offer ours = offer_of(1, 1);

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct link_start start;

		print_message("  %s\n", cases[i].options);
		assert_int_equal(parse(&ours, cases[i].options, &start), cases[i].result);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_link_terms__formats_offers),
		cmocka_unit_test(test_link_terms__agrees),
		cmocka_unit_test(test_link_terms__recompresses_what_both_ends_do_alike),
		cmocka_unit_test(test_link_terms__finds_abilities),
		cmocka_unit_test(test_link_terms__refuses_abilities_that_are_none),
		cmocka_unit_test(test_link_terms__round_trips_a_start),
		cmocka_unit_test(test_link_terms__longest_texts_fit),
		cmocka_unit_test(test_link_terms__judges_a_start),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
