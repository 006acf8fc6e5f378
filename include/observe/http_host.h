/*
 * http_host: whom a request says it means.
 *
 * Where the status server listens on loopback alone it trusts those who are on this machine, and a browser is
 * one of them: a page from anywhere, whose name is made to resolve to 127.0.0.1 (DNS rebinding), could have it
 * read the API for it. Such a request names that host.
 */
#ifndef OBSERVE_HTTP_HOST_H
#define OBSERVE_HTTP_HOST_H

#include <stdbool.h>

/* host: of the header, with or without a port; NULL or "": none, as no browser sends it. True: an address, a
 * name without a dot or under .localhost, which nobody outside can own, machine_name, or the host of page_url
 * (NULL or "": none). */
bool http_host_is_ours(const char *host, const char *machine_name, const char *page_url);

#endif
