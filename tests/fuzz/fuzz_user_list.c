/*
 * A whole auth_file: refused with a report, or users that can be found.
 */
#include "fuzz.h"

#include "downstream/user_list.h"

#include <assert.h>
#include <string.h>

static void on_problem(void *context, const char *file, unsigned line, const char *message)
{
	assert(strcmp(file, "users.txt") == 0);
	assert(line >= 1);
	assert(message[0] != '\0');
	++*(unsigned *)context;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
	unsigned problems = 0;
	struct user_list *users =
		user_list_parse("users.txt", (const char *)bytes, length, on_problem, &problems);

	assert((users == NULL) == (problems > 0));
	if (users == NULL) {
		return 0;
	}
	for (size_t i = 0; i < user_list_count(users); i++) {
		const struct scram_verifier *verifier = user_list_at(users, i);

		assert(verifier->iterations >= 1);
		assert(verifier->salt_length >= 1 && verifier->salt_length <= SCRAM_SALT_BYTES_MAX);
	}
	assert(user_list_find(users, "") == NULL);
	(void)user_list_find(users, "rep");
	user_list_unref(&users);
	return 0;
}
