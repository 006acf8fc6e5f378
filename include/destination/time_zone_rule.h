/*
 * time_zone_rule: the text at the end of a zone file, such as "CET-1CEST,M3.5.0,M10.5.0/3": what
 * holds after the last change that the file lists. Pure.
 */
#ifndef DESTINATION_TIME_ZONE_RULE_H
#define DESTINATION_TIME_ZONE_RULE_H

#include "base/error.h"

#include <stdbool.h>
#include <stdint.h>

enum time_zone_day { TIME_ZONE_JULIAN, TIME_ZONE_DAY_OF_YEAR, TIME_ZONE_MONTH_WEEK_DAY };

/* When in a year clocks are changed, in the time that holds before. */
struct time_zone_change {
	enum time_zone_day kind;
	int month; /* 1 to 12 */
	int week;  /* 1 to 5, 5: the last */
	int day;   /* of the week, 0: Sunday; or of the year */
	int32_t seconds;
};

struct time_zone_rule {
	int32_t standard_offset; /* seconds to add to UTC */
	int32_t summer_offset;
	bool has_summer;
	struct time_zone_change to_summer;
	struct time_zone_change to_standard;
};

bool time_zone_rule_parse(const char *text, struct time_zone_rule *rule_out) MUST_CHECK;
int32_t time_zone_rule_offset(const struct time_zone_rule *rule, int64_t unix_seconds);

#endif
