/*
 * mock_key: what the verifiers of users who do not exist are made from (protocol/scram_verifier).
 *
 * As PostgreSQL's mock authentication nonce it is made once and kept, in the state database: those
 * who exist have the same salt after a restart, and so must the others.
 */
#ifndef DOWNSTREAM_MOCK_KEY_H
#define DOWNSTREAM_MOCK_KEY_H

#include "base/database.h"

#include <stdbool.h>
#include <stdint.h>

#define MOCK_KEY_BYTES 32

/* Blocks until it is stored. */
bool mock_key_load(
	struct database *database, uint8_t key_out[MOCK_KEY_BYTES], struct error *err) MUST_CHECK;

#endif
