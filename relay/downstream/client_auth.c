/*
 * The rule is looked up at the beginning and its method carried out from there. A user who does not
 * exist gets a verifier like other users' (the same number of iterations, the same length of salt),
 * always the same for the same name, and fails at the end with everybody whose password is wrong.
 */
#include "downstream/client_auth.h"

#include "base/memory.h"
#include "downstream/hba.h"
#include "downstream/hba_address.h"
#include "downstream/user_list.h"
#include "net/tls_facts.h"
#include "protocol/base64.h"
#include "protocol/pg_message.h"
#include "protocol/scram.h"

#include <arpa/inet.h>
#include <assert.h>
#include <netdb.h>
#include <openssl/crypto.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum auth_state {
	AUTH_BEGIN,
	AUTH_MECHANISM,    /* offered mechanisms, the client is to choose one */
	AUTH_CLIENT_FIRST, /* it chose without sending its first data */
	AUTH_CLIENT_FINAL,
	AUTH_DONE,
};

struct client_auth {
	struct hba *hba;
	struct user_list *users;
	uint8_t mock_key[32];

	enum auth_state state;
	const struct hba_rule *rule; /* of hba; NULL: none matched */
	char user[PG_NAME_BYTES_MAX + 1];
	bool certificate_is_users;
	uint8_t channel_binding[SCRAM_BINDING_BYTES_MAX];
	size_t channel_binding_length; /* 0: SCRAM-SHA-256-PLUS is not offered */
	struct scram *scram;
	char log_detail[256];
};

struct client_auth *client_auth_new(
	struct hba *hba, struct user_list *users, const uint8_t mock_key[32])
{
	struct client_auth *auth = memory_new(sizeof(*auth));

	auth->hba = hba_ref(hba);
	auth->users = users != NULL ? user_list_ref(users) : NULL;
	memcpy(auth->mock_key, mock_key, sizeof(auth->mock_key));
	return auth;
}

void client_auth_free(struct client_auth **auth)
{
	if (*auth != NULL) {
		scram_free(&(*auth)->scram);
		user_list_unref(&(*auth)->users);
		hba_unref(&(*auth)->hba);
		OPENSSL_cleanse(*auth, sizeof(**auth));
		free(*auth);
		*auth = NULL;
	}
}

const char *client_auth_log_detail(const struct client_auth *auth)
{
	return auth->log_detail;
}

/* --- refusing -------------------------------------------------------------------------------- */

/* The message is in err. */
static enum client_auth_step refuse(
	struct client_auth *auth, const char *sqlstate, struct error *err)
{
	auth->state = AUTH_DONE;
	error_sqlstate(err, sqlstate);
	return CLIENT_AUTH_REFUSED;
}

static enum client_auth_step refuse_protocol(
	struct client_auth *auth, const char *message, struct error *err)
{
	error_set(err, ERROR_INVALID, "%s", message);
	return refuse(auth, "08P01", err);
}

/* Wrong passwords, missing users, certificates of somebody else: one message by method. */
static enum client_auth_step refuse_credentials(struct client_auth *auth, struct error *err)
{
	static const struct {
		const char *name;
		const char *sqlstate;
	} methods[] = {
		[HBA_TRUST] = {"\"trust\"", "28000"},
		[HBA_SCRAM_SHA_256] = {"password", "28P01"},
		[HBA_CERT] = {"certificate", "28000"},
	};
	enum hba_method method = hba_rule_method(auth->rule);

	assert(method != HBA_REJECT);
	error_set(err, ERROR_DENIED, "%s authentication failed for user \"%s\"",
		methods[method].name, auth->user);
	return refuse(auth, methods[method].sqlstate, err);
}

static void peer_name(const struct client_auth_request *request, char *out, size_t out_size)
{
	struct hba_address address = hba_address_of((const struct sockaddr *)request->peer);

	if (request->is_local) {
		snprintf(out, out_size, "[local]");
	} else if (address.family == AF_INET) {
		inet_ntop(AF_INET, address.bytes, out, (socklen_t)out_size);
	} else if (address.family != AF_INET6 ||
		   getnameinfo((const struct sockaddr *)request->peer, sizeof(struct sockaddr_in6),
			   out, (socklen_t)out_size, NULL, 0, NI_NUMERICHOST) != 0) {
		snprintf(out, out_size, "???"); /* as PostgreSQL shows what it cannot tell */
	}
}

/* No rule matches, or one that rejects. */
static enum client_auth_step refuse_connection(
	struct client_auth *auth, const struct client_auth_request *request, struct error *err)
{
	const char *encryption = request->is_tls ? "SSL encryption" : "no encryption";
	char host[NI_MAXHOST];

	peer_name(request, host, sizeof(host));
	if (request->is_replication) {
		error_set(err, ERROR_DENIED,
			auth->rule == NULL ? "no pg_hba.conf entry for replication connection from "
					     "host \"%s\", user \"%s\", %s"
					   : "pg_hba.conf rejects replication connection for host "
					     "\"%s\", user \"%s\", %s",
			host, request->user, encryption);
	} else {
		error_set(err, ERROR_DENIED,
			auth->rule == NULL ? "no pg_hba.conf entry for host \"%s\", user \"%s\", "
					     "database \"%s\", %s"
					   : "pg_hba.conf rejects connection for host \"%s\", user "
					     "\"%s\", database \"%s\", %s",
			host, request->user, request->database, encryption);
	}
	return refuse(auth, "28000", err);
}

/* --- accepting ------------------------------------------------------------------------------- */

/* The certificate is looked at last, as in PostgreSQL, so that its owner says nothing about who
 * knows a password. */
static bool certificate_suffices(const struct client_auth *auth)
{
	return hba_rule_client_cert(auth->rule) != HBA_CLIENT_CERT_VERIFY_FULL ||
	       auth->certificate_is_users;
}

static enum client_auth_step accept_client(
	struct client_auth *auth, struct wire_writer *out, struct error *err)
{
	if (!certificate_suffices(auth)) {
		return refuse_credentials(auth, err);
	}
	auth->state = AUTH_DONE;
	pg_write_authentication_ok(out);
	return CLIENT_AUTH_OK;
}

static enum client_auth_step offer_mechanisms(struct client_auth *auth, struct wire_writer *out)
{
	static const char *const mechanisms[] = {SCRAM_SHA_256_PLUS, SCRAM_SHA_256, NULL};

	pg_write_authentication_sasl(
		out, auth->channel_binding_length > 0 ? mechanisms : mechanisms + 1);
	auth->state = AUTH_MECHANISM;
	return CLIENT_AUTH_CONTINUE;
}

static void remember_request(struct client_auth *auth, const struct client_auth_request *request)
{
	snprintf(auth->user, sizeof(auth->user), "%s", request->user);
	for (size_t i = 0; request->certificate != NULL && i < request->certificate->count; i++) {
		if (strcmp(request->certificate->texts[i], request->user) == 0) {
			auth->certificate_is_users = true;
		}
	}
	if (request->is_tls && request->channel_binding != NULL) {
		assert(request->channel_binding_length <= sizeof(auth->channel_binding));
		auth->channel_binding_length = request->channel_binding_length;
		memcpy(auth->channel_binding, request->channel_binding,
			request->channel_binding_length);
	}
}

enum client_auth_step client_auth_begin(struct client_auth *auth,
	const struct client_auth_request *request, struct wire_writer *out, struct error *err)
{
	const struct hba_connection connection = {
		.user = request->user,
		.database = request->database,
		.is_replication = request->is_replication,
		.is_local = request->is_local,
		.is_tls = request->is_tls,
		.peer = request->peer,
	};

	assert(auth->state == AUTH_BEGIN);
	assert(request->is_replication || request->database != NULL);
	remember_request(auth, request);
	auth->rule = hba_find(auth->hba, &connection);
	if (auth->rule == NULL) {
		return refuse_connection(auth, request, err);
	}
	snprintf(auth->log_detail, sizeof(auth->log_detail), "connection matched %s line %u",
		hba_file(auth->hba), hba_rule_line(auth->rule));
	if (hba_rule_client_cert(auth->rule) != HBA_CLIENT_CERT_OFF &&
		request->certificate == NULL) {
		error_set(err, ERROR_DENIED, "connection requires a valid client certificate");
		return refuse(auth, "28000", err);
	}
	switch (hba_rule_method(auth->rule)) {
	case HBA_REJECT: return refuse_connection(auth, request, err);
	case HBA_SCRAM_SHA_256: return offer_mechanisms(auth, out);
	case HBA_TRUST:
	case HBA_CERT: break;
	}
	return accept_client(auth, out, err);
}

/* --- SCRAM ----------------------------------------------------------------------------------- */

/* For a user who exists the mock is made too: the work is the same. */
static bool find_verifier(const struct client_auth *auth, struct scram_verifier *verifier_out)
{
	size_t count = auth->users != NULL ? user_list_count(auth->users) : 0;
	const struct scram_verifier *found, *like;
	uint32_t pick;

	scram_verifier_mock(auth->mock_key, auth->user, verifier_out);
	if (count == 0) {
		return false;
	}
	memcpy(&pick, verifier_out->stored_key, sizeof(pick));
	like = user_list_at(auth->users, pick % count);
	verifier_out->iterations = like->iterations;
	verifier_out->salt_length = like->salt_length;
	found = user_list_find(auth->users, auth->user);
	if (found != NULL) {
		*verifier_out = *found;
	}
	return found != NULL;
}

static bool start_scram(struct client_auth *auth, bool is_plus, struct error *err)
{
	uint8_t random[SCRAM_NONCE_BYTES];
	char nonce[BASE64_SIZE(sizeof(random))];
	struct scram_verifier verifier;
	struct scram_options options = {.verifier = &verifier, .is_plus = is_plus, .nonce = nonce};

	if (RAND_bytes(random, sizeof(random)) != 1) {
		return error_set(err, ERROR_SYSTEM, "could not generate random nonce");
	}
	base64_encode(random, sizeof(random), nonce);
	if (auth->channel_binding_length > 0) {
		options.channel_binding = auth->channel_binding;
		options.channel_binding_length = auth->channel_binding_length;
	}
	options.is_mock = !find_verifier(auth, &verifier);
	if (options.is_mock) {
		snprintf(auth->log_detail, sizeof(auth->log_detail),
			"user \"%s\" does not exist; connection matched %s line %u", auth->user,
			hba_file(auth->hba), hba_rule_line(auth->rule));
	}
	auth->scram = scram_new(&options);
	OPENSSL_cleanse(&verifier, sizeof(verifier));
	return auth->scram != NULL || error_set(err, ERROR_FULL, "out of memory");
}

static enum client_auth_step refuse_malformed(
	struct client_auth *auth, const struct scram_failure *failure, struct error *err)
{
	error_set(err, ERROR_INVALID, "%s", failure->message);
	if (failure->detail[0] != '\0') {
		error_detail(err, "%s", failure->detail);
	}
	return refuse(auth, failure->sqlstate, err);
}

static enum client_auth_step read_client_first(struct client_auth *auth, const uint8_t *data,
	size_t length, struct wire_writer *out, struct error *err)
{
	struct scram_failure failure;
	const char *answer;

	if (!scram_read_client_first(auth->scram, data, length, &failure)) {
		return refuse_malformed(auth, &failure, err);
	}
	answer = scram_server_first(auth->scram, &length);
	pg_write_authentication_sasl_continue(out, answer, length);
	auth->state = AUTH_CLIENT_FINAL;
	return CLIENT_AUTH_CONTINUE;
}

static enum client_auth_step read_client_final(struct client_auth *auth, const uint8_t *data,
	size_t length, struct wire_writer *out, struct error *err)
{
	struct scram_failure failure;
	const char *answer;

	switch (scram_read_client_final(auth->scram, data, length, &failure)) {
	case SCRAM_MALFORMED: return refuse_malformed(auth, &failure, err);
	case SCRAM_REJECTED: return refuse_credentials(auth, err);
	case SCRAM_ACCEPTED: break;
	}
	answer = scram_server_final(auth->scram, &length);
	pg_write_authentication_sasl_final(out, answer, length);
	return accept_client(auth, out, err);
}

static enum client_auth_step read_mechanism(struct client_auth *auth, const uint8_t *body,
	size_t length, struct wire_writer *out, struct error *err)
{
	const uint8_t *data;
	const char *mechanism, *reason;
	bool is_plus;

	if (!sasl_initial_decode(body, length, &mechanism, &data, &length, &reason)) {
		return refuse_protocol(auth, reason, err);
	}
	is_plus = strcmp(mechanism, SCRAM_SHA_256_PLUS) == 0 && auth->channel_binding_length > 0;
	if (!is_plus && strcmp(mechanism, SCRAM_SHA_256) != 0) {
		return refuse_protocol(
			auth, "client selected an invalid SASL authentication mechanism", err);
	}
	if (!start_scram(auth, is_plus, err)) {
		return refuse(auth, "XX000", err);
	}
	if (data == NULL) {
		pg_write_authentication_sasl_continue(out, "", 0);
		auth->state = AUTH_CLIENT_FIRST;
		return CLIENT_AUTH_CONTINUE;
	}
	return read_client_first(auth, data, length, out, err);
}

enum client_auth_step client_auth_message(struct client_auth *auth, const uint8_t *body,
	size_t length, struct wire_writer *out, struct error *err)
{
	assert(auth->state != AUTH_BEGIN && auth->state != AUTH_DONE);
	if (length > SCRAM_MESSAGE_BYTES_MAX) {
		return refuse_credentials(auth, err); /* as PostgreSQL does */
	}
	if (auth->state == AUTH_MECHANISM) {
		return read_mechanism(auth, body, length, out, err);
	}
	if (auth->state == AUTH_CLIENT_FIRST) {
		return read_client_first(auth, body, length, out, err);
	}
	return read_client_final(auth, body, length, out, err);
}
