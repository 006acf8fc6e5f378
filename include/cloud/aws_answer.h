/*
 * aws_answer: what the Query APIs of EC2 and STS answer, and what a failure calls for. Pure.
 *
 * Sources: Amazon EC2 API Reference (CreateSnapshot, DescribeSnapshots, Snapshot, "Error codes for
 * the Amazon EC2 API"), AWS STS API Reference (GetCallerIdentity, "Common Errors").
 */
#ifndef CLOUD_AWS_ANSWER_H
#define CLOUD_AWS_ANSWER_H

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>

#define AWS_ID_SIZE        48 /* "snap-" and "vol-" with their 17 digits, and room */
#define AWS_ACCOUNT_SIZE   13 /* twelve digits */
#define AWS_CODE_SIZE      80
#define AWS_MESSAGE_SIZE   320 /* a longer one is cut */
#define AWS_TOKEN_SIZE     1024
#define EC2_STATE_SIZE     16
#define EC2_PAGE_SNAPSHOTS 4

struct aws_fault {
	char code[AWS_CODE_SIZE];
	char message[AWS_MESSAGE_SIZE]; /* printable */
};

struct ec2_snapshot {
	char id[AWS_ID_SIZE];
	char state[EC2_STATE_SIZE]; /* pending, completed, error, recoverable, recovering */
	char progress[8];           /* "80%"; "": not told */
	char owner[AWS_ACCOUNT_SIZE];
};

struct ec2_snapshot_page {
	struct ec2_snapshot snapshots[EC2_PAGE_SNAPSHOTS]; /* the first of them */
	size_t count;
	char next_token[AWS_TOKEN_SIZE]; /* "": there are no more */
};

/* An id as EC2 gives them: prefix, "-" and hexadecimal digits. */
bool aws_is_id(const char *text, const char *prefix);
bool aws_is_account(const char *text);
/* "us-east-1": letters, digits and "-" of at most 20 characters. */
bool aws_is_region(const char *text);

/* False: the answer is no error that AWS writes. */
bool aws_read_fault(const char *bytes, size_t length, struct aws_fault *fault_out);
bool ec2_read_created(const char *bytes, size_t length, struct ec2_snapshot *snapshot_out,
	struct error *err) MUST_CHECK;
bool ec2_read_described(const char *bytes, size_t length, struct ec2_snapshot_page *page_out,
	struct error *err) MUST_CHECK;
bool sts_read_account(const char *bytes, size_t length, char account_out[AWS_ACCOUNT_SIZE],
	struct error *err) MUST_CHECK;

enum aws_verdict {
	AWS_DONE,
	AWS_REFUSED, /* and it will be again */
	AWS_BUSY,    /* nothing was done; it may be later */
	AWS_AWAY,    /* nobody was reached */
	AWS_UNSURE,  /* it may have been done */
};

/* status: HTTP's, 0: no answer came; code: of the fault, "": none. */
enum aws_verdict aws_judge(long status, const char *code);
/* What to do about it, a sentence; NULL: not known. */
const char *aws_advice(const char *code);

#endif
