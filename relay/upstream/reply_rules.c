/*
 * reply_rules: the due times of status replies, pings and the receiver's timeout.
 */
#include "upstream/reply_rules.h"

#include <string.h>

void reply_rules_begin(struct reply_rules *rules, const struct reply_limits *limits,
	lsn_t start_lsn, lsn_t held_lsn, int64_t now_us)
{
	memset(rules, 0, sizeof(*rules));
	rules->limits = *limits;
	rules->stream_lsn = start_lsn;
	rules->held_lsn = held_lsn;
	rules->heard_us = now_us;
}

bool reply_rules_heard(struct reply_rules *rules, bool asked, int64_t now_us)
{
	bool was_pinged = rules->is_pinged;

	rules->heard_us = now_us;
	rules->is_pinged = false;
	if (asked && rules->asked_us == 0) {
		rules->asked_us = now_us;
	}
	return asked || was_pinged;
}

struct reply_positions reply_rules_positions(
	struct reply_rules *rules, lsn_t flushed_lsn, lsn_t replayed_lsn)
{
	struct reply_positions positions = {.write_lsn = rules->stream_lsn};

	if (rules->stream_lsn >= rules->held_lsn) {
		positions.flush_lsn = lsn_min(flushed_lsn, rules->stream_lsn);
	}
	rules->applied_lsn = lsn_max(rules->applied_lsn, replayed_lsn);
	positions.apply_lsn = lsn_min(rules->applied_lsn, positions.flush_lsn);
	return positions;
}

int64_t reply_earliest_us(int64_t a_us, int64_t b_us)
{
	if (a_us == 0 || b_us == 0) {
		return a_us + b_us;
	}
	return a_us < b_us ? a_us : b_us;
}

/* When the server's request must be answered; 0: none waits. */
static int64_t answer_due_us(
	const struct reply_rules *rules, const struct reply_positions *positions)
{
	int64_t step_us;

	if (rules->asked_us == 0) {
		return 0;
	}
	if (positions->flush_lsn < positions->write_lsn) {
		return rules->asked_us + REPLY_STEP_US;
	}
	/* All is flushed and told: only a server that asks over and over has to wait. */
	step_us = rules->sent_us == 0 ? 0 : rules->sent_us + REPLY_STEP_US;
	return step_us > rules->asked_us ? step_us : rules->asked_us;
}

static int64_t status_due_us(const struct reply_rules *rules)
{
	if (rules->limits.status_interval_us == 0) {
		return 0;
	}
	return rules->sent_us + rules->limits.status_interval_us;
}

struct reply_decision reply_rules_decide(
	const struct reply_rules *rules, const struct reply_positions *positions, int64_t now_us)
{
	struct reply_decision decision = {0};
	int64_t answer_us = answer_due_us(rules, positions);
	int64_t status_us = status_due_us(rules);
	int64_t timeout_us = rules->limits.receiver_timeout_us;
	int64_t next_us = reply_earliest_us(answer_us, status_us);

	decision.wants_flush = rules->asked_us != 0 && positions->flush_lsn < positions->write_lsn;
	decision.is_due = rules->sent_us == 0 || positions->flush_lsn > rules->sent_flush_lsn ||
			  positions->apply_lsn > rules->sent_apply_lsn ||
			  (next_us != 0 && now_us >= next_us);
	if (timeout_us > 0) {
		int64_t silent_us = now_us - rules->heard_us;

		decision.has_timed_out = silent_us >= timeout_us;
		decision.wants_answer = !rules->is_pinged && silent_us >= timeout_us / 2;
		next_us = reply_earliest_us(next_us,
			rules->heard_us + (rules->is_pinged ? timeout_us : timeout_us / 2));
	}
	/* The first status asks too, so that an idle server shows at once that it streams. */
	decision.wants_answer = decision.wants_answer || rules->sent_us == 0;
	decision.is_due = decision.is_due || decision.wants_answer;
	decision.next_us = next_us;
	return decision;
}

bool reply_rules_must_yield(const struct reply_rules *rules,
	const struct reply_positions *positions, lsn_t server_end_lsn, lsn_t synced_lsn)
{
	return rules->asked_us != 0 && rules->vain_answers >= REPLY_VAIN_ANSWERS_MAX &&
	       rules->answered_write_lsn == positions->write_lsn &&
	       positions->flush_lsn == rules->sent_flush_lsn &&
	       positions->flush_lsn < positions->write_lsn &&
	       server_end_lsn == positions->write_lsn && synced_lsn >= positions->write_lsn;
}

static void count_answer(struct reply_rules *rules, const struct reply_positions *positions)
{
	if (positions->flush_lsn > rules->sent_flush_lsn ||
		positions->write_lsn != rules->answered_write_lsn) {
		rules->vain_answers = 0;
		rules->answered_write_lsn = positions->write_lsn;
	}
	if (rules->asked_us != 0) {
		rules->vain_answers++;
	}
}

void reply_rules_sent(struct reply_rules *rules, const struct reply_positions *positions,
	bool wanted_answer, int64_t now_us)
{
	count_answer(rules, positions);
	/* Left out is not taken back. */
	rules->sent_flush_lsn = lsn_max(rules->sent_flush_lsn, positions->flush_lsn);
	rules->sent_apply_lsn = positions->apply_lsn;
	rules->sent_us = now_us;
	rules->asked_us = 0;
	rules->is_pinged = rules->is_pinged || wanted_answer;
}

void feedback_rules_begin(struct feedback_rules *rules, int64_t interval_us, int64_t now_us)
{
	memset(rules, 0, sizeof(*rules));
	rules->interval_us = interval_us;
	rules->sent_us = now_us;
}

bool feedback_rules_may_look(struct feedback_rules *rules, int64_t now_us)
{
	if (rules->interval_us == 0 ||
		(rules->has_sent && now_us - rules->looked_us < rules->interval_us)) {
		return false;
	}
	rules->looked_us = now_us;
	return true;
}

bool feedback_rules_is_due(
	const struct feedback_rules *rules, uint64_t xmin, uint64_t catalog_xmin, int64_t now_us)
{
	bool holds = xmin != 0 || catalog_xmin != 0;

	if (rules->interval_us == 0) {
		return false;
	}
	if (!rules->has_sent && holds) {
		return true;
	}
	if (now_us - rules->sent_us < rules->interval_us) {
		return false;
	}
	return holds || rules->holds || !rules->has_sent;
}

void feedback_rules_sent(struct feedback_rules *rules, bool holds, int64_t now_us)
{
	rules->has_sent = true;
	rules->holds = holds;
	rules->sent_us = now_us;
}
