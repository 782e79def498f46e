/*
 * The ring: memory for some of a streamed model's portions (portion_order.h), and a thread that
 * reads the next ones from the file while others are in use.
 *
 * The ring has places of one size. The thread always reads the missing portion that will be needed
 * first, into a free place or into that of the portion that will be needed last, if that is later.
 * So it reads ahead as far as places reach, and a ring that holds several portions more than it
 * needs saves reading as many.
 *
 * The passes of several caches take turns. After a pass the thread goes on until the places hold
 * the first portions of the next one.
 */
#ifndef LCKV_MODEL_WEIGHT_RING_H
#define LCKV_MODEL_WEIGHT_RING_H

#include "base/arena.h"
#include "base/direct_file.h"
#include "model/portion_order.h"

#define RING_LEAST_PLACES 2 /* one in use, one being read */
#define RING_DEFAULT_PLACES 3
#define RING_PATIENCE (60 * (int64_t)1000000000) /* nanoseconds */

/* Where a portion lies in the file. */
struct portion {
    uint64_t offset; /* a multiple of DIRECT_ALIGNMENT */
    size_t n_bytes;  /* with what lies between its matrices */
};

struct weight_ring;

struct ring_parts {
    const struct file *file;        /* is opened once more */
    const struct portion *portions; /* live as long as the ring */
    uint32_t n_portions;            /* the layers' first */
    uint32_t n_layers;
    uint32_t n_places;
    size_t row_bytes; /* the most that weight_ring_read is asked for */
    int64_t patience; /* nanoseconds; a file of which nothing comes for so long is given up */
};

/* The bytes of one place, for portions of up to `most_bytes`. */
size_t weight_ring_place_bytes(size_t most_bytes);

/* The bytes of memory that the ring needs beside its places. */
size_t weight_ring_row_bytes(size_t row_bytes);

/* Its tables lie in the arena, which is released after the ring. */
CHECKED lckv_status weight_ring_create(const struct ring_parts *parts, struct arena *arena,
                                       const lckv_allocator *allocator, struct weight_ring **ring);
void weight_ring_release(struct weight_ring *ring);

/* The first place. */
const uint8_t *weight_ring_places(const struct weight_ring *ring);

/* The memory of all places, and of the row. */
size_t weight_ring_bytes(const struct weight_ring *ring);

/* What a pass visits, and where the next one is likely to begin: see portion_order. */
struct ring_pass {
    uint32_t first_layer, end_layer, end_output, next_layer;
};

/*
 * Begins a pass: waits for the passes of others, and starts the thread if it does not run yet.
 * LCKV_CANCELLED if *cancelled is no longer 0.
 */
CHECKED lckv_status weight_ring_begin(struct weight_ring *ring, const struct ring_pass *pass,
                                      const _Atomic int *cancelled);

/*
 * Waits until the portion that belongs to a position of the pass is there, and sets *shift to the
 * distance of its place from the first one. A worker that comes to a position says with it that
 * nobody reads the portions of earlier positions any more. For these there is nothing to wait for:
 * their *shift is 0, and what it leads to must not be read. False if a read failed, or *cancelled
 * is no longer 0.
 */
CHECKED bool weight_ring_await(struct weight_ring *ring, uint64_t position, uint32_t portion,
                               const _Atomic int *cancelled, size_t *shift);

/*
 * Reads up to `row_bytes` bytes of the file, for the thread that began the pass. They stay until
 * the next such call, or the end of the pass. False as from weight_ring_await.
 */
CHECKED bool weight_ring_read(struct weight_ring *ring, uint64_t offset, size_t n_bytes,
                              const _Atomic int *cancelled, const uint8_t **bytes);

/*
 * Ends the pass. Returns why weight_ring_await or weight_ring_read could not read; the next pass
 * tries again. LCKV_OK also if the pass was cancelled.
 */
CHECKED lckv_status weight_ring_end(struct weight_ring *ring);

#endif
