/*
 * reply_rules: when to tell the upstream where we are, and what may be claimed.
 *
 * A status goes when flushed or applied moved, when the status interval is over, and when the
 * server asks. An asked reply while something is not flushed yet waits for the flush (which is then
 * asked for), at most REPLY_STEP_US: a server that shuts down answers every reply that does not
 * confirm all it sent with another request, at once (src/backend/replication/walsender.c,
 * WalSndDone), and the two would chase each other. A standby that we follow may stop with the end
 * of what it sent within a record, which we never report as flushed: when answers change nothing,
 * one with flush unknown (0) lets it take our write for its end instead, and moves no slot. Flush
 * is left out too until all that was on our disk before has come again and was compared: a server
 * sets a slot to what it is told, back as well (PhysicalConfirmReceivedLocation). After half the
 * receiver timeout without a message the server is asked for one; after the whole of it the
 * connection is given up. Pure: time is an argument.
 */
#ifndef UPSTREAM_REPLY_RULES_H
#define UPSTREAM_REPLY_RULES_H

#include "protocol/lsn.h"

#include <stdbool.h>
#include <stdint.h>

#define REPLY_STEP_US          INT64_C(100000)
#define REPLY_VAIN_ANSWERS_MAX 2

struct reply_limits {
	int64_t status_interval_us;  /* 0: none */
	int64_t receiver_timeout_us; /* 0: none */
};

/* What happens on one connection and timeline. Begin with reply_rules_begin(). */
struct reply_rules {
	struct reply_limits limits;
	lsn_t stream_lsn; /* end of what came on this connection, in order from where we asked */
	lsn_t held_lsn;   /* flushed on this timeline when it began */
	lsn_t sent_flush_lsn;
	lsn_t applied_lsn; /* highest ever told or heard: never goes back */
	lsn_t sent_apply_lsn;
	int64_t sent_us;  /* last status; 0: none yet */
	int64_t heard_us; /* last message of the server */
	int64_t asked_us; /* the oldest request not answered; 0: none */
	bool is_pinged;   /* we asked since we last heard */
	/* Answers in a row that told nothing new, and what they told. */
	unsigned vain_answers;
	lsn_t answered_write_lsn;
};

struct reply_positions {
	lsn_t write_lsn; /* 0 each: not known */
	lsn_t flush_lsn;
	lsn_t apply_lsn;
};

struct reply_decision {
	bool is_due;
	bool wants_answer; /* set reply requested in the status */
	bool wants_flush;  /* an asked reply waits for it */
	bool has_timed_out;
	int64_t next_us; /* decide again then, if nothing happens before; 0: only when it does */
};

/* held_lsn: of the spool, flushed on this timeline; LSN_INVALID: nothing. */
void reply_rules_begin(struct reply_rules *rules, const struct reply_limits *limits,
	lsn_t start_lsn, lsn_t held_lsn, int64_t now_us);
/* A message came; asked: it requests a reply. true: what is due has changed, decide again. */
bool reply_rules_heard(struct reply_rules *rules, bool asked, int64_t now_us);
/* flushed_lsn: of the spool on this timeline; replayed_lsn: of the standbys; 0: not known. Nothing
 * beyond what came (and so was compared) on this connection is ever claimed; applied never beyond
 * flushed, and it never goes back. */
struct reply_positions reply_rules_positions(
	struct reply_rules *rules, lsn_t flushed_lsn, lsn_t replayed_lsn);
struct reply_decision reply_rules_decide(
	const struct reply_rules *rules, const struct reply_positions *positions, int64_t now_us);
/* The reply now due is to leave flush out: the server has sent all it has (server_end_lsn), asked
 * for it again and again, and our disk has it all (synced_lsn), up to within a record. */
bool reply_rules_must_yield(const struct reply_rules *rules,
	const struct reply_positions *positions, lsn_t server_end_lsn, lsn_t synced_lsn);
/* The status was handed to the connection. */
void reply_rules_sent(struct reply_rules *rules, const struct reply_positions *positions,
	bool wanted_answer, int64_t now_us);

/* Of two deadlines, 0 being none. */
int64_t reply_earliest_us(int64_t a_us, int64_t b_us);

/* hot_standby_feedback: at once when a connection begins with something to hold, at every status
 * interval while there is, and once with zeros when there is no longer. Zeros at the first interval
 * of a connection too: the server's slot remembers what an earlier one held. */
struct feedback_rules {
	int64_t interval_us; /* 0: none is ever sent */
	int64_t sent_us;     /* or when the connection began */
	int64_t looked_us;   /* when what is to be held was last asked for; 0: not yet */
	bool has_sent;
	bool holds; /* what was sent last was not zeros */
};

void feedback_rules_begin(struct feedback_rules *rules, int64_t interval_us, int64_t now_us);
/* Asking every standby what it holds is not for every status: until the first message is sent, and
 * then once an interval. true: ask now. */
bool feedback_rules_may_look(struct feedback_rules *rules, int64_t now_us);
bool feedback_rules_is_due(
	const struct feedback_rules *rules, uint64_t xmin, uint64_t catalog_xmin, int64_t now_us);
void feedback_rules_sent(struct feedback_rules *rules, bool holds, int64_t now_us);

#endif
