/*
 * page: the status page, one file, as it stands in relay/observe/page.html; put into the program
 * when that is built (relay/observe/embed_page.py).
 */
#ifndef OBSERVE_PAGE_H
#define OBSERVE_PAGE_H

#include <stddef.h>

extern const char page_html[];
extern const size_t page_html_length;
/* Its Content-Security-Policy: its own style and script by their digests, answers of this server,
 * and nothing else. */
extern const char page_policy[];

#endif
