/*
 * wal_prefetch: a queue and the thread that works it off.
 */
#include "spool/wal_prefetch.h"

#include "base/memory.h"
#include "base/thread.h"
#include "spool/wal_segment.h"
#include "spool/wal_store_internal.h"

#include <assert.h>
#include <stdlib.h>
#include <sys/queue.h>

struct request {
	STAILQ_ENTRY(request) link;
	struct wal_on_disk stretch;
	wal_prefetch_done *done;
	void *context;
};

STAILQ_HEAD(request_queue, request);

struct wal_prefetch {
	pthread_t thread;
	pthread_mutex_t lock; /* what follows */
	pthread_cond_t wake;
	struct request_queue queue;
	bool is_stopping;
};

/* NULL: it is over. */
static struct request *take(struct wal_prefetch *prefetch)
{
	pthread_mutex_lock(&prefetch->lock);
	while (STAILQ_EMPTY(&prefetch->queue) && !prefetch->is_stopping) {
		pthread_cond_wait(&prefetch->wake, &prefetch->lock);
	}
	struct request *request = STAILQ_FIRST(&prefetch->queue);
	if (request != NULL) {
		STAILQ_REMOVE_HEAD(&prefetch->queue, link);
	}
	pthread_mutex_unlock(&prefetch->lock);
	return request;
}

static void *prefetch_thread(void *context)
{
	struct wal_prefetch *prefetch = context;
	struct request *request;
	while ((request = take(prefetch)) != NULL) {
		/* What fails here fails again for the reader, who can tell whom it concerns. */
		struct error ignored = {0};
		struct wal_segment *segment = request->stretch.segment;
		bool ok = wal_segment_populate(
			segment, request->stretch.offset, request->stretch.length, &ignored);
		(void)ok;
		wal_segment_unref(segment);
		request->done(request->context);
		free(request);
	}
	return NULL;
}

static void release(struct wal_prefetch *prefetch)
{
	pthread_cond_destroy(&prefetch->wake);
	pthread_mutex_destroy(&prefetch->lock);
	free(prefetch);
}

struct wal_prefetch *wal_prefetch_new(struct error *err)
{
	struct wal_prefetch *prefetch = memory_new(sizeof(*prefetch));
	STAILQ_INIT(&prefetch->queue);
	pthread_mutex_init(&prefetch->lock, NULL);
	pthread_cond_init(&prefetch->wake, NULL);
	if (!thread_start(&prefetch->thread, "prefetch", prefetch_thread, prefetch, err)) {
		release(prefetch);
		return NULL;
	}
	return prefetch;
}

void wal_prefetch_free(struct wal_prefetch **prefetch)
{
	struct wal_prefetch *gone = *prefetch;
	if (gone == NULL) {
		return;
	}
	*prefetch = NULL;
	pthread_mutex_lock(&gone->lock);
	gone->is_stopping = true;
	pthread_cond_signal(&gone->wake);
	pthread_mutex_unlock(&gone->lock);
	pthread_join(gone->thread, NULL);
	assert(STAILQ_EMPTY(&gone->queue));
	release(gone);
}

void wal_prefetch_read(struct wal_prefetch *prefetch, const struct wal_on_disk *stretch,
	wal_prefetch_done *done, void *context)
{
	struct request *request = memory_new(sizeof(*request));
	*request = (struct request){.stretch = *stretch, .done = done, .context = context};
	wal_segment_ref(stretch->segment);
	pthread_mutex_lock(&prefetch->lock);
	assert(!prefetch->is_stopping);
	STAILQ_INSERT_TAIL(&prefetch->queue, request, link);
	pthread_cond_signal(&prefetch->wake);
	pthread_mutex_unlock(&prefetch->lock);
}
