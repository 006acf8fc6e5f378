/*
 * console_command: a table of forms, and what compares a statement with one of them.
 *
 * In a form, words in upper case and single signs stand for themselves, words in lower case for
 * what is filled in, "..." for anything. The first form that fits wins. A statement that agrees
 * with a form of the relay's own in two words or more, but does not fit, is a mistake and not SQL.
 */
#include "protocol/console_command.h"

#include <assert.h>
#include <ctype.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "protocol/console_scanner.h"

#define NEAR_MAX 80

struct form {
	enum console_command_kind kind;
	const char *pattern;
	const char *purpose; /* NULL: not the relay's own */
	const char *name;    /* what the command's name is, where the pattern has none */
};

/* clang-format off */
static const struct form forms[] = {
{CONSOLE_SHOW_UPSTREAM, "SHOW UPSTREAM", "what this relay follows", NULL},
{CONSOLE_SHOW_STANDBYS, "SHOW STANDBYS", "who is connected, as pg_stat_replication shows it, and what it costs", NULL},
{CONSOLE_SHOW_DESTINATIONS, "SHOW DESTINATIONS", "what each destination has used, and what holds it back", NULL},
{CONSOLE_SHOW_USAGE, "SHOW USAGE", "bytes and cost by destination and day of this month", NULL},
{CONSOLE_SHOW_USAGE_BY_MONTH, "SHOW USAGE BY MONTH", "the same by month of the last year", NULL},
{CONSOLE_SHOW_SLOTS, "SHOW SLOTS", "slots and the WAL they hold", NULL},
{CONSOLE_SHOW_PINS, "SHOW PINS", "pins and the WAL they hold", NULL},
{CONSOLE_SHOW_SPOOL, "SHOW SPOOL", "what is on disk, who holds it, and what the horizon follows from", NULL},
{CONSOLE_SHOW_PROMOTION, "SHOW PROMOTION", "standbys by what they hold, and what each would lose if it were promoted now", NULL},
{CONSOLE_SHOW_CONFIG, "SHOW CONFIG", "the configuration in force", NULL},
{CONSOLE_SHOW_VERSION, "SHOW VERSION", "of walrelay", NULL},
{CONSOLE_SHOW_HELP, "SHOW HELP", "this list", NULL},
{CONSOLE_RELOAD, "RELOAD", "read the configuration, users and rules again", NULL},
{CONSOLE_PAUSE, "PAUSE destination", "send it nothing but keepalives, until RESUME", NULL},
{CONSOLE_RESUME, "RESUME destination", "end a pause; limits that are reached are passed over until their day or month ends", NULL},
{CONSOLE_SET_CAP, "SET CAP destination = rate", "a rate cap until the next reload, such as 50Mbit/s; DEFAULT: as configured", NULL},
{CONSOLE_SET_CAP, "SET CAP destination TO rate", NULL, NULL},
{CONSOLE_PIN, "PIN pin AT lsn FOR interval", "keep WAL from there on (without AT: from the last checkpoint) for so long, such as 12h (without FOR: a week)", NULL},
{CONSOLE_PIN, "PIN pin AT lsn", NULL, NULL},
{CONSOLE_PIN, "PIN pin FOR interval", NULL, NULL},
{CONSOLE_PIN, "PIN pin", NULL, NULL},
{CONSOLE_UNPIN, "UNPIN pin", "keep it no longer", NULL},
{CONSOLE_DROP_SLOT, "DROP SLOT slot", "a slot that nobody streams from", NULL},
{CONSOLE_KILL, "KILL standby", "end its connection, by application name or pid", NULL},
{CONSOLE_SKIP, "SKIP TO lsn", "after a gap: go on there, leaving a hole", NULL},
{CONSOLE_SHOW_SETTING, "SHOW TRANSACTION ISOLATION LEVEL", NULL, "transaction_isolation"},
{CONSOLE_SHOW_SETTING, "SHOW SESSION AUTHORIZATION", NULL, "session_authorization"},
{CONSOLE_SHOW_SETTING, "SHOW TIME ZONE", NULL, "timezone"},
{CONSOLE_SHOW_SETTING, "SHOW setting", NULL, NULL},
{CONSOLE_BEGIN, "BEGIN ...", NULL, NULL},
{CONSOLE_BEGIN, "START TRANSACTION ...", NULL, NULL},
{CONSOLE_COMMIT, "COMMIT ...", NULL, NULL},
{CONSOLE_COMMIT, "END ...", NULL, NULL},
{CONSOLE_SQL, "ROLLBACK TO ...", NULL, NULL},
{CONSOLE_ROLLBACK, "ROLLBACK ...", NULL, NULL},
{CONSOLE_ROLLBACK, "ABORT ...", NULL, NULL},
{CONSOLE_SET, "SET ...", NULL, NULL},
{CONSOLE_RESET, "RESET ...", NULL, NULL},
{CONSOLE_DISCARD, "DISCARD name", NULL, NULL},
{CONSOLE_DEALLOCATE, "DEALLOCATE ALL", NULL, NULL},
{CONSOLE_DEALLOCATE, "DEALLOCATE PREPARE ALL", NULL, NULL},
{CONSOLE_DEALLOCATE, "DEALLOCATE PREPARE name", NULL, NULL},
{CONSOLE_DEALLOCATE, "DEALLOCATE name", NULL, NULL},
{CONSOLE_UNLISTEN, "UNLISTEN ...", NULL, NULL},
{CONSOLE_CLOSE, "CLOSE ALL", NULL, NULL},
{CONSOLE_SELECT_NUMBER, "SELECT number", NULL, NULL},
{CONSOLE_SELECT_VERSION, "SELECT VERSION ( )", NULL, NULL},
};

/* Words that SQL statements and replication commands begin with. */
static const char *const sql_words[] = {
"SELECT", "WITH", "VALUES", "TABLE", "INSERT", "UPDATE", "DELETE", "MERGE", "COPY", "CREATE",
"ALTER", "DROP", "TRUNCATE", "COMMENT", "GRANT", "REVOKE", "EXPLAIN", "ANALYZE", "VACUUM",
"CLUSTER", "REINDEX", "REFRESH", "CHECKPOINT", "LOCK", "DECLARE", "FETCH", "MOVE", "CLOSE",
"PREPARE", "EXECUTE", "CALL", "DO", "LISTEN", "NOTIFY", "SAVEPOINT", "RELEASE", "LOAD", "SECURITY",
"IMPORT", "REASSIGN", "ROLLBACK", "IDENTIFY_SYSTEM", "TIMELINE_HISTORY", "CREATE_REPLICATION_SLOT",
"DROP_REPLICATION_SLOT", "READ_REPLICATION_SLOT", "ALTER_REPLICATION_SLOT", "START_REPLICATION",
"BASE_BACKUP", "UPLOAD_MANIFEST",
};
/* clang-format on */

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* A statement as far as it was compared. */
struct match {
	struct console_scanner scanner;
	const char *end; /* of the statement */
	unsigned depth;  /* tokens that agree */
	struct console_command command;
};

/* What was scanned once without a fault has none. */
static void step(struct match *match)
{
	const char *message;
	bool ok = console_scanner_next(&match->scanner, &message);
	assert(ok);
}

static bool is_at_end(const struct match *match)
{
	return match->scanner.token.text >= match->end;
}

/* --- what is filled in -------------------------------------------------------------------------
 */

static bool take_name(struct match *match)
{
	const struct console_token *token = &match->scanner.token;
	if (token->kind == CONSOLE_TOKEN_CHAR ||
		!console_token_copy(token, match->command.name, sizeof(match->command.name))) {
		return false;
	}
	step(match);
	return true;
}

static bool take_setting(struct match *match)
{
	if (!take_name(match)) {
		return false;
	}
	for (char *at = match->command.name; *at != '\0'; at++) {
		*at = (char)tolower((unsigned char)*at);
	}
	return true;
}

static bool take_lsn(struct match *match)
{
	char text[LSN_TEXT_SIZE];
	lsn_t lsn;
	if (!console_token_copy(&match->scanner.token, text, sizeof(text)) ||
		!lsn_parse(text, strlen(text), &lsn) || lsn == LSN_INVALID) {
		return false;
	}
	match->command.lsn = lsn;
	step(match);
	return true;
}

/* A string, or all words that are left as they stand. */
static bool take_text(struct match *match)
{
	const char *from = match->scanner.token.text;
	const char *end = from;
	char *value = match->command.value;
	if (match->scanner.token.kind == CONSOLE_TOKEN_STRING) {
		bool ok = console_token_copy(
			&match->scanner.token, value, sizeof(match->command.value));
		step(match);
		return ok;
	}
	while (!is_at_end(match)) {
		if (match->scanner.token.kind != CONSOLE_TOKEN_WORD) {
			return false;
		}
		end = match->scanner.at;
		step(match);
	}
	size_t length = (size_t)(end - from);
	if (length == 0 || length >= sizeof(match->command.value)) {
		return false;
	}
	memcpy(value, from, length);
	value[length] = '\0';
	return true;
}

static bool take_number(struct match *match)
{
	const struct console_token *token = &match->scanner.token;
	size_t digits = strspn(token->text, "0123456789");
	if (token->kind != CONSOLE_TOKEN_WORD || digits != token->length || digits > 10 ||
		!console_token_copy(token, match->command.value, sizeof(match->command.value)) ||
		strtoll(match->command.value, NULL, 10) > INT32_MAX) {
		return false;
	}
	step(match);
	return true;
}

static const struct {
	const char *word;
	bool (*take)(struct match *match);
} fillings[] = {
	{"lsn", take_lsn},
	{"rate", take_text},
	{"interval", take_text},
	{"number", take_number},
	{"setting", take_setting},
};

/* --- forms -------------------------------------------------------------------------------------
 */

static bool take_word(struct match *match, const char *word, size_t length)
{
	const struct console_token *token = &match->scanner.token;
	if (is_at_end(match)) {
		return false;
	}
	if (islower((unsigned char)word[0])) {
		for (size_t i = 0; i < COUNT(fillings); i++) {
			if (strncmp(fillings[i].word, word, length) == 0 &&
				fillings[i].word[length] == '\0') {
				return fillings[i].take(match);
			}
		}
		return take_name(match);
	}
	if (!console_token_is(token, word, length) &&
		(length != 1 || !console_token_is_char(token, word[0]))) {
		return false;
	}
	step(match);
	return true;
}

static bool fits(struct match *match, const struct form *form)
{
	for (const char *at = form->pattern; *at != '\0'; at += *at == ' ') {
		size_t length = strcspn(at, " ");
		if (strncmp(at, "...", length) == 0) {
			return true;
		}
		if (!take_word(match, at, length)) {
			return false;
		}
		match->depth++;
		at += length;
	}
	if (!is_at_end(match)) {
		return false;
	}
	if (form->name != NULL) {
		snprintf(match->command.name, sizeof(match->command.name), "%s", form->name);
	}
	return true;
}

/* --- mistakes ----------------------------------------------------------------------------------
 */

static size_t position_of(const char *text, const char *at)
{
	size_t characters = 1;
	for (; text < at; text++) {
		characters += ((unsigned char)*text & 0xc0) != 0x80;
	}
	return characters;
}

/* near of length 0: the end. */
static enum console_parse fail(const char *text, const char *message, const char *near,
	size_t length, struct console_syntax_error *err)
{
	err->position = position_of(text, near);
	if (length == 0) {
		snprintf(err->message, sizeof(err->message), "%s at end of input", message);
		return CONSOLE_PARSE_ERROR;
	}
	if (length > NEAR_MAX) {
		length = NEAR_MAX;
		while (length > 0 && ((unsigned char)near[length] & 0xc0) == 0x80) {
			length--;
		}
	}
	snprintf(err->message, sizeof(err->message), "%s at or near \"%.*s\"", message, (int)length,
		near);
	return CONSOLE_PARSE_ERROR;
}

static bool is_sql(const struct console_token *first)
{
	for (size_t i = 0; i < COUNT(sql_words); i++) {
		if (console_token_is(first, sql_words[i], strlen(sql_words[i]))) {
			return true;
		}
	}
	return console_token_is_char(first, '(');
}

/* --- a statement -------------------------------------------------------------------------------
 */

/* All that is known of the statement before it is compared with anything. */
static struct match begin_match(const struct console_token *first, const char *end)
{
	struct match match = {.end = end};
	console_scanner_init(&match.scanner, first->text);
	match.command.text = first->text;
	match.command.length = (size_t)(end - first->text);
	step(&match);
	return match;
}

static enum console_parse parse(const char *text, const struct console_token *first,
	const char *end, struct console_command *command_out, struct console_syntax_error *err)
{
	struct match furthest = begin_match(first, end);
	for (size_t i = 0; i < COUNT(forms); i++) {
		struct match match = begin_match(first, end);
		if (furthest.depth >= 2 && forms[i].purpose == NULL &&
			forms[i].kind != CONSOLE_SET_CAP && forms[i].kind != CONSOLE_PIN) {
			break;
		}
		if (fits(&match, &forms[i])) {
			match.command.kind = forms[i].kind;
			*command_out = match.command;
			return CONSOLE_PARSE_OK;
		}
		if (match.depth > furthest.depth && forms[i].kind < CONSOLE_BEGIN) {
			furthest = match;
		}
	}
	if (furthest.depth < 2 && is_sql(first)) {
		furthest = begin_match(first, end);
		furthest.command.kind = CONSOLE_SQL;
		*command_out = furthest.command;
		return CONSOLE_PARSE_OK;
	}
	const struct console_token *token = &furthest.scanner.token;
	return fail(
		text, "syntax error", token->text, is_at_end(&furthest) ? 0 : token->length, err);
}

enum console_parse console_command_next(const char *text, size_t *at,
	struct console_command *command_out, struct console_syntax_error *err_out)
{
	struct console_scanner scanner;
	struct console_token first = {.text = NULL};
	const char *message;
	console_scanner_init(&scanner, text + *at);
	const char *end = scanner.at;
	for (;;) {
		if (!console_scanner_next(&scanner, &message)) {
			return fail(
				text, message, scanner.token.text, scanner.token.length, err_out);
		}
		bool is_end = scanner.token.kind == CONSOLE_TOKEN_END;
		if (is_end && first.text == NULL) {
			*at = (size_t)(scanner.at - text);
			return CONSOLE_PARSE_END;
		}
		if (is_end || (console_token_is_char(&scanner.token, ';') && first.text != NULL)) {
			break;
		}
		if (first.text == NULL && !console_token_is_char(&scanner.token, ';')) {
			first = scanner.token;
		}
		end = scanner.at;
	}
	*at = (size_t)(scanner.at - text);
	return parse(text, &first, end, command_out, err_out);
}

/* --- about commands ----------------------------------------------------------------------------
 */

bool console_command_is_change(enum console_command_kind kind)
{
	return kind >= CONSOLE_RELOAD && kind <= CONSOLE_SKIP;
}

const char *console_command_tag(enum console_command_kind kind)
{
	static const char *const tags[CONSOLE_KINDS] = {
		[CONSOLE_RELOAD] = "RELOAD",
		[CONSOLE_PAUSE] = "PAUSE",
		[CONSOLE_RESUME] = "RESUME",
		[CONSOLE_SET_CAP] = "SET CAP",
		[CONSOLE_PIN] = "PIN",
		[CONSOLE_UNPIN] = "UNPIN",
		[CONSOLE_DROP_SLOT] = "DROP SLOT",
		[CONSOLE_KILL] = "KILL",
		[CONSOLE_SKIP] = "SKIP",
		[CONSOLE_BEGIN] = "BEGIN",
		[CONSOLE_COMMIT] = "COMMIT",
		[CONSOLE_ROLLBACK] = "ROLLBACK",
		[CONSOLE_SET] = "SET",
		[CONSOLE_RESET] = "RESET",
		[CONSOLE_DISCARD] = "DISCARD ALL",
		[CONSOLE_DEALLOCATE] = "DEALLOCATE",
		[CONSOLE_UNLISTEN] = "UNLISTEN",
		[CONSOLE_CLOSE] = "CLOSE CURSOR ALL",
		[CONSOLE_SELECT_NUMBER] = "SELECT 1",
		[CONSOLE_SELECT_VERSION] = "SELECT 1",
	};
	assert((unsigned)kind < CONSOLE_KINDS);
	return tags[kind] != NULL ? tags[kind] : "SHOW";
}

const char *console_command_form(size_t index, const char **purpose_out)
{
	for (size_t i = 0; i < COUNT(forms); i++) {
		if (forms[i].purpose != NULL && index-- == 0) {
			*purpose_out = forms[i].purpose;
			return forms[i].pattern;
		}
	}
	return NULL;
}
