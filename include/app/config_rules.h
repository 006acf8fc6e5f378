/*
 * config_rules: what options mean to each other, once each is valid by itself.
 */
#ifndef APP_CONFIG_RULES_H
#define APP_CONFIG_RULES_H

#include "app/config.h"

/* Fills in the defaults that depend on other options; reports contradictions as errors, and what
 * can have no effect as warnings. */
void config_apply_rules(struct config *config, struct config_report *report);

#endif
