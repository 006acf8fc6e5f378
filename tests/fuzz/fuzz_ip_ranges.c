/*
 * AWS's list of address ranges: refused, or ranges of which each has a region that can be asked for.
 */
#include "fuzz.h"

#include "destination/ip_ranges.h"

#include <assert.h>
#include <stddef.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
	const struct ip_address v4 = {.bytes = {3, 5, 140, 1}, .length = 4};
	const struct ip_address v6 = {.bytes = {0x26, 0x00, 0x1f}, .length = 16};
	struct error err = {0};
	struct ip_ranges *ranges = ip_ranges_parse((const char *)bytes, length, &err);

	assert((ranges == NULL) == (err.message[0] != '\0'));
	if (ranges == NULL) {
		return 0;
	}
	assert(ip_ranges_count(ranges) >= 1);
	if (!ip_ranges_has_region(ranges, "us-west-2")) {
		assert(!ip_ranges_is_in_region(ranges, "us-west-2", &v4));
		assert(!ip_ranges_is_in_region(ranges, "us-west-2", &v6));
	} else {
		(void)ip_ranges_is_in_region(ranges, "us-west-2", &v4);
		(void)ip_ranges_is_in_region(ranges, "us-west-2", &v6);
	}
	ip_ranges_free(&ranges);
	return 0;
}
