/*
 * replay: runs a fuzz target without libFuzzer over every file of a directory: whole, and every
 * prefix of its first 4 kB. Inputs stand in memory of exactly their size, so that a sanitizer sees
 * any read past the end.
 */
#include "fuzz.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PREFIX_BYTES_MAX 4096
#define INPUT_BYTES_MAX  (1u << 20)

static void feed(const uint8_t *bytes, size_t length)
{
	uint8_t *exact = malloc(length);
	if (length > 0) {
		memcpy(exact, bytes, length);
	}
	LLVMFuzzerTestOneInput(exact, length);
	free(exact);
}

static int replay_file(const char *path)
{
	static uint8_t bytes[INPUT_BYTES_MAX];
	FILE *file = fopen(path, "rb");
	if (!file) {
		fprintf(stderr, "could not open \"%s\": %s\n", path, strerror(errno));
		return 1;
	}
	size_t length = fread(bytes, 1, sizeof(bytes), file);
	fclose(file);
	for (size_t prefix = 0; prefix < length && prefix <= PREFIX_BYTES_MAX; prefix++) {
		feed(bytes, prefix);
	}
	feed(bytes, length);
	return 0;
}

int main(int argc, char **argv)
{
	DIR *directory = argc == 2 ? opendir(argv[1]) : NULL;
	if (!directory) {
		fprintf(stderr, "usage: %s DIRECTORY of seeds\n", argv[0]);
		return 2;
	}
	int status = 0;
	int count = 0;
	for (struct dirent *entry; (entry = readdir(directory));) {
		char path[PATH_MAX];
		if (entry->d_name[0] != '.') {
			snprintf(path, sizeof(path), "%s/%s", argv[1], entry->d_name);
			status |= replay_file(path);
			count++;
		}
	}
	closedir(directory);
	if (count == 0) {
		fprintf(stderr, "no seeds in \"%s\"\n", argv[1]);
		return 1;
	}
	return status;
}
