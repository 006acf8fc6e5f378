/*
 * alerting_secrets: one line a file, closed to others; what it says is never repeated.
 */
#include "app/alerting.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/memory.h"

#define SECRET_BYTES_MAX 4096

/* malloc'ed; NULL: err says why. */
static char *read_secret(FILE *file, struct error *err)
{
	char line[SECRET_BYTES_MAX + 2];
	size_t length = fread(line, 1, sizeof(line) - 1, file);
	if (ferror(file) != 0) {
		error_set_errno(err, "could not read it");
		return NULL;
	}
	line[length] = '\0';
	if (length > 0 && line[length - 1] == '\n') {
		line[--length] = '\0';
	}
	if (length > 0 && line[length - 1] == '\r') {
		line[--length] = '\0';
	}
	bool is_one_line = strlen(line) == length && strpbrk(line, "\r\n\t") == NULL;
	if (length == 0 || length > SECRET_BYTES_MAX || !is_one_line) {
		memory_wipe(line, sizeof(line));
		error_set(err, ERROR_INVALID, "expected one line of text, and nothing else");
		return NULL;
	}
	char *secret = memory_copy_text(line);
	memory_wipe(line, sizeof(line));
	return secret;
}

/* "" where the configuration names no file. */
static char *load_secret(const char *path, struct error *err)
{
	struct stat status;
	if (path[0] == '\0') {
		return memory_copy_text("");
	}
	FILE *file = fopen(path, "re");
	if (file == NULL || fstat(fileno(file), &status) != 0) {
		error_set_errno(err, "could not open it");
		if (file != NULL) {
			fclose(file);
		}
		return NULL;
	}
	char *secret = NULL;
	/* No copy stays in a buffer. */
	setvbuf(file, NULL, _IONBF, 0);
	if (!S_ISREG(status.st_mode)) {
		error_set(err, ERROR_INVALID, "it is not a file");
	} else if ((status.st_mode & 077) != 0) {
		error_set(err, ERROR_DENIED,
			"it has mode %04o and must be closed to others (chmod 0600)",
			status.st_mode & 07777);
	} else {
		secret = read_secret(file, err);
	}
	fclose(file);
	return secret;
}

static char *load(const struct config *config, const char *key, const char *path,
	struct config_report *report)
{
	struct error err = {0};
	char *secret = load_secret(path, &err);
	if (secret == NULL) {
		config_report_error(report, config->file, config_line(config, "alerts", key),
			"\"%s\" (\"%s\"): %s", path, key, err.message);
	}
	return secret;
}

bool alerting_load(const struct config *config, struct config_report *report,
	struct alerting_secrets *secrets_out)
{
	struct alerting_secrets secrets = {
		.smtp_password = load(
			config, "smtp_password_file", config->alerts.smtp_password_file, report),
		.webhook_token = load(
			config, "webhook_token_file", config->alerts.webhook_token_file, report),
	};
	if (secrets.smtp_password == NULL || secrets.webhook_token == NULL) {
		alerting_secrets_release(&secrets);
		return false;
	}
	*secrets_out = secrets;
	return true;
}

void alerting_secrets_release(struct alerting_secrets *secrets)
{
	memory_wipe_text(&secrets->smtp_password);
	memory_wipe_text(&secrets->webhook_token);
}
