/*
 * link_model: a binary range coder without carries, over two tables of probabilities a column.
 *
 * A state is a probability of 12 bits that the bit is 1, and in its low 4 bits how often it was
 * asked: the more often, the less it moves.
 */
#include "protocol/link_model.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define STATES      256u    /* of the bits of a byte: 1, then what was coded of it */
#define STATE_FIRST 0x8080u /* half, never asked; its bytes are alike */
#define SURE_FROM   2u      /* asked less often, the column alone knows more */
#define COUNT_MASK  15u
#define VALUE_BYTES 4u /* that a reader is ahead */

struct column_model {
	uint16_t alone[STATES];
	uint16_t (*after)[STATES]; /* by the byte before; NULL: not looked at */
};

struct link_model {
	unsigned columns;
	unsigned contexts;
	bool has_learnt; /* since it was reset */
	uint16_t (*tables)[STATES];
	struct column_model column[];
};

/* 65536 / (how many askings the state remembers). */
static const uint16_t rates[COUNT_MASK + 1] = {43690, 26214, 18724, 14563, 11915, 10082, 8738, 7710,
	6554, 5461, 4681, 4096, 3449, 2979, 2521, 2185};

struct link_model *link_model_new(unsigned columns, uint32_t with_context)
{
	struct link_model *model = calloc(1, sizeof(*model) + columns * sizeof(model->column[0]));
	unsigned context = 0;

	if (model == NULL) {
		return NULL;
	}
	model->columns = columns;
	model->contexts = (unsigned)__builtin_popcount(with_context);
	model->tables = malloc((size_t)model->contexts * 256 * sizeof(model->tables[0]));
	if (model->tables == NULL && model->contexts > 0) {
		link_model_free(&model);
		return NULL;
	}
	for (unsigned i = 0; i < columns; i++) {
		if ((with_context >> i & 1) != 0) {
			model->column[i].after = model->tables + (size_t)256 * context++;
		}
	}
	model->has_learnt = true;
	link_model_reset(model);
	return model;
}

void link_model_free(struct link_model **model)
{
	if (*model != NULL) {
		free((*model)->tables);
		free(*model);
		*model = NULL;
	}
}

void link_model_reset(struct link_model *model)
{
	if (!model->has_learnt) {
		return;
	}
	model->has_learnt = false;
	if (model->contexts > 0) {
		memset(model->tables, STATE_FIRST & 0xFF,
			(size_t)model->contexts * 256 * sizeof(model->tables[0]));
	}
	for (unsigned column = 0; column < model->columns; column++) {
		memset(model->column[column].alone, STATE_FIRST & 0xFF,
			sizeof(model->column[column].alone));
	}
}

static inline uint16_t learnt(uint32_t state, uint32_t bit)
{
	uint32_t count = state & COUNT_MASK;
	int32_t chance = (int32_t)(state >> 4);

	chance += ((int32_t)(-bit & 4095) - chance) * (int32_t)rates[count] >> 16;
	return (uint16_t)((uint32_t)chance << 4 | (count + (count < COUNT_MASK)));
}

/* Both tables for the byte after `before`. */
struct tables {
	uint16_t *alone, *after; /* the same, where the byte before is not looked at */
};

static inline struct tables tables_of(struct column_model *column, uint8_t before)
{
	return (struct tables){.alone = column->alone,
		.after = column->after == NULL ? column->alone : column->after[before]};
}

/* Which of the two knows more of the next bit. */
static inline uint16_t *knowing(const struct tables *tables, uint32_t at)
{
	return (tables->after[at] & COUNT_MASK) < SURE_FROM ? &tables->alone[at]
							    : &tables->after[at];
}

/* The chance of a 1, of 4096: 1 to 4095. */
static inline uint32_t chance_of(uint32_t state)
{
	return state >> 4 | (state < 16);
}

static inline void learn(const struct tables *tables, uint32_t at, uint16_t *asked, uint32_t bit)
{
	*asked = learnt(*asked, bit);
	if (asked != &tables->after[at]) {
		tables->after[at] = learnt(tables->after[at], bit);
	}
}

static inline bool has_settled(uint32_t low, uint32_t high)
{
	return (low ^ high) >> 24 == 0;
}

/* --- writing --------------------------------------------------------------------------------- */

void link_coder_write(struct link_coder *coder, struct link_model *model, uint8_t *out, size_t room)
{
	model->has_learnt = true;
	*coder =
		(struct link_coder){.model = model, .high = UINT32_MAX, .out = out, .length = room};
}

static void put_byte(struct link_coder *coder, uint8_t byte)
{
	if (coder->at == coder->length) {
		coder->is_full = true;
		return;
	}
	coder->out[coder->at++] = byte;
}

void link_coder_put(struct link_coder *coder, unsigned column, uint8_t before, const uint8_t *bytes,
	size_t count)
{
	struct column_model *model = &coder->model->column[column];
	uint32_t low = coder->low, high = coder->high;

	assert(column < coder->model->columns);
	for (size_t i = 0; i < count; i++) {
		struct tables tables = tables_of(model, before);
		uint32_t at = 1;

		before = bytes[i];
		for (int shift = 7; shift >= 0; shift--) {
			uint32_t bit = before >> shift & 1u;
			uint16_t *asked = knowing(&tables, at);
			uint32_t middle = low + ((high - low) >> 12) * chance_of(*asked);

			high = bit != 0 ? middle : high;
			low = bit != 0 ? low : middle + 1;
			learn(&tables, at, asked, bit);
			at = at << 1 | bit;
			while (has_settled(low, high)) {
				put_byte(coder, (uint8_t)(high >> 24));
				low <<= 8;
				high = high << 8 | 0xFF;
			}
		}
	}
	coder->low = low;
	coder->high = high;
}

size_t link_coder_finish(struct link_coder *coder)
{
	/* As few bytes as lie between low and high, whatever follows: zeros do. */
	for (int shift = 24; shift >= 0 && coder->low != 0; shift -= 8) {
		uint64_t up = ((uint64_t)coder->low + ((uint64_t)1 << shift) - 1) >> shift << shift;

		if (up <= coder->high) {
			for (int at = 24; at >= shift; at -= 8) {
				put_byte(coder, (uint8_t)(up >> at));
			}
			break;
		}
	}
	return coder->at;
}

/* --- reading --------------------------------------------------------------------------------- */

static uint8_t get_byte(struct link_coder *coder)
{
	if (coder->at < coder->length) {
		return coder->in[coder->at++];
	}
	coder->past++;
	return 0;
}

void link_coder_read(
	struct link_coder *coder, struct link_model *model, const uint8_t *in, size_t length)
{
	model->has_learnt = true;
	*coder =
		(struct link_coder){.model = model, .high = UINT32_MAX, .in = in, .length = length};
	for (unsigned i = 0; i < VALUE_BYTES; i++) {
		coder->value = coder->value << 8 | get_byte(coder);
	}
}

bool link_coder_get(
	struct link_coder *coder, unsigned column, uint8_t before, uint8_t *bytes_out, size_t count)
{
	struct column_model *model = &coder->model->column[column];
	uint32_t low = coder->low, high = coder->high, value = coder->value;

	assert(column < coder->model->columns);
	for (size_t i = 0; i < count && coder->past <= VALUE_BYTES; i++) {
		struct tables tables = tables_of(model, before);
		uint32_t at = 1;

		while (at < STATES) {
			uint16_t *asked = knowing(&tables, at);
			uint32_t middle = low + ((high - low) >> 12) * chance_of(*asked);
			uint32_t bit = value <= middle;

			high = bit != 0 ? middle : high;
			low = bit != 0 ? low : middle + 1;
			learn(&tables, at, asked, bit);
			at = at << 1 | bit;
			while (has_settled(low, high)) {
				low <<= 8;
				high = high << 8 | 0xFF;
				value = value << 8 | get_byte(coder);
			}
		}
		bytes_out[i] = before = (uint8_t)at;
	}
	coder->low = low;
	coder->high = high;
	coder->value = value;
	return coder->past <= VALUE_BYTES;
}
