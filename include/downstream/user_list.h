/*
 * user_list: the users of auth_file and their SCRAM verifiers.
 *
 *   "user" "SCRAM-SHA-256$iterations:salt$StoredKey:ServerKey"
 *
 * Read as pgbouncer reads its userlist.txt: both fields in double quotes, "" in them is one quote,
 * a line that begins with ; or # is a comment, what follows the second field is ignored. Unlike
 * there, passwords in clear and md5 hashes are errors. Immutable after loading; references are
 * counted, on any thread.
 */
#ifndef DOWNSTREAM_USER_LIST_H
#define DOWNSTREAM_USER_LIST_H

#include "downstream/access_file.h"
#include "protocol/scram_verifier.h"

#include <stddef.h>

#define USER_NAME_BYTES_MAX 63 /* NAMEDATALEN - 1 */

struct user_list;

/* NULL after every problem has been reported. Refuses a file that group or others can access. */
struct user_list *user_list_load(const char *path, access_report *report, void *context);
/* The same from memory; file is the name that problems are reported with. */
struct user_list *user_list_parse(
	const char *file, const char *text, size_t length, access_report *report, void *context);
struct user_list *user_list_ref(struct user_list *users);
/* The last one wipes. Accepts NULL, sets NULL. */
void user_list_unref(struct user_list **users);

size_t user_list_count(const struct user_list *users);
/* Valid as long as the list, as is the next; NULL: no such user. */
const struct scram_verifier *user_list_find(const struct user_list *users, const char *name);
/* In the order of names; index below the count. */
const struct scram_verifier *user_list_at(const struct user_list *users, size_t index);

#endif
