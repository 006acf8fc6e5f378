/*
 * What was read of secrets is gone from memory when it is given back: the whole process is searched.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "app/access.h"
#include "app/config.h"
#include "support/memory_search.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PASSWORD "Zq8-wonderland-4711"
#define KEYS                                                                                       \
	"WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:"                                             \
	"wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="
/* The first bytes of StoredKey, as they are kept. */
#define STORED_KEY "\x58\x6e\x5d\xf2\x83\xe6\xdc\xeb\x5c\x3e\x79"

static const char users[] = "\"rep\" \"SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$" KEYS "\"\n";
static const char file[] = "[relay]\nname = hub\ndata_dir = /tmp/none\nauth_file = users.txt\n"
			   "[upstream]\nconninfo = host=db1 user=rep password=" PASSWORD "\n";

/* Without libpq, which frees its own copies as they are. */
static bool is_valid(const char *conninfo, struct error *err)
{
	(void)err;
	return strncmp(conninfo, "host=", 5) == 0;
}

static char *masked(const char *conninfo)
{
	(void)conninfo;
	return NULL;
}

/* Past stdio, whose buffers would keep it. */
static void write_file(const char *directory, const char *name, const char *text, size_t length)
{
	char path[128];
	(void)snprintf(path, sizeof(path), "%s/%s", directory, name);
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, length), length);
	close(fd);
}

static void remove_files(const char *directory)
{
	char path[128];
	(void)snprintf(path, sizeof(path), "%s/users.txt", directory);
	unlink(path);
	(void)snprintf(path, sizeof(path), "%s/w.ini", directory);
	unlink(path);
	rmdir(directory);
}

static void test_access_secrets__leave_memory_with_their_owners(void **state)
{
	static const struct config_conninfo conninfo = {.is_valid = is_valid, .masked = masked};
	char directory[] = "/tmp/walrelay_test_XXXXXX", path[128];
	struct config_report report = {0};
	struct access access;

	(void)state;
	assert_non_null(mkdtemp(directory));
	write_file(directory, "users.txt", users, strlen(users));
	write_file(directory, "w.ini", file, strlen(file));
	(void)snprintf(path, sizeof(path), "%s/w.ini", directory);
	struct config *config = config_load(path, &conninfo, &report);
	assert_non_null(config);
	assert_true(access_load(config, &report, &access));
	config_report_release(&report);

	assert_int_equal(memory_search(PASSWORD), 1);
	assert_int_equal(memory_search(STORED_KEY), 1);
	assert_int_equal(memory_search(KEYS), 0);

	access_release(&access);
	config_free(&config);
	assert_int_equal(memory_search(PASSWORD), 0);
	assert_int_equal(memory_search(STORED_KEY), 0);
	remove_files(directory);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_access_secrets__leave_memory_with_their_owners),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
