/*
 * aws_credentials: keys for AWS, found where its own tools find them.
 *
 * In this order: the environment (AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN),
 * unless a profile is asked for by name; the profile in AWS_SHARED_CREDENTIALS_FILE
 * (~/.aws/credentials), then in AWS_CONFIG_FILE (~/.aws/config); the role of the instance by the
 * metadata service (IMDSv2 only) unless AWS_EC2_METADATA_DISABLED is true. What is found wrong is
 * an error and not passed over. Roles to assume, SSO and credential_process are not followed.
 * Blocks for seconds where there is no metadata service. Sources: AWS SDKs and Tools Reference
 * Guide; Amazon EC2 User Guide, "Retrieve security credentials from instance metadata".
 */
#ifndef CLOUD_AWS_CREDENTIALS_H
#define CLOUD_AWS_CREDENTIALS_H

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>

struct aws_credentials {
	char *access_key;
	char *secret_key;
	char *session_token; /* NULL: none */
};

/* profile: NULL: AWS_PROFILE, else "default". */
bool aws_credentials_find(
	const char *profile, struct aws_credentials *credentials_out, struct error *err) MUST_CHECK;
/* Nothing of them stays in memory. */
void aws_credentials_release(struct aws_credentials *credentials);

enum aws_profile_result { AWS_PROFILE_KEYS, AWS_PROFILE_NO_KEYS, AWS_PROFILE_ABSENT };
/* Out of the text of a file; in ~/.aws/config (is_config) a section is "profile NAME" but for
 * "default". AWS_PROFILE_NO_KEYS: there is such a section without both keys. Pure. */
enum aws_profile_result aws_profile_read(const char *text, size_t length, const char *profile,
	bool is_config, struct aws_credentials *credentials_out);
/* Of what the metadata service says of a role, JSON. Pure. */
bool aws_role_read(const char *text, size_t length, struct aws_credentials *credentials_out,
	struct error *err) MUST_CHECK;

#endif
