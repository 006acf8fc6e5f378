/*
 * page_cache: asks the kernel to forget a file, and whether it has.
 */
#include "support/page_cache.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

bool page_cache_drop(const char *path)
{
	unsigned char is_resident = 1;
	int fd = open(path, O_RDONLY);
	void *bytes;

	assert_true(fd >= 0);
	assert_int_equal(fsync(fd), 0);
	assert_int_equal(posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED), 0);
	bytes = mmap(NULL, 1, PROT_READ, MAP_SHARED, fd, 0);
	assert_true(bytes != MAP_FAILED);
	assert_int_equal(mincore(bytes, 1, &is_resident), 0);
	munmap(bytes, 1);
	close(fd);
	return (is_resident & 1) == 0;
}
