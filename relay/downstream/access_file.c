/*
 * The checks are made on the open descriptor, so the file checked is the file read. A FIFO or a
 * device cannot make the caller wait: it is refused before anything is read.
 */
#include "downstream/access_file.h"

#include "base/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <openssl/crypto.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static bool check_kind(const struct stat *status, bool is_secret, struct error *err)
{
	if (!S_ISREG(status->st_mode)) {
		return error_set(err, ERROR_INVALID, "not a regular file");
	}
	if (is_secret && (status->st_mode & (S_IRWXG | S_IRWXO)) != 0) {
		return error_set(err, ERROR_DENIED,
			"group or others have access to this file (mode %04o); make it 0600",
			(unsigned)(status->st_mode & 07777));
	}
	if (status->st_size > (off_t)ACCESS_FILE_BYTES_MAX) {
		return error_set(err, ERROR_INVALID, "larger than %u bytes", ACCESS_FILE_BYTES_MAX);
	}
	return true;
}

/* Up to the end or `capacity` bytes, whichever comes first. */
static bool read_text(int fd, char *text, size_t capacity, size_t *length_out, struct error *err)
{
	size_t length = 0;

	while (length < capacity) {
		ssize_t got = read(fd, text + length, capacity - length);
		if (got == 0) {
			break;
		}
		if (got < 0 && errno != EINTR) {
			return error_set_errno(err, "could not read file");
		}
		length += got > 0 ? (size_t)got : 0;
	}
	*length_out = length;
	return true;
}

static bool read_open_file(
	int fd, bool is_secret, char **text_out, size_t *length_out, struct error *err)
{
	struct stat status;
	size_t capacity, length = 0;
	char *text;

	if (fstat(fd, &status) != 0) {
		return error_set_errno(err, "could not stat file");
	}
	if (!check_kind(&status, is_secret, err)) {
		return false;
	}
	capacity = (size_t)status.st_size;
	text = memory_new(capacity + 1);
	if (!read_text(fd, text, capacity, &length, err)) {
		access_file_release(&text, capacity);
		return false;
	}
	*text_out = text;
	*length_out = length;
	return true;
}

bool access_file_read(
	const char *path, bool is_secret, char **text_out, size_t *length_out, struct error *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	bool ok;

	if (fd < 0) {
		return error_set_errno(err, "could not open file");
	}
	ok = read_open_file(fd, is_secret, text_out, length_out, err);
	close(fd);
	return ok;
}

void access_file_release(char **text, size_t length)
{
	if (*text != NULL) {
		OPENSSL_cleanse(*text, length);
		free(*text);
		*text = NULL;
	}
}
