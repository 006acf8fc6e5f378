/*
 * handshake_step: one question of the handshake and what to do with its answer.
 *
 * Steps are rows of a table; the handshake runs them in order. Private to the handshake's files.
 */
#ifndef UPSTREAM_HANDSHAKE_STEP_H
#define UPSTREAM_HANDSHAKE_STEP_H

#include "upstream/upstream_handshake.h"

enum step_begin {
	STEP_ASKED,  /* a query is out */
	STEP_DONE,   /* nothing to ask (any more) */
	STEP_FAILED, /* err says why; handshake->failure in which way */
};

struct handshake_step {
	const char *command; /* for messages */
	/* Called again after each query of its own is over, until it is not STEP_ASKED. */
	enum step_begin (*begin)(struct upstream_handshake *handshake, struct error *err);
	/* A row set. false: err says why. */
	bool (*on_rows)(
		struct upstream_handshake *handshake, const PGresult *rows, struct error *err);
	/* The server's error. true: it is an answer too. NULL: never. */
	bool (*on_error)(
		struct upstream_handshake *handshake, const char *sqlstate, const char *message);
	/* A payload of a COPY BOTH. */
	bool (*on_copy)(struct upstream_handshake *handshake, const uint8_t *payload, size_t length,
		struct error *err);
};

/* For begin(): sends a query of the present step. */
enum step_begin handshake_ask(struct upstream_handshake *handshake, struct error *err,
	const char *format, ...) PRINTF_LIKE(3, 4);
/* Returns false and sets the way in which the handshake fails. */
bool handshake_refuse(struct upstream_handshake *handshake, enum upstream_failure failure);

/* handshake_probe.c: does the server have the WAL at lsn? For begin(), on_copy and on_error of a
 * step; handshake->probe tells when the query is over. */
enum step_begin handshake_ask_probe(
	struct upstream_handshake *handshake, lsn_t lsn, tli_t tli, struct error *err);
bool handshake_take_probe(struct upstream_handshake *handshake, const uint8_t *payload,
	size_t length, struct error *err);
bool handshake_take_probe_error(
	struct upstream_handshake *handshake, const char *sqlstate, const char *message);

extern const struct handshake_step handshake_check_overlap;
/* handshake_link.c */
extern const struct handshake_step handshake_show_link;
/* handshake_identify.c */
extern const struct handshake_step handshake_identify_system;
extern const struct handshake_step handshake_show_segment_size;
extern const struct handshake_step handshake_show_directory_mode;
extern const struct handshake_step handshake_show_slot_keep_size;
extern const struct handshake_step handshake_pin;
/* handshake_timeline.c */
extern const struct handshake_step handshake_current_history;
extern const struct handshake_step handshake_refuse_history;
extern const struct handshake_step handshake_missing_histories;
extern const struct handshake_step handshake_follow;
/* handshake_slot.c */
extern const struct handshake_step handshake_find_slot;
extern const struct handshake_step handshake_check_wal;
extern const struct handshake_step handshake_create_slot;
extern const struct handshake_step handshake_read_slot;
/* handshake_first_point.c */
extern const struct handshake_step handshake_first_point;

#endif
