/*
 * peer_match and ip_ranges: rules of each kind, and ranges in the form in which AWS publishes them.
 */
#include "destination/peer_match.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static const char published[] =
	"{\"syncToken\": \"1\", \"createDate\": \"2026-01-01-00-00-00\", \"prefixes\": ["
	"{\"ip_prefix\": \"3.5.140.0/22\", \"region\": \"ap-northeast-2\", \"service\": "
	"\"AMAZON\"},"
	"{\"ip_prefix\": \"52.94.76.0/22\", \"region\": \"us-west-2\", \"service\": \"AMAZON\"},"
	"{\"ip_prefix\": \"nonsense\", \"region\": \"us-west-2\"}, {\"region\": \"us-east-1\"}, 7],"
	"\"ipv6_prefixes\": [{\"ipv6_prefix\": \"2600:1f14::/35\", \"region\": \"us-west-2\"}]}";

static struct ip_address address_of(const char *text)
{
	struct ip_network network;
	assert_true(ip_network_parse(text, &network));
	return network.address;
}

static struct ip_ranges *parse_published(void)
{
	struct error err = {0};
	struct ip_ranges *ranges = ip_ranges_parse(published, sizeof(published) - 1, &err);
	assert_non_null(ranges);
	return ranges;
}

static void test_ip_ranges__knows_regions(void **state)
{
	(void)state;
	static const struct {
		const char *address, *region;
		bool is_in;
	} rows[] = {
		{"52.94.76.1", "us-west-2", true},
		{"52.94.79.255", "us-west-2", true},
		{"52.94.80.0", "us-west-2", false},
		{"52.94.76.1", "ap-northeast-2", false},
		{"2600:1f14:1::1", "us-west-2", true},
		{"2600:1f15::1", "us-west-2", false},
		{"52.94.76.1", "eu-west-1", false},
	};
	struct ip_ranges *ranges = parse_published();
	assert_int_equal(ip_ranges_count(ranges), 3);
	assert_true(ip_ranges_has_region(ranges, "us-west-2"));
	assert_false(ip_ranges_has_region(ranges, "us-east-1"));
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct ip_address address = address_of(rows[i].address);
		assert_int_equal(
			ip_ranges_is_in_region(ranges, rows[i].region, &address), rows[i].is_in);
	}
	ip_ranges_free(&ranges);
}

static void test_ip_ranges__refuses_what_has_none(void **state)
{
	(void)state;
	static const char *const wrong[] = {"", "{", "[]", "{}", "{\"prefixes\": []}",
		"<html>busy</html>", "{\"prefixes\": 5}"};
	struct error err = {0};
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		assert_null(ip_ranges_parse(wrong[i], strlen(wrong[i]), &err));
	}
	assert_string_equal(err.message, "no address ranges in it");
}

static void test_peer_match__any_rule_is_enough(void **state)
{
	(void)state;
	struct peer_rule rules[] = {
		{.kind = PEER_RULE_NETWORK},
		{.kind = PEER_RULE_AWS_REGION, .text = (char[]){"us-west-2"}},
		{.kind = PEER_RULE_USER, .text = (char[]){"far"}},
		{.kind = PEER_RULE_APPLICATION, .text = (char[]){"standby7"}},
	};
	static const struct {
		const char *address, *user, *application;
		bool matches, matches_without_ranges;
	} rows[] = {
		{"10.2.3.4", "rep", "s1", true, true},
		{"10.3.0.1", "rep", "s1", false, false},
		{"52.94.77.9", "rep", "s1", true, false},
		{"10.3.0.1", "far", "s1", true, true},
		{"10.3.0.1", "rep", "standby7", true, true},
		{"10.3.0.1", "Far", "standby77", false, false},
		{"::1", "rep", "", false, false},
	};
	struct ip_ranges *ranges = parse_published();
	assert_true(ip_network_parse("10.2.0.0/16", &rules[0].network));
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct peer peer = {
			address_of(rows[i].address), rows[i].user, rows[i].application};
		assert_int_equal(peer_match(rules, 4, ranges, &peer), rows[i].matches);
		assert_int_equal(peer_match(rules, 4, NULL, &peer), rows[i].matches_without_ranges);
		assert_false(peer_match(rules, 0, ranges, &peer));
	}
	const struct peer local = {.user = "rep", .application = "s1"};
	assert_false(peer_match(rules, 4, ranges, &local));
	assert_true(ip_network_parse("0.0.0.0/0", &rules[0].network));
	assert_false(peer_match(rules, 1, ranges, &local));
	ip_ranges_free(&ranges);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ip_ranges__knows_regions),
		cmocka_unit_test(test_ip_ranges__refuses_what_has_none),
		cmocka_unit_test(test_peer_match__any_rule_is_enough),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
