/*
 * The memory probe. See bandwidth.h.
 */
#include "bandwidth.h"
#include "report.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

/* The least that all threads, and that one thread reads: more than their caches hold. */
#define LEAST_BYTES ((size_t)512 << 20)
#define THREAD_BYTES ((size_t)64 << 20)
#define PASSES 4

struct reader {
    pthread_t thread;
    pthread_barrier_t *barrier;
    const unsigned char *bytes;
    size_t length;
    volatile uint64_t words; /* the result, volatile so that compilers keep the reads */
    double seconds;          /* of the fastest pass, from barrier to barrier */
};

/* The exclusive or of all words. It reads four vectors at a time and prefetches those ahead. */
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

double read_bandwidth(uint32_t n_threads)
{
    struct reader *readers = calloc(n_threads, sizeof *readers);
    unsigned char *bytes = NULL;
    pthread_barrier_t barrier;
    double rate = 0;
    if (readers == NULL || pthread_barrier_init(&barrier, NULL, n_threads) != 0) {
        free(readers);
        return 0;
    }
    uint32_t n_started = 0;
    size_t n_bytes = n_threads * THREAD_BYTES;
    n_bytes = n_bytes > LEAST_BYTES ? n_bytes : LEAST_BYTES;
    if (posix_memalign((void **)&bytes, (size_t)2 << 20, n_bytes) == 0) {
        madvise(bytes, n_bytes, MADV_HUGEPAGE);
        memset(bytes, 0, n_bytes);
        size_t share = n_bytes / n_threads / 256 * 256;
        for (; n_started < n_threads; n_started++) {
            struct reader *reader = &readers[n_started];
            *reader = (struct reader){
                .barrier = &barrier, .bytes = bytes + n_started * share, .length = share};
            /*
             * This thread is the last reader. If another cannot start, the program ends, because
             * the readers would wait for it at the barrier forever.
             */
            if (n_started + 1 == n_threads)
                read_all(reader);
            else if (pthread_create(&reader->thread, NULL, read_all, reader) != 0)
                exit(fail_memory());
        }
        rate = (double)(share * n_threads) / readers[n_threads - 1].seconds;
    }
    for (uint32_t i = 0; i + 1 < n_started; i++)
        pthread_join(readers[i].thread, NULL);
    pthread_barrier_destroy(&barrier);
    free(bytes);
    free(readers);
    return rate;
}
