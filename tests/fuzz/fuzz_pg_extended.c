/*
 * The bodies of Parse, Bind, Describe, Close and Execute: what is decoded lies within them.
 */
#include "fuzz.h"

#include "protocol/pg_extended.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

static uint8_t *body;
static size_t body_length;

static void check_text(const char *text)
{
	const uint8_t *at = (const uint8_t *)text;
	assert(at >= body && at < body + body_length);
	assert(memchr(at, 0, body_length - (size_t)(at - body)) != NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
	struct pg_parse parse;
	struct pg_bind bind;
	struct pg_target target;
	struct pg_execute execute;
	body = malloc(length + (length == 0));
	assert(body != NULL);
	memcpy(body, bytes, length);
	body_length = length;
	if (pg_parse_decode(body, length, &parse)) {
		check_text(parse.statement);
		check_text(parse.query);
	}
	if (pg_bind_decode(body, length, &bind)) {
		check_text(bind.portal);
		check_text(bind.statement);
		assert(bind.format_count <= PG_RESULT_FORMATS_MAX);
	}
	if (pg_target_decode(body, length, &target)) {
		check_text(target.name);
	}
	if (pg_execute_decode(body, length, &execute)) {
		check_text(execute.portal);
	}
	free(body);
	return 0;
}
