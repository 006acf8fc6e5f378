/*
 * ec2_snapshots: forms out, snapshots in.
 */
#include "cloud/ec2_snapshots.h"

#include <stdio.h>
#include <string.h>

#define KEY_SIZE  64
#define PAGES_MAX 1000

static void add_tags(struct aws_form *form, const struct ec2_snapshot_order *order)
{
	char key[KEY_SIZE];
	aws_form_add(form, "TagSpecification.1.ResourceType", "snapshot");
	for (size_t i = 0; i < order->tag_count; i++) {
		snprintf(key, sizeof(key), "TagSpecification.1.Tag.%zu.Key", i + 1);
		aws_form_add(form, key, order->tags[i].key);
		snprintf(key, sizeof(key), "TagSpecification.1.Tag.%zu.Value", i + 1);
		aws_form_add(form, key, order->tags[i].value);
	}
}

/* Of an answer that may be one in all but its body. */
static enum aws_verdict create_once(const struct aws_access *access, struct aws_form *form,
	struct ec2_snapshot *snapshot_out, struct error *err)
{
	struct aws_reply reply;
	enum aws_verdict verdict = aws_query_try(access, AWS_EC2, form, &reply, err);
	if (verdict == AWS_DONE &&
		!ec2_read_created(reply.answer.bytes, reply.answer.length, snapshot_out, err)) {
		verdict = AWS_UNSURE;
	}
	aws_reply_release(&reply);
	return verdict;
}

/* EC2 may list a snapshot a little later than it makes it, so this is asked after a pause, and what
 * is not found may be found yet. */
static bool is_made_already(const struct aws_access *access, const struct ec2_snapshot_order *order,
	struct ec2_snapshot *snapshot_out)
{
	struct error ignored = {0};
	bool is_there = false;
	return ec2_snapshot_find(access, &order->tags[0], snapshot_out, &is_there, &ignored) &&
	       is_there;
}

bool ec2_snapshot_create(const struct aws_access *access, const struct ec2_snapshot_order *order,
	struct ec2_snapshot *snapshot_out, bool *is_unsure_out, struct error *err)
{
	struct aws_form form;
	enum aws_verdict verdict;
	bool is_unsure = false;
	bool is_made = false;
	aws_form_init(&form, AWS_EC2, "CreateSnapshot");
	aws_form_add(&form, "VolumeId", order->volume);
	aws_form_add(&form, "Description", order->description);
	add_tags(&form, order);
	for (unsigned tries = 1; !is_made; tries++) {
		verdict = create_once(access, &form, snapshot_out, err);
		is_unsure = is_unsure || verdict == AWS_UNSURE;
		if (!aws_query_wait(verdict, tries)) {
			break;
		}
		is_made = is_unsure && is_made_already(access, order, snapshot_out);
	}
	is_made = is_made || verdict == AWS_DONE ||
		  (is_unsure && is_made_already(access, order, snapshot_out));
	aws_form_release(&form);
	*is_unsure_out = is_unsure && !is_made;
	return is_made;
}

static bool describe_page(const struct aws_access *access, struct aws_form *form,
	struct ec2_snapshot_page *page_out, struct aws_fault *fault_out, struct error *err)
{
	struct aws_reply reply;
	bool ok = aws_query(access, AWS_EC2, form, &reply, err) &&
		  ec2_read_described(reply.answer.bytes, reply.answer.length, page_out, err);
	*fault_out = reply.fault;
	aws_reply_release(&reply);
	return ok;
}

/* A page may be empty and have one behind it. */
bool ec2_snapshot_find(const struct aws_access *access, const struct ec2_tag *tag,
	struct ec2_snapshot *snapshot_out, bool *is_there_out, struct error *err)
{
	struct ec2_snapshot_page page = {0};
	struct aws_fault fault;
	char filter[KEY_SIZE * 2];
	snprintf(filter, sizeof(filter), "tag:%s", tag->key);
	for (unsigned pages = 0; pages < PAGES_MAX; pages++) {
		struct aws_form form;
		aws_form_init(&form, AWS_EC2, "DescribeSnapshots");
		aws_form_add(&form, "Owner.1", "self");
		aws_form_add(&form, "Filter.1.Name", filter);
		aws_form_add(&form, "Filter.1.Value.1", tag->value);
		if (page.next_token[0] != '\0') {
			aws_form_add(&form, "NextToken", page.next_token);
		}
		bool ok = describe_page(access, &form, &page, &fault, err);
		aws_form_release(&form);
		if (!ok) {
			return false;
		}
		if (page.count > 0 || page.next_token[0] == '\0') {
			*is_there_out = page.count > 0;
			*snapshot_out = page.count > 0 ? page.snapshots[0] : *snapshot_out;
			return true;
		}
	}
	return error_set(err, ERROR_INVALID, "DescribeSnapshots does not come to an end");
}

bool ec2_snapshot_describe(const struct aws_access *access, const char *id,
	struct ec2_snapshot *snapshot_out, bool *is_there_out, struct error *err)
{
	struct ec2_snapshot_page page;
	struct aws_fault fault;
	struct aws_form form;
	aws_form_init(&form, AWS_EC2, "DescribeSnapshots");
	aws_form_add(&form, "SnapshotId.1", id);
	bool ok = describe_page(access, &form, &page, &fault, err);
	aws_form_release(&form);
	if (!ok && strcmp(fault.code, "InvalidSnapshot.NotFound") == 0) {
		*is_there_out = false;
		return true;
	}
	if (!ok) {
		return false;
	}
	if (page.count != 1 || strcmp(page.snapshots[0].id, id) != 0) {
		return error_set(err, ERROR_INVALID,
			"DescribeSnapshots answers for another snapshot than \"%s\"", id);
	}
	*is_there_out = true;
	*snapshot_out = page.snapshots[0];
	return true;
}

bool ec2_account(
	const struct aws_access *access, char account_out[AWS_ACCOUNT_SIZE], struct error *err)
{
	struct aws_reply reply;
	struct aws_form form;
	aws_form_init(&form, AWS_STS, "GetCallerIdentity");
	bool ok = aws_query(access, AWS_STS, &form, &reply, err) &&
		  sts_read_account(reply.answer.bytes, reply.answer.length, account_out, err);
	aws_reply_release(&reply);
	aws_form_release(&form);
	return ok;
}
