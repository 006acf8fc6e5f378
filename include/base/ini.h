/*
 * ini: the grammar of configuration files: bytes in; sections, entries and faults with their lines
 * out. It knows no key.
 *
 * A line is empty, "[section]" or "key = value", of any length. `;` and `#` begin a comment at the
 * start of a line or after a blank. A value in single or double quotes keeps them, and blanks at
 * its ends; the quote doubled inside stands for itself. Other control characters than tabs are
 * faults.
 */
#ifndef BASE_INI_H
#define BASE_INI_H

#include <stddef.h>
#include <stdio.h>

enum ini_kind { INI_SECTION, INI_ENTRY, INI_FAULT };

struct ini_item {
	enum ini_kind kind;
	unsigned line;
	const char *section; /* NULL: an entry before any section, or of one that is faulty */
	const char *key;     /* INI_ENTRY */
	const char *value;   /* INI_ENTRY */
	const char *fault;   /* INI_FAULT */
};

/* The item's strings belong to the call. */
typedef void ini_visit(void *context, const struct ini_item *item);

/* Goes on after a fault, so that all of them are found. */
void ini_parse(const char *text, size_t length, ini_visit *visit, void *context);
/* The value as an entry would spell it: quoted where it has to be. */
void ini_write_value(const char *value, FILE *out);

#endif
