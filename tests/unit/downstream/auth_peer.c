#include "auth_peer.h"

#include "downstream/hba.h"
#include "downstream/user_list.h"

/* clang-format off */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
/* clang-format on */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

const uint8_t auth_peer_certificate[32] = {0xca, 0xfe};

static void on_problem(void *context, const char *file, unsigned line, const char *message)
{
	(void)context;
	fail_msg("%s:%u: %s", file, line, message);
}

void auth_peer_init(struct auth_peer *peer, const char *rules, const char *users)
{
	static const uint8_t mock_key[32] = {42};
	struct hba *hba = hba_parse("relay_hba.conf", rules, strlen(rules), on_problem, NULL);
	struct user_list *list = NULL;

	if (users != NULL) {
		list = user_list_parse("users.txt", users, strlen(users), on_problem, NULL);
	}
	*peer = (struct auth_peer){.auth = client_auth_new(hba, list, mock_key)};
	peer->request = (struct client_auth_request){
		.user = "rep", .is_replication = true, .peer = &peer->address};
	auth_peer_set_address(peer, "10.0.0.1");
	wire_writer_init(&peer->out);
	hba_unref(&hba);
	user_list_unref(&list);
}

void auth_peer_release(struct auth_peer *peer)
{
	client_auth_free(&peer->auth);
	assert_null(peer->auth);
	client_auth_free(&peer->auth);
	wire_writer_release(&peer->out);
}

void auth_peer_set_address(struct auth_peer *peer, const char *text)
{
	struct sockaddr_in *in = (struct sockaddr_in *)&peer->address;
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&peer->address;

	memset(&peer->address, 0, sizeof(peer->address));
	if (inet_pton(AF_INET, text, &in->sin_addr) == 1) {
		in->sin_family = AF_INET;
	} else {
		assert_int_equal(inet_pton(AF_INET6, text, &in6->sin6_addr), 1);
		in6->sin6_family = AF_INET6;
	}
}

void auth_peer_set_tls(struct auth_peer *peer, const char *name)
{
	peer->request.is_tls = true;
	snprintf(peer->name, sizeof(peer->name), "%s", name != NULL ? name : "");
	peer->texts[0] = "someone else";
	peer->texts[1] = peer->name;
	peer->certificate = (struct tls_names){.texts = peer->texts, .count = 2};
	peer->request.certificate = name != NULL ? &peer->certificate : NULL;
	peer->request.channel_binding = auth_peer_certificate;
	peer->request.channel_binding_length = sizeof(auth_peer_certificate);
}

enum client_auth_step auth_peer_begin(struct auth_peer *peer)
{
	return client_auth_begin(peer->auth, &peer->request, &peer->out, &peer->err);
}

enum client_auth_step auth_peer_send(struct auth_peer *peer, const void *body, size_t length)
{
	wire_writer_reset(&peer->out);
	return client_auth_message(peer->auth, body, length, &peer->out, &peer->err);
}

enum client_auth_step auth_peer_choose(
	struct auth_peer *peer, const char *mechanism, const char *data)
{
	enum client_auth_step step;
	struct wire_writer body;

	wire_writer_init(&body);
	wire_write_string(&body, mechanism);
	wire_write_u32(&body, data != NULL ? (uint32_t)strlen(data) : UINT32_MAX);
	if (data != NULL) {
		wire_write_bytes(&body, data, strlen(data));
	}
	step = auth_peer_send(peer, body.bytes, body.length);
	wire_writer_release(&body);
	return step;
}

enum client_auth_step auth_peer_log_in(
	struct auth_peer *peer, const char *mechanism, struct scram_client *client)
{
	char text[SCRAM_CLIENT_TEXT_SIZE];
	enum client_auth_step step;
	const char *answer;
	size_t length;

	scram_client_first(client, text);
	step = auth_peer_choose(peer, mechanism, text);
	if (step != CLIENT_AUTH_CONTINUE) {
		return step;
	}
	answer = auth_peer_received(peer, 11, &length);
	assert_true(scram_client_final(client, answer, length, text));
	step = auth_peer_send(peer, text, strlen(text));
	if (step == CLIENT_AUTH_OK) {
		struct wire_reader reader;

		/* AuthenticationSASLFinal, then AuthenticationOk */
		wire_reader_init(&reader, peer->out.bytes, peer->out.length);
		assert_int_equal(wire_read_u8(&reader), 'R');
		length = wire_read_u32(&reader) - 8;
		assert_int_equal(wire_read_u32(&reader), 12);
		assert_true(scram_client_verify(
			client, (const char *)wire_read_bytes(&reader, length), length));
		assert_memory_equal(wire_read_bytes(&reader, 9), "R\0\0\0\x08\0\0\0\0", 9);
		assert_true(wire_reader_is_done(&reader));
	}
	return step;
}

const char *auth_peer_received(const struct auth_peer *peer, uint32_t code, size_t *length_out)
{
	const struct wire_writer *out = &peer->out;

	assert_true(out->length >= 9);
	assert_int_equal(out->bytes[0], 'R');
	assert_int_equal(wire_get_u32(out->bytes + 1), out->length - 1);
	assert_int_equal(wire_get_u32(out->bytes + 5), code);
	*length_out = out->length - 9;
	return (const char *)out->bytes + 9;
}
