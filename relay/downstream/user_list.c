/*
 * A sorted array of names and verifiers. Messages never hold a secret, and everything that held one
 * is wiped before it is freed.
 */
#include "downstream/user_list.h"

#include "base/memory.h"

#include <assert.h>
#include <openssl/crypto.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

struct user {
	char name[USER_NAME_BYTES_MAX + 1];
	unsigned line;
	struct scram_verifier verifier;
};

struct user_list {
	atomic_uint references;
	size_t count;
	size_t capacity;
	struct user *users;
};

/* --- one line -------------------------------------------------------------------------------- */

enum line_kind { LINE_EMPTY, LINE_USER, LINE_BAD };

static const char *skip_blanks(const char *at, const char *end)
{
	while (at < end && (*at == ' ' || *at == '\t' || *at == '\r')) {
		at++;
	}
	return at;
}

/* A field in double quotes into out, its quotes undone. *at ends up behind it. */
static bool read_quoted(const char **at, const char *end, const char *what, char *out,
	size_t out_size, struct error *err)
{
	const char *in = skip_blanks(*at, end);
	size_t length = 0;

	if (in == end || *in != '"') {
		return error_set(err, ERROR_INVALID, "expected a %s in double quotes", what);
	}
	for (in++; in < end; in++) {
		if (*in == '"') {
			if (in + 1 == end || in[1] != '"') {
				out[length] = '\0';
				*at = in + 1;
				return true;
			}
			in++;
		}
		if (*in == '\0') {
			return error_set(err, ERROR_INVALID, "zero byte in the %s", what);
		}
		if (length + 1 >= out_size) {
			return error_set(err, ERROR_INVALID, "the %s is too long", what);
		}
		out[length++] = *in;
	}
	return error_set(err, ERROR_INVALID, "unterminated quoted %s", what);
}

static bool is_md5_hash(const char *secret)
{
	return strncmp(secret, "md5", 3) == 0 && strlen(secret) == 35 &&
	       strspn(secret + 3, "0123456789abcdefABCDEF") == 32;
}

static bool read_secret(const char *name, const char *secret, struct scram_verifier *verifier_out,
	struct error *err)
{
	const char *wrong = "a password in clear";

	if (scram_verifier_parse(secret, strlen(secret), verifier_out)) {
		return true;
	}
	if (secret[0] == '\0') {
		wrong = "no secret";
	} else if (is_md5_hash(secret)) {
		wrong = "an md5 password";
	} else if (strncmp(secret, "SCRAM-SHA-256$", 14) == 0) {
		wrong = "a malformed SCRAM-SHA-256 verifier";
	}
	return error_set(err, ERROR_INVALID,
		"user \"%s\" has %s; make a SCRAM-SHA-256 verifier with \"walrelay user %s\"", name,
		wrong, name);
}

static enum line_kind read_line(
	const char *line, const char *end, struct user *user_out, struct error *err)
{
	char secret[2 * SCRAM_VERIFIER_SIZE];
	const char *at = skip_blanks(line, end);
	bool ok;

	if (at == end || *at == ';' || *at == '#') {
		return LINE_EMPTY;
	}
	ok = read_quoted(&at, end, "user name", user_out->name, sizeof(user_out->name), err);
	if (ok && user_out->name[0] == '\0') {
		ok = error_set(err, ERROR_INVALID, "empty user name");
	}
	ok = ok && read_quoted(&at, end, "secret", secret, sizeof(secret), err) &&
	     read_secret(user_out->name, secret, &user_out->verifier, err);
	OPENSSL_cleanse(secret, sizeof(secret));
	return ok ? LINE_USER : LINE_BAD;
}

/* --- the list -------------------------------------------------------------------------------- */

/* The old array is wiped, which memory_grow() would not do. */
static void grow(struct user_list *users)
{
	size_t capacity = users->capacity > 0 ? 2 * users->capacity : 16;
	struct user *larger = memory_new(capacity * sizeof(*larger));

	if (users->count > 0) {
		memcpy(larger, users->users, users->count * sizeof(*larger));
		OPENSSL_cleanse(users->users, users->count * sizeof(*larger));
	}
	free(users->users);
	users->users = larger;
	users->capacity = capacity;
}

static int compare_users(const void *a, const void *b)
{
	const struct user *left = a, *right = b;
	int order = strcmp(left->name, right->name);

	return order != 0 ? order : (left->line > right->line) - (left->line < right->line);
}

static bool read_lines(struct user_list *users, const char *file, const char *text, size_t length,
	access_report *report, void *context)
{
	const char *end = text + length;
	unsigned line = 0;
	bool ok = true;

	while (text < end) {
		const char *newline = memchr(text, '\n', (size_t)(end - text));
		const char *line_end = newline != NULL ? newline : end;
		struct error err = {0};
		struct user *user;

		line++;
		if (users->count == users->capacity) {
			grow(users);
		}
		user = &users->users[users->count];
		switch (read_line(text, line_end, user, &err)) {
		case LINE_USER:
			user->line = line;
			users->count++;
			break;
		case LINE_BAD:
			report(context, file, line, err.message);
			ok = false;
			break;
		case LINE_EMPTY: break;
		}
		text = newline != NULL ? newline + 1 : end;
	}
	return ok;
}

/* On the sorted list. */
static bool check_duplicates(
	const struct user_list *users, const char *file, access_report *report, void *context)
{
	bool ok = true;

	for (size_t i = 1; i < users->count; i++) {
		const struct user *before = &users->users[i - 1], *user = &users->users[i];
		struct error err = {0};

		if (strcmp(before->name, user->name) == 0) {
			ok = error_set(&err, ERROR_CONFLICT, "user \"%s\" is in line %u already",
				user->name, before->line);
			report(context, file, user->line, err.message);
		}
	}
	return ok;
}

struct user_list *user_list_parse(
	const char *file, const char *text, size_t length, access_report *report, void *context)
{
	struct user_list *users = memory_new(sizeof(*users));
	bool ok;

	atomic_init(&users->references, 1);
	ok = read_lines(users, file, text, length, report, context);
	if (users->count > 0) {
		qsort(users->users, users->count, sizeof(*users->users), compare_users);
	}
	ok = check_duplicates(users, file, report, context) && ok;
	if (!ok) {
		user_list_unref(&users);
	}
	return users;
}

struct user_list *user_list_load(const char *path, access_report *report, void *context)
{
	struct user_list *users;
	struct error err = {0};
	size_t length;
	char *text;

	if (!access_file_read(path, true, &text, &length, &err)) {
		report(context, path, 0, err.message);
		return NULL;
	}
	users = user_list_parse(path, text, length, report, context);
	access_file_release(&text, length);
	return users;
}

struct user_list *user_list_ref(struct user_list *users)
{
	atomic_fetch_add(&users->references, 1);
	return users;
}

void user_list_unref(struct user_list **users)
{
	struct user_list *list = *users;

	*users = NULL;
	if (list == NULL || atomic_fetch_sub(&list->references, 1) > 1) {
		return;
	}
	if (list->users != NULL) {
		OPENSSL_cleanse(list->users, list->capacity * sizeof(*list->users));
		free(list->users);
	}
	free(list);
}

size_t user_list_count(const struct user_list *users)
{
	return users->count;
}

static int compare_name(const void *name, const void *user)
{
	return strcmp(name, ((const struct user *)user)->name);
}

const struct scram_verifier *user_list_find(const struct user_list *users, const char *name)
{
	const struct user *user = NULL;

	if (users->count > 0) {
		user = bsearch(
			name, users->users, users->count, sizeof(*users->users), compare_name);
	}
	return user != NULL ? &user->verifier : NULL;
}

const struct scram_verifier *user_list_at(const struct user_list *users, size_t index)
{
	assert(index < users->count);
	return &users->users[index].verifier;
}
