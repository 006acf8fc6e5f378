/*
 * xml_reader: one element after the other out of an answer of a web service.
 *
 * XML 1.0 as such services write it: elements, attributes (passed over), text, the five named
 * entities and character references, comments and processing instructions. What they do not write
 * (document types, CDATA, other entities) is a fault, and so are deep nesting, elements that do not
 * match, and an end too early. Nothing is allocated; names point into the text. Pure.
 */
#ifndef CLOUD_XML_READER_H
#define CLOUD_XML_READER_H

#include <stdbool.h>
#include <stddef.h>

#define XML_DEPTH_MAX 16
#define XML_TEXT_SIZE 2048

enum xml_event { XML_OPENED, XML_CLOSED, XML_END, XML_BAD };

struct xml_reader {
	const char *at;
	const char *end;
	struct {
		const char *name;
		size_t length;
	} open[XML_DEPTH_MAX];
	unsigned depth;
	bool is_closing; /* the innermost was told as closed, and is still open[depth - 1] */
	bool is_empty;   /* the innermost is "<name/>" */
	bool has_root;
	bool is_cut; /* text is the beginning of a longer one */
	size_t text_length;
	char text[XML_TEXT_SIZE]; /* XML_CLOSED: of the element, behind its last child */
};

void xml_reader_init(struct xml_reader *reader, const char *bytes, size_t length);
enum xml_event xml_reader_next(struct xml_reader *reader);
/* The innermost element and those around it are exactly these: "Response/Errors/Error". */
bool xml_reader_is_at(const struct xml_reader *reader, const char *path);

#endif
