/*
 * config_options: one row per option of the configuration file. Defaults, validation, what `check`
 * prints and which key is nearest to a misspelt one all come from this table.
 *
 * A row's type knows how to parse, format and release its field; the row says which field, in which
 * range, and what holds when the key is absent.
 */
#ifndef APP_CONFIG_OPTIONS_H
#define APP_CONFIG_OPTIONS_H

#include "app/config.h"
#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum config_section {
	CONFIG_RELAY,
	CONFIG_UPSTREAM,
	CONFIG_SPOOL,
	CONFIG_LINK,
	CONFIG_DESTINATION, /* any number of them, each with a name */
	CONFIG_EGRESS,
	CONFIG_ALERTS,
	CONFIG_SECTIONS,
};

enum config_option_flag {
	CONFIG_REQUIRED = 1,
	CONFIG_EMPTY_OK = 2, /* an empty value means none; numbers hold 0 then */
	CONFIG_SECRET = 4,   /* never repeated in a message, masked when printed */
	CONFIG_RESTART = 8,  /* a reload does not change it */
	CONFIG_DERIVED = 16, /* the default depends on other options */
};

struct config_option;

/* What parsers may need besides the text. */
struct config_scope {
	const char *directory; /* what relative paths are relative to; "" or ends without "/" */
	const struct config_conninfo *conninfo;
};

struct config_type {
	/* field was zeroed or released before; untouched on failure. err: the whole message is what
	 * was expected, to stand after "invalid value ...: ". */
	bool (*parse)(const struct config_option *option, const struct config_scope *scope,
		const char *text, void *field, struct error *err);
	/* Text that parses to the same value; secrets masked. */
	void (*format)(const struct config_option *option, const struct config_scope *scope,
		const void *field, FILE *out);
	void (*release)(void *field); /* NULL: nothing to release */
	size_t size;
};

struct config_option {
	enum config_section section;
	const char *key;
	const struct config_type *type;
	size_t offset; /* in struct config, or in struct config_destination */
	unsigned flags;
	const char *default_text; /* NULL: required */
	int64_t min;              /* numbers: the range of what is not empty */
	int64_t max;              /* INT64_MAX: no upper end to speak of */
	const char *const *names; /* choices, or schemes of a URL; ends with NULL */
};

extern const struct config_option config_options[];
extern const size_t config_option_count;

const char *config_section_name(enum config_section section);
/* false: no such section. */
bool config_section_find(const char *name, enum config_section *section_out);
/* May be NULL. */
const struct config_option *config_option_find(enum config_section section, const char *key);
/* Never NULL. */
const struct config_option *config_option_nearest(enum config_section section, const char *key);
enum config_section config_section_nearest(const char *name);

/* Of plain numbers and choices. */
extern const struct config_type config_type_bool;
extern const struct config_type config_type_choice;  /* an int or enum: index into names */
extern const struct config_type config_type_integer; /* an int or unsigned */
extern const struct config_type config_type_size;
extern const struct config_type config_type_time;
extern const struct config_type config_type_rate;
extern const struct config_type config_type_percent;
extern const struct config_type config_type_billing_gb;
/* Of texts: char *, never NULL once parsed. */
extern const struct config_type config_type_name;
extern const struct config_type config_type_name_list;
extern const struct config_type config_type_mail_list;
extern const struct config_type config_type_path;
extern const struct config_type config_type_path_or_url;
extern const struct config_type config_type_url;
extern const struct config_type config_type_slot;
extern const struct config_type config_type_conninfo;
extern const struct config_type config_type_word;
extern const struct config_type config_type_time_zone;
extern const struct config_type config_type_currency;
extern const struct config_type config_type_addresses;
extern const struct config_type config_type_networks;
/* Of structs. */
extern const struct config_type config_type_start;
extern const struct config_type config_type_acknowledge;
extern const struct config_type config_type_level;
extern const struct config_type config_type_lanes;
extern const struct config_type config_type_matches;
extern const struct config_type config_type_rate_schedule;
extern const struct config_type config_type_over_limit;
extern const struct config_type config_type_prices;

/* For types made of others. Each piece between commas, trimmed; stops when take says false. An
 * empty text has no pieces; an empty piece is a fault. */
typedef bool config_take_piece(void *context, const char *piece, struct error *err);
bool config_split(
	const char *text, config_take_piece *take, void *context, struct error *err) MUST_CHECK;
/* The word at text; returns what follows it behind blanks. A word of size bytes or more is given as
 * an empty one. */
const char *config_next_word(const char *text, char *word_out, size_t size);
/* Format and release of every type whose field is a char *. */
void config_text_format(const struct config_option *option, const struct config_scope *scope,
	const void *field, FILE *out);
void config_text_release(void *field);
/* "ADDRESS" or "ADDRESS/BITS", IPv4 or IPv6; bits past the prefix must be zero. */
bool config_network_parse(
	const char *text, struct config_network *network_out, struct error *err) MUST_CHECK;
void config_network_write(const struct config_network *network, FILE *out);

#endif
