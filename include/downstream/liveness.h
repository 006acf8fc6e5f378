/*
 * liveness: when a walsender must speak, ask, or give up on its client.
 *
 * The rules are those of src/backend/replication/walsender.c: anything the client sends proves it
 * alive; after half of wal_sender_timeout without a word it is asked once for a reply; after the
 * whole of it the connection is dropped. Beyond PostgreSQL, an idle stream carries an unasked
 * keepalive every LIVENESS_IDLE_US. Pure: time is an argument (a monotonic clock in microseconds).
 */
#ifndef DOWNSTREAM_LIVENESS_H
#define DOWNSTREAM_LIVENESS_H

#include <stdbool.h>
#include <stdint.h>

#define LIVENESS_IDLE_US INT64_C(10000000)
/* A timeout is believed only after input had this long a chance to be read: a process that was
 * itself held up must not take its own silence for the client's. */
#define LIVENESS_GRACE_US INT64_C(20000)

struct liveness {
	int64_t timeout_us; /* wal_sender_timeout; 0: off */
	int64_t last_reply_us;
	int64_t last_sent_us;
	int64_t expires_us; /* end of the grace; 0: not begun */
	bool is_reply_awaited;
};

enum liveness_action {
	LIVENESS_NOTHING,
	LIVENESS_KEEPALIVE, /* send one, no reply wanted */
	LIVENESS_ASK,       /* send one with a reply requested */
	LIVENESS_DEAD,      /* close without a word */
};

void liveness_begin(struct liveness *liveness, int64_t timeout_us, int64_t now_us);
/* Any message came from the client. */
void liveness_on_reply(struct liveness *liveness, int64_t now_us);
/* Any message was queued for the client. */
void liveness_on_sent(struct liveness *liveness, int64_t now_us);
/* A reply was requested, for whatever reason. */
void liveness_on_asked(struct liveness *liveness, int64_t now_us);

enum liveness_action liveness_check(struct liveness *liveness, int64_t now_us);
/* When to check again, provided nothing happens before; always later than now_us. */
int64_t liveness_next_check_us(const struct liveness *liveness, int64_t now_us);

#endif
