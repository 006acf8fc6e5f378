/*
 * accounting_options: what the configuration says of destinations, as the destinations take it.
 */
#ifndef APP_ACCOUNTING_OPTIONS_H
#define APP_ACCOUNTING_OPTIONS_H

#include "app/config.h"
#include "destination/destinations.h"

struct accounting_options {
	struct destinations_options options; /* texts belong to the configuration */
	struct destination_options *items;
};

void accounting_options_init(struct accounting_options *options, const struct config *config);
void accounting_options_release(struct accounting_options *options);

#endif
