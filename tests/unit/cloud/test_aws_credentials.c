/*
 * aws_credentials: files as AWS's tools write them, the environment, what a role is given. That the
 * metadata service is asked as it wants to be is for the integration tests.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cloud/aws_credentials.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char text[] = "# keys\n"
			   "[default]\r\n"
			   "aws_access_key_id = AKIDDEFAULT\r\n"
			   "aws_secret_access_key=a/b+c==\r\n"
			   "\n"
			   "[other]\n"
			   "aws_access_key_id=AKIDOTHER\n"
			   "aws_secret_access_key=s\n"
			   "aws_session_token=t+/=\n"
			   "s3 =\n"
			   "  max_concurrent_requests = 20\n"
			   "a line of no sense\n"
			   "[half]\naws_access_key_id=A\n"
			   "[profile named]\naws_access_key_id=AKIDNAMED\naws_secret_access_key=n\n";

static enum aws_profile_result read_profile(
	const char *profile, bool is_config, struct aws_credentials *found)
{
	*found = (struct aws_credentials){0};
	return aws_profile_read(text, strlen(text), profile, is_config, found);
}

static void test_aws_credentials__profiles(void **state)
{
	struct aws_credentials found;
	(void)state;
	assert_int_equal(read_profile("default", false, &found), AWS_PROFILE_KEYS);
	assert_string_equal(found.access_key, "AKIDDEFAULT");
	assert_string_equal(found.secret_key, "a/b+c==");
	assert_null(found.session_token);
	aws_credentials_release(&found);
	assert_int_equal(read_profile("other", false, &found), AWS_PROFILE_KEYS);
	assert_string_equal(found.access_key, "AKIDOTHER");
	assert_string_equal(found.session_token, "t+/=");
	aws_credentials_release(&found);
	assert_null(found.secret_key);
	assert_int_equal(read_profile("half", false, &found), AWS_PROFILE_NO_KEYS);
	assert_int_equal(read_profile("named", false, &found), AWS_PROFILE_ABSENT);
	assert_int_equal(read_profile("named", true, &found), AWS_PROFILE_KEYS);
	assert_string_equal(found.access_key, "AKIDNAMED");
	aws_credentials_release(&found);
	assert_int_equal(read_profile("other", true, &found), AWS_PROFILE_ABSENT);
	assert_int_equal(read_profile("default", true, &found), AWS_PROFILE_KEYS);
	aws_credentials_release(&found);
}

static void clear_environment(void)
{
	static const char *const names[] = {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY",
		"AWS_SESSION_TOKEN", "AWS_PROFILE", "AWS_SHARED_CREDENTIALS_FILE",
		"AWS_CONFIG_FILE"};
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		unsetenv(names[i]);
	}
	setenv("AWS_EC2_METADATA_DISABLED", "true", 1);
	setenv("HOME", "/nonexistent", 1);
}

static void write_keys(char path_out[32])
{
	strcpy(path_out, "/tmp/aws_keys.XXXXXX");
	int fd = mkstemp(path_out);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	close(fd);
	setenv("AWS_SHARED_CREDENTIALS_FILE", path_out, 1);
}

static void assert_found(const char *profile, const char *access_key)
{
	struct aws_credentials found = {0};
	struct error err = {0};
	assert_true(aws_credentials_find(profile, &found, &err));
	assert_string_equal(found.access_key, access_key);
	aws_credentials_release(&found);
}

static void assert_fails(const char *profile, const char *message)
{
	struct aws_credentials found = {0};
	struct error err = {0};
	assert_false(aws_credentials_find(profile, &found, &err));
	assert_string_equal(err.message, message);
}

static void test_aws_credentials__places_in_their_order(void **state)
{
	char path[32];
	(void)state;
	clear_environment();
	assert_fails(NULL, "no credentials for AWS are found");
	write_keys(path);
	assert_found(NULL, "AKIDDEFAULT");
	assert_found("other", "AKIDOTHER");
	setenv("AWS_PROFILE", "other", 1);
	assert_found(NULL, "AKIDOTHER");
	setenv("AWS_ACCESS_KEY_ID", "AKIDENV", 1);
	assert_fails(NULL, "the environment holds AWS_ACCESS_KEY_ID and no AWS_SECRET_ACCESS_KEY");
	setenv("AWS_SECRET_ACCESS_KEY", "s", 1);
	assert_found(NULL, "AKIDENV");
	assert_found("default", "AKIDDEFAULT");
	assert_fails("half", "AWS profile \"half\" holds no access key");
	assert_fails("none", "AWS profile \"none\" does not exist");
	setenv("AWS_CONFIG_FILE", path, 1);
	assert_found("named", "AKIDNAMED");
	unlink(path);
	clear_environment();
}

static void test_aws_credentials__of_a_role(void **state)
{
	static const char good[] = "{\"Code\" : \"Success\", \"Type\" : \"AWS-HMAC\","
				   "\"AccessKeyId\" : \"ASIA\", \"SecretAccessKey\" : \"s\","
				   "\"Token\" : \"t\", \"Expiration\" : \"2026-12-01T00:00:00Z\"}";
	static const char *const bad[] = {"", "{}", "[]", "<html>", "{\"Code\":\"Failed\","
		"\"AccessKeyId\":\"a\",\"SecretAccessKey\":\"s\"}", "{\"AccessKeyId\":\"a\"}",
		"{\"AccessKeyId\":1,\"SecretAccessKey\":2}"};
	struct aws_credentials found = {0};
	struct error err = {0};
	(void)state;
	assert_true(aws_role_read(good, strlen(good), &found, &err));
	assert_string_equal(found.access_key, "ASIA");
	assert_string_equal(found.session_token, "t");
	aws_credentials_release(&found);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_false(aws_role_read(bad[i], strlen(bad[i]), &found, &err));
	}
	assert_string_equal(
		err.message, "the instance's metadata service gives no keys for its role");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_aws_credentials__profiles),
		cmocka_unit_test(test_aws_credentials__places_in_their_order),
		cmocka_unit_test(test_aws_credentials__of_a_role),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
