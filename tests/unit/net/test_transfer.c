/* Tests of net/transfer against a real HTTP server (libevent's) on the same loop. */
#include "support/cmocka_all.h"

#include <event2/buffer.h>
#include <event2/http.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "net/transfer.h"
#include "support/run_until.h"

struct rig {
	struct loop *loop;
	struct evhttp *server;
	struct evhttp_request *held; /* answered by nobody */
	struct transfer *transfer;
	char base[64];
	int requests;
	char body[64]; /* of the last one */
	char content_type[64];
	int answers;
	bool ok;
	long status;
	char text[128];
	char message[512];
};

static void serve(struct evhttp_request *request, void *context)
{
	struct rig *rig = context;
	const char *path = evhttp_request_get_uri(request);
	struct evbuffer *body = evhttp_request_get_input_buffer(request);
	const char *type =
		evhttp_find_header(evhttp_request_get_input_headers(request), "Content-Type");
	int length = evbuffer_remove(body, rig->body, sizeof(rig->body) - 1);
	rig->body[length > 0 ? length : 0] = '\0';
	snprintf(rig->content_type, sizeof(rig->content_type), "%s", type != NULL ? type : "");
	rig->requests++;
	if (strcmp(path, "/hold") == 0) {
		rig->held = request;
		return;
	}
	struct evbuffer *out = evbuffer_new();
	evbuffer_add_printf(out, "answer to %s", path);
	if (strcmp(path, "/moved") == 0) {
		evhttp_add_header(evhttp_request_get_output_headers(request), "Location", "/there");
		evhttp_send_reply(request, 302, "Found", out);
	} else {
		evhttp_send_reply(request, strcmp(path, "/broken") == 0 ? 503 : 200, "", out);
	}
	evbuffer_free(out);
}

static int setup(void **state)
{
	static struct rig rig;
	struct error err = {0};
	uint16_t port;
	memset(&rig, 0, sizeof(rig));
	/* What the machine sends through a proxy is none of this. */
	setenv("no_proxy", "127.0.0.1", 1);
	rig.loop = loop_new("test", &err);
	assert_non_null(rig.loop);
	rig.server = evhttp_new(loop_event_base(rig.loop));
	evhttp_set_gencb(rig.server, serve, &rig);
	struct evhttp_bound_socket *bound =
		evhttp_bind_socket_with_handle(rig.server, "127.0.0.1", 0);
	assert_non_null(bound);
	struct sockaddr_in address;
	socklen_t length = sizeof(address);
	assert_int_equal(getsockname(evhttp_bound_socket_get_fd(bound), (struct sockaddr *)&address,
				 &length),
		0);
	port = ntohs(address.sin_port);
	snprintf(rig.base, sizeof(rig.base), "http://127.0.0.1:%u", port);
	rig.transfer = transfer_open(rig.loop, &err);
	assert_non_null(rig.transfer);
	*state = &rig;
	return 0;
}

static int teardown(void **state)
{
	struct rig *rig = *state;
	transfer_close(&rig->transfer);
	evhttp_free(rig->server);
	loop_free(&rig->loop);
	return 0;
}

static void on_done(void *context, const struct transfer_answer *answer)
{
	struct rig *rig = context;
	rig->answers++;
	rig->ok = answer->ok;
	rig->status = answer->status;
	snprintf(rig->text, sizeof(rig->text), "%.*s", (int)answer->length,
		answer->bytes != NULL ? (const char *)answer->bytes : "");
	snprintf(rig->message, sizeof(rig->message), "%s", answer->err.message);
}

static void submit(struct rig *rig, const char *path, struct transfer_request request)
{
	char url[128];
	snprintf(url, sizeof(url), "%s%s", rig->base, path);
	request.url = url;
	transfer_submit(rig->transfer, &request, on_done, rig);
	memset(url, 'x', sizeof(url));
}

static void run(struct rig *rig, const char *path, struct transfer_request request)
{
	int before = rig->answers;
	submit(rig, path, request);
	assert_int_equal(rig->answers, before);
	RUN_UNTIL(rig->loop, rig->answers > before);
	assert_int_equal(rig->answers, before + 1);
}

static void test_transfer__gets_what_a_server_answers(void **state)
{
	struct rig *rig = *state;
	run(rig, "/x", (struct transfer_request){.answer_bytes_max = 100});
	assert_true(rig->ok);
	assert_int_equal(rig->status, 200);
	assert_string_equal(rig->text, "answer to /x");
}

static void test_transfer__throws_away_an_answer_that_nobody_wants(void **state)
{
	struct rig *rig = *state;
	run(rig, "/x", (struct transfer_request){0});
	assert_true(rig->ok);
	assert_string_equal(rig->text, "");
}

static void test_transfer__refuses_a_longer_answer_than_wanted(void **state)
{
	struct rig *rig = *state;
	run(rig, "/x", (struct transfer_request){.answer_bytes_max = 5});
	assert_false(rig->ok);
	assert_string_equal(rig->message, "the answer is longer than 5 bytes");
}

static void test_transfer__posts_a_body(void **state)
{
	struct rig *rig = *state;
	char body[] = "{\"a\": 1}";
	const struct transfer_request request = {.kind = TRANSFER_POST,
		.content_type = "application/json",
		.body = body,
		.body_length = strlen(body)};
	submit(rig, "/hook", request);
	memset(body, 'x', sizeof(body));
	RUN_UNTIL(rig->loop, rig->answers > 0);
	assert_true(rig->ok);
	assert_string_equal(rig->body, "{\"a\": 1}");
	assert_string_equal(rig->content_type, "application/json");
}

static void test_transfer__follows_a_redirection_of_get_alone(void **state)
{
	struct rig *rig = *state;
	run(rig, "/moved", (struct transfer_request){.answer_bytes_max = 100});
	assert_true(rig->ok);
	assert_string_equal(rig->text, "answer to /there");
	run(rig, "/moved", (struct transfer_request){.kind = TRANSFER_POST});
	assert_false(rig->ok);
	assert_string_equal(rig->message, "the server answered with status 302");
	assert_int_equal(rig->requests, 3);
}

static void test_transfer__an_error_status_is_a_failure(void **state)
{
	struct rig *rig = *state;
	run(rig, "/broken", (struct transfer_request){0});
	assert_false(rig->ok);
	assert_int_equal(rig->status, 503);
	assert_string_equal(rig->message, "the server answered with status 503");
}

static void test_transfer__a_server_that_is_away_is_a_failure(void **state)
{
	struct rig *rig = *state;
	/* Nobody listens on port 1. */
	snprintf(rig->base, sizeof(rig->base), "http://127.0.0.1:1");
	run(rig, "/secret-token", (struct transfer_request){0});
	assert_false(rig->ok);
	assert_int_equal(rig->status, 0);
	assert_non_null(strstr(rig->message, "onnect"));
	assert_null(strstr(rig->message, "secret"));
}

static void test_transfer__gives_up_on_a_server_that_does_not_answer(void **state)
{
	struct rig *rig = *state;
	run(rig, "/hold", (struct transfer_request){.timeout_us = 100000});
	assert_false(rig->ok);
	assert_non_null(rig->held);
	assert_non_null(strstr(rig->message, "timed out"));
}

static void test_transfer__refuses_other_protocols(void **state)
{
	struct rig *rig = *state;
	snprintf(rig->base, sizeof(rig->base), "file://");
	run(rig, "/etc/hostname", (struct transfer_request){.answer_bytes_max = 1000});
	assert_false(rig->ok);
	assert_string_equal(rig->text, "");
	snprintf(rig->base, sizeof(rig->base), "http://127.0.0.1:1");
	run(rig, "/",
		(struct transfer_request){
			.kind = TRANSFER_MAIL, .mail_from = "a@b", .mail_to = "c@d, e@f"});
	assert_false(rig->ok);
}

static void test_transfer__carries_many_at_once(void **state)
{
	struct rig *rig = *state;
	for (int i = 0; i < 20; i++) {
		submit(rig, "/x", (struct transfer_request){0});
	}
	RUN_UNTIL(rig->loop, rig->answers == 20);
	assert_int_equal(rig->requests, 20);
}

static void test_transfer__close_breaks_off_and_tells(void **state)
{
	struct rig *rig = *state;
	submit(rig, "/hold", (struct transfer_request){0});
	RUN_UNTIL(rig->loop, rig->requests == 1);
	submit(rig, "/x", (struct transfer_request){0});
	transfer_close(&rig->transfer);
	assert_null(rig->transfer);
	assert_int_equal(rig->answers, 2);
	assert_false(rig->ok);
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_transfer__##name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(gets_what_a_server_answers),
		TEST(throws_away_an_answer_that_nobody_wants),
		TEST(refuses_a_longer_answer_than_wanted),
		TEST(posts_a_body),
		TEST(follows_a_redirection_of_get_alone),
		TEST(an_error_status_is_a_failure),
		TEST(a_server_that_is_away_is_a_failure),
		TEST(gives_up_on_a_server_that_does_not_answer),
		TEST(refuses_other_protocols),
		TEST(carries_many_at_once),
		TEST(close_breaks_off_and_tells),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
