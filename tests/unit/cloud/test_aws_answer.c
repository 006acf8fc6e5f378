/*
 * aws_answer: answers as EC2's and STS's references document them, and what is wrong with others.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cloud/aws_answer.h"

#include <stdio.h>
#include <string.h>

#define XMLNS "xmlns=\"http://ec2.amazonaws.com/doc/2016-11-15/\""
#define ITEM(id, state)                                                                            \
	"<item><snapshotId>" id "</snapshotId><volumeId>vol-1</volumeId><status>" state            \
	"</status><startTime>2026-11-30T22:00:00.000Z</startTime><progress>30%</progress>"         \
	"<ownerId>111122223333</ownerId><volumeSize>8</volumeSize><description/><tagSet><item>"    \
	"<key>snapshotId</key><value>snap-f</value></item></tagSet></item>"

static void test_aws_answer__a_snapshot_that_was_made(void **state)
{
	static const char text[] =
		"<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<CreateSnapshotResponse " XMLNS ">\n"
		"  <requestId>59dbff89-35bd-4eac-99ed-be587EXAMPLE</requestId>\n"
		"  <snapshotId>snap-0123456789abcdef0</snapshotId>\n"
		"  <volumeId>vol-0123456789abcdef0</volumeId>\n  <status>pending</status>\n"
		"  <startTime>2026-11-30T22:00:00.000Z</startTime>\n  <progress>60%</progress>\n"
		"  <ownerId>111122223333</ownerId>\n  <volumeSize>30</volumeSize>\n"
		"  <description>a &lt;b&gt;</description>\n</CreateSnapshotResponse>\n";
	struct ec2_snapshot made;
	struct ec2_snapshot_page page;
	struct error err = {0};
	(void)state;
	assert_true(ec2_read_created(text, strlen(text), &made, &err));
	assert_string_equal(made.id, "snap-0123456789abcdef0");
	assert_string_equal(made.state, "pending");
	assert_string_equal(made.progress, "60%");
	assert_string_equal(made.owner, "111122223333");
	for (size_t length = 0; length < strlen(text) - 1; length++) {
		assert_false(ec2_read_created(text, length, &made, &err));
	}
	assert_string_equal(err.message, "the answer to CreateSnapshot cannot be understood");
	assert_false(ec2_read_described(text, strlen(text), &page, &err));
}

static void test_aws_answer__what_is_made_has_an_id_and_an_owner(void **state)
{
	static const char *const inner[] = {
		"<snapshotId>snap-1</snapshotId>",
		"<ownerId>111122223333</ownerId>",
		"<snapshotId>vol-1</snapshotId><ownerId>111122223333</ownerId>",
		"<snapshotId>snap-</snapshotId><ownerId>111122223333</ownerId>",
		"<snapshotId>snap-1'</snapshotId><ownerId>111122223333</ownerId>",
		"<snapshotId>snap-1</snapshotId><ownerId>11112222333</ownerId>",
		"<snapshotId>snap-1</snapshotId><ownerId>1111222233334</ownerId>",
		"<a><snapshotId>snap-1</snapshotId><ownerId>111122223333</ownerId></a>",
		"<snapshotId>snap-00000000000000000000000000000000000000000000000000</snapshotId>"
		"<ownerId>111122223333</ownerId>",
	};
	struct ec2_snapshot made;
	struct error err = {0};
	char text[512];
	(void)state;
	for (size_t i = 0; i < sizeof(inner) / sizeof(inner[0]); i++) {
		snprintf(text, sizeof(text), "<CreateSnapshotResponse>%s</CreateSnapshotResponse>",
			inner[i]);
		assert_false(ec2_read_created(text, strlen(text), &made, &err));
	}
}

static bool describe(const char *inner, struct ec2_snapshot_page *page_out)
{
	struct error err = {0};
	char text[8192];
	snprintf(text, sizeof(text),
		"<DescribeSnapshotsResponse " XMLNS "><requestId>x</requestId>%s"
		"</DescribeSnapshotsResponse>",
		inner);
	return ec2_read_described(text, strlen(text), page_out, &err);
}

static void test_aws_answer__snapshots_there_are(void **state)
{
	struct ec2_snapshot_page page;
	(void)state;
	assert_true(describe("<snapshotSet/>", &page));
	assert_int_equal(page.count, 0);
	assert_string_equal(page.next_token, "");
	assert_true(describe("<snapshotSet></snapshotSet><nextToken>a+b/c==</nextToken>", &page));
	assert_string_equal(page.next_token, "a+b/c==");
	assert_true(describe("<snapshotSet>" ITEM("snap-a", "pending") ITEM("snap-b", "completed")
				     "</snapshotSet>",
		&page));
	assert_int_equal(page.count, 2);
	assert_string_equal(page.snapshots[0].id, "snap-a");
	assert_string_equal(page.snapshots[0].state, "pending");
	assert_string_equal(page.snapshots[1].id, "snap-b");
	assert_string_equal(page.snapshots[1].progress, "30%");
	assert_string_equal(page.snapshots[1].owner, "111122223333");
	assert_true(describe("<snapshotSet>" ITEM("snap-a", "x") ITEM("snap-b", "x")
				     ITEM("snap-c", "x") ITEM("snap-d", "x") ITEM("snap-e", "x")
					     ITEM("snap-f", "x") "</snapshotSet>",
		&page));
	assert_int_equal(page.count, 6);
	assert_string_equal(page.snapshots[3].id, "snap-d");
	assert_false(describe("", &page));
	assert_false(describe("<snapshotSet><item/></snapshotSet>", &page));
	assert_false(describe("<snapshotSet>" ITEM("snap-z", "x") "</snapshotSet>", &page));
	assert_false(describe("<snapshotSet>" ITEM("snap-a", "a state that is too long") "</snapshotSet>",
		&page));
}

static void test_aws_answer__faults(void **state)
{
	static const char ec2[] =
		"<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Response><Errors><Error><Code>"
		"AuthFailure</Code><Message>AWS was \x1b[2J&#10;not able</Message></Error></Errors>"
		"<RequestID>ea966190-f9aa-478e-9ede-example</RequestID></Response>";
	static const char sts[] =
		"<ErrorResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><Error><Type>"
		"Sender</Type><Code>InvalidClientTokenId</Code><Message>The security token</Message>"
		"</Error><RequestId>x</RequestId></ErrorResponse>";
	static const char long_one[] = "<Response><Errors><Error><Code>UnauthorizedOperation</Code>"
				       "<Message>%0400d</Message></Error></Errors></Response>";
	struct aws_fault fault;
	char text[1024];
	(void)state;
	assert_false(aws_read_fault(ec2, strlen(ec2), &fault));
	char copy[sizeof(ec2)];
	memcpy(copy, ec2, sizeof(ec2));
	*strchr(copy, '\x1b') = '\x7f';
	assert_true(aws_read_fault(copy, strlen(copy), &fault));
	assert_string_equal(fault.code, "AuthFailure");
	assert_string_equal(fault.message, "AWS was ?[2J?not able");
	assert_true(aws_read_fault(sts, strlen(sts), &fault));
	assert_string_equal(fault.code, "InvalidClientTokenId");
	snprintf(text, sizeof(text), long_one, 0);
	assert_true(aws_read_fault(text, strlen(text), &fault));
	assert_int_equal(strlen(fault.message), AWS_MESSAGE_SIZE - 1);
	for (size_t length = 0; length < strlen(sts); length++) {
		assert_false(aws_read_fault(sts, length, &fault));
	}
	assert_false(aws_read_fault("<html><body>no</body></html>", 28, &fault));
}

static void test_aws_answer__accounts(void **state)
{
	static const char form[] =
		"<GetCallerIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">"
		"<GetCallerIdentityResult><Arn>arn:aws:iam::123456789012:user/Alice</Arn><UserId>A"
		"</UserId><Account>%s</Account></GetCallerIdentityResult></GetCallerIdentityResponse>";
	char account[AWS_ACCOUNT_SIZE];
	struct error err = {0};
	char text[512];
	(void)state;
	snprintf(text, sizeof(text), form, "123456789012");
	assert_true(sts_read_account(text, strlen(text), account, &err));
	assert_string_equal(account, "123456789012");
	static const char *const others[] = {"", "12345678901", "1234567890123", "12345678901a"};
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
		snprintf(text, sizeof(text), form, others[i]);
		assert_false(sts_read_account(text, strlen(text), account, &err));
	}
}

static void test_aws_answer__verdicts(void **state)
{
	static const struct {
		long status;
		const char *code;
		enum aws_verdict verdict;
	} cases[] = {
		{200, "", AWS_DONE},
		{400, "InvalidVolume.NotFound", AWS_REFUSED},
		{401, "AuthFailure", AWS_REFUSED},
		{403, "", AWS_REFUSED},
		{301, "", AWS_REFUSED},
		{503, "RequestLimitExceeded", AWS_BUSY},
		{400, "Throttling", AWS_BUSY},
		{400, "SnapshotCreationPerVolumeRateExceeded", AWS_BUSY},
		{429, "", AWS_BUSY},
		{500, "InternalError", AWS_UNSURE},
		{503, "Unavailable", AWS_UNSURE},
		{502, "", AWS_UNSURE},
		{0, "", AWS_UNSURE},
	};
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(aws_judge(cases[i].status, cases[i].code), cases[i].verdict);
	}
	assert_non_null(strstr(aws_advice("SignatureDoesNotMatch"), "clock"));
	assert_non_null(strstr(aws_advice("UnauthorizedOperation"), "ec2:CreateTags"));
	assert_null(aws_advice("Else"));
}

static void test_aws_answer__names(void **state)
{
	(void)state;
	assert_true(aws_is_id("vol-0123456789abcdef0", "vol"));
	assert_true(aws_is_id("vol-1", "vol"));
	static const char *const ids[] = {"", "vol", "vol-", "vol-g", "VOL-1", "vol-1 ", "snap-1",
		"vol-A", "vol-000000000000000000000000000000000000000000000000000"};
	for (size_t i = 0; i < sizeof(ids) / sizeof(ids[0]); i++) {
		assert_false(aws_is_id(ids[i], "vol"));
	}
	assert_true(aws_is_region("ap-southeast-1"));
	static const char *const regions[] = {
		"", "-a", "us_east", "US-EAST-1", "a.b", "a/b", "aaaaaaaaaaaaaaaaaaaaa"};
	for (size_t i = 0; i < sizeof(regions) / sizeof(regions[0]); i++) {
		assert_false(aws_is_region(regions[i]));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_aws_answer__a_snapshot_that_was_made),
		cmocka_unit_test(test_aws_answer__what_is_made_has_an_id_and_an_owner),
		cmocka_unit_test(test_aws_answer__snapshots_there_are),
		cmocka_unit_test(test_aws_answer__faults),
		cmocka_unit_test(test_aws_answer__accounts),
		cmocka_unit_test(test_aws_answer__verdicts),
		cmocka_unit_test(test_aws_answer__names),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
