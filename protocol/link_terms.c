/*
 * link_terms: formats and reads the row and the options two relays agree by. Reading is lenient
 * about what is not known and strict about what is.
 */
#include "protocol/link_terms.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "protocol/link_codec.h"

#define HASH_DIGITS  16
#define TOKEN_DIGITS 16

/* --- words ----------------------------------------------------------------------------------- */

static bool is_ability_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
	       (c != '\0' && strchr("_.+-", c) != NULL);
}

static bool is_ability_text(const char *text)
{
	while (is_ability_char(*text)) {
		text++;
	}
	return *text == '\0';
}

/* The next word of a text; length 0: there is none. */
static const char *next_word(const char **at, size_t *length_out)
{
	const char *word = *at + strspn(*at, " ");

	*length_out = strcspn(word, " ");
	*at = word + *length_out;
	return word;
}

static bool is_word(const char *word, size_t length, const char *text)
{
	return strlen(text) == length && memcmp(word, text, length) == 0;
}

/* Decimal digits only, all of text[0..length). */
static bool parse_number(const char *text, size_t length, uint64_t max, uint64_t *number_out)
{
	uint64_t number = 0;

	for (size_t i = 0; i < length; i++) {
		uint64_t digit = (uint64_t)(text[i] - '0');

		if (text[i] < '0' || text[i] > '9' || number > (max - digit) / 10) {
			return false;
		}
		number = number * 10 + digit;
	}
	*number_out = number;
	return length > 0;
}

/* So many hexadecimal digits, at most 16. */
static bool parse_hex(const char *text, size_t digits, uint64_t *number_out)
{
	uint64_t number = 0;

	if (strlen(text) != digits || strspn(text, "0123456789abcdef") != digits) {
		return false;
	}
	for (; *text != '\0'; text++) {
		number = number << 4 | (uint64_t)(*text <= '9' ? *text - '0' : *text - 'a' + 10);
	}
	*number_out = number;
	return true;
}

/* --- abilities ------------------------------------------------------------------------------- */

bool link_abilities_add(struct link_abilities *abilities, const char *name, const char *value)
{
	char word[LINK_ABILITY_SIZE];
	int length = snprintf(word, sizeof(word), "%s%s%s", name, value == NULL ? "" : "=",
		value == NULL ? "" : value);

	if (length < 1 || (size_t)length >= sizeof(word) || name[0] == '\0' ||
		(name[0] >= '0' && name[0] <= '9') || !is_ability_text(name) ||
		(value != NULL && !is_ability_text(value)) ||
		abilities->count == LINK_ABILITIES_MAX) {
		return false;
	}
	memcpy(abilities->words[abilities->count++], word, sizeof(word));
	return true;
}

const char *link_abilities_find(const struct link_abilities *abilities, const char *name)
{
	size_t length = strlen(name);

	for (size_t i = 0; i < abilities->count; i++) {
		const char *word = abilities->words[i];

		if (strncmp(word, name, length) == 0 &&
			(word[length] == '\0' || word[length] == '=')) {
			return word + length + (word[length] == '=');
		}
	}
	return NULL;
}

/* In the order of ours, each once, whatever theirs says how often. */
static void take_common(
	const struct link_abilities *ours, const char *theirs, struct link_abilities *common_out)
{
	struct link_abilities common = {.count = 0};

	for (size_t i = 0; i < ours->count; i++) {
		const char *at = theirs;
		const char *word;
		size_t length;

		do {
			word = next_word(&at, &length);
		} while (length > 0 && !is_word(word, length, ours->words[i]));
		if (length > 0) {
			memcpy(common.words[common.count++], ours->words[i], LINK_ABILITY_SIZE);
		}
	}
	*common_out = common;
}

static size_t format_abilities(
	const struct link_abilities *abilities, const char *before, char *text_out, size_t size)
{
	size_t length = 0;

	text_out[0] = '\0';
	for (size_t i = 0; i < abilities->count; i++) {
		length += (size_t)snprintf(text_out + length, size - length, "%s%s",
			i == 0 ? before : " ", abilities->words[i]);
		assert(length < size);
	}
	return length;
}

/* --- the offer ------------------------------------------------------------------------------- */

void link_offer_init(struct link_offer *offer_out)
{
	*offer_out = (struct link_offer){
		.version_min = LINK_VERSION_OLDEST, .version_max = LINK_VERSION_NEWEST};
}

void link_offer_add_recompress(struct link_offer *offer)
{
	const char *word = link_recompress_versions();

	while (*word != '\0') {
		size_t length = strcspn(word, " ");
		struct link_abilities *abilities = &offer->abilities;

		assert(abilities->count < LINK_ABILITIES_MAX && length < LINK_ABILITY_SIZE);
		snprintf(abilities->words[abilities->count++], LINK_ABILITY_SIZE, "%.*s",
			(int)length, word);
		word += length;
		word += *word == ' ';
	}
}

unsigned link_terms_recompress(const struct link_terms *terms)
{
	char text[LINK_OFFER_TEXT_SIZE] = "";

	format_abilities(&terms->abilities, "", text, sizeof(text));
	return link_recompress_usable(text);
}

char *link_offer_format(const struct link_offer *offer, char text_out[LINK_OFFER_TEXT_SIZE])
{
	int length =
		offer->version_min == offer->version_max
			? snprintf(text_out, LINK_OFFER_TEXT_SIZE, "%" PRIu32, offer->version_max)
			: snprintf(text_out, LINK_OFFER_TEXT_SIZE, "%" PRIu32 "-%" PRIu32,
				  offer->version_min, offer->version_max);

	assert(length > 0);
	format_abilities(
		&offer->abilities, " ", text_out + length, LINK_OFFER_TEXT_SIZE - (size_t)length);
	return text_out;
}

/* "N" or "MIN-MAX" */
static bool parse_versions(const char *word, size_t length, uint32_t *min_out, uint32_t *max_out)
{
	const char *dash = memchr(word, '-', length);
	size_t min_length = dash == NULL ? length : (size_t)(dash - word);
	uint64_t min, max;

	if (!parse_number(word, min_length, UINT32_MAX, &min)) {
		return false;
	}
	max = min;
	if (dash != NULL && !parse_number(dash + 1, length - min_length - 1, UINT32_MAX, &max)) {
		return false;
	}
	*min_out = (uint32_t)min;
	*max_out = (uint32_t)max;
	return min > 0 && min <= max;
}

bool link_offer_agree(
	const struct link_offer *ours, const char *theirs, struct link_terms *terms_out)
{
	const char *at = theirs;
	uint32_t min, max, version;
	const char *word;
	size_t length;

	do {
		word = next_word(&at, &length);
	} while (length > 0 && !parse_versions(word, length, &min, &max));
	if (length == 0) {
		return false;
	}
	version = max < ours->version_max ? max : ours->version_max;
	if (version < min || version < ours->version_min) {
		return false;
	}
	terms_out->version = version;
	take_common(&ours->abilities, theirs, &terms_out->abilities);
	return true;
}

/* --- the options of START_REPLICATION -------------------------------------------------------- */

char *link_start_format(const struct link_start *start, char text_out[LINK_START_TEXT_SIZE])
{
	char abilities[LINK_OFFER_TEXT_SIZE];
	char held[80] = "";
	char lane[64] = "";

	format_abilities(&start->terms.abilities, "", abilities, sizeof(abilities));
	if (start->has_held) {
		snprintf(held, sizeof(held), ", held '" LSN_FORMAT "', held_hash '%016" PRIx64 "'",
			LSN_ARGS(start->held_lsn), start->held_hash);
	}
	if (start->lane > 0) {
		snprintf(lane, sizeof(lane), ", lane '%" PRIu32 "', token '%016" PRIx64 "'",
			start->lane, start->lane_token);
	}
	snprintf(text_out, LINK_START_TEXT_SIZE,
		"(link '%" PRIu32 "', abilities '%s'%s%s, oldest '" LSN_FORMAT "', keep '%" PRIu64
		"')",
		start->terms.version, abilities, held, lane, LSN_ARGS(start->promise.oldest_lsn),
		start->promise.keep_bytes);
	return text_out;
}

enum option_name {
	OPTION_LINK,
	OPTION_ABILITIES,
	OPTION_HELD,
	OPTION_HELD_HASH,
	OPTION_OLDEST,
	OPTION_KEEP,
	OPTION_LANE,
	OPTION_TOKEN,
	OPTION_COUNT,
};

static const char *const option_names[] = {
	[OPTION_LINK] = "link",
	[OPTION_ABILITIES] = "abilities",
	[OPTION_HELD] = "held",
	[OPTION_HELD_HASH] = "held_hash",
	[OPTION_OLDEST] = "oldest",
	[OPTION_KEEP] = "keep",
	[OPTION_LANE] = "lane",
	[OPTION_TOKEN] = "token",
};

static enum link_start_result refuse(
	enum link_start_result result, const char *message, const char **message_out)
{
	*message_out = message;
	return result;
}

/* values_out[name]: NULL where it is not given. */
static enum link_start_result sort_options(const struct repl_option *options, size_t count,
	const char *values_out[OPTION_COUNT], const char **message_out)
{
	for (size_t i = 0; i < count; i++) {
		size_t name = 0;

		while (name < OPTION_COUNT && strcmp(options[i].name, option_names[name]) != 0) {
			name++;
		}
		if (name == OPTION_COUNT) {
			return refuse(LINK_START_UNSUPPORTED,
				"unrecognized option of START_REPLICATION", message_out);
		}
		if (values_out[name] != NULL) {
			return refuse(
				LINK_START_SYNTAX, "conflicting or redundant options", message_out);
		}
		if (!options[i].has_value) {
			return refuse(
				LINK_START_SYNTAX, "link options require a value", message_out);
		}
		values_out[name] = options[i].value;
	}
	return LINK_START_OK;
}

static bool parse_position(const char *text, lsn_t *lsn_out)
{
	return lsn_parse(text, strlen(text), lsn_out);
}

static bool parse_lane(const char *const values[OPTION_COUNT], struct link_start *start)
{
	const char *lane = values[OPTION_LANE], *token = values[OPTION_TOKEN];
	uint64_t number = 0;

	if (lane == NULL || token == NULL) {
		return lane == NULL && token == NULL;
	}
	if (!parse_number(lane, strlen(lane), UINT32_MAX, &number) || number == 0 ||
		!parse_hex(token, TOKEN_DIGITS, &start->lane_token)) {
		return false;
	}
	start->lane = (uint32_t)number;
	return true;
}

/* Of each pair, both or neither. */
static bool parse_values(const char *const values[OPTION_COUNT], struct link_start *start)
{
	const char *held = values[OPTION_HELD], *hash = values[OPTION_HELD_HASH];
	const char *oldest = values[OPTION_OLDEST], *keep = values[OPTION_KEEP];

	start->has_held = held != NULL;
	if (!parse_lane(values, start)) {
		return false;
	}
	if ((held == NULL) != (hash == NULL) || (oldest == NULL) != (keep == NULL)) {
		return false;
	}
	if (held != NULL && (!parse_position(held, &start->held_lsn) ||
				    !parse_hex(hash, HASH_DIGITS, &start->held_hash))) {
		return false;
	}
	return oldest == NULL || (parse_position(oldest, &start->promise.oldest_lsn) &&
					 parse_number(keep, strlen(keep), LINK_KEEP_BYTES_MAX,
						 &start->promise.keep_bytes));
}

enum link_start_result link_start_parse(const struct link_offer *ours,
	const struct repl_option *options, size_t count, struct link_start *start_out,
	const char **message_out)
{
	const char *values[OPTION_COUNT] = {NULL};
	struct link_start start = {.has_held = false};
	enum link_start_result result;
	uint64_t version;

	if (count == 0) {
		return LINK_START_NONE;
	}
	result = sort_options(options, count, values, message_out);
	if (result != LINK_START_OK) {
		return result;
	}
	if (values[OPTION_LINK] == NULL ||
		!parse_number(
			values[OPTION_LINK], strlen(values[OPTION_LINK]), UINT32_MAX, &version)) {
		return refuse(LINK_START_SYNTAX, "invalid link version", message_out);
	}
	if (version < ours->version_min || version > ours->version_max) {
		return refuse(LINK_START_UNSUPPORTED, "link version is not supported", message_out);
	}
	if (!parse_values(values, &start)) {
		return refuse(LINK_START_SYNTAX, "invalid link option", message_out);
	}
	start.terms.version = (uint32_t)version;
	if (values[OPTION_ABILITIES] != NULL) {
		take_common(&ours->abilities, values[OPTION_ABILITIES], &start.terms.abilities);
	}
	*start_out = start;
	return LINK_START_OK;
}
