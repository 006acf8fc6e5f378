/*
 * link_codec: WAL between relays, batch by batch: what PostgreSQL already told the receiver is not
 * sent again.
 *
 * A batch is a stretch of WAL that does not cross a multiple of LINK_FRAME_BYTES, cut anywhere. Its
 * records are taken apart into columns; page headers, links and checksums that follow from the rest
 * are left out; page images are written as copies from an earlier image of the page in WAL that
 * both ends hold; the columns are packed by models and a zstd stream that go on through the batches
 * of a frame. A frame begins at each multiple, and needs nothing for decoding but WAL before it.
 * What the encoder does not understand goes as it is, through the same stream.
 *
 * Every batch carries a checksum of its place and its raw bytes, and the decoder returns nothing
 * that does not match it. Byte tables: protocol/README.md.
 *
 * Pure: earlier WAL is read through callbacks. One encoder or decoder is for one thread at a time.
 * Memory: an encoder takes up to 10 MB (5 MB in batches of 32 kB) and its
 * index, 2 MB for each GB of reach, a decoder about 6 MB, whatever comes.
 */
#ifndef PROTOCOL_LINK_CODEC_H
#define PROTOCOL_LINK_CODEC_H

#include "protocol/link_earlier.h"
#include "protocol/link_scan.h"
#include "protocol/lsn.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LINK_VERSION            1
#define LINK_BATCH_HEADER_BYTES 20

struct link_encoder;
struct link_decoder;
struct link_image_index;

struct link_encoder_options {
	uint32_t segment_bytes;
	int level;            /* of zstd, 1 to 19 */
	uint64_t reach_bytes; /* how far back batches may refer; 0: not at all */
	size_t index_bytes;   /* memory for finding earlier images: 2 MB a GB of reach */
	/* Of the caller, for several encoders; NULL: its own, of index_bytes. */
	struct link_image_index *index;
	/* LINK_RECOMPRESS_*: images that PostgreSQL compressed in these ways may go as what changed
	 * in the page, for the receiver to compress again. 0 leaves them as they are, which costs
	 * bytes and saves CPU. No more than every receiver can do: link_recompress_usable(). */
	unsigned recompress;
	/* A long batch ends where its last whole record does, so that fewer records are cut: then
	 * less is taken than was given. */
	bool ends_at_records;
	struct link_source earlier; /* WAL before the batch, all of it that is within reach */
};

#define LINK_RECOMPRESS_LZ4  0x01u
#define LINK_RECOMPRESS_ZSTD 0x02u
#define LINK_RECOMPRESS_PGLZ 0x04u

/* What this side recompresses with, for the other side to compare: "lz4=1.9.4 zstd=1.5.4 pglz=1".
 * Valid until the thread's next call. */
const char *link_recompress_versions(void);
/* Those of LINK_RECOMPRESS_* that yield the same bytes on a peer that says this of itself. */
unsigned link_recompress_usable(const char *peer_versions);

/* What a batch was made of. */
enum link_kind {
	LINK_KIND_IMAGE_REFERRED,   /* page images written as copies */
	LINK_KIND_IMAGE_NEW,        /* page images for which there was no earlier one */
	LINK_KIND_IMAGE_COMPRESSED, /* page images that PostgreSQL compressed */
	LINK_KIND_HEAP,
	LINK_KIND_INDEX,
	LINK_KIND_COMMIT,
	LINK_KIND_OTHER,
	LINK_KIND_ZERO,   /* padding, and segments switched before they were full */
	LINK_KIND_HEADER, /* of pages */
	LINK_KIND_PLAIN,  /* not understood */
	LINK_KIND_COUNT,
};

struct link_batch_stats {
	uint32_t raw_bytes;
	uint32_t batch_bytes;
	uint32_t images_referred, images_new;
	uint32_t raw[LINK_KIND_COUNT]; /* sums up to raw_bytes */
	/* Of batch_bytes, by the size of what was compressed: an estimate. */
	uint32_t sent[LINK_KIND_COUNT];
};

const char *link_kind_name(enum link_kind kind);

/* NULL: no memory. */
struct link_encoder *link_encoder_new(const struct link_encoder_options *options);
void link_encoder_free(struct link_encoder **encoder);
/* Where the next batch of WAL from lsn on has to end at the latest. */
lsn_t link_batch_limit(lsn_t lsn);
/* raw is WAL from start on, length > 0. It goes on where the batch before ended, or else begins a
 * frame wherever it is. How much of it the batch holds stats_out->raw_bytes says: all of it, unless
 * batches end at records. *batch_out is valid until the next call. False: no memory; the encoder
 * has forgotten where it was, and may be called again. */
bool link_encoder_encode(struct link_encoder *encoder, lsn_t start, const uint8_t *raw,
	size_t length, const uint8_t **batch_out, size_t *batch_length_out,
	struct link_batch_stats *stats_out);
/* WAL that is not to be encoded, in order: fills the index, and tells what comes next where it is.
 */
void link_encoder_note(
	struct link_encoder *encoder, lsn_t start, const uint8_t *raw, size_t length);
/* The WAL from fork on is not what was seen: another timeline continues there. */
void link_encoder_purge(struct link_encoder *encoder, lsn_t fork);
/* Take effect with the next frame and the next batch. */
void link_encoder_set_level(struct link_encoder *encoder, int level);
void link_encoder_set_reach(struct link_encoder *encoder, uint64_t reach_bytes);
void link_encoder_set_recompress(struct link_encoder *encoder, unsigned recompress);

enum link_result {
	LINK_OK,
	LINK_NEED_PLAIN, /* right, perhaps, but not to be had from here: ask for it plain */
	LINK_BAD,        /* no batch, or a damaged one */
};

struct link_decoded {
	lsn_t start;
	const uint8_t *raw; /* valid until the next call */
	size_t length;
	const char *reason; /* static; of NEED_PLAIN and BAD */
};

/* NULL: no memory. */
struct link_decoder *link_decoder_new(uint32_t segment_bytes, const struct link_source *earlier);
void link_decoder_free(struct link_decoder **decoder);
/* After anything but LINK_OK every batch answers LINK_NEED_PLAIN until one begins a frame. The WAL
 * of a batch must be readable as earlier WAL before the next one is decoded. */
enum link_result link_decoder_decode(struct link_decoder *decoder, const uint8_t *batch,
	size_t length, struct link_decoded *decoded_out);

#endif
