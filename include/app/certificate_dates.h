/*
 * certificate_dates: when a file of certificates ceases to be good.
 */
#ifndef APP_CERTIFICATE_DATES_H
#define APP_CERTIFICATE_DATES_H

#include <stdbool.h>
#include <stdint.h>

/* Of the certificate in the PEM file that ends first, in Unix time; false: there is none. */
bool certificate_dates_read(const char *path, int64_t *not_after_us_out);

#endif
