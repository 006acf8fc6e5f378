/*
 * aws_query: where services are, how a form is written, how long it waits. What goes over the wire
 * is for the integration tests.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cloud/aws_query.h"

#include <stdlib.h>

static const char *url_of(enum aws_service service, const char *region, const char *given)
{
	static char url[AWS_URL_SIZE];
	aws_query_url(service, region, given, url);
	return url;
}

static void test_aws_query__knows_where_services_are(void **state)
{
	(void)state;
	unsetenv("AWS_ENDPOINT_URL");
	unsetenv("AWS_ENDPOINT_URL_EC2");
	unsetenv("AWS_ENDPOINT_URL_STS");
	assert_string_equal(
		url_of(AWS_EC2, "us-east-1", NULL), "https://ec2.us-east-1.amazonaws.com/");
	assert_string_equal(
		url_of(AWS_STS, "cn-north-1", NULL), "https://sts.cn-north-1.amazonaws.com.cn/");
	setenv("AWS_ENDPOINT_URL", "http://all", 1);
	setenv("AWS_ENDPOINT_URL_EC2", "http://ec2", 1);
	assert_string_equal(url_of(AWS_EC2, "us-east-1", NULL), "http://ec2");
	assert_string_equal(url_of(AWS_STS, "us-east-1", NULL), "http://all");
	assert_string_equal(url_of(AWS_EC2, "us-east-1", "http://given"), "http://given");
}

static void test_aws_query__writes_forms(void **state)
{
	struct aws_form form;
	(void)state;
	aws_form_init(&form, AWS_EC2, "CreateSnapshot");
	aws_form_add(&form, "TagSpecification.1.Tag.1.Key", "walrelay:lsn");
	aws_form_add(&form, "Description", "a b&c=d+\xc3\xa9~");
	fflush(form.out);
	assert_string_equal(form.text,
		"Action=CreateSnapshot&Version=2016-11-15"
		"&TagSpecification.1.Tag.1.Key=walrelay%3Alsn"
		"&Description=a%20b%26c%3Dd%2B%C3%A9~");
	aws_form_release(&form);
}

static void test_aws_query__waits_longer_and_longer(void **state)
{
	static const long most[] = {1000, 2000, 4000, 8000, 16000, 20000, 20000, 20000};
	(void)state;
	for (unsigned tries = 1; tries <= 8; tries++) {
		assert_int_equal(aws_query_pause_ms(tries, 0xff), most[tries - 1]);
		assert_int_equal(aws_query_pause_ms(tries, 0), most[tries - 1] / 2);
	}
	assert_int_equal(aws_query_pause_ms(1000, 0xff), 20000);
	unsetenv("AWS_MAX_ATTEMPTS");
	assert_false(aws_query_wait(AWS_DONE, 1));
	assert_false(aws_query_wait(AWS_REFUSED, 1));
	assert_false(aws_query_wait(AWS_AWAY, 3));
	assert_false(aws_query_wait(AWS_BUSY, 7));
	assert_true(aws_query_wait(AWS_BUSY, 1));
	setenv("AWS_MAX_ATTEMPTS", "1", 1);
	assert_false(aws_query_wait(AWS_BUSY, 1));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_aws_query__knows_where_services_are),
		cmocka_unit_test(test_aws_query__writes_forms),
		cmocka_unit_test(test_aws_query__waits_longer_and_longer),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
