/*
 * pin_names: what pins of EBS snapshots are called. The name says all that is needed to ask for the
 * snapshot later. Pure.
 *
 *   us-east-1.vol-0123456789abcdef0.20261130T220501Z      while it is being taken; also its tag
 *   snap-0123456789abcdef0.us-east-1.111122223333         once it exists: id, region, account
 */
#ifndef CLI_PIN_NAMES_H
#define CLI_PIN_NAMES_H

#include "cloud/aws_answer.h"
#include "spool/pins.h"

#include <stdbool.h>
#include <stdint.h>

#define PIN_REGION_SIZE 24

enum pin_name_kind { PIN_NAME_OTHER, PIN_NAME_BEGUN, PIN_NAME_SNAPSHOT };

struct pin_name {
	enum pin_name_kind kind;
	char region[PIN_REGION_SIZE];
	char id[AWS_ID_SIZE];           /* of the volume, or of the snapshot */
	char account[AWS_ACCOUNT_SIZE]; /* PIN_NAME_SNAPSHOT */
};

/* now: seconds since 1970. False: it would be too long. */
bool pin_name_begun(
	const char *region, const char *volume, int64_t now, char name_out[PIN_NAME_SIZE]);
bool pin_name_snapshot(
	const struct ec2_snapshot *snapshot, const char *region, char name_out[PIN_NAME_SIZE]);
void pin_name_parse(const char *name, struct pin_name *name_out);

#endif
