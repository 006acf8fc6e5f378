/*
 * link_model: bytes of columns by adaptive models and a range coder.
 *
 * A zstd block pays for its tables anew, which for the few hundred bytes that columns of a batch
 * have is a good part of them. Here each bit of a byte has a probability that was learnt from the
 * bytes of that column so far in the frame: after the byte before it, where that pair was seen, or
 * else from the column alone. Costs about 50 ns a byte, at either end.
 *
 * Models are the same at both ends after the same bytes; they never outlive a frame. A reader never
 * passes its input: zeros follow, and few of them are enough for what a writer wrote.
 */
#ifndef PROTOCOL_LINK_MODEL_H
#define PROTOCOL_LINK_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct link_model;

/* Models of columns 0 to columns - 1; those of which bit i of with_context is set look at the byte
 * before. NULL: no memory. */
struct link_model *link_model_new(unsigned columns, uint32_t with_context);
void link_model_free(struct link_model **model);
void link_model_reset(struct link_model *model);

struct link_coder {
	struct link_model *model;
	uint32_t low, high;
	uint32_t value; /* reading */
	uint8_t *out;
	const uint8_t *in;
	size_t at, length, past; /* reading: bytes taken for zeros behind the end */
	bool is_full;            /* writing: there was no more room */
};

void link_coder_write(
	struct link_coder *coder, struct link_model *model, uint8_t *out, size_t room);
/* The bytes before the first one of these look like that one. */
void link_coder_put(struct link_coder *coder, unsigned column, uint8_t before, const uint8_t *bytes,
	size_t count);
/* Returns how many bytes there are. */
size_t link_coder_finish(struct link_coder *coder);

void link_coder_read(
	struct link_coder *coder, struct link_model *model, const uint8_t *in, size_t length);
/* False: nobody wrote this. */
bool link_coder_get(struct link_coder *coder, unsigned column, uint8_t before, uint8_t *bytes_out,
	size_t count);

#endif
