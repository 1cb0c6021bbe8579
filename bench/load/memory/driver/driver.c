/*
 * driver.c: the patterns of package memory for an allocator of C, which LD_PRELOAD puts in place of
 * the library's malloc. A process measures one row of one round, so that no pattern meets what
 * another left behind.
 *
 *   arguments   PATTERN THREADS BATCH WARM-NS MEASURE-NS CPU [CPU]
 *   output      ok FILE-WITH-MALLOC N SAMPLE ... SAMPLE
 *
 * A sample is picoseconds of an operation, of one batch of them. producer-consumer answers with one
 * sample: the most resident bytes over live ones, in millionths.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

enum {
	most_threads = 2,
	most_samples = 1 << 16,
	mix_live = 1024,
	larson_live = 1000, larson_least = 10, larson_span = 491,
	threadtest_live = 1000,
	false_bytes = 8, false_writes = 1000,
	blowup_live = 512, blowup_batch = 64, blowup_bytes = 64 << 10,
};

static const int mix_sizes[16] = {
	16, 16, 24, 32, 32, 48, 64, 64, 96, 128, 128, 192, 256, 384, 512, 1024,
};

typedef struct worker worker;
struct worker {
	void (*work)(worker *, int);
	uint64_t random;
	void **live;      /* blocks of a mix or larson */
	void *given;      /* of passive-false: another thread allocated it */
	int number, batch;
	int64_t warm, measure;
	uint32_t *samples;
	int n;
	char line[64];    /* two workers share no cache line */
};

static worker workers[most_threads];
static int cpus[most_threads], threads, at_start;
static _Atomic int ready;
static _Atomic(void **) waiting;

static int64_t now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static uint64_t next(uint64_t *r)
{
	*r ^= *r >> 12;
	*r ^= *r << 25;
	*r ^= *r >> 27;
	return *r * 0x2545F4914F6CDD1DULL;
}

/* The compiler must neither see what malloc returned nor leave out a pair. */
static inline void *take(size_t n)
{
	void *p = malloc(n);
	__asm__ volatile("" : "+r"(p) : : "memory");
	if (!p)
		abort();
	*(volatile char *)p = 1;
	return p;
}

static void pair(worker *w, int n)
{
	(void)w;
	while (n-- > 0)
		free(take(64));
}

static void mix(worker *w, int n)
{
	while (n-- > 0) {
		uint64_t x = next(&w->random);
		void **at = &w->live[(x >> 32) % mix_live];
		free(*at);
		*at = take(mix_sizes[x >> 60]);
	}
}

static void larson(worker *w, int n)
{
	while (n-- > 0) {
		uint64_t x = next(&w->random);
		void **at = &w->live[(x >> 32) % larson_live];
		free(*at);
		*at = take(larson_least + ((x >> 16 & 0xFFFF) * larson_span >> 16));
	}
	w->live = atomic_exchange(&waiting, w->live);
}

static void threadtest(worker *w, int n)
{
	for (; n > 0; n -= threadtest_live) {
		for (int i = 0; i < threadtest_live; i++)
			w->live[i] = take(64);
		for (int i = 0; i < threadtest_live; i++)
			free(w->live[i]);
	}
}

static void share(worker *w, int n)
{
	free(w->given);
	w->given = NULL;
	while (n-- > 0) {
		volatile char *p = take(false_bytes);
		for (int i = 0; i < false_writes; i++)
			p[i & (false_bytes - 1)]++;
		free((void *)p);
	}
}

static void *run(void *arg)
{
	worker *w = arg;
	cpu_set_t set;
	CPU_ZERO(&set);
	CPU_SET(cpus[w->number], &set);
	if (sched_setaffinity(0, sizeof set, &set)) {
		perror("sched_setaffinity");
		exit(1);
	}
	/* of passive-false: the first thread allocates for both */
	if (at_start && w->number == 0)
		for (int i = 0; i < threads; i++)
			workers[i].given = take(false_bytes);
	atomic_fetch_add(&ready, 1);
	while (atomic_load(&ready) < threads)
		;
	int64_t t = now(), begin = t + w->warm, end = begin + w->measure;
	for (w->n = 0;;) {
		int64_t start = now();
		w->work(w, w->batch);
		t = now();
		if (start >= begin) {
			int64_t picos = (t - start) * 1000 / w->batch;
			w->samples[w->n++] = picos < UINT32_MAX ? picos : UINT32_MAX;
		}
		if ((t >= end || w->n == most_samples) && w->n > 0)
			return NULL;
	}
}

static long resident(void)
{
	long all = 0, pages = 0;
	FILE *f = fopen("/proc/self/statm", "r");
	if (!f || fscanf(f, "%ld %ld", &all, &pages) != 2)
		pages = 0;
	if (f)
		fclose(f);
	return pages * sysconf(_SC_PAGESIZE);
}

/* producer-consumer: one thread allocates, the other frees the oldest; each in its turn */
static void *blocks[blowup_live];
static int oldest, living;
static pthread_barrier_t turn;
static int over; /* written and read on different sides of turn */

static void produce(void)
{
	for (; living < blowup_live; living++) {
		char *p = take(blowup_bytes);
		for (int i = 0; i < blowup_bytes; i += 4096)
			p[i] = 1;
		blocks[(oldest + living) % blowup_live] = p;
	}
}

static void consume(void)
{
	for (int i = 0; i < blowup_batch; i++, living--) {
		free(blocks[oldest]);
		oldest = (oldest + 1) % blowup_live;
	}
}

static void *partner(void *arg)
{
	void (*mine)(void) = arg ? consume : produce;
	for (int n = 0;; n++) {
		pthread_barrier_wait(&turn);
		if (over)
			return NULL;
		if (n % 2 == (arg != NULL))
			mine();
		pthread_barrier_wait(&turn);
	}
}

static uint32_t producer_consumer(int64_t ns)
{
	pthread_t t[2];
	long base = resident(), most = 0;
	int64_t end = now() + ns;
	pthread_barrier_init(&turn, NULL, 3);
	pthread_create(&t[0], NULL, partner, NULL);
	pthread_create(&t[1], NULL, partner, &turn);
	for (int n = 0;; n++) {
		over = n > 0 && now() >= end;
		pthread_barrier_wait(&turn);
		if (over)
			break;
		pthread_barrier_wait(&turn);
		long r = resident() - base;
		if (r > most)
			most = r;
	}
	pthread_join(t[0], NULL);
	pthread_join(t[1], NULL);
	return most * 1e6 / ((double)blowup_live * blowup_bytes);
}

static const struct {
	const char *name;
	void (*work)(worker *, int);
	int live;
} patterns[] = {
	{"pair", pair, 0},
	{"mix", mix, mix_live},
	{"larson", larson, larson_live},
	{"threadtest", threadtest, threadtest_live},
	{"active-false", share, 0},
	{"passive-false", share, 0},
};

static int measure(const char *name)
{
	pthread_t t[most_threads];
	size_t p = 0;
	while (p < sizeof patterns / sizeof *patterns && strcmp(patterns[p].name, name))
		p++;
	if (p == sizeof patterns / sizeof *patterns)
		return 0;
	at_start = !strcmp(name, "passive-false");
	if (patterns[p].work == larson)
		waiting = calloc(patterns[p].live, sizeof(void *));
	for (int i = 0; i < threads; i++) {
		worker *w = &workers[i];
		w->work = patterns[p].work;
		w->random = i + 1;
		w->live = patterns[p].live ? calloc(patterns[p].live, sizeof *w->live) : NULL;
		if (pthread_create(&t[i], NULL, run, w))
			return 0;
	}
	for (int i = 0; i < threads; i++)
		pthread_join(t[i], NULL);
	return 1;
}

static const char *file_of_malloc(void)
{
	Dl_info d;
	void *f = dlsym(RTLD_DEFAULT, "malloc");
	return f && dladdr(f, &d) && d.dli_fname ? d.dli_fname : "-";
}

int main(int argc, char **argv)
{
	threads = argc > 2 ? atoi(argv[2]) : 0;
	if (threads < 1 || threads > most_threads || argc != 6 + threads || atoi(argv[3]) < 1) {
		fprintf(stderr, "usage: driver PATTERN THREADS BATCH WARM-NS MEASURE-NS CPU...\n");
		return 2;
	}
	int64_t warm = atoll(argv[4]), ns = atoll(argv[5]);
	for (int i = 0; i < threads; i++) {
		worker *w = &workers[i];
		cpus[i] = atoi(argv[6 + i]);
		w->number = i;
		w->batch = atoi(argv[3]);
		w->warm = warm;
		w->measure = ns;
		w->samples = mmap(NULL, most_samples * sizeof(uint32_t), PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (w->samples == MAP_FAILED)
			return 1;
	}
	if (!strcmp(argv[1], "producer-consumer")) {
		printf("ok %s 1 %u\n", file_of_malloc(), producer_consumer(warm + ns));
		return 0;
	}
	if (!measure(argv[1])) {
		fprintf(stderr, "no pattern %s with %d threads\n", argv[1], threads);
		return 2;
	}
	int n = 0;
	for (int i = 0; i < threads; i++)
		n += workers[i].n;
	printf("ok %s %d", file_of_malloc(), n);
	for (int i = 0; i < threads; i++)
		for (int k = 0; k < workers[i].n; k++)
			printf(" %u", workers[i].samples[k]);
	printf("\n");
	return 0;
}
