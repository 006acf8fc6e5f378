#include "protocol/link_division.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define MB ((lsn_t)1 << 20)

static void test_link_division__goes_round(void **state)
{
	static const struct {
		struct link_division division;
		unsigned lane;
		lsn_t lsn, expected;
	} cases[] = {
		{{0, 0}, 0, 5 * MB + 7, 5 * MB + 7},
		{{4 * MB, 1}, 0, 5 * MB + 7, 5 * MB + 7},
		{{4 * MB, 3}, 0, 1 * MB + 7, 1 * MB + 7},
		{{4 * MB, 3}, 1, 1 * MB + 7, 5 * MB},
		{{4 * MB, 3}, 2, 1 * MB + 7, 6 * MB},
		{{4 * MB, 3}, 0, 4 * MB, 4 * MB},
		{{4 * MB, 3}, 0, 5 * MB - 1, 5 * MB - 1},
		{{4 * MB, 3}, 0, 5 * MB, 7 * MB},
		{{4 * MB, 3}, 1, 5 * MB + 7, 5 * MB + 7},
		{{4 * MB, 3}, 1, 6 * MB, 8 * MB},
		{{4 * MB, 3}, 2, 4 * MB + 9, 6 * MB},
		{{4 * MB, 3}, 0, 6 * MB + 9, 7 * MB},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(
			link_division_next(&cases[i].division, cases[i].lane, cases[i].lsn),
			cases[i].expected);
	}
}

/* Every byte is of exactly one lane, whatever one sends next is its own, and one that begins where
 * another one stood goes on as that one would have. */
static void test_link_division__every_byte_has_one_lane(void **state)
{
	(void)state;
	for (unsigned count = 2; count <= LINK_LANES_MAX; count++) {
		const struct link_division division = {.from = 3 * MB, .count = count};

		for (lsn_t lsn = MB; lsn < 50 * MB; lsn += MB / 2 - 1) {
			unsigned lane = link_division_lane(&division, lsn);

			for (unsigned other = 0; other < count; other++) {
				lsn_t next = link_division_next(&division, other, lsn);

				assert_int_equal(next == lsn, other == lane);
				assert_int_equal(link_division_lane(&division, next), other);
				assert_true(next >= lsn && next < lsn + (count + 3) * MB);
			}
		}
		for (lsn_t lsn = 3 * MB; lsn < 50 * MB; lsn += MB / 2 - 1) {
			unsigned lane = link_division_lane(&division, lsn);
			const struct link_division own = link_division_begin(lsn, count);

			for (lsn_t at = lsn; at < lsn + 40 * MB; at += MB / 3) {
				assert_int_equal(link_division_lane(&own, at) == 0,
					link_division_lane(&division, at) == lane);
			}
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_link_division__goes_round),
		cmocka_unit_test(test_link_division__every_byte_has_one_lane),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
