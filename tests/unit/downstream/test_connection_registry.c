/* Process ids and the limits on connections. */
#include "downstream/connection_registry.h"

#include "cmocka_all.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

static struct sockaddr_storage address(const char *text)
{
	struct sockaddr_storage storage = {0};
	struct sockaddr_in v4 = {.sin_family = AF_INET};
	struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};
	if (inet_pton(AF_INET, text, &v4.sin_addr) == 1) {
		memcpy(&storage, &v4, sizeof(v4));
	} else {
		assert_int_equal(inet_pton(AF_INET6, text, &v6.sin6_addr), 1);
		memcpy(&storage, &v6, sizeof(v6));
	}
	return storage;
}

static uint32_t add(struct connection_registry *registry, unsigned connections,
	unsigned per_address, const char *from, enum admission *admission)
{
	const struct connection_limits limits = {
		.connections = connections, .per_address = per_address};
	if (from == NULL) {
		return connection_registry_add(registry, &limits, NULL, admission);
	}
	struct sockaddr_storage peer = address(from);
	return connection_registry_add(registry, &limits, (struct sockaddr *)&peer, admission);
}

static void test_connection_registry__pids_are_unique_and_not_soon_reused(void **state)
{
	(void)state;
	struct connection_registry *registry = connection_registry_new();
	enum admission admission;
	uint32_t pids[500];
	for (int i = 0; i < 500; i++) {
		pids[i] = add(registry, 1000, 0, NULL, &admission);
		assert_int_not_equal(pids[i], 0);
		assert_true((int32_t)pids[i] > 0);
		assert_int_equal(admission, ADMISSION_GRANTED);
		for (int j = 0; j < i; j++) {
			assert_int_not_equal(pids[i], pids[j]);
		}
	}
	assert_int_equal(connection_registry_count(registry), 500);
	connection_registry_remove(registry, pids[17]);
	for (int i = 0; i < 100; i++) {
		uint32_t pid = add(registry, 1000, 0, NULL, &admission);
		assert_int_not_equal(pid, pids[17]);
		connection_registry_remove(registry, pid);
	}
	for (int i = 0; i < 500; i++) {
		if (i != 17) {
			connection_registry_remove(registry, pids[i]);
		}
	}
	assert_int_equal(connection_registry_count(registry), 0);
	connection_registry_free(&registry);
	assert_null(registry);
}

static void test_connection_registry__generations_wrap_without_a_zero(void **state)
{
	(void)state;
	struct connection_registry *registry = connection_registry_new();
	enum admission admission;
	uint32_t held = add(registry, 10, 0, NULL, &admission);
	for (int i = 0; i < 64 * 0x8001; i++) {
		uint32_t pid = add(registry, 10, 0, NULL, &admission);
		if (pid == 0 || pid == held || (int32_t)pid < 0) {
			fail();
		}
		connection_registry_remove(registry, pid);
	}
	connection_registry_remove(registry, held);
	connection_registry_free(&registry);
}

static void test_connection_registry__some_over_the_limit_are_told(void **state)
{
	(void)state;
	struct connection_registry *registry = connection_registry_new();
	enum admission admission;
	uint32_t pids[2 + REGISTRY_REFUSALS_MAX];
	for (unsigned i = 0; i < 2 + REGISTRY_REFUSALS_MAX; i++) {
		pids[i] = add(registry, 2, 0, NULL, &admission);
		assert_int_not_equal(pids[i], 0);
		assert_int_equal(admission, i < 2 ? ADMISSION_GRANTED : ADMISSION_TOO_MANY);
	}
	assert_int_equal(add(registry, 2, 0, NULL, &admission), 0);
	for (unsigned i = 0; i < 2 + REGISTRY_REFUSALS_MAX; i++) {
		connection_registry_remove(registry, pids[i]);
	}
	uint32_t again = add(registry, 2, 0, NULL, &admission);
	assert_int_equal(admission, ADMISSION_GRANTED);
	connection_registry_remove(registry, again);
	connection_registry_free(&registry);
}

static void test_connection_registry__counts_by_address_of_either_family(void **state)
{
	(void)state;
	static const struct {
		const char *from;
		enum admission expected;
	} rows[] = {
		{"10.0.0.1", ADMISSION_GRANTED},
		{"10.0.0.1", ADMISSION_GRANTED},
		{"10.0.0.1", ADMISSION_TOO_MANY_FROM_ADDRESS},
		{"::ffff:10.0.0.1", ADMISSION_TOO_MANY_FROM_ADDRESS},
		{"10.0.0.2", ADMISSION_GRANTED},
		{"2001:db8::1", ADMISSION_GRANTED},
		{"2001:db8::1", ADMISSION_GRANTED},
		{"2001:db8::1", ADMISSION_TOO_MANY_FROM_ADDRESS},
		{NULL, ADMISSION_GRANTED},
		{NULL, ADMISSION_GRANTED},
		{NULL, ADMISSION_GRANTED},
	};
	struct connection_registry *registry = connection_registry_new();
	enum admission admission;
	uint32_t pids[sizeof(rows) / sizeof(rows[0])];
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		pids[i] = add(registry, 100, 2, rows[i].from, &admission);
		assert_int_equal(admission, rows[i].expected);
	}
	for (size_t i = 0; i < 4; i++) {
		connection_registry_remove(registry, pids[i]);
	}
	pids[0] = add(registry, 100, 2, "10.0.0.1", &admission);
	assert_int_equal(admission, ADMISSION_GRANTED);
	connection_registry_remove(registry, pids[0]);
	for (size_t i = 4; i < sizeof(rows) / sizeof(rows[0]); i++) {
		connection_registry_remove(registry, pids[i]);
	}
	connection_registry_free(&registry);
}

static void test_connection_registry__a_proxy_header_moves_the_count(void **state)
{
	(void)state;
	struct connection_registry *registry = connection_registry_new();
	const struct connection_limits limits = {.connections = 100, .per_address = 1};
	struct sockaddr_storage real = address("192.0.2.7");
	enum admission admission;
	uint32_t first = add(registry, 100, 1, NULL, &admission);
	uint32_t second = add(registry, 100, 1, NULL, &admission);
	assert_int_equal(
		connection_registry_set_address(registry, first, &limits, (struct sockaddr *)&real),
		ADMISSION_GRANTED);
	assert_int_equal(connection_registry_set_address(
				 registry, second, &limits, (struct sockaddr *)&real),
		ADMISSION_TOO_MANY_FROM_ADDRESS);
	connection_registry_remove(registry, first);
	connection_registry_remove(registry, second);
	connection_registry_free(&registry);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_connection_registry__pids_are_unique_and_not_soon_reused),
		cmocka_unit_test(test_connection_registry__generations_wrap_without_a_zero),
		cmocka_unit_test(test_connection_registry__some_over_the_limit_are_told),
		cmocka_unit_test(test_connection_registry__counts_by_address_of_either_family),
		cmocka_unit_test(test_connection_registry__a_proxy_header_moves_the_count),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
