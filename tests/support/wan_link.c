/*
 * wan_link: a long, narrow, lossy path between two addresses of one network namespace.
 *
 * Everything happens on one TUN device of a /24: whoever stands at .1 (near) knows the other as .4,
 * whoever stands at .2 (far) knows the other as .3. What comes from .1 to .4 goes back to the
 * kernel as from .3 to .2, and the other way round, so that servers on the same machine talk over
 * the path without having a namespace each. The sums of the addresses are equal, and with them all
 * checksums.
 *
 * Each direction: random loss, then a drop-tail queue in front of the rate, then the delay. SIGUSR1
 * cuts the path, and the next one heals it; what is under way when it is cut is lost. Counters are
 * in a file of their own, 64-bit numbers in the order of struct counters.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#define PACKET_BYTES_MAX 1600
#define PACKETS_MAX      16384

/* bytes: of IP packets; payload_bytes: what TCP carries in them. */
struct direction_counters {
	uint64_t sent_packets, sent_bytes, sent_payload_bytes;
	uint64_t carried_packets, carried_bytes, carried_payload_bytes;
	uint64_t lost_packets, full_packets, cut_packets;
};

struct counters {
	uint64_t is_cut;
	struct direction_counters outward, homeward;
};

struct packet {
	int64_t due_ns;
	size_t length;
	uint8_t bytes[PACKET_BYTES_MAX];
};

struct direction {
	struct packet *packets;
	size_t first, count;
	int64_t busy_until_ns;
	struct direction_counters *counters;
};

struct link {
	int tun;
	int64_t delay_ns, rate_bits, queue_bytes;
	uint64_t random, loss_per_million;
	struct direction outward, homeward;
	struct counters *counters;
};

static volatile sig_atomic_t cuts, is_ended;

static void on_signal(int number)
{
	if (number == SIGUSR1) {
		cuts++;
	} else {
		is_ended = 1;
	}
}

static void fail(const char *what)
{
	fprintf(stderr, "wan_link: %s: %s\n", what, strerror(errno));
	exit(1);
}

static int64_t now_ns(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

/* xorshift64* */
static bool is_lost(struct link *link)
{
	link->random ^= link->random >> 12;
	link->random ^= link->random << 25;
	link->random ^= link->random >> 27;
	return (link->random * UINT64_C(0x2545F4914F6CDD1D) >> 32) % 1000000 <
	       link->loss_per_million;
}

static size_t payload_bytes(const uint8_t *packet, size_t length)
{
	size_t head = (packet[0] & 15) * 4u;
	if (packet[9] != IPPROTO_TCP || head + 20 > length) {
		return 0;
	}
	head += (packet[head + 12] >> 4) * 4u;
	return head < length ? length - head : 0;
}

/* Turns the addresses round; NULL: not a packet of this path. */
static struct direction *route(struct link *link, uint8_t *packet, size_t length)
{
	if (length < 20 || packet[0] >> 4 != 4) {
		return NULL;
	}
	uint8_t *from = packet + 15, *to = packet + 19;
	if (*from == 1 && *to == 4) {
		*from = 3;
		*to = 2;
		return &link->outward;
	}
	if (*from == 2 && *to == 3) {
		*from = 4;
		*to = 1;
		return &link->homeward;
	}
	return NULL;
}

static void accept_packet(struct link *link, const uint8_t *bytes, size_t length,
	struct direction *direction, int64_t now)
{
	struct direction_counters *counters = direction->counters;
	counters->sent_packets++;
	counters->sent_bytes += length;
	counters->sent_payload_bytes += payload_bytes(bytes, length);
	if (link->counters->is_cut) {
		counters->cut_packets++;
		return;
	}
	if (is_lost(link)) {
		counters->lost_packets++;
		return;
	}
	int64_t begin = direction->busy_until_ns > now ? direction->busy_until_ns : now;
	int64_t waiting_bytes = (begin - now) * (link->rate_bits / 8) / 1000000000;
	if (waiting_bytes > link->queue_bytes || direction->count == PACKETS_MAX) {
		counters->full_packets++;
		return;
	}
	direction->busy_until_ns = begin + (int64_t)length * 8000000000 / link->rate_bits;
	struct packet *packet =
		&direction->packets[(direction->first + direction->count++) % PACKETS_MAX];
	packet->due_ns = direction->busy_until_ns + link->delay_ns;
	packet->length = length;
	memcpy(packet->bytes, bytes, length);
}

static void read_packets(struct link *link)
{
	uint8_t bytes[PACKET_BYTES_MAX];
	for (;;) {
		ssize_t length = read(link->tun, bytes, sizeof(bytes));
		if (length < 0) {
			if (errno != EAGAIN && errno != EINTR) {
				fail("read");
			}
			return;
		}
		struct direction *direction = route(link, bytes, (size_t)length);
		if (direction) {
			accept_packet(link, bytes, (size_t)length, direction, now_ns());
		}
	}
}

static void deliver(struct link *link, struct direction *direction, int64_t now)
{
	struct direction_counters *counters = direction->counters;
	while (direction->count > 0) {
		struct packet *packet = &direction->packets[direction->first];
		if (packet->due_ns > now) {
			return;
		}
		if (write(link->tun, packet->bytes, packet->length) < 0) {
			fail("write");
		}
		counters->carried_packets++;
		counters->carried_bytes += packet->length;
		counters->carried_payload_bytes += payload_bytes(packet->bytes, packet->length);
		direction->first = (direction->first + 1) % PACKETS_MAX;
		direction->count--;
	}
}

static void lose_all(struct direction *direction)
{
	direction->counters->cut_packets += direction->count;
	direction->count = 0;
	direction->busy_until_ns = 0;
}

static int64_t next_due_ns(const struct link *link, int64_t now)
{
	int64_t due = now + 1000000000;
	const struct direction *directions[] = {&link->outward, &link->homeward};
	for (int i = 0; i < 2; i++) {
		if (directions[i]->count > 0) {
			int64_t first = directions[i]->packets[directions[i]->first].due_ns;
			due = first < due ? first : due;
		}
	}
	return due > now ? due - now : 0;
}

/* Signals come in only while waiting. */
static void run(struct link *link, const sigset_t *while_waiting)
{
	while (!is_ended) {
		int64_t wait_ns = next_due_ns(link, now_ns());
		struct timespec wait = {wait_ns / 1000000000, wait_ns % 1000000000};
		struct pollfd wanted = {.fd = link->tun, .events = POLLIN};
		if (ppoll(&wanted, 1, &wait, while_waiting) < 0 && errno != EINTR) {
			fail("poll");
		}
		bool is_cut = cuts % 2;
		if (is_cut && !link->counters->is_cut) {
			lose_all(&link->outward);
			lose_all(&link->homeward);
		}
		link->counters->is_cut = is_cut;
		read_packets(link);
		int64_t now = now_ns();
		deliver(link, &link->outward, now);
		deliver(link, &link->homeward, now);
	}
}

static int open_tun(const char *node, const char *device)
{
	int tun = open(node, O_RDWR | O_NONBLOCK | O_CLOEXEC);
	struct ifreq request = {.ifr_flags = IFF_TUN | IFF_NO_PI};
	snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", device);
	if (tun < 0 || ioctl(tun, TUNSETIFF, &request) < 0) {
		fail(device);
	}
	return tun;
}

static struct counters *open_counters(const char *path)
{
	int file = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (file < 0 || ftruncate(file, sizeof(struct counters)) < 0) {
		fail(path);
	}
	void *counters =
		mmap(NULL, sizeof(struct counters), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
	if (counters == MAP_FAILED) {
		fail(path);
	}
	close(file);
	return counters;
}

static void init_direction(struct direction *direction, struct direction_counters *counters)
{
	direction->counters = counters;
	direction->packets = calloc(PACKETS_MAX, sizeof(struct packet));
	if (!direction->packets) {
		fail("memory");
	}
}

static void catch_signals(sigset_t *while_waiting)
{
	sigset_t ours;
	sigemptyset(&ours);
	const int numbers[] = {SIGUSR1, SIGTERM, SIGINT};
	for (int i = 0; i < 3; i++) {
		struct sigaction action = {.sa_handler = on_signal};
		sigaction(numbers[i], &action, NULL);
		sigaddset(&ours, numbers[i]);
	}
	sigprocmask(SIG_BLOCK, &ours, while_waiting);
}

int main(int argc, char **argv)
{
	if (argc != 9) {
		fprintf(stderr,
			"usage: wan_link TUN-NODE DEVICE COUNTERS ONE-WAY-DELAY-US RATE-BIT/S "
			"QUEUE-BYTES LOSS-PER-MILLION SEED\n");
		return 2;
	}
	struct link link = {
		.delay_ns = atoll(argv[4]) * 1000,
		.rate_bits = atoll(argv[5]),
		.queue_bytes = atoll(argv[6]),
		.loss_per_million = strtoull(argv[7], NULL, 10),
		.random = strtoull(argv[8], NULL, 10) * 2 + 1,
	};
	if (link.rate_bits <= 0) {
		fprintf(stderr, "wan_link: a rate above 0 is needed\n");
		return 2;
	}
	sigset_t while_waiting;
	catch_signals(&while_waiting);
	prctl(PR_SET_TIMERSLACK, 1);
	link.tun = open_tun(argv[1], argv[2]);
	link.counters = open_counters(argv[3]);
	init_direction(&link.outward, &link.counters->outward);
	init_direction(&link.homeward, &link.counters->homeward);
	run(&link, &while_waiting);
	return 0;
}
