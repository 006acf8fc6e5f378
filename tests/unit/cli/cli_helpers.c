/*
 * cli_helpers: see the header.
 */
#include "cli_helpers.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "upstream/upstream.h"

#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char scratch[48];
static int saved_fds[2];
static int captured_fds[2];

void capture_begin(void)
{
	(void)fflush(stdout);
	(void)fflush(stderr);
	for (int i = 0; i < 2; i++) {
		FILE *file = tmpfile();

		assert_non_null(file);
		captured_fds[i] = dup(fileno(file));
		(void)fclose(file);
		saved_fds[i] = dup(STDOUT_FILENO + i);
		assert_true(dup2(captured_fds[i], STDOUT_FILENO + i) >= 0);
	}
}

static char *all_of(int fd)
{
	off_t length = lseek(fd, 0, SEEK_END);
	char *text = calloc(1, (size_t)length + 1);

	assert_int_equal(pread(fd, text, (size_t)length, 0), length);
	return text;
}

void capture_end(struct captured *captured_out)
{
	char **texts[] = {&captured_out->out, &captured_out->err};

	(void)fflush(stdout);
	(void)fflush(stderr);
	for (int i = 0; i < 2; i++) {
		assert_true(dup2(saved_fds[i], STDOUT_FILENO + i) >= 0);
		close(saved_fds[i]);
		*texts[i] = all_of(captured_fds[i]);
		close(captured_fds[i]);
	}
}

void captured_release(struct captured *captured)
{
	free(captured->out);
	free(captured->err);
}

void scratch_enter(void)
{
	strcpy(scratch, "/tmp/walrelay_cli.XXXXXX");
	assert_non_null(mkdtemp(scratch));
	assert_int_equal(chdir(scratch), 0);
}

static int remove_entry(const char *path, const struct stat *status, int kind, struct FTW *walk)
{
	(void)status;
	(void)kind;
	(void)walk;
	return remove(path);
}

void scratch_leave(void)
{
	assert_int_equal(chdir("/"), 0);
	assert_int_equal(nftw(scratch, remove_entry, 16, FTW_DEPTH | FTW_PHYS), 0);
}

int scratch_set_up(void **state)
{
	(void)state;
	scratch_enter();
	return 0;
}

int scratch_tear_down(void **state)
{
	(void)state;
	scratch_leave();
	return 0;
}

const char *scratch_path(void)
{
	return scratch;
}

void scratch_write(const char *name, const char *text, unsigned mode)
{
	int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	assert_int_equal(fchmod(fd, mode), 0);
	close(fd);
}

char *scratch_read(const char *name)
{
	int fd = open(name, O_RDONLY);
	char *text;

	if (fd < 0) {
		return NULL;
	}
	text = all_of(fd);
	close(fd);
	return text;
}

struct config *scratch_config(const char *text)
{
	static const struct config_conninfo conninfo = {
		upstream_conninfo_is_valid, upstream_conninfo_masked};
	struct config_report report = {0};
	struct config *config =
		config_parse("w.ini", scratch, text, strlen(text), &conninfo, &report);

	if (config == NULL) {
		fail_msg("%s", report.problems[0].message);
	}
	config_report_release(&report);
	return config;
}

char *report_text(struct config_report *report)
{
	char *text, *at;
	size_t length;
	FILE *out = open_memstream(&text, &length);

	config_report_write(report, out);
	(void)fclose(out);
	config_report_release(report);
	while ((at = strstr(text, scratch)) != NULL) {
		*at = '.';
		memmove(at + 1, at + strlen(scratch), strlen(at + strlen(scratch)) + 1);
	}
	return text;
}
