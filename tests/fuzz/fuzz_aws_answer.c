/*
 * What a web service answers, read as each of the answers there are: refused, or fields that are
 * of their form and fit where they will go: names of pins, statements, a terminal. The same bytes
 * are also read for the keys that a role or a profile has.
 */
#include "fuzz.h"

#include "cloud/aws_answer.h"
#include "cloud/aws_credentials.h"
#include "cloud/xml_reader.h"

#include <assert.h>
#include <string.h>

static void check_printable(const char *text, size_t size)
{
	assert(strlen(text) < size);
	for (; *text != '\0'; text++) {
		assert(*text >= ' ' && *text <= '~');
	}
}

static void check_snapshot(const struct ec2_snapshot *snapshot)
{
	assert(aws_is_id(snapshot->id, "snap"));
	assert(aws_is_account(snapshot->owner));
	assert(strlen(snapshot->state) < sizeof(snapshot->state));
	assert(strlen(snapshot->progress) < sizeof(snapshot->progress));
}

static void check_events(const char *text, size_t length)
{
	struct xml_reader reader;
	enum xml_event event;
	size_t opened = 0, closed = 0;
	xml_reader_init(&reader, text, length);
	do {
		event = xml_reader_next(&reader);
		opened += event == XML_OPENED;
		closed += event == XML_CLOSED;
		assert(reader.at <= reader.end && reader.depth <= XML_DEPTH_MAX);
		assert(closed <= opened && opened <= length);
		assert(strlen(reader.text) == reader.text_length);
	} while (event == XML_OPENED || event == XML_CLOSED);
	assert(event == XML_BAD || opened == closed);
}

static void check_keys(const char *text, size_t length)
{
	struct aws_credentials found = {0};
	struct error err = {0};
	if (aws_role_read(text, length, &found, &err)) {
		assert(found.access_key[0] != '\0' && found.secret_key[0] != '\0');
	} else {
		assert(err.message[0] != '\0' && found.access_key == NULL);
	}
	aws_credentials_release(&found);
	for (int is_config = 0; is_config < 2; is_config++) {
		if (aws_profile_read(text, length, "default", is_config == 1, &found) ==
			AWS_PROFILE_KEYS) {
			assert(found.access_key[0] != '\0' && found.secret_key[0] != '\0');
		}
		aws_credentials_release(&found);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
	const char *text = (const char *)bytes;
	struct ec2_snapshot_page page;
	struct ec2_snapshot made;
	struct aws_fault fault;
	struct error err = {0};
	char account[AWS_ACCOUNT_SIZE];
	check_events(text, length);
	check_keys(text, length);
	if (aws_read_fault(text, length, &fault)) {
		check_printable(fault.code, sizeof(fault.code));
		check_printable(fault.message, sizeof(fault.message));
	}
	if (ec2_read_created(text, length, &made, &err)) {
		check_snapshot(&made);
	}
	if (ec2_read_described(text, length, &page, &err)) {
		for (size_t i = 0; i < page.count && i < EC2_PAGE_SNAPSHOTS; i++) {
			check_snapshot(&page.snapshots[i]);
		}
		assert(strlen(page.next_token) < sizeof(page.next_token));
	}
	if (sts_read_account(text, length, account, &err)) {
		assert(aws_is_account(account));
	}
	return 0;
}
