/*
 * mock_key: the one row of the table mock_key, in hexadecimal digits.
 */
#include "downstream/mock_key.h"

#include "base/sql.h"

#include <openssl/crypto.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#define TEXT_SIZE (2 * MOCK_KEY_BYTES + 1)

static bool take_row(void *context, const char *const *columns, struct error *err)
{
	uint8_t *key = context;

	for (size_t i = 0; i < MOCK_KEY_BYTES; i++) {
		unsigned byte;

		if (strlen(columns[0]) != TEXT_SIZE - 1 ||
			sscanf(columns[0] + 2 * i, "%2x", &byte) != 1) {
			return error_set(err, ERROR_INVALID, "invalid key in table \"mock_key\"");
		}
		key[i] = (uint8_t)byte;
	}
	return true;
}

/* Where there is a key already, it stays. */
static bool load(struct sqlite3 *connection, void *context, struct error *err)
{
	const uint8_t *made = context;
	char text[TEXT_SIZE];
	const char *const parameters[] = {text};
	bool ok;

	for (size_t i = 0; i < MOCK_KEY_BYTES; i++) {
		snprintf(text + 2 * i, 3, "%02x", made[i]);
	}
	ok = database_execute(connection,
		     "CREATE TABLE IF NOT EXISTS mock_key ("
		     "id INTEGER NOT NULL PRIMARY KEY CHECK (id = 1), key TEXT NOT NULL)",
		     err) &&
	     sql_run(connection, "INSERT OR IGNORE INTO mock_key (id, key) VALUES (1, ?1)",
		     parameters, 1, NULL, NULL, err) &&
	     sql_run(connection, "SELECT key FROM mock_key", NULL, 0, take_row, context, err);
	OPENSSL_cleanse(text, sizeof(text));
	return ok;
}

bool mock_key_load(struct database *database, uint8_t key_out[MOCK_KEY_BYTES], struct error *err)
{
	uint8_t key[MOCK_KEY_BYTES];
	bool ok;

	if (getrandom(key, sizeof(key), 0) != (ssize_t)sizeof(key)) {
		return error_set_errno(err, "could not get random bytes");
	}
	ok = database_run(database, load, key, err);
	if (ok) {
		memcpy(key_out, key, sizeof(key));
	}
	OPENSSL_cleanse(key, sizeof(key));
	return ok;
}
