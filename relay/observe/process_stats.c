/*
 * process_stats: reads /proc/self; a figure that is not to be had stays -1.
 */
#include "observe/process_stats.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

/* Whole file as text; false when it cannot be read. Longer files are cut. */
static bool read_text(const char *path, char *text_out, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0) {
		return false;
	}
	ssize_t got = read(fd, text_out, size - 1);
	close(fd);
	text_out[got > 0 ? got : 0] = '\0';
	return got > 0;
}

/* Field by its number in proc(5), 3 and up; what stands before is a name that may hold anything. */
static long long stat_field(const char *after_name, int number)
{
	const char *at = after_name;
	for (int field = 3; field < number && at != NULL; field++) {
		at = strchr(at, ' ');
		at = at == NULL ? NULL : at + 1;
	}
	return at == NULL ? -1 : strtoll(at, NULL, 10);
}

static double boot_time_seconds(void)
{
	static const char label[] = "\nbtime ";
	char line[256];
	double seconds = -1;
	FILE *file = fopen("/proc/stat", "re");
	while (file != NULL && fgets(line, sizeof(line), file) != NULL) {
		if (strncmp(line, label + 1, sizeof(label) - 2) == 0) {
			seconds = strtod(line + sizeof(label) - 2, NULL);
		}
	}
	if (file != NULL) {
		fclose(file);
	}
	return seconds;
}

static void read_stat(struct process_stats *stats)
{
	char text[1024];
	long ticks = sysconf(_SC_CLK_TCK);
	if (!read_text("/proc/self/stat", text, sizeof(text)) || ticks <= 0) {
		return;
	}
	const char *name_end = strrchr(text, ')');
	if (name_end == NULL || name_end[1] != ' ') {
		return;
	}
	const char *fields = name_end + 2;
	stats->cpu_seconds =
		(double)(stat_field(fields, 14) + stat_field(fields, 15)) / (double)ticks;
	stats->threads = stat_field(fields, 20);
	stats->virtual_memory_bytes = stat_field(fields, 23);
	stats->resident_memory_bytes = stat_field(fields, 24) * sysconf(_SC_PAGESIZE);
	double boot_seconds = boot_time_seconds();
	if (boot_seconds >= 0) {
		stats->start_time_seconds =
			boot_seconds + (double)stat_field(fields, 22) / (double)ticks;
	}
}

static int64_t count_open_fds(void)
{
	DIR *folder = opendir("/proc/self/fd");
	if (folder == NULL) {
		return -1;
	}
	int64_t count = 0;
	for (struct dirent *entry = readdir(folder); entry != NULL; entry = readdir(folder)) {
		count += entry->d_name[0] != '.';
	}
	closedir(folder);
	return count - 1; /* the folder's own */
}

static int64_t limit_of(int resource)
{
	struct rlimit limit;
	if (getrlimit((__rlimit_resource_t)resource, &limit) != 0 ||
		limit.rlim_cur == RLIM_INFINITY) {
		return -1;
	}
	return (int64_t)limit.rlim_cur;
}

void process_stats_read(struct process_stats *stats_out)
{
	struct process_stats stats = {
		.cpu_seconds = -1,
		.start_time_seconds = -1,
		.virtual_memory_bytes = -1,
		.resident_memory_bytes = -1,
		.threads = -1,
	};
	read_stat(&stats);
	stats.open_fds = count_open_fds();
	stats.max_fds = limit_of(RLIMIT_NOFILE);
	stats.virtual_memory_max_bytes = limit_of(RLIMIT_AS);
	*stats_out = stats;
}
