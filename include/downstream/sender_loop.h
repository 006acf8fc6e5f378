/*
 * sender_loop: one thread that serves a share of the standbys.
 *
 * It owns its sessions from their arrival to their release. Other threads hand it arrivals, ask it
 * to stop, and walk its sessions' statistics under its lock.
 */
#ifndef DOWNSTREAM_SENDER_LOOP_H
#define DOWNSTREAM_SENDER_LOOP_H

#include "base/error.h"
#include "downstream/downstream_session.h"

#include <stddef.h>
#include <stdint.h>

struct sender_loop;

struct sender_loop_options {
	unsigned number; /* for its name */
	struct downstream_shared *shared;
	unsigned store_events; /* what news its standbys wait for */
	/* The last session has gone after sender_loop_stop(); on the loop's thread. */
	void (*on_stopped)(void *context);
	void *context;
};

struct sender_loop *sender_loop_new(
	const struct sender_loop_options *options, struct error *err) MUST_CHECK;
/* Joins the thread. No session may be left. Accepts NULL, sets NULL. */
void sender_loop_free(struct sender_loop **sender);
struct loop *sender_loop_thread(struct sender_loop *sender);
bool sender_loop_start(struct sender_loop *sender, struct error *err) MUST_CHECK;

/* Any thread. */
/* One that is one too many gets the place of the client here that has been longest without logging
 * in, so that nobody shuts others out by saying nothing. */
void sender_loop_accept(struct sender_loop *sender, const struct session_arrival *arrival);
/* How many sessions it has or is about to have. */
unsigned sender_loop_load(const struct sender_loop *sender);
/* How many of them have not logged in. */
unsigned sender_loop_strangers(const struct sender_loop *sender);
/* Once. Streams have timeout_us to be confirmed. */
void sender_loop_stop(struct sender_loop *sender, int64_t timeout_us);
/* A slot became free: whoever waits for it tries again. */
void sender_loop_tell_slot_freed(struct sender_loop *sender);

/* Whom destinations match has changed. */
void sender_loop_match_again(struct sender_loop *sender);
/* Ends the replication session of that pid, if it is here. */
void sender_loop_kill(struct sender_loop *sender, uint32_t pid);
/* Caps have changed: whoever waits for his turn asks anew. */
void sender_loop_tell_caps(struct sender_loop *sender);

typedef void sender_loop_visit(void *context, struct downstream_session *session);
/* Visits every session with the lock held that keeps them there. */
void sender_loop_each(struct sender_loop *sender, sender_loop_visit *visit, void *context);

#endif
