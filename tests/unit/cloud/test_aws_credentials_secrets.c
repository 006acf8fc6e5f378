/*
 * Keys that were read, and signed with, are gone from memory when they are given back, also from
 * what libcurl and jansson had of them: the whole process is searched.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cloud/aws_credentials.h"
#include "cloud/aws_query.h"
#include "support/memory_search.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define SECRET "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
#define TOKEN  "FwoGZXIvYXdzEBYaD/wonderland+4711=="

static const char profile[] = "[default]\naws_access_key_id = AKIDTEST\n"
			      "aws_secret_access_key = " SECRET "\n"
			      "aws_session_token = " TOKEN "\n";
static const char role[] = "{\"Code\": \"Success\", \"AccessKeyId\": \"ASIATEST\", "
			   "\"SecretAccessKey\": \"" SECRET "\", \"Token\": \"" TOKEN "\"}";
static const char answer[] = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/* In a process of its own: what is sent is not to be found here. */
static pid_t serve_once(int listening)
{
	pid_t child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		char request[8192];
		int fd = accept(listening, NULL, NULL);
		ssize_t length = recv(fd, request, sizeof(request) - 1, 0);
		request[length > 0 ? length : 0] = '\0';
		bool has_token = strstr(request, "X-Amz-Security-Token: " TOKEN "\r\n") != NULL;
		(void)!write(fd, answer, sizeof(answer) - 1);
		_exit(has_token ? 0 : 1);
	}
	close(listening);
	return child;
}

static void ask(const struct aws_credentials *credentials)
{
	struct sockaddr_in address = {
		.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t size = sizeof(address);
	struct aws_access access = {.region = "us-east-1", .credentials = *credentials};
	struct aws_reply reply;
	struct aws_form form;
	struct error err = {0};
	char url[64];
	int status;
	int listening = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(listening, (struct sockaddr *)&address, size), 0);
	assert_int_equal(listen(listening, 1), 0);
	assert_int_equal(getsockname(listening, (struct sockaddr *)&address, &size), 0);
	snprintf(url, sizeof(url), "http://127.0.0.1:%d/", ntohs(address.sin_port));
	access.endpoint_url = url;
	pid_t child = serve_once(listening);
	aws_form_init(&form, AWS_EC2, "DescribeSnapshots");
	assert_int_equal(aws_query_try(&access, AWS_EC2, &form, &reply, &err), AWS_DONE);
	aws_reply_release(&reply);
	aws_form_release(&form);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
}

static void test_aws_credentials_secrets__leave_memory_with_their_owner(void **state)
{
	char path[] = "/tmp/walrelay_test_XXXXXX";
	struct aws_credentials credentials = {0};
	struct error err = {0};
	int fd = mkstemp(path);
	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(write(fd, profile, sizeof(profile) - 1), sizeof(profile) - 1);
	close(fd);
	setenv("AWS_SHARED_CREDENTIALS_FILE", path, 1);
	unsetenv("AWS_ACCESS_KEY_ID");
	unsetenv("AWS_SECRET_ACCESS_KEY");
	unsetenv("AWS_PROFILE");
	unsetenv("http_proxy");
	assert_true(aws_credentials_find(NULL, &credentials, &err));
	unlink(path);
	assert_int_equal(memory_search(SECRET), 1);
	ask(&credentials);
	assert_int_equal(memory_search(SECRET), 1);
	assert_int_equal(memory_search(TOKEN), 1);
	aws_credentials_release(&credentials);
	assert_int_equal(memory_search(SECRET), 0);
	assert_int_equal(memory_search(TOKEN), 0);
}

static void test_aws_credentials_secrets__of_a_role(void **state)
{
	struct aws_credentials credentials = {0};
	struct error err = {0};
	(void)state;
	assert_true(aws_role_read(role, sizeof(role) - 1, &credentials, &err));
	assert_int_equal(memory_search(SECRET), 1);
	aws_credentials_release(&credentials);
	assert_int_equal(memory_search(SECRET), 0);
	assert_int_equal(memory_search(TOKEN), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_aws_credentials_secrets__leave_memory_with_their_owner),
		cmocka_unit_test(test_aws_credentials_secrets__of_a_role),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
