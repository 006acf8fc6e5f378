/*
 * human: figures for people to read: three digits and a unit.
 */
#ifndef BASE_HUMAN_H
#define BASE_HUMAN_H

#include <stdint.h>

#define HUMAN_SIZE 32

/* "0 B", "999 B", "1.50 kB", "12.3 GB": powers of 1024. Each returns text_out. */
char *human_bytes(uint64_t bytes, char text_out[HUMAN_SIZE]);
/* "20.0 Mbit/s": powers of 1000. */
char *human_rate(uint64_t bytes_per_second, char text_out[HUMAN_SIZE]);
/* "0.02 s", "12 s", "3 min", "2 h 10 min", "3 d". */
char *human_duration(double seconds, char text_out[HUMAN_SIZE]);

#endif
