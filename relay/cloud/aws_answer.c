/*
 * aws_answer: the few fields that matter, by their path. An answer in which one of them is missing,
 * too long or not of its form is no answer.
 */
#include "cloud/aws_answer.h"

#include "cloud/xml_reader.h"

#include <string.h>

#define REGION_LENGTH_MAX 20

/* --- texts -------------------------------------------------------------------------------------
 */

bool aws_is_id(const char *text, const char *prefix)
{
	size_t length = strlen(prefix);
	if (strncmp(text, prefix, length) != 0 || text[length] != '-') {
		return false;
	}
	const char *digits = text + length + 1;
	size_t count = strspn(digits, "0123456789abcdef");
	return count > 0 && digits[count] == '\0' && strlen(text) < AWS_ID_SIZE;
}

bool aws_is_account(const char *text)
{
	return strlen(text) == AWS_ACCOUNT_SIZE - 1 &&
	       strspn(text, "0123456789") == AWS_ACCOUNT_SIZE - 1;
}

bool aws_is_region(const char *text)
{
	size_t length = strlen(text);
	return length > 0 && length <= REGION_LENGTH_MAX && text[0] != '-' &&
	       strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789-") == length;
}

/* --- reading -----------------------------------------------------------------------------------
 */

struct field {
	const char *path;
	char *text_out;
	size_t size;
};

/* False: the text does not fit. */
static bool take_field(const struct xml_reader *reader, const struct field *fields, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (!xml_reader_is_at(reader, fields[i].path)) {
			continue;
		}
		if (reader->is_cut || reader->text_length >= fields[i].size) {
			return false;
		}
		memcpy(fields[i].text_out, reader->text, reader->text_length + 1);
		return true;
	}
	return true;
}

static bool read_fields(const char *bytes, size_t length, const struct field *fields, size_t count)
{
	struct xml_reader reader;
	enum xml_event event;
	xml_reader_init(&reader, bytes, length);
	while ((event = xml_reader_next(&reader)) != XML_END) {
		if (event == XML_BAD ||
			(event == XML_CLOSED && !take_field(&reader, fields, count))) {
			return false;
		}
	}
	return true;
}

static bool not_understood(struct error *err, const char *action)
{
	return error_set(err, ERROR_INVALID, "the answer to %s cannot be understood", action);
}

/* What goes to a terminal or a log holds no commands for it. */
static void copy_printable(const struct xml_reader *reader, char *text_out, size_t size)
{
	size_t length = reader->text_length < size ? reader->text_length : size - 1;
	for (size_t i = 0; i < length; i++) {
		char c = reader->text[i];
		text_out[i] = c >= ' ' && c <= '~' ? c : '?';
	}
	text_out[length] = '\0';
}

bool aws_read_fault(const char *bytes, size_t length, struct aws_fault *fault_out)
{
	struct aws_fault fault = {0};
	struct xml_reader reader;
	enum xml_event event;
	xml_reader_init(&reader, bytes, length);
	while ((event = xml_reader_next(&reader)) != XML_END) {
		if (event == XML_BAD) {
			return false;
		}
		if (event == XML_OPENED) {
			continue;
		}
		if (xml_reader_is_at(&reader, "Response/Errors/Error/Code") ||
			xml_reader_is_at(&reader, "ErrorResponse/Error/Code")) {
			copy_printable(&reader, fault.code, sizeof(fault.code));
		} else if (xml_reader_is_at(&reader, "Response/Errors/Error/Message") ||
			   xml_reader_is_at(&reader, "ErrorResponse/Error/Message")) {
			copy_printable(&reader, fault.message, sizeof(fault.message));
		}
	}
	if (fault.code[0] == '\0') {
		return false;
	}
	*fault_out = fault;
	return true;
}

bool ec2_read_created(
	const char *bytes, size_t length, struct ec2_snapshot *snapshot_out, struct error *err)
{
	struct ec2_snapshot made = {0};
	const struct field fields[] = {
		{"CreateSnapshotResponse/snapshotId", made.id, sizeof(made.id)},
		{"CreateSnapshotResponse/status", made.state, sizeof(made.state)},
		{"CreateSnapshotResponse/progress", made.progress, sizeof(made.progress)},
		{"CreateSnapshotResponse/ownerId", made.owner, sizeof(made.owner)},
	};
	if (!read_fields(bytes, length, fields, sizeof(fields) / sizeof(fields[0])) ||
		!aws_is_id(made.id, "snap") || !aws_is_account(made.owner)) {
		return not_understood(err, "CreateSnapshot");
	}
	*snapshot_out = made;
	return true;
}

#define ITEM "DescribeSnapshotsResponse/snapshotSet/item"

/* False: something of it is wrong. */
static bool take_item_field(const struct xml_reader *reader, struct ec2_snapshot_page *page)
{
	struct ec2_snapshot *item = &page->snapshots[page->count - 1];
	const struct field fields[] = {
		{ITEM "/snapshotId", item->id, sizeof(item->id)},
		{ITEM "/status", item->state, sizeof(item->state)},
		{ITEM "/progress", item->progress, sizeof(item->progress)},
		{ITEM "/ownerId", item->owner, sizeof(item->owner)},
	};
	return !xml_reader_is_at(reader, ITEM)
		       ? take_field(reader, fields, sizeof(fields) / sizeof(fields[0]))
		       : aws_is_id(item->id, "snap") && aws_is_account(item->owner);
}

static bool take_page(
	struct xml_reader *reader, enum xml_event event, struct ec2_snapshot_page *page)
{
	const struct field token = {
		"DescribeSnapshotsResponse/nextToken", page->next_token, sizeof(page->next_token)};
	if (event == XML_OPENED) {
		page->count += xml_reader_is_at(reader, ITEM);
		return true;
	}
	bool is_kept = page->count > 0 && page->count <= EC2_PAGE_SNAPSHOTS;
	return take_field(reader, &token, 1) && (!is_kept || take_item_field(reader, page));
}

bool ec2_read_described(
	const char *bytes, size_t length, struct ec2_snapshot_page *page_out, struct error *err)
{
	struct ec2_snapshot_page page = {0};
	struct xml_reader reader;
	enum xml_event event;
	bool is_one = false;
	xml_reader_init(&reader, bytes, length);
	while ((event = xml_reader_next(&reader)) != XML_END) {
		if (event == XML_BAD || !take_page(&reader, event, &page)) {
			return not_understood(err, "DescribeSnapshots");
		}
		is_one = is_one ||
			 xml_reader_is_at(&reader, "DescribeSnapshotsResponse/snapshotSet");
	}
	/* Without the set it is not known that there are none. */
	if (!is_one) {
		return not_understood(err, "DescribeSnapshots");
	}
	*page_out = page;
	return true;
}

bool sts_read_account(
	const char *bytes, size_t length, char account_out[AWS_ACCOUNT_SIZE], struct error *err)
{
	char account[AWS_ACCOUNT_SIZE] = "";
	const struct field field = {"GetCallerIdentityResponse/GetCallerIdentityResult/Account",
		account, sizeof(account)};
	if (!read_fields(bytes, length, &field, 1) || !aws_is_account(account)) {
		return not_understood(err, "GetCallerIdentity");
	}
	memcpy(account_out, account, sizeof(account));
	return true;
}

/* --- failures ----------------------------------------------------------------------------------
 */

#define CLOCK_ADVICE "Is the clock of this machine right?"
#define KEYS_ADVICE  "Check the access key and its secret, and that they are not switched off."
#define QUOTA_ADVICE "Delete snapshots that are not needed, or ask AWS for a larger quota."
#define RIGHTS_ADVICE                                                                              \
	"The credentials need ec2:CreateSnapshot, ec2:CreateTags and ec2:DescribeSnapshots."
#define EXPIRED_ADVICE "Temporary credentials end: get new ones."

static const struct known_code {
	const char *code;
	bool is_busy;
	const char *advice;
} known_codes[] = {
	{"RequestLimitExceeded", true, "Too many requests of this account: try again later."},
	{"Throttling", true, "Too many requests of this account: try again later."},
	{"ThrottlingException", true, "Too many requests of this account: try again later."},
	{"RequestThrottled", true, "Too many requests of this account: try again later."},
	{"SnapshotCreationPerVolumeRateExceeded", true,
		"A volume can be snapshotted once in 15 seconds: try again later."},
	{"ConcurrentSnapshotLimitExceeded", false,
		"Other snapshots of the volume are being taken: try again when they are "
		"completed."},
	{"AuthFailure", false, KEYS_ADVICE},
	{"InvalidClientTokenId", false, KEYS_ADVICE},
	{"SignatureDoesNotMatch", false, KEYS_ADVICE " " CLOCK_ADVICE},
	{"RequestExpired", false, CLOCK_ADVICE},
	{"ExpiredToken", false, EXPIRED_ADVICE},
	{"ExpiredTokenException", false, EXPIRED_ADVICE},
	{"UnauthorizedOperation", false, RIGHTS_ADVICE},
	{"AccessDenied", false, RIGHTS_ADVICE},
	{"Blocked", false, "AWS has blocked the account: ask its support."},
	{"OptInRequired", false, "The account is not signed up for this region."},
	{"InvalidVolume.NotFound", false,
		"Is the volume in this region, and of the account of these credentials?"},
	{"InvalidVolumeID.Malformed", false, "A volume is named as in vol-0123456789abcdef0."},
	{"InvalidSnapshot.NotFound", false, "It was deleted, or is another account's."},
	{"IncorrectState", false, "The volume must be available or in use."},
	{"SnapshotLimitExceeded", false, QUOTA_ADVICE},
	{"ResourceLimitExceeded", false, QUOTA_ADVICE},
	{"PendingSnapshotLimitExceeded", false,
		"Too many snapshots are being taken: try again when some are completed."},
	{"TagPolicyViolation", false, "A tag policy of the organization forbids walrelay's tags."},
};

static const struct known_code *find_code(const char *code)
{
	for (size_t i = 0; i < sizeof(known_codes) / sizeof(known_codes[0]); i++) {
		if (strcmp(known_codes[i].code, code) == 0) {
			return &known_codes[i];
		}
	}
	return NULL;
}

enum aws_verdict aws_judge(long status, const char *code)
{
	const struct known_code *known = find_code(code);
	if (status >= 200 && status < 300) {
		return AWS_DONE;
	}
	if ((known != NULL && known->is_busy) || status == 429) {
		return AWS_BUSY;
	}
	return status == 0 || status >= 500 ? AWS_UNSURE : AWS_REFUSED;
}

const char *aws_advice(const char *code)
{
	const struct known_code *known = find_code(code);
	return known != NULL ? known->advice : NULL;
}
