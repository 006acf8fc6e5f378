/*
 * A certificate as a client shows it: the names it is taken for have no zero byte and no nothing.
 */
#include "fuzz.h"

#include "net/tls_facts.h"

#include <assert.h>
#include <openssl/err.h>
#include <openssl/x509.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
	struct tls_names names;
	const unsigned char *at = bytes;
	X509 *certificate = d2i_X509(NULL, &at, (long)length);
	if (certificate != NULL) {
		tls_names_read(&names, certificate);
		for (size_t i = 0; i < names.count; i++) {
			assert(names.texts[i][0] != '\0');
		}
		tls_names_release(&names);
	}
	X509_free(certificate);
	ERR_clear_error();
	return 0;
}
