/*
 * pid_file: one process at a time, told apart by a lock on a file that holds its number.
 *
 * The lock is the kernel's (flock) and ends with the process, however it ends; a file left behind
 * means nothing. The file is never removed: whoever waits for its lock would lock a file without a
 * name.
 */
#ifndef BASE_PID_FILE_H
#define BASE_PID_FILE_H

#include "base/error.h"

#include <stdbool.h>

struct pid_file;

/* ERROR_CONFLICT when another process holds it; the message names that process. */
bool pid_file_acquire(const char *path, struct pid_file **file_out, struct error *err) MUST_CHECK;
/* Accepts NULL, sets NULL. */
void pid_file_release(struct pid_file **file);

#endif
