/*
 * fuzz: what every fuzz target defines and what runs it: libFuzzer, or replay.c over the seeds.
 */
#ifndef TESTS_FUZZ_H
#define TESTS_FUZZ_H

#include <stddef.h>
#include <stdint.h>

/* Always 0; an assertion or a sanitizer tells what is wrong. */
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);

#endif
