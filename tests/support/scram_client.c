#include "support/scram_client.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void sign(const uint8_t key[32], const char *text, uint8_t out[32])
{
	HMAC(EVP_sha256(), key, 32, (const uint8_t *)text, strlen(text), out, NULL);
}

void scram_client_first(struct scram_client *client, char text_out[SCRAM_CLIENT_TEXT_SIZE])
{
	snprintf(client->first_bare, sizeof(client->first_bare), "n=%s,r=%s",
		client->user != NULL ? client->user : "", client->nonce);
	snprintf(text_out, SCRAM_CLIENT_TEXT_SIZE, "%s%s", client->gs2_header, client->first_bare);
}

/* "r=NONCE,s=SALT,i=ITERATIONS" into its parts. */
static bool read_server_first(const struct scram_client *client, const char *text,
	char nonce_out[1200], uint8_t salt_out[96], int *salt_length_out, int *iterations_out)
{
	char salt[129];
	size_t length;

	if (sscanf(text, "r=%1199[^,],s=%128[^,],i=%d", nonce_out, salt, iterations_out) != 3 ||
		strncmp(nonce_out, client->nonce, strlen(client->nonce)) != 0) {
		return false;
	}
	length = strlen(salt);
	*salt_length_out = EVP_DecodeBlock(salt_out, (const uint8_t *)salt, (int)length);
	*salt_length_out -= (salt[length - 1] == '=') + (salt[length - 2] == '=');
	return true;
}

static void make_proof(struct scram_client *client, const uint8_t *salt, int salt_length,
	int iterations, const char *auth_message, uint8_t proof_out[32])
{
	uint8_t salted[32], client_key[32], stored_key[32], server_key[32], signature[32];

	PKCS5_PBKDF2_HMAC(
		client->password, -1, salt, salt_length, iterations, EVP_sha256(), 32, salted);
	sign(salted, "Client Key", client_key);
	SHA256(client_key, 32, stored_key);
	sign(stored_key, auth_message, signature);
	for (int i = 0; i < 32; i++) {
		proof_out[i] = client_key[i] ^ signature[i];
	}
	sign(salted, "Server Key", server_key);
	sign(server_key, auth_message, client->server_signature);
}

bool scram_client_final(struct scram_client *client, const char *server_first, size_t length,
	char text_out[SCRAM_CLIENT_TEXT_SIZE])
{
	char first[SCRAM_CLIENT_TEXT_SIZE], nonce[1200], auth[3 * SCRAM_CLIENT_TEXT_SIZE];
	char binding_base64[256], without_proof[SCRAM_CLIENT_TEXT_SIZE], proof_base64[64];
	uint8_t binding[128], salt[96], proof[32];
	size_t header = strlen(client->gs2_header);
	int salt_length, iterations;

	snprintf(first, sizeof(first), "%.*s", (int)length, server_first);
	if (!read_server_first(client, first, nonce, salt, &salt_length, &iterations)) {
		return false;
	}
	memcpy(binding, client->gs2_header, header);
	if (client->binding_length > 0) {
		memcpy(binding + header, client->binding, client->binding_length);
	}
	EVP_EncodeBlock((uint8_t *)binding_base64, binding, (int)(header + client->binding_length));
	snprintf(without_proof, sizeof(without_proof), "c=%s,r=%s", binding_base64, nonce);
	snprintf(auth, sizeof(auth), "%s,%s,%s", client->first_bare, first, without_proof);
	make_proof(client, salt, salt_length, iterations, auth, proof);
	EVP_EncodeBlock((uint8_t *)proof_base64, proof, 32);
	snprintf(text_out, SCRAM_CLIENT_TEXT_SIZE, "%.1500s,p=%s", without_proof, proof_base64);
	return true;
}

bool scram_client_verify(const struct scram_client *client, const char *server_final, size_t length)
{
	char expected[64];

	memcpy(expected, "v=", 2);
	EVP_EncodeBlock((uint8_t *)expected + 2, client->server_signature, 32);
	return length == strlen(expected) && memcmp(server_final, expected, length) == 0;
}
