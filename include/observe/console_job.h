/*
 * console_job: one command on its way from a conversation to the console's loop and back.
 */
#ifndef OBSERVE_CONSOLE_JOB_H
#define OBSERVE_CONSOLE_JOB_H

#include "base/error.h"
#include "downstream/console_service.h"
#include "net/loop.h"
#include "observe/console_result.h"
#include "protocol/console_command.h"

#include <stdbool.h>

#define CONSOLE_TAG_SIZE 32

struct console;

struct console_job {
	struct console *console;
	struct console_command command; /* its text stays valid */
	const struct console_peer *peer;
	struct loop *loop; /* of who asked */
	loop_call *done;   /* on it, with context */
	void *context;
	/* The outcome. */
	bool ok;
	char tag[CONSOLE_TAG_SIZE]; /* of CommandComplete */
	struct error err;
	struct console_result result; /* with ok, of a command that has columns */
};

/* From the asker's loop; the job stays where it is until done. */
void console_job_start(struct console_job *job);
/* On the console's loop: carries it out, or begins to. The last thing it does is console_job_end(),
 * or that has been arranged for. */
void console_job_run(struct console_job *job);
/* On the console's loop. */
void console_job_end(struct console_job *job, bool ok);

#endif
