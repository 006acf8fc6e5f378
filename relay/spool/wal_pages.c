/*
 * wal_pages: the pages a scan asks for, out of one mapping at a time.
 */
#include "spool/wal_store_internal.h"

const uint8_t *wal_pages_at(void *context, lsn_t page_lsn)
{
	struct wal_pages *pages = context;
	uint64_t number = wal_segment_number(page_lsn, pages->segment_bytes);
	uint32_t offset = (uint32_t)(page_lsn % pages->segment_bytes);

	if (pages->segment == NULL || pages->number != number) {
		wal_pages_release(pages);
		pages->segment = wal_segment_cache_get(
			pages->cache, pages->tli, number, pages->segment_bytes, &pages->err);
		if (pages->segment == NULL) {
			return NULL;
		}
		pages->number = number;
	}
	if (pages->may_be_cold &&
		!wal_segment_populate(pages->segment, offset, WAL_PAGE_BYTES, &pages->err)) {
		return NULL;
	}
	return wal_segment_bytes(pages->segment) + offset;
}

void wal_pages_release(struct wal_pages *pages)
{
	if (pages->segment != NULL) {
		wal_segment_unref(pages->segment);
		pages->segment = NULL;
	}
}
