/*
 * transfer: libcurl's multi interface on a loop: it says which sockets it waits for and when it
 * wants to be called, and is told what happened. One job a request, with copies of all it needs.
 */
#include "net/transfer.h"

#include <assert.h>
#include <curl/curl.h>
#include <event2/event.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>

#include "base/memory.h"

#define CONNECT_TIMEOUT_MS 20000L
#define REDIRECTS_MAX      5L

enum timer { TIMER_LIBCURL, TIMER_REFUSED, TIMERS };

struct job {
	LIST_ENTRY(job) link;
	struct transfer *transfer;
	CURL *easy;
	struct curl_slist *list; /* header lines, or recipients */
	transfer_done *done;
	void *context;
	char *body;
	size_t body_length;
	size_t body_sent;
	char *answer;
	size_t answer_length;
	size_t answer_bytes_max;
	bool is_answer_too_long;
	CURLcode refused; /* an option of the request that libcurl would not take */
	char reason[CURL_ERROR_SIZE];
	bool is_mail;
};

LIST_HEAD(jobs, job);

struct transfer {
	struct loop *loop;
	CURLM *multi;
	struct deadlines timer;
	struct jobs jobs;
};

/* What libcurl waits for on one socket. */
struct watched {
	struct transfer *transfer;
	struct event *event;
};

static void collect(struct transfer *transfer);
static void end_refused(struct transfer *transfer);

/* --- what libcurl waits for --------------------------------------------------------------------
 */

static void on_socket(evutil_socket_t fd, short events, void *context)
{
	struct watched *watched = context;
	struct transfer *transfer = watched->transfer;
	int running;
	int happened = ((events & EV_READ) != 0 ? CURL_CSELECT_IN : 0) |
		       ((events & EV_WRITE) != 0 ? CURL_CSELECT_OUT : 0);
	curl_multi_socket_action(transfer->multi, fd, happened, &running);
	collect(transfer);
}

static void on_timer(void *context, int reason)
{
	struct transfer *transfer = context;
	int running;
	if (reason == TIMER_REFUSED) {
		end_refused(transfer);
		return;
	}
	curl_multi_socket_action(transfer->multi, CURL_SOCKET_TIMEOUT, 0, &running);
	collect(transfer);
}

static void free_watched(void *context)
{
	free(context);
}

static void unwatch(struct transfer *transfer, curl_socket_t fd, struct watched *watched)
{
	if (watched != NULL) {
		event_free(watched->event);
		curl_multi_assign(transfer->multi, fd, NULL);
		/* libcurl may close a socket from inside on_socket(). */
		loop_defer(transfer->loop, free_watched, watched);
	}
}

/* CURLMOPT_SOCKETFUNCTION. */
static int watch_socket(CURL *easy, curl_socket_t fd, int what, void *context, void *assigned)
{
	struct transfer *transfer = context;
	struct watched *watched = assigned;
	short events = EV_PERSIST;
	(void)easy;
	if (what == CURL_POLL_REMOVE) {
		unwatch(transfer, fd, watched);
		return 0;
	}
	events |= what == CURL_POLL_OUT ? 0 : EV_READ;
	events |= what == CURL_POLL_IN ? 0 : EV_WRITE;
	if (watched == NULL) {
		watched = memory_new(sizeof(*watched));
		watched->transfer = transfer;
		curl_multi_assign(transfer->multi, fd, watched);
	} else {
		event_free(watched->event);
	}
	watched->event = event_new(loop_event_base(transfer->loop), fd, events, on_socket, watched);
	int failed = watched->event == NULL ? -1 : event_add(watched->event, NULL);
	assert(failed == 0);
	return 0;
}

/* CURLMOPT_TIMERFUNCTION. */
static int set_timer(CURLM *multi, long timeout_ms, void *context)
{
	struct transfer *transfer = context;
	(void)multi;
	if (timeout_ms < 0) {
		deadlines_clear(&transfer->timer, TIMER_LIBCURL);
	} else {
		deadlines_set(&transfer->timer, TIMER_LIBCURL,
			loop_refresh_now_us(transfer->loop) + (int64_t)timeout_ms * 1000);
	}
	return 0;
}

/* --- one job -----------------------------------------------------------------------------------
 */

static size_t read_body(char *bytes_out, size_t size, size_t count, void *context)
{
	struct job *job = context;
	size_t length = size * count;
	size_t left = job->body_length - job->body_sent;
	length = length < left ? length : left;
	memcpy(bytes_out, job->body + job->body_sent, length);
	job->body_sent += length;
	return length;
}

static size_t write_answer(char *bytes, size_t size, size_t count, void *context)
{
	struct job *job = context;
	size_t length = size * count;
	if (job->answer_bytes_max == 0) {
		return length;
	}
	if (length > job->answer_bytes_max - job->answer_length) {
		job->is_answer_too_long = true;
		return 0;
	}
	char *grown = realloc(job->answer, job->answer_length + length + 1);
	if (grown == NULL) {
		return 0;
	}
	memcpy(grown + job->answer_length, bytes, length);
	job->answer = grown;
	job->answer_length += length;
	return length;
}

static void free_job(struct job *job)
{
	LIST_REMOVE(job, link);
	if (job->easy != NULL) {
		curl_multi_remove_handle(job->transfer->multi, job->easy);
		curl_easy_cleanup(job->easy);
	}
	curl_slist_free_all(job->list);
	free(job->body);
	free(job->answer);
	free(job);
}

static bool is_status_good(CURL *easy, long status)
{
	char *scheme = NULL;
	curl_easy_getinfo(easy, CURLINFO_SCHEME, &scheme);
	bool is_http = scheme != NULL && strncasecmp(scheme, "http", 4) == 0;
	return !is_http || (status >= 200 && status < 300);
}

static void judge(const struct job *job, CURLcode code, struct transfer_answer *answer_out)
{
	struct error *err = &answer_out->err;
	curl_easy_getinfo(job->easy, CURLINFO_RESPONSE_CODE, &answer_out->status);
	if (job->is_answer_too_long) {
		error_set(err, ERROR_INVALID, "the answer is longer than %zu bytes",
			job->answer_bytes_max);
	} else if (code != CURLE_OK) {
		error_set(err, ERROR_SYSTEM, "%s",
			job->reason[0] != '\0' ? job->reason : curl_easy_strerror(code));
	} else if (!is_status_good(job->easy, answer_out->status)) {
		error_set(err, ERROR_SYSTEM, "the server answered with status %ld",
			answer_out->status);
	} else {
		answer_out->ok = true;
		answer_out->bytes = job->answer;
		answer_out->length = job->answer_length;
	}
}

/* libcurl says QUIT before it closes a connection, and waits for minutes for an answer, with the
 * loop standing still. On a socket that is shut down it does not. */
static void leave_without_quit(struct job *job)
{
	curl_socket_t socket = CURL_SOCKET_BAD;
	if (curl_easy_getinfo(job->easy, CURLINFO_ACTIVESOCKET, &socket) == CURLE_OK &&
		socket != CURL_SOCKET_BAD) {
		(void)shutdown(socket, SHUT_RDWR);
	}
}

static void end_job(struct job *job, CURLcode code)
{
	struct transfer_answer answer = {0};
	if (job->is_mail) {
		leave_without_quit(job);
	}
	judge(job, code, &answer);
	job->done(job->context, &answer);
	free_job(job);
}

/* Tells of every job that is over. What is told may submit the next. */
static void collect(struct transfer *transfer)
{
	CURLMsg *message;
	int left;
	while ((message = curl_multi_info_read(transfer->multi, &left)) != NULL) {
		struct job *job = NULL;
		if (message->msg == CURLMSG_DONE) {
			curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &job);
			end_job(job, message->data.result);
		}
	}
}

/* A request that libcurl does not take fails as any other, from the loop. */
static void end_refused(struct transfer *transfer)
{
	struct job *next;
	for (struct job *job = LIST_FIRST(&transfer->jobs); job != NULL; job = next) {
		next = LIST_NEXT(job, link);
		if (job->refused != CURLE_OK) {
			end_job(job, job->refused);
		}
	}
}

/* --- a request as libcurl wants it -------------------------------------------------------------
 */

#define SET(job, option, value)                                                                    \
	do {                                                                                       \
		CURLcode set_code = curl_easy_setopt((job)->easy, option, value);                  \
		(job)->refused = (job)->refused == CURLE_OK ? set_code : (job)->refused;           \
	} while (0)

static void add_to_list(struct job *job, const char *line)
{
	struct curl_slist *longer = curl_slist_append(job->list, line);
	assert(longer != NULL);
	job->list = longer;
}

static void set_post(struct job *job, const struct transfer_request *request)
{
	char line[128];
	snprintf(line, sizeof(line), "Content-Type: %s",
		request->content_type != NULL ? request->content_type : "application/octet-stream");
	add_to_list(job, line);
	SET(job, CURLOPT_POST, 1L);
	SET(job, CURLOPT_POSTFIELDSIZE, (long)job->body_length);
	SET(job, CURLOPT_POSTFIELDS, job->body);
	SET(job, CURLOPT_HTTPHEADER, job->list);
}

static void set_mail(struct job *job, const struct transfer_request *request)
{
	char *recipients = memory_copy_text(request->mail_to);
	char *rest = NULL;
	for (char *one = strtok_r(recipients, ", ", &rest); one != NULL;
		one = strtok_r(NULL, ", ", &rest)) {
		add_to_list(job, one);
	}
	free(recipients);
	SET(job, CURLOPT_MAIL_FROM, request->mail_from);
	SET(job, CURLOPT_MAIL_RCPT, job->list);
	SET(job, CURLOPT_UPLOAD, 1L);
	SET(job, CURLOPT_READFUNCTION, read_body);
	SET(job, CURLOPT_READDATA, job);
	SET(job, CURLOPT_INFILESIZE, (long)job->body_length);
	/* A password may also stand in the URL. */
	bool is_secret = request->password != NULL || strchr(request->url, '@') != NULL;
	SET(job, CURLOPT_USE_SSL, is_secret ? (long)CURLUSESSL_ALL : (long)CURLUSESSL_TRY);
}

static void set_common(struct job *job, const struct transfer_request *request)
{
	bool is_mail = request->kind == TRANSFER_MAIL;
	job->is_mail = is_mail;
	const char *authorities =
		request->authorities != NULL ? request->authorities : getenv("SSL_CERT_FILE");
	SET(job, CURLOPT_PRIVATE, job);
	SET(job, CURLOPT_URL, request->url);
	SET(job, CURLOPT_PROTOCOLS_STR, is_mail ? "smtp,smtps" : "http,https");
	SET(job, CURLOPT_REDIR_PROTOCOLS_STR, "http,https");
	SET(job, CURLOPT_FOLLOWLOCATION, request->kind == TRANSFER_GET ? 1L : 0L);
	SET(job, CURLOPT_MAXREDIRS, REDIRECTS_MAX);
	SET(job, CURLOPT_USERAGENT, "walrelay/" WALRELAY_VERSION);
	SET(job, CURLOPT_NOSIGNAL, 1L);
	SET(job, CURLOPT_ERRORBUFFER, job->reason);
	SET(job, CURLOPT_WRITEFUNCTION, write_answer);
	SET(job, CURLOPT_WRITEDATA, job);
	SET(job, CURLOPT_CONNECTTIMEOUT_MS, CONNECT_TIMEOUT_MS);
	SET(job, CURLOPT_TIMEOUT_MS, (long)(request->timeout_us / 1000));
	if (authorities != NULL && authorities[0] != '\0') {
		SET(job, CURLOPT_CAINFO, authorities);
	}
	if (request->authorities != NULL) {
		SET(job, CURLOPT_CAPATH, NULL);
	}
	if (request->bearer != NULL) {
		SET(job, CURLOPT_HTTPAUTH, CURLAUTH_BEARER);
		SET(job, CURLOPT_XOAUTH2_BEARER, request->bearer);
	}
	if (request->user != NULL) {
		SET(job, CURLOPT_USERNAME, request->user);
	}
	if (request->password != NULL) {
		SET(job, CURLOPT_PASSWORD, request->password);
	}
}

void transfer_submit(struct transfer *transfer, const struct transfer_request *request,
	transfer_done *done, void *context)
{
	struct job *job = memory_new(sizeof(*job));
	job->transfer = transfer;
	job->done = done;
	job->context = context;
	job->body = memory_copy_bytes(
		request->body_length > 0 ? request->body : "", request->body_length);
	job->body_length = request->body_length;
	job->answer_bytes_max = request->answer_bytes_max;
	job->easy = curl_easy_init();
	assert(job->easy != NULL);
	LIST_INSERT_HEAD(&transfer->jobs, job, link);
	set_common(job, request);
	if (request->kind == TRANSFER_POST) {
		set_post(job, request);
	} else if (request->kind == TRANSFER_MAIL) {
		set_mail(job, request);
	}
	if (job->refused != CURLE_OK) {
		deadlines_set(&transfer->timer, TIMER_REFUSED, loop_now_us(transfer->loop));
		return;
	}
	CURLMcode code = curl_multi_add_handle(transfer->multi, job->easy);
	assert(code == CURLM_OK);
}

/* --- beginning and end -------------------------------------------------------------------------
 */

static void init_library(void)
{
	curl_global_init(CURL_GLOBAL_DEFAULT);
}

struct transfer *transfer_open(struct loop *loop, struct error *err)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	pthread_once(&once, init_library);
	struct transfer *transfer = memory_new(sizeof(*transfer));
	LIST_INIT(&transfer->jobs);
	transfer->loop = loop;
	transfer->multi = curl_multi_init();
	if (transfer->multi == NULL) {
		error_set(err, ERROR_SYSTEM, "could not initialize libcurl");
		transfer_close(&transfer);
		return NULL;
	}
	curl_multi_setopt(transfer->multi, CURLMOPT_SOCKETFUNCTION, watch_socket);
	curl_multi_setopt(transfer->multi, CURLMOPT_SOCKETDATA, transfer);
	curl_multi_setopt(transfer->multi, CURLMOPT_TIMERFUNCTION, set_timer);
	curl_multi_setopt(transfer->multi, CURLMOPT_TIMERDATA, transfer);
	if (!deadlines_init(&transfer->timer, loop, TIMERS, on_timer, transfer, err)) {
		transfer_close(&transfer);
		return NULL;
	}
	return transfer;
}

void transfer_close(struct transfer **transfer)
{
	struct transfer *gone = *transfer;
	if (gone == NULL) {
		return;
	}
	*transfer = NULL;
	while (!LIST_EMPTY(&gone->jobs)) {
		/* It does not see that LIST_REMOVE() moved the head on. */
		/* NOLINTNEXTLINE(clang-analyzer-unix.Malloc) */
		end_job(LIST_FIRST(&gone->jobs), CURLE_ABORTED_BY_CALLBACK);
	}
	if (gone->multi != NULL) {
		curl_multi_cleanup(gone->multi);
	}
	deadlines_release(&gone->timer);
	free(gone);
}
