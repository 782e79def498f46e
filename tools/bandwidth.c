/*
 * The memory probe. See bandwidth.h.
 */
#include "bandwidth.h"
#include "report.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

/* Of all threads, and of one: more than their caches. */
#define LEAST_BYTES ((size_t)512 << 20)
#define THREAD_BYTES ((size_t)64 << 20)
#define PASSES 4

struct reader {
    pthread_t thread;
    pthread_barrier_t *barrier;
    const unsigned char *bytes;
    size_t length;
    volatile uint64_t words; /* so that reading is not left out */
    double seconds;          /* of the best pass, from barrier to barrier */
};

/* The exclusive or of all words, four vectors at a time, fetched some way ahead. */
static uint64_t read_words(const unsigned char *bytes, size_t length)
{
    typedef uint64_t vector __attribute__((vector_size(64), aligned(64), may_alias));
    const vector *at = (const void *)bytes, *end = (const void *)(bytes + length);
    vector sums[4] = {{0}};
    for (; at + 4 <= end; at += 4) {
        for (size_t i = 0; i < 4; i++) {
            __builtin_prefetch((const char *)(at + i) + 2048);
            sums[i] ^= at[i];
        }
    }
    sums[0] ^= sums[1] ^ sums[2] ^ sums[3];
    uint64_t all = 0;
    for (size_t i = 0; i < 8; i++)
        all ^= sums[0][i];
    return all;
}

static void *read_all(void *argument)
{
    struct reader *reader = argument;
    for (int pass = 0; pass < PASSES; pass++) {
        pthread_barrier_wait(reader->barrier);
        double begin = now_seconds();
        reader->words = read_words(reader->bytes, reader->length);
        pthread_barrier_wait(reader->barrier);
        double seconds = now_seconds() - begin;
        if (reader->seconds <= 0 || seconds < reader->seconds)
            reader->seconds = seconds;
    }
    return NULL;
}

struct bandwidth_probe bandwidth_open(uint32_t n_threads)
{
    struct bandwidth_probe probe = {.n_threads = n_threads, .n_bytes = n_threads * THREAD_BYTES};
    void *bytes;
    if (probe.n_bytes < LEAST_BYTES)
        probe.n_bytes = LEAST_BYTES;
    if (posix_memalign(&bytes, (size_t)2 << 20, probe.n_bytes) != 0)
        return (struct bandwidth_probe){0};
    madvise(bytes, probe.n_bytes, MADV_HUGEPAGE);
    memset(bytes, 0, probe.n_bytes);
    probe.bytes = bytes;
    return probe;
}

void bandwidth_close(struct bandwidth_probe *probe)
{
    free(probe->bytes);
    *probe = (struct bandwidth_probe){0};
}

double bandwidth_read(const struct bandwidth_probe *probe)
{
    if (probe->bytes == NULL)
        return 0;
    uint32_t last = probe->n_threads - 1;
    size_t share = probe->n_bytes / probe->n_threads / 256 * 256;
    struct reader *readers = calloc(probe->n_threads, sizeof *readers);
    pthread_barrier_t barrier;
    if (readers == NULL || pthread_barrier_init(&barrier, NULL, probe->n_threads) != 0) {
        free(readers);
        return 0;
    }
    for (uint32_t i = 0; i <= last; i++) {
        readers[i] = (struct reader){
            .barrier = &barrier, .bytes = probe->bytes + i * share, .length = share};
        /* One that cannot start would block the rest. */
        if (i < last && pthread_create(&readers[i].thread, NULL, read_all, &readers[i]) != 0)
            exit(fail_memory());
    }
    read_all(&readers[last]); /* this thread */
    for (uint32_t i = 0; i < last; i++)
        pthread_join(readers[i].thread, NULL);
    double rate = (double)(share * probe->n_threads) / readers[last].seconds;
    pthread_barrier_destroy(&barrier);
    free(readers);
    return rate;
}
