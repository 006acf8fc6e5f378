/*
 * repl_command: the walsender's grammar (src/backend/replication/repl_gram.y) as a
 * recursive-descent parser, one function a production, without allocation. A parse that fails
 * leaves the command untouched.
 */
#include "protocol/repl_command.h"

#include "protocol/repl_scanner.h"

#include <stdint.h>
#include <string.h>
#include <strings.h>

static const char syntax_error[] = "syntax error";
static const char redundant_options[] = "conflicting or redundant options";

struct parser {
	struct repl_scanner scanner;
	const char *message;   /* why it is ill formed */
	const char *objection; /* why it will not do, though well formed: syntax comes first */
};

static bool fail(struct parser *parser, const char *message)
{
	parser->message = message;
	return false;
}

static void object(struct parser *parser, const char *objection)
{
	if (!parser->objection) {
		parser->objection = objection;
	}
}

static bool next(struct parser *parser)
{
	return repl_scanner_next(&parser->scanner, &parser->message);
}

static const struct repl_token *token_of(const struct parser *parser)
{
	return &parser->scanner.token;
}

/* Takes the word when it is next; says in was_there_out whether it was. */
static bool take_optional(struct parser *parser, const char *word, bool *was_there_out)
{
	*was_there_out = repl_token_is(token_of(parser), word);
	return !*was_there_out || next(parser);
}

static bool take_char(struct parser *parser, char c)
{
	if (!repl_token_is_char(token_of(parser), c)) {
		return fail(parser, syntax_error);
	}
	return next(parser);
}

/* IDENT; longer names are cut, as PostgreSQL cuts them. */
static bool take_name(struct parser *parser, char name_out[REPL_NAME_SIZE])
{
	if (token_of(parser)->kind != REPL_TOKEN_QUOTED &&
		(token_of(parser)->kind != REPL_TOKEN_WORD ||
			repl_token_is_keyword(token_of(parser)))) {
		return fail(parser, syntax_error);
	}
	repl_token_copy(token_of(parser), name_out, REPL_NAME_SIZE);
	return next(parser);
}

static bool take_lsn(struct parser *parser, lsn_t *lsn_out)
{
	if (token_of(parser)->kind != REPL_TOKEN_LSN) {
		return fail(parser, syntax_error);
	}
	*lsn_out = token_of(parser)->lsn;
	return next(parser);
}

static bool take_tli(struct parser *parser, tli_t *tli_out)
{
	if (token_of(parser)->kind != REPL_TOKEN_NUMBER || token_of(parser)->number > UINT32_MAX) {
		return fail(parser, syntax_error);
	}
	if (token_of(parser)->number == 0) {
		return fail(parser, "invalid timeline 0");
	}
	*tli_out = (tli_t)token_of(parser)->number;
	return next(parser);
}

/* One semicolon may stand before the end. */
static bool take_end(struct parser *parser)
{
	if (repl_token_is_char(token_of(parser), ';') && !next(parser)) {
		return false;
	}
	return token_of(parser)->kind == REPL_TOKEN_END || fail(parser, syntax_error);
}

/* A keyword names an option as well as a name does; a value is a word, a string or a number. */
static bool take_option(struct parser *parser, struct repl_option *option_out)
{
	struct repl_option option = {.has_value = false};
	if (token_of(parser)->kind != REPL_TOKEN_WORD &&
		token_of(parser)->kind != REPL_TOKEN_QUOTED) {
		return fail(parser, syntax_error);
	}
	repl_token_copy(token_of(parser), option.name, sizeof(option.name));
	if (!next(parser)) {
		return false;
	}
	enum repl_token_kind kind = token_of(parser)->kind;
	if (kind == REPL_TOKEN_STRING || kind == REPL_TOKEN_NUMBER || kind == REPL_TOKEN_QUOTED ||
		(kind == REPL_TOKEN_WORD && !repl_token_is_keyword(token_of(parser)))) {
		option.has_value = true;
		if (!repl_token_copy(token_of(parser), option.value, sizeof(option.value))) {
			object(parser, "option value is too long");
		}
		if (!next(parser)) {
			return false;
		}
	}
	*option_out = option;
	return true;
}

/* '(' option [, ...] ')': each is handed to take. */
typedef void option_taker(
	struct parser *parser, struct repl_command *command, const struct repl_option *option);

static bool take_options(struct parser *parser, struct repl_command *command, option_taker *take)
{
	if (!take_char(parser, '(')) {
		return false;
	}
	for (;;) {
		struct repl_option option;
		if (!take_option(parser, &option)) {
			return false;
		}
		take(parser, command, &option);
		if (!repl_token_is_char(token_of(parser), ',')) {
			return take_char(parser, ')');
		}
		if (!next(parser)) {
			return false;
		}
	}
}

/* For commands that are refused anyway: only the form matters. */
static void pass_option(
	struct parser *parser, struct repl_command *command, const struct repl_option *option)
{
	(void)parser;
	(void)command;
	(void)option;
}

static void keep_option(
	struct parser *parser, struct repl_command *command, const struct repl_option *option)
{
	if (command->option_count == REPL_OPTIONS_MAX) {
		object(parser, "too many options");
		return;
	}
	command->options[command->option_count++] = *option;
}

static bool parse_nothing_more(struct parser *parser, struct repl_command *command)
{
	(void)parser;
	(void)command;
	return true;
}

/* var_name: name[.name ...], the parts joined by dots. */
static bool take_dotted_name(struct parser *parser, char *out, size_t size)
{
	size_t length = 0;
	for (;;) {
		char part[REPL_NAME_SIZE];
		if (!take_name(parser, part)) {
			return false;
		}
		size_t part_length = strlen(part);
		if (length + part_length + 2 > size) {
			return fail(parser, "name is too long");
		}
		memcpy(out + length, part, part_length + 1);
		length += part_length;
		if (!repl_token_is_char(token_of(parser), '.')) {
			return true;
		}
		out[length++] = '.';
		if (!next(parser)) {
			return false;
		}
	}
}

static bool parse_show(struct parser *parser, struct repl_command *command)
{
	return take_dotted_name(parser, command->show_name, sizeof(command->show_name));
}

static bool parse_read_slot(struct parser *parser, struct repl_command *command)
{
	return take_dotted_name(parser, command->slot, sizeof(command->slot));
}

static bool parse_timeline_history(struct parser *parser, struct repl_command *command)
{
	return take_tli(parser, &command->tli);
}

/* What defGetBoolean of src/backend/commands/define.c takes. */
static bool option_boolean(const struct repl_option *option, bool *value_out)
{
	static const struct {
		const char *text;
		bool value;
	} spellings[] = {{"true", true}, {"on", true}, {"1", true}, {"false", false},
		{"off", false}, {"0", false}};
	if (!option->has_value) {
		*value_out = true;
		return true;
	}
	for (size_t i = 0; i < sizeof(spellings) / sizeof(spellings[0]); i++) {
		if (strcasecmp(option->value, spellings[i].text) == 0) {
			*value_out = spellings[i].value;
			return true;
		}
	}
	return false;
}

static void take_reserve_wal(
	struct parser *parser, struct repl_command *command, const struct repl_option *option)
{
	if (strcmp(option->name, "reserve_wal") != 0) {
		bool is_logical = strcmp(option->name, "snapshot") == 0 ||
				  strcmp(option->name, "two_phase") == 0 ||
				  strcmp(option->name, "failover") == 0;
		object(parser, is_logical ? redundant_options : "unrecognized option");
	} else if (command->option_count++ > 0) {
		object(parser, redundant_options);
	} else if (!option_boolean(option, &command->reserve_wal)) {
		object(parser, "reserve_wal requires a Boolean value");
	}
}

/* The syntax before 15: keywords without parentheses. */
static bool take_legacy_slot_options(struct parser *parser, struct repl_command *command)
{
	bool is_physical = command->kind == REPL_CREATE_SLOT;
	for (;;) {
		if (repl_token_is(token_of(parser), "RESERVE_WAL")) {
			if (!is_physical || command->reserve_wal) {
				object(parser, redundant_options);
			}
			command->reserve_wal = true;
		} else if (repl_token_is(token_of(parser), "EXPORT_SNAPSHOT") ||
			   repl_token_is(token_of(parser), "NOEXPORT_SNAPSHOT") ||
			   repl_token_is(token_of(parser), "USE_SNAPSHOT") ||
			   repl_token_is(token_of(parser), "TWO_PHASE")) {
			if (is_physical) {
				object(parser, redundant_options);
			}
		} else {
			return true;
		}
		if (!next(parser)) {
			return false;
		}
	}
}

static bool take_slot_options(struct parser *parser, struct repl_command *command)
{
	if (!repl_token_is_char(token_of(parser), '(')) {
		return take_legacy_slot_options(parser, command);
	}
	if (command->kind == REPL_CREATE_LOGICAL_SLOT) {
		return take_options(parser, command, pass_option);
	}
	bool is_taken = take_options(parser, command, take_reserve_wal);
	command->option_count = 0; /* it counted RESERVE_WAL, no option to be kept */
	return is_taken;
}

static bool parse_create_slot(struct parser *parser, struct repl_command *command)
{
	bool is_physical;
	char plugin[REPL_NAME_SIZE];
	if (!take_name(parser, command->slot) ||
		!take_optional(parser, "TEMPORARY", &command->temporary) ||
		!take_optional(parser, "PHYSICAL", &is_physical)) {
		return false;
	}
	if (!is_physical) {
		command->kind = REPL_CREATE_LOGICAL_SLOT;
		if (!repl_token_is(token_of(parser), "LOGICAL")) {
			return fail(parser, syntax_error);
		}
		if (!next(parser) || !take_name(parser, plugin)) {
			return false;
		}
	}
	return take_slot_options(parser, command);
}

static bool parse_drop_slot(struct parser *parser, struct repl_command *command)
{
	return take_name(parser, command->slot) && take_optional(parser, "WAIT", &command->wait);
}

static bool parse_alter_slot(struct parser *parser, struct repl_command *command)
{
	return take_name(parser, command->slot) && take_options(parser, command, pass_option);
}

/* LOGICAL X/X [( name ['value'], ... )] */
static bool parse_start_logical(struct parser *parser, struct repl_command *command)
{
	command->kind = REPL_START_LOGICAL;
	if (!take_lsn(parser, &command->start_lsn)) {
		return false;
	}
	return !repl_token_is_char(token_of(parser), '(') ||
	       take_options(parser, command, pass_option);
}

/* [SLOT slot] [PHYSICAL] X/X [TIMELINE tli] [( name ['value'], ... )] */
static bool parse_start_replication(struct parser *parser, struct repl_command *command)
{
	bool has_slot;
	bool is_logical = false;
	bool is_physical;
	bool has_timeline;
	if (!take_optional(parser, "SLOT", &has_slot) ||
		(has_slot && !take_name(parser, command->slot)) ||
		(has_slot && !take_optional(parser, "LOGICAL", &is_logical))) {
		return false;
	}
	if (is_logical) {
		return parse_start_logical(parser, command);
	}
	if (!take_optional(parser, "PHYSICAL", &is_physical) ||
		!take_lsn(parser, &command->start_lsn) ||
		!take_optional(parser, "TIMELINE", &has_timeline) ||
		(has_timeline && !take_tli(parser, &command->tli))) {
		return false;
	}
	return !repl_token_is_char(token_of(parser), '(') ||
	       take_options(parser, command, keep_option);
}

/* The options differ by version and are the upstream's to judge; here they need only scan. */
static bool parse_base_backup(struct parser *parser, struct repl_command *command)
{
	(void)command;
	while (token_of(parser)->kind != REPL_TOKEN_END &&
		!repl_token_is_char(token_of(parser), ';')) {
		if (!next(parser)) {
			return false;
		}
	}
	return true;
}

static const struct production {
	const char *keyword;
	enum repl_command_kind kind;
	bool (*parse)(struct parser *parser, struct repl_command *command);
} productions[] = {
	{"IDENTIFY_SYSTEM", REPL_IDENTIFY_SYSTEM, parse_nothing_more},
	{"SHOW", REPL_SHOW, parse_show},
	{"TIMELINE_HISTORY", REPL_TIMELINE_HISTORY, parse_timeline_history},
	{"CREATE_REPLICATION_SLOT", REPL_CREATE_SLOT, parse_create_slot},
	{"READ_REPLICATION_SLOT", REPL_READ_SLOT, parse_read_slot},
	{"DROP_REPLICATION_SLOT", REPL_DROP_SLOT, parse_drop_slot},
	{"ALTER_REPLICATION_SLOT", REPL_ALTER_SLOT, parse_alter_slot},
	{"START_REPLICATION", REPL_START_PHYSICAL, parse_start_replication},
	{"BASE_BACKUP", REPL_BASE_BACKUP, parse_base_backup},
	{"UPLOAD_MANIFEST", REPL_UPLOAD_MANIFEST, parse_nothing_more},
};

static const struct production *find_production(const struct repl_token *first)
{
	for (size_t i = 0; i < sizeof(productions) / sizeof(productions[0]); i++) {
		if (repl_token_is(first, productions[i].keyword)) {
			return &productions[i];
		}
	}
	return NULL;
}

static bool parse_command(struct parser *parser, struct repl_command *command)
{
	if (!next(parser)) {
		return false;
	}
	const struct production *production = find_production(token_of(parser));
	if (!production) {
		command->kind = REPL_SQL;
		return true;
	}
	command->kind = production->kind;
	return next(parser) && production->parse(parser, command) && take_end(parser);
}

enum repl_parse repl_command_parse(
	const char *text, struct repl_command *command_out, const char **message_out)
{
	struct parser parser = {.message = NULL};
	repl_scanner_init(&parser.scanner, text);
	struct repl_command command = {.kind = REPL_SQL};
	if (!parse_command(&parser, &command) || parser.objection) {
		*message_out = parser.message ? parser.message : parser.objection;
		return REPL_PARSE_SYNTAX_ERROR;
	}
	*command_out = command;
	return REPL_PARSE_OK;
}

static bool quote(const char *text, char mark, char *out, size_t out_size)
{
	size_t length = 0;
	for (const char *at = text; *at; at++) {
		length += *at == mark ? 2 : 1;
	}
	if (length + 3 > out_size) {
		return false;
	}
	*out++ = mark;
	for (const char *at = text; *at; at++) {
		if (*at == mark) {
			*out++ = mark;
		}
		*out++ = *at;
	}
	*out++ = mark;
	*out = '\0';
	return true;
}

bool repl_quote_identifier(const char *name, char *out, size_t out_size)
{
	return quote(name, '"', out, out_size);
}

bool repl_quote_literal(const char *text, char *out, size_t out_size)
{
	return quote(text, '\'', out, out_size);
}

bool repl_slot_name_is_valid(const char *name, const char **reason_out)
{
	size_t length = strlen(name);
	if (length == 0) {
		*reason_out = "is too short";
		return false;
	}
	if (length >= REPL_NAME_SIZE) {
		*reason_out = "is too long";
		return false;
	}
	if (strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_") != length) {
		*reason_out = "contains invalid character";
		return false;
	}
	return true;
}
