/*
 * Everything is copied out once, when hands have been shaken, so that nobody above knows OpenSSL.
 */
#include "net/tls_facts.h"

#include "base/memory.h"

#include <openssl/evp.h>
#include <openssl/objects.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* bytes: UTF-8, or ASCII as an IA5String is. */
static void add_name(struct tls_names *names, const unsigned char *bytes, int length)
{
	if (length <= 0 || memchr(bytes, '\0', (size_t)length) != NULL) {
		return;
	}
	names->texts = memory_grow(names->texts, names->count, sizeof(char *));
	names->texts[names->count++] = memory_copy_bytes((const char *)bytes, (size_t)length);
}

static void add_common_name(struct tls_names *names, const X509 *certificate)
{
	const X509_NAME *subject = X509_get_subject_name(certificate);
	int at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
	unsigned char *text = NULL;
	if (at < 0) {
		return;
	}
	const ASN1_STRING *value = X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at));
	int length = ASN1_STRING_to_UTF8(&text, value);
	add_name(names, text, length);
	OPENSSL_free(text);
}

static void add_alternative_names(struct tls_names *names, const X509 *certificate)
{
	GENERAL_NAMES *all = X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
	for (int i = 0; all != NULL && i < sk_GENERAL_NAME_num(all); i++) {
		int kind;
		const ASN1_STRING *value =
			GENERAL_NAME_get0_value(sk_GENERAL_NAME_value(all, i), &kind);
		if (kind == GEN_DNS || kind == GEN_EMAIL) {
			add_name(names, ASN1_STRING_get0_data(value), ASN1_STRING_length(value));
		}
	}
	GENERAL_NAMES_free(all);
}

void tls_names_read(struct tls_names *names_out, struct x509_st *certificate)
{
	*names_out = (struct tls_names){0};
	add_common_name(names_out, certificate);
	add_alternative_names(names_out, certificate);
}

void tls_names_release(struct tls_names *names)
{
	for (size_t i = 0; i < names->count; i++) {
		free(names->texts[i]);
	}
	free(names->texts);
	*names = (struct tls_names){0};
}

/* RFC 5929, section 4.1: the hash of the certificate's signature, SHA-256 for those too weak. */
static void read_binding(struct tls_facts *facts, const X509 *certificate)
{
	int digest = NID_undef;
	unsigned length = 0;
	if (!X509_get_signature_info((X509 *)certificate, &digest, NULL, NULL, NULL)) {
		return;
	}
	if (digest == NID_md5 || digest == NID_sha1) {
		digest = NID_sha256;
	}
	const EVP_MD *method = EVP_get_digestbynid(digest);
	if (method != NULL && X509_digest(certificate, method, facts->binding, &length) == 1) {
		facts->binding_length = length;
	}
}

void tls_facts_read(struct tls_facts *facts_out, struct ssl_st *ssl)
{
	const unsigned char *protocol;
	unsigned protocol_length;
	X509 *client = SSL_get0_peer_certificate(ssl);
	const X509 *own = SSL_get_certificate(ssl);
	*facts_out = (struct tls_facts){0};
	SSL_get0_alpn_selected(ssl, &protocol, &protocol_length);
	facts_out->has_protocol = protocol_length > 0;
	if (client != NULL && SSL_get_verify_result(ssl) == X509_V_OK) {
		facts_out->has_client_certificate = true;
		tls_names_read(&facts_out->names, client);
	}
	if (own != NULL) {
		read_binding(facts_out, own);
	}
	snprintf(facts_out->version, sizeof(facts_out->version), "%s", SSL_get_version(ssl));
	snprintf(facts_out->cipher, sizeof(facts_out->cipher), "%s", SSL_get_cipher_name(ssl));
}

void tls_facts_release(struct tls_facts *facts)
{
	tls_names_release(&facts->names);
}
