/*
 * log: the lines as they arrive in a file, a journal or a pipe.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/log.h"

#include <fcntl.h>
#include <jansson.h>
#include <limits.h>
#include <pthread.h>
#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct fixture {
	char directory[32];
	char path[64];
};

static int set_up(void **state)
{
	struct fixture *fixture = calloc(1, sizeof(*fixture));

	strcpy(fixture->directory, "/tmp/test_log.XXXXXX");
	assert_non_null(mkdtemp(fixture->directory));
	(void)snprintf(fixture->path, sizeof(fixture->path), "%s/log", fixture->directory);
	*state = fixture;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *fixture = *state;
	char moved[80];

	(void)snprintf(moved, sizeof(moved), "%s.1", fixture->path);
	unlink(moved);
	unlink(fixture->path);
	rmdir(fixture->directory);
	free(fixture);
	return 0;
}

static void configure(struct fixture *fixture, enum log_level level, enum log_format format)
{
	struct log_options options = {.level = level, .format = format, .file = fixture->path};
	struct error err;

	assert_true(log_configure(&options, &err));
}

/* All of the file; free() it. */
static char *contents(const char *path)
{
	FILE *file = fopen(path, "r");
	char *text = NULL;
	size_t size = 0;

	assert_non_null(file);
	if (getdelim(&text, &size, '\0', file) < 0) {
		free(text);
		text = strdup("");
	}
	(void)fclose(file);
	return text;
}

static void assert_matches(const char *text, const char *pattern)
{
	regex_t regex;

	assert_int_equal(regcomp(&regex, pattern, REG_EXTENDED | REG_NOSUB), 0);
	if (regexec(&regex, text, 0, NULL, 0) != 0) {
		fail_msg("\"%s\" does not match \"%s\"", text, pattern);
	}
	regfree(&regex);
}

#define TEXT_PREFIX "^[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9:]{8}\\.[0-9]{3} UTC \\[[0-9]+\\] "

static void test_log__writes_text(void **state)
{
	struct fixture *fixture = *state;
	char *text;

	configure(fixture, LOG_LEVEL_INFO, LOG_FORMAT_TEXT);
	log_warning("upstream", "lost %s after %d", "db1", 3);
	text = contents(fixture->path);
	assert_matches(text, TEXT_PREFIX "WARNING: upstream: lost db1 after 3\n$");
	free(text);
}

static void test_log__drops_what_is_below_the_level(void **state)
{
	struct fixture *fixture = *state;
	char *text;

	configure(fixture, LOG_LEVEL_WARNING, LOG_FORMAT_TEXT);
	assert_false(log_is_enabled(LOG_LEVEL_INFO));
	assert_true(log_is_enabled(LOG_LEVEL_WARNING));
	log_debug(NULL, "no");
	log_info(NULL, "no");
	log_write(LOG_LEVEL_ERROR, NULL, "yes");
	text = contents(fixture->path);
	assert_matches(text, TEXT_PREFIX "ERROR: yes\n$");
	free(text);
}

static void test_log__puts_detail_and_hint_on_the_line(void **state)
{
	struct fixture *fixture = *state;
	struct error err = {0};
	char *text;

	configure(fixture, LOG_LEVEL_INFO, LOG_FORMAT_TEXT);
	error_set(&err, ERROR_INVALID, "it failed");
	error_detail(&err, "this way");
	error_hint(&err, "do that");
	log_error(LOG_LEVEL_ERROR, "spool", &err);
	text = contents(fixture->path);
	assert_matches(text, "ERROR: spool: it failed DETAIL: this way HINT: do that\n$");
	free(text);
}

static void test_log__lets_nobody_forge_a_line(void **state)
{
	struct fixture *fixture = *state;
	char *text;

	configure(fixture, LOG_LEVEL_INFO, LOG_FORMAT_TEXT);
	log_info("a\nb", "x\r\n2026-01-01 ERROR: y\t\x1b[31m\x7f \xc3\xbc \xff\xc2\x9b\xc3");
	text = contents(fixture->path);
	assert_non_null(strstr(text,
		"INFO: a\\nb: x\\r\\n2026-01-01 ERROR: y\\t\\x1b[31m\\x7f \xc3\xbc \\xff\\u009b\\xc3\n"));
	assert_ptr_equal(strchr(text, '\n'), text + strlen(text) - 1);
	free(text);
}

static json_t *json_line(const char *path)
{
	char *text = contents(path);
	json_error_t error;
	json_t *line = json_loads(text, 0, &error);

	if (line == NULL) {
		fail_msg("%s in %s", error.text, text);
	}
	assert_ptr_equal(strchr(text, '\n'), text + strlen(text) - 1);
	free(text);
	return line;
}

static const char *member(const json_t *line, const char *name)
{
	const char *value = json_string_value(json_object_get(line, name));

	return value == NULL ? "" : value;
}

static void test_log__writes_json(void **state)
{
	struct fixture *fixture = *state;
	struct error err = {0};
	json_t *line;

	configure(fixture, LOG_LEVEL_INFO, LOG_FORMAT_JSON);
	error_set(&err, ERROR_INVALID, "say \"no\" \\ \n\x01 \xc3\xbc \xff \xed\xa0\x80");
	error_detail(&err, "d");
	error_sqlstate(&err, "58P01");
	log_error(LOG_LEVEL_ERROR, "standby \"w\"", &err);
	line = json_line(fixture->path);
	assert_matches(member(line, "time"), "^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:]{8}\\.[0-9]{3}Z$");
	assert_string_equal(member(line, "level"), "error");
	assert_int_equal(json_integer_value(json_object_get(line, "pid")), getpid());
	assert_string_equal(member(line, "scope"), "standby \"w\"");
	assert_string_equal(member(line, "message"),
		"say \"no\" \\ \n\x01 \xc3\xbc \xef\xbf\xbd \xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd");
	assert_string_equal(member(line, "detail"), "d");
	assert_string_equal(member(line, "sqlstate"), "58P01");
	assert_null(json_object_get(line, "hint"));
	json_decref(line);
}

static void test_log__a_line_fits_one_atomic_write(void **state)
{
	static const char *const fillers[] = {"x", "\x01", "\xc3\xbc", "\"", "\xff"};
	struct fixture *fixture = *state;

	for (size_t i = 0; i < sizeof(fillers) / sizeof(fillers[0]); i++) {
		struct error err = {0};
		char message[1200] = "";
		struct stat status;
		json_t *line;

		while (strlen(message) < 1100) {
			strcat(message, fillers[i]);
		}
		error_set(&err, ERROR_INVALID, "%s", message);
		error_detail(&err, "%s", message);
		error_hint(&err, "%s", message);
		unlink(fixture->path);
		configure(fixture, LOG_LEVEL_INFO, LOG_FORMAT_JSON);
		log_error(LOG_LEVEL_ERROR, message, &err);
		assert_int_equal(stat(fixture->path, &status), 0);
		assert_in_range(status.st_size, 1, PIPE_BUF);
		line = json_line(fixture->path);
		assert_string_equal(member(line, "level"), "error");
		json_decref(line);
	}
}

static void test_log__tells_the_journal_the_level(void **state)
{
	struct fixture *fixture = *state;
	struct log_options options = {.level = LOG_LEVEL_DEBUG, .format = LOG_FORMAT_TEXT};
	int saved = dup(STDERR_FILENO);
	int fd = open(fixture->path, O_WRONLY | O_CREAT | O_APPEND, 0600);
	struct stat status;
	char stream[64], *text;
	struct error err;

	assert_int_equal(fstat(fd, &status), 0);
	(void)snprintf(stream, sizeof(stream), "%llu:%llu", (unsigned long long)status.st_dev,
		(unsigned long long)status.st_ino);
	setenv("JOURNAL_STREAM", stream, 1);
	dup2(fd, STDERR_FILENO);
	assert_true(log_configure(&options, &err));
	log_write(LOG_LEVEL_DEBUG, NULL, "a");
	log_write(LOG_LEVEL_INFO, NULL, "b");
	log_write(LOG_LEVEL_WARNING, "up", "c");
	log_write(LOG_LEVEL_ERROR, NULL, "d");
	/* Another stream is the journal's: an ordinary line. */
	setenv("JOURNAL_STREAM", "1:2", 1);
	assert_true(log_configure(&options, &err));
	log_write(LOG_LEVEL_INFO, NULL, "e");
	dup2(saved, STDERR_FILENO);
	unsetenv("JOURNAL_STREAM");
	close(saved);
	close(fd);
	text = contents(fixture->path);
	assert_memory_equal(text, "<7>DEBUG: a\n<6>INFO: b\n<4>WARNING: up: c\n<3>ERROR: d\n2", 53);
	assert_non_null(strstr(text, " INFO: e\n"));
	free(text);
}

static void test_log__reopens_a_moved_file(void **state)
{
	struct fixture *fixture = *state;
	char moved[80], *text;

	configure(fixture, LOG_LEVEL_INFO, LOG_FORMAT_TEXT);
	log_info(NULL, "one");
	(void)snprintf(moved, sizeof(moved), "%s.1", fixture->path);
	assert_int_equal(rename(fixture->path, moved), 0);
	log_info(NULL, "two");
	log_reopen();
	log_info(NULL, "three");
	text = contents(moved);
	assert_matches(text, "one\n.*two\n$");
	free(text);
	text = contents(fixture->path);
	assert_matches(text, "^[^\n]*three\n$");
	free(text);
}

static void test_log__a_file_that_cannot_be_opened_changes_nothing(void **state)
{
	struct fixture *fixture = *state;
	struct log_options options = {.level = LOG_LEVEL_ERROR, .file = "/nonexistent/log"};
	struct error err;
	char *text;

	configure(fixture, LOG_LEVEL_INFO, LOG_FORMAT_TEXT);
	assert_false(log_configure(&options, &err));
	assert_string_equal(err.message,
		"could not open log file \"/nonexistent/log\": No such file or directory");
	log_info(NULL, "still here");
	text = contents(fixture->path);
	assert_matches(text, "still here\n$");
	free(text);
}

static void test_log__lines_alike_are_counted(void **state)
{
	struct fixture *fixture = *state;
	char *text;
	int lines = 0;

	configure(fixture, LOG_LEVEL_DEBUG, LOG_FORMAT_TEXT);
	for (int i = 0; i < 100; i++) {
		log_warning("http", "too many");
	}
	log_tell_repeats(false);
	log_info(NULL, "another");
	log_tell_repeats(true);
	text = contents(fixture->path);
	assert_matches(text, "too many\n[^\n]* INFO: another\n[^\n]* WARNING: http: message "
			     "repeated 90 more times: too many\n$");
	for (const char *at = text; (at = strchr(at, '\n')) != NULL; at++) {
		lines++;
	}
	assert_int_equal(lines, 12);
	free(text);
	unlink(fixture->path);
	configure(fixture, LOG_LEVEL_DEBUG, LOG_FORMAT_TEXT);
	for (int i = 0; i < 100; i++) {
		log_write(LOG_LEVEL_DEBUG, NULL, "every step");
	}
	log_tell_repeats(true);
	text = contents(fixture->path);
	assert_null(strstr(text, "repeated"));
	free(text);
}

#define THREADS      4
#define THREAD_LINES 500

static void *write_lines(void *context)
{
	char filler[300];

	memset(filler, *(const char *)context, sizeof(filler) - 1);
	filler[sizeof(filler) - 1] = '\0';
	for (int i = 0; i < THREAD_LINES; i++) {
		log_info(NULL, "%s|%d", filler, i);
	}
	return NULL;
}

static void test_log__lines_of_threads_never_mix(void **state)
{
	struct fixture *fixture = *state;
	pthread_t threads[THREADS];
	char names[THREADS] = "abcd", *text, *next;
	int lines = 0;

	configure(fixture, LOG_LEVEL_INFO, LOG_FORMAT_TEXT);
	for (int i = 0; i < THREADS; i++) {
		assert_int_equal(pthread_create(&threads[i], NULL, write_lines, &names[i]), 0);
	}
	for (int i = 0; i < THREADS; i++) {
		pthread_join(threads[i], NULL);
	}
	text = next = contents(fixture->path);
	for (; *next != '\0'; lines++) {
		char *message = strstr(next, "INFO: ") + 6;

		assert_int_equal(strspn(message, (char[]){*message, '\0'}), 299);
		assert_int_equal(message[299], '|');
		next = strchr(message, '\n') + 1;
	}
	assert_int_equal(lines, THREADS * THREAD_LINES);
	free(text);
}

static void test_log__parses_names(void **state)
{
	enum log_level level = LOG_LEVEL_INFO;
	enum log_format format = LOG_FORMAT_TEXT;

	(void)state;
	assert_true(log_level_parse("error", &level));
	assert_int_equal(level, LOG_LEVEL_ERROR);
	assert_false(log_level_parse("ERROR", &level));
	assert_false(log_level_parse("", &level));
	assert_true(log_format_parse("json", &format));
	assert_int_equal(format, LOG_FORMAT_JSON);
	assert_false(log_format_parse("xml", &format));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_log__writes_text),
		TEST(test_log__drops_what_is_below_the_level),
		TEST(test_log__puts_detail_and_hint_on_the_line),
		TEST(test_log__lets_nobody_forge_a_line),
		TEST(test_log__writes_json),
		TEST(test_log__a_line_fits_one_atomic_write),
		TEST(test_log__tells_the_journal_the_level),
		TEST(test_log__reopens_a_moved_file),
		TEST(test_log__a_file_that_cannot_be_opened_changes_nothing),
		TEST(test_log__lines_alike_are_counted),
		TEST(test_log__lines_of_threads_never_mix),
		cmocka_unit_test(test_log__parses_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
