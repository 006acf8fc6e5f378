/*
 * console: between the conversations on their loops and the one loop on which they are answered.
 *
 * A job goes there and back by posts. It comes back always, also while the relay stops: sessions
 * wait for it, and their loops for them.
 */
#include "observe/console.h"

#include <stdlib.h>

#include "base/memory.h"
#include "observe/console_job.h"
#include "observe/console_session.h"
#include "observe/console_state.h"

/* --- sessions ----------------------------------------------------------------------------------
 */

static void *open_session(void *context, struct loop *loop, const struct console_peer *peer,
	const struct console_client *client)
{
	struct console *console = context;
	return console_session_new(console, console->cluster, loop, peer, client);
}

static bool take_message(void *handle, const struct pg_message *message)
{
	return console_session_message(handle, message);
}

static bool is_busy(const void *handle)
{
	return console_session_is_busy(handle);
}

static void resume(void *handle)
{
	console_session_resume(handle);
}

static bool close_session(void **handle)
{
	struct console_session *session = *handle;
	*handle = NULL;
	return console_session_close(&session);
}

/* --- jobs --------------------------------------------------------------------------------------
 */

static void run_job(void *context)
{
	console_job_run(context);
}

void console_job_start(struct console_job *job)
{
	loop_post(job->console->loop, run_job, job);
}

void console_job_end(struct console_job *job, bool ok)
{
	job->ok = ok;
	loop_post(job->loop, job->done, job->context);
}

/* --- life --------------------------------------------------------------------------------------
 */

struct console *console_new(const struct console_options *options)
{
	struct console *console = memory_new(sizeof(*console));
	console->loop = options->loop;
	console->cluster = options->cluster;
	console->admin_users = memory_copy_text(options->admin_users);
	console->orders = *options->orders;
	console->service = (struct console_service){
		.context = console,
		.open = open_session,
		.message = take_message,
		.is_busy = is_busy,
		.resume = resume,
		.close = close_session,
	};
	return console;
}

void console_free(struct console **console)
{
	if (*console != NULL) {
		free((*console)->admin_users);
		free(*console);
		*console = NULL;
	}
}

void console_set_sources(struct console *console, const struct snapshot_sources *sources)
{
	console->sources = *sources;
}

void console_set_admins(struct console *console, const char *admin_users)
{
	free(console->admin_users);
	console->admin_users = memory_copy_text(admin_users);
}

const struct console_service *console_interface(const struct console *console)
{
	return &console->service;
}
