/*
 * live_screen: the control sequences are those that every terminal since the VT100 knows, but for
 * the alternate screen, which those pass over that have none.
 */
#include "cli/live_screen.h"

#include "base/memory.h"
#include "base/monotonic_clock.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#define ENTER       "\033[?1049h\033[?25l"
#define LEAVE       "\033[?25h\033[?1049l"
#define HOME        "\033[H"
#define LINE_REST   "\033[K"
#define SCREEN_REST "\033[J"

static bool is_live;
static char *last_text;
static volatile sig_atomic_t must_draw;
static volatile sig_atomic_t must_enter;

static const int ends[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP};
#define END_COUNT (sizeof(ends) / sizeof(ends[0]))

static bool write_all(const char *bytes, size_t length)
{
	while (length > 0) {
		ssize_t written = write(STDOUT_FILENO, bytes, length);
		if (written < 0 && errno != EINTR) {
			return false;
		}
		if (written > 0) {
			bytes += written;
			length -= (size_t)written;
		}
	}
	return true;
}

/* --- signals -----------------------------------------------------------------------------------
 */

static void on_end(int number)
{
	int saved_errno = errno;
	(void)write_all(LEAVE, sizeof(LEAVE) - 1);
	/* Takes effect when this returns: the end is what it would have been without us. */
	(void)signal(number, SIG_DFL);
	(void)raise(number);
	errno = saved_errno;
}

static void on_change(int number)
{
	must_draw = 1;
	if (number == SIGCONT) {
		must_enter = 1;
	}
}

static void catch_ends(void)
{
	struct sigaction action = {.sa_handler = on_end};
	sigemptyset(&action.sa_mask);
	for (size_t i = 0; i < END_COUNT; i++) {
		sigaction(ends[i], &action, NULL);
	}
}

/* Those that only ask for a new drawing come while we wait, and not in the middle of one. */
static void catch_changes(void)
{
	struct sigaction action = {.sa_handler = on_change};
	sigset_t changes;
	sigemptyset(&action.sa_mask);
	sigemptyset(&changes);
	sigaddset(&changes, SIGWINCH);
	sigaddset(&changes, SIGCONT);
	sigprocmask(SIG_BLOCK, &changes, NULL);
	sigaction(SIGWINCH, &action, NULL);
	sigaction(SIGCONT, &action, NULL);
}

/* --- drawing -----------------------------------------------------------------------------------
 */

/* Bytes of the characters that fit; a character takes one column. */
static size_t fitting_bytes(const char *line, size_t length, unsigned columns)
{
	size_t at = 0;
	for (unsigned column = 0; at < length; column++) {
		size_t next = at + 1;
		while (next < length && ((unsigned char)line[next] & 0xc0) == 0x80) {
			next++;
		}
		if (column == columns) {
			break;
		}
		at = next;
	}
	while (at > 0 && line[at - 1] == ' ') {
		at--;
	}
	return at;
}

static unsigned count_lines(const char *text)
{
	unsigned count = 0;
	for (const char *at = text; *at != '\0'; count++) {
		at += strcspn(at, "\n");
		at += *at == '\n';
	}
	return count;
}

char *live_screen_frame(const char *text, unsigned columns, unsigned rows, size_t *length_out)
{
	char *frame = NULL;
	char more[64];
	FILE *out = open_memstream(&frame, length_out);
	unsigned count = count_lines(text);
	unsigned shown = count > rows ? rows - 1 : count;
	fputs(HOME, out);
	for (unsigned row = 0; row < shown; row++) {
		size_t length = strcspn(text, "\n");
		fwrite(text, 1, fitting_bytes(text, length, columns), out);
		fputs(LINE_REST, out);
		/* No line feed after the last row: the screen would scroll. */
		fputs(row + 1 < rows ? "\r\n" : "", out);
		text += length + (text[length] == '\n');
	}
	if (shown < count) {
		int length = snprintf(more, sizeof(more), "... %u more lines", count - shown);
		fwrite(more, 1, fitting_bytes(more, (size_t)length, columns), out);
		fputs(LINE_REST, out);
	} else {
		fputs(shown < rows ? SCREEN_REST : "", out);
	}
	(void)fclose(out);
	return frame;
}

static bool draw_again(void)
{
	struct winsize size = {0};
	size_t length;
	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0 || size.ws_row == 0) {
		size = (struct winsize){.ws_col = 80, .ws_row = 24};
	}
	if (must_enter) {
		must_enter = 0;
		catch_ends();
		if (!write_all(ENTER, sizeof(ENTER) - 1)) {
			return false;
		}
	}
	must_draw = 0;
	char *frame = live_screen_frame(last_text, size.ws_col, size.ws_row, &length);
	bool ok = write_all(frame, length);
	free(frame);
	return ok;
}

bool live_screen_open(void)
{
	const char *terminal = getenv("TERM");
	is_live = isatty(STDOUT_FILENO) && terminal != NULL && terminal[0] != '\0' &&
		  strcmp(terminal, "dumb") != 0;
	if (is_live) {
		must_enter = 1;
		catch_changes();
	}
	return is_live;
}

void live_screen_close(void)
{
	if (is_live) {
		(void)write_all(LEAVE, sizeof(LEAVE) - 1);
		is_live = false;
	}
	free(last_text);
	last_text = NULL;
}

bool live_screen_draw(const char *text)
{
	bool is_first = last_text == NULL;
	free(last_text);
	last_text = memory_copy_text(text);
	if (is_live) {
		return draw_again();
	}
	return (is_first || write_all("\n", 1)) && write_all(text, strlen(text));
}

void live_screen_wait(int milliseconds)
{
	int64_t end_ms = monotonic_clock_us() / 1000 + milliseconds;
	sigset_t none;
	sigemptyset(&none);
	for (int64_t left = milliseconds; left > 0; left = end_ms - monotonic_clock_us() / 1000) {
		const struct timespec timeout = {left / 1000, left % 1000 * 1000000};
		(void)ppoll(NULL, 0, &timeout, is_live ? &none : NULL);
		if (must_draw && last_text != NULL) {
			(void)draw_again();
		}
	}
}
