/*
 * ec2_snapshots: snapshots of EBS volumes, by the API of EC2. Blocks; sends again what may help.
 *
 * CreateSnapshot has no token that would make it harmless to send twice. So each snapshot carries a
 * tag of its own from the moment it exists, and after an answer that did not come it is looked for
 * by that before it is asked for again.
 */
#ifndef CLOUD_EC2_SNAPSHOTS_H
#define CLOUD_EC2_SNAPSHOTS_H

#include "base/error.h"
#include "cloud/aws_answer.h"
#include "cloud/aws_query.h"

#include <stdbool.h>
#include <stddef.h>

struct ec2_tag {
	const char *key;   /* at most 128 characters */
	const char *value; /* at most 256 */
};

struct ec2_snapshot_order {
	const char *volume;
	const char *description;
	const struct ec2_tag *tags; /* the first is this snapshot's alone */
	size_t tag_count;
};

/* False and is_unsure_out: it may have been made all the same. */
bool ec2_snapshot_create(const struct aws_access *access, const struct ec2_snapshot_order *order,
	struct ec2_snapshot *snapshot_out, bool *is_unsure_out, struct error *err) MUST_CHECK;
/* Among those of the credentials' account. */
bool ec2_snapshot_find(const struct aws_access *access, const struct ec2_tag *tag,
	struct ec2_snapshot *snapshot_out, bool *is_there_out, struct error *err) MUST_CHECK;
/* !is_there_out: EC2 says that there is none of this id, for this account. */
bool ec2_snapshot_describe(const struct aws_access *access, const char *id,
	struct ec2_snapshot *snapshot_out, bool *is_there_out, struct error *err) MUST_CHECK;
/* Whose credentials these are. */
bool ec2_account(const struct aws_access *access, char account_out[AWS_ACCOUNT_SIZE],
	struct error *err) MUST_CHECK;

#endif
