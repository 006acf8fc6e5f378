/*
 * link_kinds: what goes over links, by kind of WAL, as the API tells it. Arrays have LINK_KIND_COUNT
 * numbers.
 */
#ifndef OBSERVE_LINK_KINDS_H
#define OBSERVE_LINK_KINDS_H

#include <jansson.h>
#include <stdint.h>

#define LINK_KINDS_SUMMARY_SIZE 128

/* {kind: {"wal_bytes", "encoded_bytes"}} */
json_t *link_kinds_object(const uint64_t *wal_bytes, const uint64_t *encoded_bytes);
uint64_t link_kinds_sum(const uint64_t *bytes);
/* Of total, which is not less than what they took; 0: of nothing. */
unsigned link_kinds_percent_of_images(const uint64_t *encoded_bytes, uint64_t total);
/* "58 % of what goes to it over links is full-page images, 21 % changes to tables": those, and what
 * there is most of besides. */
void link_kinds_summary(const uint64_t *encoded_bytes, char text_out[LINK_KINDS_SUMMARY_SIZE]);

#endif
