/*
 * liveness: the keepalive and timeout rules of one stream as a pure function of what was last heard
 * and said. Checks come from a lazy timer: activity only ever moves the next one later.
 */
#include "downstream/liveness.h"

void liveness_begin(struct liveness *liveness, int64_t timeout_us, int64_t now_us)
{
	*liveness = (struct liveness){
		.timeout_us = timeout_us, .last_reply_us = now_us, .last_sent_us = now_us};
}

void liveness_on_reply(struct liveness *liveness, int64_t now_us)
{
	liveness->last_reply_us = now_us;
	liveness->is_reply_awaited = false;
	liveness->expires_us = 0;
}

void liveness_on_sent(struct liveness *liveness, int64_t now_us)
{
	liveness->last_sent_us = now_us;
}

void liveness_on_asked(struct liveness *liveness, int64_t now_us)
{
	liveness->last_sent_us = now_us;
	liveness->is_reply_awaited = true;
}

enum liveness_action liveness_check(struct liveness *liveness, int64_t now_us)
{
	if (liveness->timeout_us > 0) {
		int64_t silence_us = now_us - liveness->last_reply_us;
		if (silence_us >= liveness->timeout_us) {
			if (liveness->expires_us == 0) {
				liveness->expires_us = now_us + LIVENESS_GRACE_US;
			}
			return now_us >= liveness->expires_us ? LIVENESS_DEAD : LIVENESS_NOTHING;
		}
		if (!liveness->is_reply_awaited && silence_us >= liveness->timeout_us / 2) {
			return LIVENESS_ASK;
		}
	}
	if (now_us - liveness->last_sent_us >= LIVENESS_IDLE_US) {
		return LIVENESS_KEEPALIVE;
	}
	return LIVENESS_NOTHING;
}

int64_t liveness_next_check_us(const struct liveness *liveness, int64_t now_us)
{
	int64_t next_us = liveness->last_sent_us + LIVENESS_IDLE_US;
	if (liveness->timeout_us > 0) {
		int64_t due_us = liveness->last_reply_us + liveness->timeout_us;
		if (liveness->expires_us != 0) {
			due_us = liveness->expires_us;
		} else if (!liveness->is_reply_awaited) {
			due_us = liveness->last_reply_us + liveness->timeout_us / 2;
		}
		next_us = due_us < next_us ? due_us : next_us;
	}
	return next_us > now_us ? next_us : now_us + 1;
}
