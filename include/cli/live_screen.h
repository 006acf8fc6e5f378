/*
 * live_screen: one text shown in a terminal again and again, in place of itself.
 *
 * A terminal that can: an alternate screen, without a cursor, each frame one write(2), lines cut to
 * the width, rewritten in place and not cleared first, so that nothing flickers; drawn anew when
 * the terminal changes its size or the program comes back from being stopped; left as it was at any
 * end that can be caught. Anything else (TERM=dumb, a pipe, a file): one text after the other,
 * whole. One at a time: signals are the process's.
 */
#ifndef CLI_LIVE_SCREEN_H
#define CLI_LIVE_SCREEN_H

#include <stdbool.h>
#include <stddef.h>

/* Takes over standard output. False: it is no terminal that can; then draw appends. */
bool live_screen_open(void);
void live_screen_close(void);
/* The text is copied. False: nobody reads any more. */
bool live_screen_draw(const char *text);
/* Waits, and draws the last text again when it must. */
void live_screen_wait(int milliseconds);

/* The bytes that show text on a screen of that size; malloc'ed. Pure. */
char *live_screen_frame(const char *text, unsigned columns, unsigned rows, size_t *length_out);

#endif
