/*
 * status_screen: what /api/status says, as lines for people.
 *
 * Pure. Text that a relay passes on from others is made harmless for a terminal: a character that
 * could be a command to it, C1 controls included, becomes "?".
 */
#ifndef CLI_STATUS_SCREEN_H
#define CLI_STATUS_SCREEN_H

#include <jansson.h>
#include <stdio.h>

void status_screen_write(const json_t *status, FILE *out);
/* Text in lines of at most 80 columns with that many blanks before each, cut between words. */
void status_screen_write_paragraph(const char *at, unsigned indent, FILE *out);

#endif
