/*
 * aws_credentials: one place after the other. Files are read with the grammar of our own
 * configuration, which theirs is part of as far as keys go; what it cannot read is passed over.
 */
#include "cloud/aws_credentials.h"

#include "base/ini.h"
#include "base/memory.h"
#include "cloud/web_request.h"

#include <ctype.h>
#include <errno.h>
#include <jansson.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FILE_BYTES_MAX   (1u << 20)
#define PATH_BYTES       4096
#define URL_SIZE         512
#define TOKEN_HEADER     "X-aws-ec2-metadata-token: "
#define METADATA_USUAL   "http://169.254.169.254"
#define METADATA_ROLES   "/latest/meta-data/iam/security-credentials/"
#define METADATA_TRIES   3
#define METADATA_WAIT_MS 2000L
#define TOKEN_SIZE       512
#define ROLE_SIZE        128

enum search { FOUND, NOT_HERE, WRONG };

void aws_credentials_release(struct aws_credentials *credentials)
{
	memory_wipe_text(&credentials->access_key);
	memory_wipe_text(&credentials->secret_key);
	memory_wipe_text(&credentials->session_token);
}

static bool are_keys(const struct aws_credentials *credentials)
{
	return credentials->access_key != NULL && credentials->secret_key != NULL;
}

/* Of the environment; an empty one is as none. */
static const char *variable(const char *name)
{
	const char *value = getenv(name);
	return value != NULL && value[0] != '\0' ? value : NULL;
}

static void take(char **text_out, const char *value)
{
	memory_wipe_text(text_out);
	if (value != NULL && value[0] != '\0') {
		*text_out = memory_copy_text(value);
	}
}

static enum search of_environment(struct aws_credentials *credentials_out, struct error *err)
{
	const char *access_key = variable("AWS_ACCESS_KEY_ID");
	const char *secret_key = variable("AWS_SECRET_ACCESS_KEY");
	if (access_key == NULL && secret_key == NULL) {
		return NOT_HERE;
	}
	if (access_key == NULL || secret_key == NULL) {
		error_set(err, ERROR_INVALID, "the environment holds AWS_%s and no AWS_%s",
			access_key != NULL ? "ACCESS_KEY_ID" : "SECRET_ACCESS_KEY",
			access_key != NULL ? "SECRET_ACCESS_KEY" : "ACCESS_KEY_ID");
		return WRONG;
	}
	take(&credentials_out->access_key, access_key);
	take(&credentials_out->secret_key, secret_key);
	take(&credentials_out->session_token, variable("AWS_SESSION_TOKEN"));
	return FOUND;
}

/* --- files -------------------------------------------------------------------------------------
 */

struct profile_search {
	const char *profile;
	bool is_config;
	bool is_there;
	struct aws_credentials found;
};

static bool is_section(const struct profile_search *search, const char *section)
{
	static const char prefix[] = "profile ";
	if (search->is_config && strncmp(section, prefix, sizeof(prefix) - 1) == 0) {
		section += sizeof(prefix) - 1;
		section += strspn(section, " ");
	} else if (search->is_config && strcmp(section, "default") != 0) {
		return false;
	}
	return strcmp(section, search->profile) == 0;
}

static void take_item(void *context, const struct ini_item *item)
{
	struct profile_search *search = context;
	if (item->section == NULL || !is_section(search, item->section)) {
		return;
	}
	search->is_there = true;
	if (item->kind != INI_ENTRY) {
		return;
	}
	if (strcmp(item->key, "aws_access_key_id") == 0) {
		take(&search->found.access_key, item->value);
	} else if (strcmp(item->key, "aws_secret_access_key") == 0) {
		take(&search->found.secret_key, item->value);
	} else if (strcmp(item->key, "aws_session_token") == 0) {
		take(&search->found.session_token, item->value);
	}
}

enum aws_profile_result aws_profile_read(const char *text, size_t length, const char *profile,
	bool is_config, struct aws_credentials *credentials_out)
{
	struct profile_search search = {.profile = profile, .is_config = is_config};
	ini_parse(text, length, take_item, &search);
	if (are_keys(&search.found)) {
		*credentials_out = search.found;
		return AWS_PROFILE_KEYS;
	}
	aws_credentials_release(&search.found);
	return search.is_there ? AWS_PROFILE_NO_KEYS : AWS_PROFILE_ABSENT;
}

static void file_path(const char *name_variable, const char *usual, char path_out[PATH_BYTES])
{
	const char *path = variable(name_variable);
	const char *home = variable("HOME");
	const struct passwd *user = home == NULL ? getpwuid(getuid()) : NULL;
	if (path != NULL) {
		snprintf(path_out, PATH_BYTES, "%s", path);
		return;
	}
	snprintf(path_out, PATH_BYTES, "%s/.aws/%s",
		home != NULL   ? home
		: user != NULL ? user->pw_dir
			       : "",
		usual);
}

/* NOT_HERE: there is no such file. */
static enum search read_file(
	const char *path, char **text_out, size_t *length_out, struct error *err)
{
	FILE *file = fopen(path, "re");
	if (file == NULL) {
		bool is_absent = errno == ENOENT || errno == ENOTDIR;
		error_set_errno(err, "could not open \"%s\"", path);
		return is_absent ? NOT_HERE : WRONG;
	}
	char *text = memory_new(FILE_BYTES_MAX + 1);
	setvbuf(file, NULL, _IONBF, 0);
	size_t length = fread(text, 1, FILE_BYTES_MAX, file);
	bool is_read = ferror(file) == 0;
	fclose(file);
	if (!is_read) {
		memory_wipe(text, length);
		free(text);
		error_set(err, ERROR_SYSTEM, "could not read \"%s\"", path);
		return WRONG;
	}
	*text_out = text;
	*length_out = length;
	return FOUND;
}

static enum search of_file(const char *path, const char *profile, bool is_config,
	bool *is_named_out, struct aws_credentials *credentials_out, struct error *err)
{
	char *text = NULL;
	size_t length = 0;
	enum search read = read_file(path, &text, &length, err);
	if (read != FOUND) {
		return read;
	}
	enum aws_profile_result result =
		aws_profile_read(text, length, profile, is_config, credentials_out);
	memory_wipe(text, length);
	free(text);
	*is_named_out = *is_named_out || result == AWS_PROFILE_NO_KEYS;
	return result == AWS_PROFILE_KEYS ? FOUND : NOT_HERE;
}

static enum search of_files(const char *profile, bool is_asked_for,
	struct aws_credentials *credentials_out, struct error *err)
{
	char path[PATH_BYTES];
	bool is_named = false;
	file_path("AWS_SHARED_CREDENTIALS_FILE", "credentials", path);
	enum search result = of_file(path, profile, false, &is_named, credentials_out, err);
	if (result == NOT_HERE) {
		file_path("AWS_CONFIG_FILE", "config", path);
		result = of_file(path, profile, true, &is_named, credentials_out, err);
	}
	if (result != NOT_HERE || !is_asked_for) {
		return result;
	}
	error_set(err, ERROR_NOT_FOUND, "AWS profile \"%s\" %s", profile,
		is_named ? "holds no access key" : "does not exist");
	if (is_named) {
		error_hint(err, "Roles, SSO and credential_process are not followed; \"aws "
				"configure export-credentials\" gives keys for the environment.");
	}
	return WRONG;
}

/* --- the instance ------------------------------------------------------------------------------
 */

bool aws_role_read(
	const char *text, size_t length, struct aws_credentials *credentials_out, struct error *err)
{
	json_set_alloc_funcs(malloc, memory_free_wiped);
	json_t *root = json_loadb(text, length, 0, NULL);
	const char *access_key = json_string_value(json_object_get(root, "AccessKeyId"));
	const char *secret_key = json_string_value(json_object_get(root, "SecretAccessKey"));
	const char *token = json_string_value(json_object_get(root, "Token"));
	const char *code = json_string_value(json_object_get(root, "Code"));
	bool ok = access_key != NULL && access_key[0] != '\0' && secret_key != NULL &&
		  secret_key[0] != '\0' && (code == NULL || strcmp(code, "Success") == 0);
	if (ok) {
		struct aws_credentials found = {0};
		take(&found.access_key, access_key);
		take(&found.secret_key, secret_key);
		take(&found.session_token, token);
		*credentials_out = found;
	} else {
		error_set(err, ERROR_INVALID,
			"the instance's metadata service gives no keys for its role");
	}
	json_decref(root);
	return ok;
}

static enum web_result ask_metadata(const char *method, const char *path, const char *header,
	struct web_answer *answer_out, struct error *err)
{
	const char *endpoint = variable("AWS_EC2_METADATA_SERVICE_ENDPOINT");
	char url[URL_SIZE];
	endpoint = endpoint != NULL ? endpoint : METADATA_USUAL;
	size_t length = strlen(endpoint);
	while (length > 0 && endpoint[length - 1] == '/') {
		length--;
	}
	snprintf(url, sizeof(url), "%.*s%s", (int)length, endpoint, path);
	const struct web_request request = {
		.url = url,
		.method = method,
		.headers = {header},
		.connect_timeout_ms = METADATA_WAIT_MS,
		.timeout_ms = METADATA_WAIT_MS * 2,
		.is_direct = true,
	};
	enum web_result result = WEB_NOT_SENT;
	for (int tries = 1; tries <= METADATA_TRIES; tries++) {
		result = web_request_run(&request, answer_out, err);
		bool is_passing =
			result == WEB_CUT || answer_out->status >= 500 || answer_out->status == 429;
		if (!is_passing || tries == METADATA_TRIES) {
			break;
		}
		web_answer_release(answer_out);
		sleep(1);
	}
	return result;
}

/* A text of one line. */
static bool take_line(const struct web_answer *answer, char *text_out, size_t size)
{
	size_t length = answer->status == 200 ? strcspn(answer->bytes, "\r\n") : 0;
	if (length == 0 || length >= size) {
		return false;
	}
	for (size_t i = 0; i < length; i++) {
		if (!isgraph((unsigned char)answer->bytes[i])) {
			return false;
		}
	}
	memcpy(text_out, answer->bytes, length);
	text_out[length] = '\0';
	return true;
}

static bool ask_line(const char *method, const char *path, const char *header, char *text_out,
	size_t size, struct error *err)
{
	struct web_answer answer;
	enum web_result result = ask_metadata(method, path, header, &answer, err);
	bool ok = result == WEB_ANSWERED && take_line(&answer, text_out, size);
	if (result == WEB_ANSWERED && !ok) {
		error_set(err, ERROR_NOT_FOUND, "\"%s\" answers with status %ld", path,
			answer.status);
	}
	web_answer_release(&answer);
	return ok;
}

static bool of_role(const char *role, const char *header, struct aws_credentials *credentials_out,
	struct error *err)
{
	char path[sizeof(METADATA_ROLES) + ROLE_SIZE];
	struct web_answer answer;
	snprintf(path, sizeof(path), METADATA_ROLES "%s", role);
	bool ok = ask_metadata(NULL, path, header, &answer, err) == WEB_ANSWERED;
	ok = ok && aws_role_read(answer.bytes, answer.length, credentials_out, err);
	web_answer_release(&answer);
	return ok;
}

static bool of_instance(struct aws_credentials *credentials_out, struct error *err)
{
	char header[sizeof(TOKEN_HEADER) + TOKEN_SIZE] = TOKEN_HEADER;
	char *token = header + strlen(TOKEN_HEADER);
	char role[ROLE_SIZE];
	bool ok = ask_line("PUT", "/latest/api/token", "X-aws-ec2-metadata-token-ttl-seconds: 300",
			  token, TOKEN_SIZE, err) &&
		  ask_line(NULL, METADATA_ROLES, header, role, sizeof(role), err) &&
		  of_role(role, header, credentials_out, err);
	memory_wipe(header, sizeof(header));
	return ok || error_wrap(err, "the instance's metadata service");
}

bool aws_credentials_find(
	const char *profile, struct aws_credentials *credentials_out, struct error *err)
{
	struct aws_credentials found = {0};
	const char *named = profile != NULL ? profile : variable("AWS_PROFILE");
	const char *off = variable("AWS_EC2_METADATA_DISABLED");
	enum search result = profile != NULL ? NOT_HERE : of_environment(&found, err);
	if (result == NOT_HERE) {
		result = of_files(named != NULL ? named : "default", named != NULL, &found, err);
	}
	if (result == NOT_HERE) {
		bool is_off = off != NULL && strcasecmp(off, "true") == 0;
		if (is_off || !of_instance(&found, err)) {
			char why[sizeof(err->message)] = "";
			if (!is_off) {
				snprintf(why, sizeof(why), " (%s)", err->message);
			}
			error_set(err, ERROR_NOT_FOUND, "no credentials for AWS are found%s", why);
			return error_hint(err,
				"Give AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, a profile in "
				"~/.aws/credentials, or the instance a role.");
		}
		result = FOUND;
	}
	if (result == FOUND) {
		*credentials_out = found;
	}
	return result == FOUND;
}
