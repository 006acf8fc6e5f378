/*
 * http_host: a name with its port taken off, against those that are ours.
 */
#include "observe/http_host.h"

#include <arpa/inet.h>
#include <stddef.h>
#include <string.h>
#include <strings.h>

/* Of DNS. */
#define NAME_SIZE 256

/* "relay.example.com:9871/x" -> "relay.example.com"; false: it is none. */
static bool read_name(const char *text, char name_out[NAME_SIZE])
{
	size_t length = text[0] == '[' ? strcspn(text, "]") : strcspn(text, ":/?#");
	if (text[0] == '[') {
		length += text[length] == ']';
	} else if (length > 1 && text[length - 1] == '.') {
		length--;
	}
	if (length == 0 || length >= NAME_SIZE) {
		return false;
	}
	memcpy(name_out, text, length);
	name_out[length] = '\0';
	return true;
}

static bool is_address(const char *name)
{
	struct in_addr address;
	size_t length = strlen(name);
	return (name[0] == '[' && name[length - 1] == ']') ||
	       inet_pton(AF_INET, name, &address) == 1;
}

static bool is_under_localhost(const char *name)
{
	static const char suffix[] = ".localhost";
	size_t length = strlen(name);
	return length > sizeof(suffix) - 1 &&
	       strcasecmp(name + length - (sizeof(suffix) - 1), suffix) == 0;
}

static bool is_host_of(const char *name, const char *url)
{
	char host[NAME_SIZE];
	const char *at = url == NULL ? NULL : strstr(url, "://");
	return at != NULL && read_name(at + 3, host) && strcasecmp(name, host) == 0;
}

bool http_host_is_ours(const char *host, const char *machine_name, const char *page_url)
{
	char name[NAME_SIZE];
	if (host == NULL || host[0] == '\0') {
		return true;
	}
	if (!read_name(host, name)) {
		return false;
	}
	return is_address(name) || strchr(name, '.') == NULL || is_under_localhost(name) ||
	       strcasecmp(name, machine_name) == 0 || is_host_of(name, page_url);
}
