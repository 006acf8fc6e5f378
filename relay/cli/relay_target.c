/*
 * relay_target: from a configuration's `listen` to a conninfo.
 */
#include "cli/relay_target.h"

#include "app/config.h"
#include "base/memory.h"
#include "cli/config_file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define USUAL_CONNINFO "host=127.0.0.1 port=6433"
#define ITEM_SIZE      256
#define CONNINFO_SIZE  1024

/* A value of a conninfo, quoted. */
static size_t put_value(char *at, size_t size, const char *key, const char *value)
{
	size_t length = (size_t)snprintf(at, size, " %s='", key);
	for (; *value != '\0' && length + 4 < size; value++) {
		if (*value == '\'' || *value == '\\') {
			at[length++] = '\\';
		}
		at[length++] = *value;
	}
	at[length++] = '\'';
	at[length] = '\0';
	return length;
}

/* "0.0.0.0" and "*" listen here, but are no place to go to. */
static const char *reachable_host(char *host)
{
	size_t length = strlen(host);
	if (*host == '\0' || strcmp(host, "*") == 0 || strcmp(host, "0.0.0.0") == 0) {
		return "127.0.0.1";
	}
	if (strcmp(host, "[::]") == 0) {
		return "::1";
	}
	if (*host == '[' && host[length - 1] == ']') {
		host[length - 1] = '\0';
		return host + 1;
	}
	return host;
}

bool relay_target_address(const char *listen, char *conninfo_out, size_t size, struct error *err)
{
	char tcp[ITEM_SIZE] = "";
	char directory[ITEM_SIZE] = "";
	for (const char *at = listen; *at != '\0';) {
		size_t skipped = strspn(at, ", \t");
		size_t length = strcspn(at + skipped, ", \t");
		char *into = at[skipped] == '/' ? directory : tcp;
		if (length > 0 && length < ITEM_SIZE && *into == '\0') {
			memcpy(into, at + skipped, length);
			into[length] = '\0';
		}
		at += skipped + length;
	}
	char *colon = strrchr(tcp, ':');
	if (colon == NULL && *directory == '\0') {
		return error_set(err, ERROR_NOT_FOUND, "\"listen\" names no address");
	}
	if (colon != NULL) {
		*colon = '\0';
	}
	size_t length = put_value(
		conninfo_out, size, "host", *directory != '\0' ? directory : reachable_host(tcp));
	(void)put_value(
		conninfo_out + length, size - length, "port", colon != NULL ? colon + 1 : "6433");
	return true;
}

static void add_admin(const struct config *config, char *conninfo, size_t size)
{
	char user[ITEM_SIZE];
	size_t length = strcspn(config->relay.admin_users, ", \t");
	if (length == 0 || length >= sizeof(user) || getenv("PGUSER") != NULL) {
		return;
	}
	memcpy(user, config->relay.admin_users, length);
	user[length] = '\0';
	(void)put_value(conninfo + strlen(conninfo), size - strlen(conninfo), "user", user);
}

static char *conninfo_of_file(const char *path, bool as_admin, struct error *err)
{
	char conninfo[CONNINFO_SIZE] = "";
	struct config *config = config_file_load(path, false);
	if (config == NULL) {
		error_set(err, ERROR_INVALID, "configuration file \"%s\" contains errors", path);
		return NULL;
	}
	bool ok = relay_target_address(config->relay.listen, conninfo, sizeof(conninfo), err);
	if (ok && as_admin) {
		add_admin(config, conninfo, sizeof(conninfo));
	}
	config_free(&config);
	return ok ? memory_copy_text(conninfo) : NULL;
}

char *relay_target_conninfo(
	const char *config_file, const char *conninfo, bool as_admin, struct error *err)
{
	if (config_file != NULL && conninfo != NULL) {
		error_set(err, ERROR_INVALID, "give either -c FILE or -d CONNINFO");
		return NULL;
	}
	if (config_file != NULL) {
		return conninfo_of_file(config_file, as_admin, err);
	}
	return memory_copy_text(conninfo != NULL ? conninfo : USUAL_CONNINFO);
}
