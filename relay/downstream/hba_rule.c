/*
 * A line is cut into tokens, tokens into fields (a comma joins two tokens to one field), and the
 * fields are read from left to right. The tokens of a rule stay in one piece of memory that the
 * rule owns.
 */
#include "downstream/hba_rule.h"

#include "base/memory.h"
#include "downstream/hba_address.h"

#include <netinet/in.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum connection_type { TYPE_LOCAL, TYPE_HOST, TYPE_HOSTSSL, TYPE_HOSTNOSSL };
enum address_kind { ADDRESS_ALL, ADDRESS_SAMEHOST, ADDRESS_SAMENET, ADDRESS_RANGE };

struct token {
	const char *text;
	bool is_quoted; /* begins with a quote: never a keyword */
	bool ends_field;
};

/* Consecutive tokens joined by commas. */
struct field {
	const struct token *tokens;
	size_t count;
};

struct hba_rule {
	unsigned line;
	enum connection_type type;
	struct field databases;
	struct field users;
	enum address_kind address_kind;
	struct hba_address network;
	struct hba_address mask;
	enum hba_method method;
	enum hba_client_cert client_cert;
	struct token *tokens;
	size_t token_count;
	char *text; /* of the tokens */
};

/* --- tokens ---------------------------------------------------------------------------------- */

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

/* Copies one token from *at to *text with its quotes undone: "a""b" is a"b. It ends at a blank, a
 * comma or a comment outside quotes. */
static void read_token(const char **at, const char *end, char **text, struct token *token_out)
{
	bool in_quote = false, was_quote = false;
	const char *in = *at;

	*token_out = (struct token){.text = *text, .is_quoted = *in == '"', .ends_field = true};
	for (; in < end && (in_quote || !is_blank(*in)); in++) {
		if (*in == '#' && !in_quote) {
			in = end;
			break;
		}
		if (*in == ',' && !in_quote) {
			token_out->ends_field = false;
			break;
		}
		if (*in != '"' || was_quote) {
			*(*text)++ = *in;
		}
		was_quote = in_quote && *in == '"' && !was_quote;
		if (*in == '"') {
			in_quote = !in_quote;
		}
	}
	*(*text)++ = '\0';
	*at = in;
}

/* Cuts the line up; text and tokens have room for the worst. */
static size_t read_tokens(const char *line, size_t length, char *text, struct token *tokens)
{
	const char *at = line, *end = line + length;
	size_t count = 0;

	for (;;) {
		while (at < end && (is_blank(*at) || *at == ',')) {
			at++;
		}
		if (at == end || *at == '#') {
			break;
		}
		read_token(&at, end, &text, &tokens[count++]);
	}
	if (count > 0) {
		tokens[count - 1].ends_field = true;
	}
	return count;
}

static bool next_field(const struct hba_rule *rule, size_t *at, struct field *field_out)
{
	if (*at == rule->token_count) {
		return false;
	}
	field_out->tokens = &rule->tokens[*at];
	field_out->count = 1;
	while (!rule->tokens[(*at)++].ends_field) {
		field_out->count++;
	}
	return true;
}

/* missing and multiple: what to say when there is none, or a list. */
static bool next_single(const struct hba_rule *rule, size_t *at, const char *missing,
	const char *multiple, const struct token **token_out, struct error *err)
{
	struct field field;

	if (!next_field(rule, at, &field)) {
		return error_set(err, ERROR_INVALID, "end-of-line before %s", missing);
	}
	if (field.count > 1) {
		return error_set(err, ERROR_INVALID, "multiple values specified for %s", multiple);
	}
	*token_out = field.tokens;
	return true;
}

static bool is_keyword(const struct token *token, const char *keyword)
{
	return !token->is_quoted && strcmp(token->text, keyword) == 0;
}

static bool is_one_of(const char *text, const char *const *words)
{
	while (*words != NULL && strcmp(text, *words) != 0) {
		words++;
	}
	return *words != NULL;
}

/* --- parsing --------------------------------------------------------------------------------- */

static bool read_type(struct hba_rule *rule, size_t *at, struct error *err)
{
	static const char *const names[] = {[TYPE_LOCAL] = "local",
		[TYPE_HOST] = "host",
		[TYPE_HOSTSSL] = "hostssl",
		[TYPE_HOSTNOSSL] = "hostnossl"};
	static const char *const others[] = {"hostgssenc", "hostnogssenc", NULL};
	const struct token *token = NULL;

	if (!next_single(rule, at, "connection type", "connection type", &token, err)) {
		return false;
	}
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (strcmp(token->text, names[i]) == 0) {
			rule->type = (enum connection_type)i;
			return true;
		}
	}
	if (is_one_of(token->text, others)) {
		return error_set(err, ERROR_INVALID,
			"connection type \"%s\" is not supported: there is no GSSAPI here",
			token->text);
	}
	return error_set(err, ERROR_INVALID, "invalid connection type \"%s\"", token->text);
}

/* Refuses what PostgreSQL would look up in files, catalogs or by a regular expression. */
static bool check_name(const struct token *token, struct error *err)
{
	if (token->text[0] == '\0') {
		return error_set(err, ERROR_INVALID, "empty name");
	}
	if (!token->is_quoted && token->text[0] == '@') {
		return error_set(err, ERROR_INVALID, "files of names are not supported: \"%s\"",
			token->text);
	}
	/* In PostgreSQL 16 and later quotes do not make it a plain name. */
	if (token->text[0] == '/') {
		return error_set(err, ERROR_INVALID,
			"regular expressions are not supported: \"%s\"", token->text);
	}
	return true;
}

static bool check_database(const struct token *token, struct error *err)
{
	static const char *const roles[] = {"sameuser", "samerole", "samegroup", NULL};

	if (!token->is_quoted && is_one_of(token->text, roles)) {
		return error_set(
			err, ERROR_INVALID, "database \"%s\" is not supported", token->text);
	}
	return check_name(token, err);
}

static bool check_user(const struct token *token, struct error *err)
{
	if (!token->is_quoted && token->text[0] == '+') {
		return error_set(
			err, ERROR_INVALID, "role groups are not supported: \"%s\"", token->text);
	}
	return check_name(token, err);
}

static bool read_names(const struct hba_rule *rule, size_t *at, const char *what,
	bool (*check)(const struct token *, struct error *), struct field *field_out,
	struct error *err)
{
	if (!next_field(rule, at, field_out)) {
		return error_set(err, ERROR_INVALID, "end-of-line before %s specification", what);
	}
	for (size_t i = 0; i < field_out->count; i++) {
		if (!check(&field_out->tokens[i], err)) {
			return false;
		}
	}
	return true;
}

static bool refuse_address(const char *text, struct error *err)
{
	bool is_numeric = strchr(text, ':') != NULL || strspn(text, "0123456789./") == strlen(text);

	return error_set(err, ERROR_INVALID,
		is_numeric ? "invalid IP address \"%s\""
			   : "host names are not supported: \"%s\"; specify an address range",
		text);
}

static bool read_range(struct hba_rule *rule, size_t *at, const char *text, struct error *err)
{
	char address[INET6_ADDRSTRLEN];
	const char *slash = strchr(text, '/');
	size_t length = slash != NULL ? (size_t)(slash - text) : strlen(text);
	const struct token *token = NULL;

	if (length >= sizeof(address)) {
		return refuse_address(text, err);
	}
	memcpy(address, text, length);
	address[length] = '\0';
	if (!hba_address_parse(address, &rule->network)) {
		return refuse_address(text, err);
	}
	if (slash != NULL) {
		return hba_mask_parse(slash + 1, &rule->network, &rule->mask) ||
		       error_set(err, ERROR_INVALID, "invalid CIDR mask in address \"%s\"", text);
	}
	if (!next_single(rule, at,
		    "netmask specification; specify an address range in CIDR notation, or provide "
		    "a separate netmask",
		    "netmask", &token, err)) {
		return false;
	}
	if (!hba_address_parse(token->text, &rule->mask)) {
		return error_set(err, ERROR_INVALID, "invalid IP mask \"%s\"", token->text);
	}
	return rule->mask.family == rule->network.family ||
	       error_set(err, ERROR_INVALID, "IP address and mask do not match");
}

static bool read_address(struct hba_rule *rule, size_t *at, struct error *err)
{
	const struct token *token = NULL;

	if (rule->type == TYPE_LOCAL) {
		return true;
	}
	if (!next_single(rule, at, "IP address specification",
		    "host address; specify one address range per line", &token, err)) {
		return false;
	}
	if (is_keyword(token, "all")) {
		rule->address_kind = ADDRESS_ALL;
		return true;
	}
	if (is_keyword(token, "samehost")) {
		rule->address_kind = ADDRESS_SAMEHOST;
		return true;
	}
	if (is_keyword(token, "samenet")) {
		rule->address_kind = ADDRESS_SAMENET;
		return true;
	}
	rule->address_kind = ADDRESS_RANGE;
	return read_range(rule, at, token->text, err);
}

static bool read_method(struct hba_rule *rule, size_t *at, struct error *err)
{
	static const char *const names[] = {[HBA_TRUST] = "trust",
		[HBA_REJECT] = "reject",
		[HBA_SCRAM_SHA_256] = "scram-sha-256",
		[HBA_CERT] = "cert"};
	static const char *const passwords[] = {"md5", "password", NULL};
	static const char *const others[] = {
		"ident", "peer", "gss", "sspi", "pam", "bsd", "ldap", "radius", "oauth", NULL};
	const struct token *token = NULL;

	if (!next_single(rule, at, "authentication method",
		    "authentication type; specify exactly one authentication type per line", &token,
		    err)) {
		return false;
	}
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (strcmp(token->text, names[i]) == 0) {
			rule->method = (enum hba_method)i;
			return rule->method != HBA_CERT || rule->type == TYPE_HOSTSSL ||
			       error_set(err, ERROR_INVALID,
				       "cert authentication is only supported on hostssl "
				       "connections");
		}
	}
	if (is_one_of(token->text, passwords)) {
		return error_set(err, ERROR_INVALID,
			"authentication method \"%s\" is not supported; use \"scram-sha-256\"",
			token->text);
	}
	if (is_one_of(token->text, others)) {
		return error_set(err, ERROR_INVALID,
			"authentication method \"%s\" is not supported", token->text);
	}
	return error_set(err, ERROR_INVALID, "invalid authentication method \"%s\"", token->text);
}

static bool read_client_cert(struct hba_rule *rule, const char *value, struct error *err)
{
	if (rule->type != TYPE_HOSTSSL) {
		return error_set(err, ERROR_INVALID,
			"clientcert can only be configured for \"hostssl\" rows");
	}
	if (strcmp(value, "verify-full") == 0) {
		rule->client_cert = HBA_CLIENT_CERT_VERIFY_FULL;
		return true;
	}
	if (strcmp(value, "verify-ca") != 0) {
		return error_set(err, ERROR_INVALID, "invalid value for clientcert: \"%s\"", value);
	}
	if (rule->method == HBA_CERT) {
		return error_set(err, ERROR_INVALID,
			"clientcert can only be set to \"verify-full\" when using \"cert\" "
			"authentication");
	}
	rule->client_cert = HBA_CLIENT_CERT_VERIFY_CA;
	return true;
}

static bool read_options(struct hba_rule *rule, size_t at, struct error *err)
{
	static const char clientcert[] = "clientcert=";

	if (rule->method == HBA_CERT) {
		rule->client_cert = HBA_CLIENT_CERT_VERIFY_FULL;
	}
	for (; at < rule->token_count; at++) {
		const char *option = rule->tokens[at].text;
		size_t name_length = strcspn(option, "=");

		if (option[name_length] == '\0') {
			return error_set(err, ERROR_INVALID,
				"authentication option not in name=value format: %s", option);
		}
		if (strncmp(option, clientcert, strlen(clientcert)) != 0) {
			return error_set(err, ERROR_INVALID,
				"unrecognized authentication option name: \"%.*s\"",
				(int)name_length, option);
		}
		if (!read_client_cert(rule, option + strlen(clientcert), err)) {
			return false;
		}
	}
	return true;
}

static bool read_rule(struct hba_rule *rule, struct error *err)
{
	size_t at = 0;

	return read_type(rule, &at, err) &&
	       read_names(rule, &at, "database", check_database, &rule->databases, err) &&
	       read_names(rule, &at, "role", check_user, &rule->users, err) &&
	       read_address(rule, &at, err) && read_method(rule, &at, err) &&
	       read_options(rule, at, err);
}

enum hba_line hba_rule_parse(const char *line, size_t length, unsigned number,
	struct hba_rule **rule_out, struct error *err)
{
	struct hba_rule *rule = memory_new(sizeof(*rule));
	enum hba_line result = HBA_LINE_BAD;

	/* A token takes a character and a delimiter at least, and its end in the copy. */
	rule->text = memory_new(2 * length + 1);
	rule->tokens = memory_new((length / 2 + 1) * sizeof(*rule->tokens));
	rule->line = number;
	rule->token_count = read_tokens(line, length, rule->text, rule->tokens);
	if (rule->token_count == 0) {
		result = HBA_LINE_EMPTY;
	} else if (memchr(line, '\0', length) != NULL) {
		error_set(err, ERROR_INVALID, "zero byte in the line");
	} else if (read_rule(rule, err)) {
		*rule_out = rule;
		return HBA_LINE_RULE;
	}
	hba_rule_free(&rule);
	return result;
}

void hba_rule_free(struct hba_rule **rule)
{
	if (*rule != NULL) {
		free((*rule)->tokens);
		free((*rule)->text);
		free(*rule);
		*rule = NULL;
	}
}

/* --- matching -------------------------------------------------------------------------------- */

static bool matches_address(const struct hba_rule *rule, const struct sockaddr_storage *peer)
{
	struct hba_address address = hba_address_of((const struct sockaddr *)peer);

	switch (rule->address_kind) {
	case ADDRESS_ALL: return true;
	case ADDRESS_SAMEHOST: return hba_address_is_own(&address, false);
	case ADDRESS_SAMENET: return hba_address_is_own(&address, true);
	case ADDRESS_RANGE: return hba_address_is_in(&address, &rule->network, &rule->mask);
	}
	return false;
}

static bool matches_database(const struct field *databases, const struct hba_connection *connection)
{
	for (size_t i = 0; i < databases->count; i++) {
		const struct token *token = &databases->tokens[i];

		if (connection->is_replication) {
			if (is_keyword(token, "replication")) {
				return true;
			}
		} else if (is_keyword(token, "all") ||
			   (!is_keyword(token, "replication") &&
				   strcmp(token->text, connection->database) == 0)) {
			return true;
		}
	}
	return false;
}

static bool matches_user(const struct field *users, const char *user)
{
	for (size_t i = 0; i < users->count; i++) {
		if (is_keyword(&users->tokens[i], "all") ||
			strcmp(users->tokens[i].text, user) == 0) {
			return true;
		}
	}
	return false;
}

static bool matches_type(const struct hba_rule *rule, const struct hba_connection *connection)
{
	switch (rule->type) {
	case TYPE_LOCAL: return connection->is_local;
	case TYPE_HOST: return !connection->is_local;
	case TYPE_HOSTSSL: return !connection->is_local && connection->is_tls;
	case TYPE_HOSTNOSSL: return !connection->is_local && !connection->is_tls;
	}
	return false;
}

bool hba_rule_matches(const struct hba_rule *rule, const struct hba_connection *connection)
{
	return matches_type(rule, connection) && matches_database(&rule->databases, connection) &&
	       matches_user(&rule->users, connection->user) &&
	       (rule->type == TYPE_LOCAL || matches_address(rule, connection->peer));
}

enum hba_method hba_rule_method(const struct hba_rule *rule)
{
	return rule->method;
}

enum hba_client_cert hba_rule_client_cert(const struct hba_rule *rule)
{
	return rule->client_cert;
}

bool hba_rule_is_for_tls(const struct hba_rule *rule)
{
	return rule->type == TYPE_HOSTSSL;
}

unsigned hba_rule_line(const struct hba_rule *rule)
{
	return rule->line;
}
