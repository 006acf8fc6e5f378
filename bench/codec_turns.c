/*
 * codec_turns: two processes a contender, one that encodes and one that decodes, of which one works
 * at a time. So the CPU time of each is its own, its memory too, and neighbours in the table had
 * the same weather.
 */
#include "codec_bench.h"

#include <assert.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define TURN_BYTES  ((size_t)4 << 20)
#define PIECES_MAX  (TURN_BYTES / 64)
#define WIRE_MAX    (TURN_BYTES * 2)
#define WAIT_AT_END SIZE_MAX

/* A turn on its way from one process to the other, and what they say at the end. */
struct lane {
	sem_t begin[2], done; /* encode, decode */
	size_t at, to;
	bool counts;
	size_t pieces;
	uint32_t raw_length[PIECES_MAX], wire_length[PIECES_MAX];
	struct outcome outcome;
	uint8_t wire[WIRE_MAX];
};

static double cpu_seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static double system_seconds(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return (double)usage.ru_stime.tv_sec + (double)usage.ru_stime.tv_usec / 1e6;
}

static uint64_t anonymous_bytes(void)
{
	FILE *file = fopen("/proc/self/smaps_rollup", "r");
	unsigned long long kilobytes = 0;
	char line[256];

	assert(file != NULL);
	while (fgets(line, sizeof(line), file) != NULL) {
		if (sscanf(line, "Anonymous: %llu kB", &kilobytes) == 1) {
			break;
		}
	}
	fclose(file);
	return kilobytes * 1024;
}

static void encode_turn(
	const struct contender *contender, void *encoder, struct lane *lane, double *cpu)
{
	size_t used = 0;

	lane->pieces = 0;
	for (size_t at = lane->at, length; at < lane->to; at += length) {
		const uint8_t *wire;
		size_t wire_length;
		double began = cpu_seconds();

		length = contender->encode(encoder, at, lane->to - at, &wire, &wire_length);
		*cpu += cpu_seconds() - began;
		assert(lane->pieces < PIECES_MAX && wire_length <= WIRE_MAX - used);
		memcpy(lane->wire + used, wire, wire_length);
		used += wire_length;
		lane->raw_length[lane->pieces] = (uint32_t)length;
		lane->wire_length[lane->pieces++] = (uint32_t)wire_length;
		if (!lane->counts) {
			continue;
		}
		lane->outcome.wire_bytes +=
			wire_length +
			(contender->overhead == NULL ? 0 : contender->overhead(wire_length));
		lane->outcome.pieces++;
		if (contender->add_kinds != NULL) {
			contender->add_kinds(encoder, &lane->outcome.kinds);
		}
	}
}

static void decode_turn(const struct contender *contender, const struct corpus *corpus,
	void *decoder, struct lane *lane, double *cpu)
{
	size_t at = lane->at, used = 0;

	for (size_t i = 0; i < lane->pieces; i++) {
		double began = cpu_seconds();
		const uint8_t *raw = contender->decode(
			decoder, at, lane->raw_length[i], lane->wire + used, lane->wire_length[i]);

		*cpu += cpu_seconds() - began;
		if (memcmp(raw, corpus->bytes + at, lane->raw_length[i]) != 0) {
			fprintf(stderr, "%s: other bytes come out at %zu\n", contender->name, at);
			exit(1);
		}
		at += lane->raw_length[i];
		used += lane->wire_length[i];
	}
	assert(at == lane->to);
}

/* One of the two processes; which: 0 encodes, 1 decodes. */
static void work(
	struct bench *bench, const struct contender *contender, struct lane *lane, int which)
{
	uint64_t before = anonymous_bytes();
	void *end = which == 0 ? contender->encoder_new(bench, contender)
			       : contender->decoder_new(bench, contender);
	double warm_cpu = 0, cpu = 0, system = 0;

	madvise((void *)(uintptr_t)bench->corpus.bytes, bench->corpus.length, MADV_POPULATE_READ);
	for (;;) {
		double began = system_seconds();
		double *into;

		while (sem_wait(&lane->begin[which]) != 0) {
		}
		if (lane->at == WAIT_AT_END) {
			break;
		}
		into = lane->counts ? &cpu : &warm_cpu;
		if (which == 0) {
			encode_turn(contender, end, lane, into);
		} else {
			decode_turn(contender, &bench->corpus, end, lane, into);
		}
		system += lane->counts ? system_seconds() - began : 0;
		sem_post(&lane->done);
	}
	*(which == 0 ? &lane->outcome.encode_cpu : &lane->outcome.decode_cpu) = cpu;
	*(which == 0 ? &lane->outcome.encode_system : &lane->outcome.decode_system) =
		system < cpu ? system : cpu;
	*(which == 0 ? &lane->outcome.encode_memory : &lane->outcome.decode_memory) =
		anonymous_bytes() - before;
	exit(0);
}

static void take_turn(struct lane *lane, size_t at, size_t to, bool counts)
{
	lane->at = at;
	lane->to = to;
	lane->counts = counts;
	for (int which = 0; which < 2; which++) {
		sem_post(&lane->begin[which]);
		while (sem_wait(&lane->done) != 0) {
		}
	}
}

/* A process that ends early takes the whole bench with it. */
static void on_child(int signal_number)
{
	static const char message[] = "a contender failed\n";
	int status;

	(void)signal_number;
	while (waitpid(-1, &status, WNOHANG) > 0) {
		if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
			ssize_t ignored = write(STDERR_FILENO, message, sizeof(message) - 1);

			(void)ignored;
			_exit(1);
		}
	}
}

static struct lane *open_lane(struct bench *bench, const struct contender *contender)
{
	struct lane *lane = mmap(
		NULL, sizeof(*lane), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	assert(lane != MAP_FAILED);
	for (int which = 0; which < 2; which++) {
		assert(sem_init(&lane->begin[which], 1, 0) == 0);
	}
	assert(sem_init(&lane->done, 1, 0) == 0);
	for (int which = 0; which < 2; which++) {
		pid_t child = fork();

		assert(child >= 0);
		if (child == 0) {
			signal(SIGCHLD, SIG_DFL);
			work(bench, contender, lane, which);
		}
	}
	return lane;
}

static void close_lane(struct lane *lane, struct outcome *outcome_out)
{
	lane->at = WAIT_AT_END;
	sem_post(&lane->begin[0]);
	sem_post(&lane->begin[1]);
	*outcome_out = lane->outcome;
}

void run_in_turns(struct bench *bench, const struct contender *const *contenders, size_t count,
	size_t warm, struct outcome *outcomes_out)
{
	struct lane *lanes[8];
	size_t turn = 0;

	assert(count <= sizeof(lanes) / sizeof(lanes[0]) && warm % LINK_FRAME_BYTES == 0);
	fflush(stdout);
	signal(SIGCHLD, on_child);
	for (size_t i = 0; i < count; i++) {
		lanes[i] = open_lane(bench, contenders[i]);
	}
	for (size_t at = 0, to; at < bench->corpus.length; at = to, turn++) {
		to = at + TURN_BYTES < bench->corpus.length ? at + TURN_BYTES
							    : bench->corpus.length;
		to = at < warm && to > warm ? warm : to;
		for (size_t i = 0; i < count; i++) {
			take_turn(lanes[(i + turn) % count], at, to, at >= warm);
		}
	}
	signal(SIGCHLD, SIG_DFL);
	for (size_t i = 0; i < count; i++) {
		close_lane(lanes[i], &outcomes_out[i]);
	}
	while (wait(NULL) > 0) {
	}
	for (size_t i = 0; i < count; i++) {
		outcomes_out[i] = lanes[i]->outcome;
		munmap(lanes[i], sizeof(*lanes[i]));
	}
}
