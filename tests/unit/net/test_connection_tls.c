/* Tests of net/connection with TLS on it, against OpenSSL's client over a real socket. */
#include "connection_side.h"

#include "net/tls_context.h"
#include "net/tls_facts.h"
#include "support/tls_maker.h"

struct fixture {
	struct tls_maker maker;
	struct tls_context *tls;
	struct side *side;
	SSL *client;
	size_t received; /* by the client */
	bool is_order_kept;
	int secured;
};

static void on_problem(void *context, enum tls_file file, const char *message)
{
	(void)context;
	fail_msg("%d: %s", file, message);
}

static struct tls_context *load(struct fixture *fixture, bool has_crl)
{
	char paths[4][TLS_MAKER_PATH];
	tls_maker_path(&fixture->maker, "server.pem", paths[0]);
	tls_maker_path(&fixture->maker, "server.key", paths[1]);
	tls_maker_path(&fixture->maker, "ca.pem", paths[2]);
	tls_maker_path(&fixture->maker, "ca.crl", paths[3]);
	const struct tls_options options = {.certificate = paths[0],
		.key = paths[1],
		.client_ca = paths[2],
		.crl = has_crl ? paths[3] : "",
		.protocol = "postgresql"};
	return tls_context_load(&options, on_problem, NULL);
}

static int set_up(void **state)
{
	struct fixture *fixture = calloc(1, sizeof(*fixture));
	void *side;
	tls_maker_init(&fixture->maker);
	tls_maker_issue(&fixture->maker, "server", "relay", NULL, 10);
	fixture->tls = load(fixture, false);
	if (setup_tcp(&side) != 0) {
		return -1;
	}
	fixture->side = side;
	fcntl(fixture->side->peer, F_SETFL, O_NONBLOCK);
	fixture->is_order_kept = true;
	*state = fixture;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *fixture = *state;
	void *side = fixture->side;
	tls_client_free(fixture->client);
	int failed = teardown(&side);
	tls_context_unref(&fixture->tls);
	tls_maker_release(&fixture->maker);
	free(fixture);
	return failed;
}

static void begin(struct fixture *fixture, const char *certificate)
{
	struct error err = {0};
	fixture->client = tls_client_new(&fixture->maker, fixture->side->peer, certificate);
	assert_true(connection_start_tls(fixture->side->connection, fixture->tls, &err));
}

static const struct tls_facts *facts(const struct fixture *fixture)
{
	return connection_tls(fixture->side->connection);
}

/* Both ends have shaken hands. */
static void secure(struct fixture *fixture, const char *certificate)
{
	begin(fixture, certificate);
	RUN_UNTIL(fixture->side->loop, tls_client_connect(fixture->client));
	RUN_UNTIL(fixture->side->loop, facts(fixture) != NULL);
}

/* What the client can read now, of what write_filled() wrote. */
static size_t read_some(struct fixture *fixture)
{
	char bytes[65536];
	size_t got;
	while (SSL_read_ex(fixture->client, bytes, sizeof(bytes), &got) == 1) {
		for (size_t i = 0; i < got; i++) {
			fixture->is_order_kept &=
				bytes[i] == (char)('a' + (fixture->received + i) % 26);
		}
		fixture->received += got;
	}
	return fixture->received;
}

static struct connection_stats stats(const struct fixture *fixture)
{
	struct connection_stats found;
	connection_read_stats(fixture->side->connection, &found);
	return found;
}

static void test_connection_tls__bytes_go_both_ways(void **state)
{
	struct fixture *fixture = *state;
	struct side *side = fixture->side;
	char bytes[8] = "";
	size_t moved;
	secure(fixture, NULL);
	assert_int_equal(SSL_write_ex(fixture->client, "hello", 5, &moved), 1);
	RUN_UNTIL(side->loop, side->input_bytes == 5);
	assert_memory_equal(side->input, "hello", 5);
	connection_write(side->connection, "ab", 2);
	flush(side);
	assert_int_equal(connection_output_bytes(side->connection), 0);
	assert_int_equal(SSL_read_ex(fixture->client, bytes, sizeof(bytes), &moved), 1);
	assert_string_equal(bytes, "ab");
}

static void test_connection_tls__handshake_may_have_begun(void **state)
{
	struct fixture *fixture = *state;
	struct side *side = fixture->side;
	struct error err = {0};
	side->on_input = DRAIN_NOTHING;
	fixture->client = tls_client_new(&fixture->maker, side->peer, NULL);
	assert_false(tls_client_connect(fixture->client));
	RUN_UNTIL(side->loop, side->inputs == 1);
	uint64_t hello = stats(fixture).wire_received_bytes;
	assert_true(hello > 100);
	side->on_input = DRAIN_ALL;
	assert_true(connection_start_tls(side->connection, fixture->tls, &err));
	RUN_UNTIL(side->loop, tls_client_connect(fixture->client));
	RUN_UNTIL(side->loop, facts(fixture) != NULL);
	assert_int_equal(stats(fixture).wire_received_bytes,
		BIO_number_written(SSL_get_wbio(fixture->client)));
}

static void test_connection_tls__counts_what_the_kernel_took_and_gave(void **state)
{
	struct fixture *fixture = *state;
	struct side *side = fixture->side;
	const size_t length = 200000;
	size_t moved;
	secure(fixture, NULL);
	set_small_buffers(side);
	write_filled(side, length);
	flush(side);
	assert_true(connection_output_bytes(side->connection) > 0);
	RUN_UNTIL(side->loop, read_some(fixture) == length);
	assert_true(fixture->is_order_kept);
	RUN_UNTIL(side->loop, side->writables == 1);
	assert_int_equal(connection_output_bytes(side->connection), 0);
	assert_int_equal(SSL_write_ex(fixture->client, "hello", 5, &moved), 1);
	RUN_UNTIL(side->loop, side->input_bytes == 5);
	assert_int_equal(
		stats(fixture).wire_sent_bytes, BIO_number_read(SSL_get_rbio(fixture->client)));
	assert_int_equal(stats(fixture).wire_received_bytes,
		BIO_number_written(SSL_get_wbio(fixture->client)));
	/* Full records: 22 bytes a 16 kB. */
	assert_true(stats(fixture).wire_sent_bytes < length + length / 16384 * 22 + 4000);
}

static void test_connection_tls__many_small_records_come_in_one_read(void **state)
{
	struct fixture *fixture = *state;
	struct side *side = fixture->side;
	size_t moved;
	secure(fixture, NULL);
	for (int i = 0; i < 500; i++) {
		assert_int_equal(SSL_write_ex(fixture->client, "x", 1, &moved), 1);
	}
	RUN_UNTIL(side->loop, side->input_bytes == 500);
	/* Also those that were read while nobody wanted them. */
	side->on_input = PAUSE;
	for (int i = 0; i < 100; i++) {
		assert_int_equal(SSL_write_ex(fixture->client, "x", 1, &moved), 1);
	}
	RUN_UNTIL(side->loop, side->inputs > 500);
	side->on_input = DRAIN_ALL;
	connection_resume_reading(side->connection);
	RUN_UNTIL(side->loop, side->input_bytes == 600);
}

static void test_connection_tls__keys_are_updated_under_way(void **state)
{
	struct fixture *fixture = *state;
	struct side *side = fixture->side;
	size_t moved;
	secure(fixture, NULL);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(SSL_key_update(fixture->client, SSL_KEY_UPDATE_REQUESTED), 1);
		assert_int_equal(SSL_write_ex(fixture->client, "hello", 5, &moved), 1);
		write_filled(side, 26 * 4000);
		flush(side);
		RUN_UNTIL(side->loop, read_some(fixture) == (size_t)(i + 1) * 26 * 4000);
		RUN_UNTIL(side->loop, side->input_bytes == (size_t)(i + 1) * 5);
	}
	assert_true(fixture->is_order_kept);
}

static void test_connection_tls__is_never_resumed_or_renegotiated(void **state)
{
	struct fixture *fixture = *state;
	struct side *side = fixture->side;
	begin(fixture, NULL);
	SSL_set_max_proto_version(fixture->client, TLS1_2_VERSION);
	RUN_UNTIL(side->loop, tls_client_connect(fixture->client));
	RUN_UNTIL(side->loop, facts(fixture) != NULL);
	assert_string_equal(facts(fixture)->version, "TLSv1.2");
	assert_int_equal(SSL_SESSION_has_ticket(SSL_get0_session(fixture->client)), 0);
	unsigned id_length;
	SSL_SESSION_get_id(SSL_get0_session(fixture->client), &id_length);
	assert_int_equal(id_length, 0);
	assert_int_equal(SSL_renegotiate(fixture->client), 1);
	RUN_UNTIL(side->loop, SSL_do_handshake(fixture->client) != 1 &&
				      SSL_get_error(fixture->client, -1) == SSL_ERROR_SSL);
}

static void check_failure(struct fixture *fixture, const char *reason)
{
	struct side *side = fixture->side;
	RUN_UNTIL(side->loop, (tls_client_connect(fixture->client), side->closes == 1));
	assert_string_equal(side->reason, reason);
	assert_null(facts(fixture));
}

static void test_connection_tls__knows_whom_the_certificate_names(void **state)
{
	struct fixture *fixture = *state;
	tls_maker_issue(&fixture->maker, "c", "rep", "DNS:other,email:r@example,IP:10.0.0.1", 10);
	secure(fixture, "c");
	assert_true(facts(fixture)->has_client_certificate);
	assert_int_equal(facts(fixture)->names.count, 3);
	assert_string_equal(facts(fixture)->names.texts[0], "rep");
	assert_string_equal(facts(fixture)->names.texts[1], "other");
	assert_string_equal(facts(fixture)->names.texts[2], "r@example");
}

static void test_connection_tls__lets_through_who_shows_none(void **state)
{
	struct fixture *fixture = *state;
	uint8_t digest[TLS_BINDING_BYTES_MAX];
	unsigned length;
	secure(fixture, NULL);
	assert_false(facts(fixture)->has_client_certificate);
	assert_int_equal(facts(fixture)->names.count, 0);
	X509 *server = SSL_get0_peer_certificate(fixture->client);
	assert_int_equal(X509_digest(server, EVP_sha256(), digest, &length), 1);
	assert_int_equal(facts(fixture)->binding_length, length);
	assert_memory_equal(facts(fixture)->binding, digest, length);
}

static void test_connection_tls__refuses_an_expired_certificate(void **state)
{
	struct fixture *fixture = *state;
	tls_maker_issue(&fixture->maker, "c", "rep", NULL, -1);
	begin(fixture, "c");
	check_failure(fixture, "TLS: certificate verify failed: certificate has expired");
}

static void test_connection_tls__refuses_what_another_authority_issued(void **state)
{
	struct fixture *fixture = *state;
	struct tls_maker own = fixture->maker;
	tls_maker_init(&fixture->maker);
	tls_maker_issue(&fixture->maker, "c", "rep", NULL, 10);
	begin(fixture, "c");
	tls_maker_release(&fixture->maker);
	fixture->maker = own;
	check_failure(
		fixture, "TLS: certificate verify failed: unable to get local issuer certificate");
}

static void test_connection_tls__refuses_a_revoked_certificate(void **state)
{
	struct fixture *fixture = *state;
	tls_maker_issue(&fixture->maker, "c", "rep", NULL, 10);
	tls_maker_issue(&fixture->maker, "other", "rep", NULL, 10);
	tls_maker_revoke(&fixture->maker, "c");
	tls_context_unref(&fixture->tls);
	fixture->tls = load(fixture, true);
	begin(fixture, "c");
	check_failure(fixture, "TLS: certificate verify failed: certificate revoked");
}

static void test_connection_tls__takes_one_that_was_not_revoked(void **state)
{
	struct fixture *fixture = *state;
	tls_maker_issue(&fixture->maker, "c", "rep", NULL, 10);
	tls_maker_issue(&fixture->maker, "other", "rep", NULL, 10);
	tls_maker_revoke(&fixture->maker, "other");
	tls_context_unref(&fixture->tls);
	fixture->tls = load(fixture, true);
	secure(fixture, "c");
	assert_true(facts(fixture)->has_client_certificate);
}

static void test_connection_tls__answers_the_protocol_it_speaks(void **state)
{
	static const unsigned char ours[] = "\2h2\12postgresql";
	struct fixture *fixture = *state;
	begin(fixture, NULL);
	SSL_set_alpn_protos(fixture->client, ours, sizeof(ours) - 1);
	RUN_UNTIL(fixture->side->loop, tls_client_connect(fixture->client));
	RUN_UNTIL(fixture->side->loop, facts(fixture) != NULL);
	assert_true(facts(fixture)->has_protocol);
}

static void test_connection_tls__refuses_who_asks_for_another_protocol(void **state)
{
	struct fixture *fixture = *state;
	begin(fixture, NULL);
	SSL_set_alpn_protos(fixture->client, (const unsigned char *)"\2h2", 3);
	check_failure(fixture, "TLS: no application protocol");
}

static void test_connection_tls__allocates_nothing_on_a_strangers_word(void **state)
{
	static const struct {
		const char *bytes;
		size_t length;
	} rows[] = {
		{"\x16\3\1\2\0\1\1\xff\xff", 9},          /* a hello of 128 kB */
		{"\x16\3\1\0\1\1\x16\3\1\0\1\1\x16", 13}, /* its header in pieces */
		{"GET / HTTP/1.1\r\n\r\n", 18},
	};
	struct fixture *fixture = *state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct error err = {0};
		void *side;
		if (i > 0) {
			assert_int_equal(setup_tcp(&side), 0);
			void *old = fixture->side;
			assert_int_equal(teardown(&old), 0);
			fixture->side = side;
		}
		assert_true(connection_start_tls(fixture->side->connection, fixture->tls, &err));
		assert_int_equal(send(fixture->side->peer, rows[i].bytes, rows[i].length, 0),
			rows[i].length);
		RUN_UNTIL(fixture->side->loop, fixture->side->closes == 1);
		assert_string_equal(fixture->side->reason, "TLS: not the beginning of a handshake");
	}
}

static void test_connection_tls__a_page_that_is_gone_ends_one_connection(void **state)
{
	struct fixture *fixture = *state;
	struct side *side = fixture->side;
	int file = memfd_create("cut", 0);
	secure(fixture, NULL);
	assert_int_equal(ftruncate(file, 8192), 0);
	void *pages = mmap(NULL, 8192, PROT_READ, MAP_SHARED, file, 0);
	assert_true(pages != MAP_FAILED);
	assert_int_equal(ftruncate(file, 4096), 0);
	connection_write_reference(side->connection, pages, 8192, release, side);
	flush(side);
	RUN_UNTIL(side->loop, side->closes == 1);
	assert_string_equal(side->reason, "Bad address");
	assert_int_equal(side->releases, 1);
	munmap(pages, 8192);
	close(file);
}

static void test_connection_tls__takes_what_lies_in_a_file_from_memory(void **state)
{
	struct fixture *fixture = *state;
	struct side *side = fixture->side;
	const struct output_file file = {.fd = memfd_create("empty", 0)};
	static char bytes[26 * 1000];
	for (size_t i = 0; i < sizeof(bytes); i++) {
		bytes[i] = (char)('a' + i % 26);
	}
	secure(fixture, NULL);
	connection_write_file(side->connection, bytes, sizeof(bytes), &file, release, side);
	flush(side);
	RUN_UNTIL(side->loop, read_some(fixture) == sizeof(bytes));
	assert_true(fixture->is_order_kept);
	assert_int_equal(side->releases, 1);
	close(file.fd);
}

static void test_connection_tls__says_goodbye_behind_the_last_byte(void **state)
{
	struct fixture *fixture = *state;
	struct side *side = fixture->side;
	secure(fixture, NULL);
	set_small_buffers(side);
	write_filled(side, 26 * 10000);
	connection_free_after_flush(&side->connection, 5000000);
	RUN_UNTIL(side->loop, read_some(fixture) == 26 * 10000 &&
				      (SSL_get_shutdown(fixture->client) & SSL_RECEIVED_SHUTDOWN));
	assert_true(fixture->is_order_kept);
}

static void test_connection_tls__is_told_that_the_peer_has_gone(void **state)
{
	struct fixture *fixture = *state;
	struct side *side = fixture->side;
	secure(fixture, NULL);
	shutdown(side->peer, SHUT_WR);
	RUN_UNTIL(side->loop, side->closes == 1);
	assert_string_equal(side->reason, "closed by the peer");
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_connection_tls__##name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		/* First: cmocka sets its own handler of SIGBUS before each test. */
		TEST(a_page_that_is_gone_ends_one_connection),
		TEST(bytes_go_both_ways),
		TEST(handshake_may_have_begun),
		TEST(counts_what_the_kernel_took_and_gave),
		TEST(many_small_records_come_in_one_read),
		TEST(keys_are_updated_under_way),
		TEST(is_never_resumed_or_renegotiated),
		TEST(knows_whom_the_certificate_names),
		TEST(lets_through_who_shows_none),
		TEST(refuses_an_expired_certificate),
		TEST(refuses_what_another_authority_issued),
		TEST(refuses_a_revoked_certificate),
		TEST(takes_one_that_was_not_revoked),
		TEST(answers_the_protocol_it_speaks),
		TEST(refuses_who_asks_for_another_protocol),
		TEST(allocates_nothing_on_a_strangers_word),
		TEST(takes_what_lies_in_a_file_from_memory),
		TEST(says_goodbye_behind_the_last_byte),
		TEST(is_told_that_the_peer_has_gone),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
