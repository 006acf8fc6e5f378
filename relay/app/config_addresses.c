/*
 * config_addresses: where to listen, and networks in CIDR notation.
 */
#include "app/config_options.h"
#include "base/memory.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

static bool host_is_valid(const char *host, size_t length)
{
	char copy[INET6_ADDRSTRLEN];
	struct in6_addr address;

	if (length == 1 && *host == '*') {
		return true;
	}
	if (length >= 2 && *host == '[' && host[length - 1] == ']') {
		if (length - 2 >= sizeof(copy)) {
			return false;
		}
		memcpy(copy, host + 1, length - 2);
		copy[length - 2] = '\0';
		return inet_pton(AF_INET6, copy, &address) == 1;
	}
	for (size_t i = 0; i < length; i++) {
		if (strchr("-._", host[i]) == NULL && !(host[i] >= '0' && host[i] <= '9') &&
			!(host[i] >= 'a' && host[i] <= 'z') &&
			!(host[i] >= 'A' && host[i] <= 'Z')) {
			return false;
		}
	}
	return length > 0 && length < 254;
}

static bool port_is_valid(const char *port)
{
	size_t length = strspn(port, "0123456789");

	return length > 0 && length <= 5 && port[length] == '\0' && atoi(port) <= 65535;
}

static bool address_is_valid(const char *text, struct error *err)
{
	const char *colon = strrchr(text, ':');

	if (*text == '/') {
		/* The longest name in it is ".s.PGSQL.65535". */
		if (strlen(text) + sizeof("/.s.PGSQL.65535") >
			sizeof(((struct sockaddr_un *)NULL)->sun_path)) {
			return error_set(err, ERROR_INVALID,
				"the directory's name is too long for a Unix socket");
		}
		return true;
	}
	if (colon == NULL || !port_is_valid(colon + 1) ||
		!host_is_valid(text, (size_t)(colon - text))) {
		return error_set(err, ERROR_INVALID,
			"expected host:port, [IPv6]:port, *:port or an absolute directory, not "
			"\"%.80s\"",
			text);
	}
	return true;
}

struct address_list {
	char *joined;
};

static bool list_has(const char *joined, const char *piece)
{
	size_t length = strlen(piece);

	for (const char *at = joined; at != NULL; at = strchr(at, ',')) {
		at += *at == ',' ? 1 : 0;
		if (strncmp(at, piece, length) == 0 && (at[length] == ',' || at[length] == '\0')) {
			return true;
		}
	}
	return false;
}

static bool take_address(void *context, const char *piece, struct error *err)
{
	struct address_list *list = context;
	char *joined = NULL;

	if (!address_is_valid(piece, err)) {
		return false;
	}
	/* Port 0 is another port each time. */
	if (list->joined != NULL && list_has(list->joined, piece) &&
		strcmp(piece + strlen(piece) - 2, ":0") != 0) {
		return error_set(err, ERROR_INVALID, "\"%.80s\" is there twice", piece);
	}
	if (asprintf(&joined, "%s%s%s", list->joined == NULL ? "" : list->joined,
		    list->joined == NULL ? "" : ",", piece) < 0) {
		abort();
	}
	free(list->joined);
	list->joined = joined;
	return true;
}

static bool addresses_parse(const struct config_option *option, const struct config_scope *scope,
	const char *text, void *field, struct error *err)
{
	struct address_list list = {0};

	(void)scope;
	if (*text == '\0' && (option->flags & CONFIG_EMPTY_OK) == 0) {
		return error_set(err, ERROR_INVALID,
			"expected host:port, [IPv6]:port, *:port or an absolute directory");
	}
	if (!config_split(text, take_address, &list, err)) {
		free(list.joined);
		return false;
	}
	*(char **)field = list.joined == NULL ? memory_copy_text("") : list.joined;
	return true;
}

static bool prefix_parse(const char *text, unsigned bits_max, unsigned *bits_out)
{
	size_t length = strspn(text, "0123456789");

	if (length == 0 || length > 3 || text[length] != '\0' || (unsigned)atoi(text) > bits_max) {
		return false;
	}
	*bits_out = (unsigned)atoi(text);
	return true;
}

static bool has_host_bits(const struct config_network *network, unsigned bits_max)
{
	for (unsigned bit = network->prefix_bits; bit < bits_max; bit++) {
		if ((network->address[bit / 8] & (0x80 >> bit % 8)) != 0) {
			return true;
		}
	}
	return false;
}

bool config_network_parse(const char *text, struct config_network *network_out, struct error *err)
{
	struct config_network network = {.family = strchr(text, ':') != NULL ? AF_INET6 : AF_INET};
	unsigned bits_max = network.family == AF_INET6 ? 128 : 32;
	size_t length = strcspn(text, "/");
	char address[INET6_ADDRSTRLEN] = "";

	if (length < sizeof(address)) {
		memcpy(address, text, length);
	}
	network.prefix_bits = bits_max;
	if (inet_pton(network.family, address, network.address) != 1 ||
		(text[length] == '/' &&
			!prefix_parse(text + length + 1, bits_max, &network.prefix_bits))) {
		return error_set(err, ERROR_INVALID,
			"expected an address or network such as 10.2.0.0/16, not \"%.80s\"", text);
	}
	if (has_host_bits(&network, bits_max)) {
		return error_set(
			err, ERROR_INVALID, "\"%.80s\" has bits to the right of its prefix", text);
	}
	*network_out = network;
	return true;
}

void config_network_write(const struct config_network *network, FILE *out)
{
	char address[INET6_ADDRSTRLEN];

	(void)inet_ntop(network->family, network->address, address, sizeof(address));
	(void)fprintf(out, "%s/%u", address, network->prefix_bits);
}

struct network_list {
	FILE *out;
	bool has_any;
};

static bool take_network(void *context, const char *piece, struct error *err)
{
	struct network_list *list = context;
	struct config_network network;

	if (!config_network_parse(piece, &network, err)) {
		return false;
	}
	(void)fputs(list->has_any ? "," : "", list->out);
	config_network_write(&network, list->out);
	list->has_any = true;
	return true;
}

static bool networks_parse(const struct config_option *option, const struct config_scope *scope,
	const char *text, void *field, struct error *err)
{
	struct network_list list = {0};
	char *joined = NULL;
	size_t length;
	bool ok;

	(void)option;
	(void)scope;
	list.out = open_memstream(&joined, &length);
	ok = config_split(text, take_network, &list, err);
	(void)fclose(list.out);
	if (!ok) {
		free(joined);
		return false;
	}
	*(char **)field = joined;
	return true;
}

const struct config_type config_type_addresses = {
	addresses_parse, config_text_format, config_text_release, sizeof(char *)};
const struct config_type config_type_networks = {
	networks_parse, config_text_format, config_text_release, sizeof(char *)};
