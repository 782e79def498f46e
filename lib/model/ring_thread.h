/*
 * The inside of a ring: its places, and the thread that fills them. weight_ring.c has what passes
 * do with it.
 */
#ifndef LCKV_MODEL_RING_THREAD_H
#define LCKV_MODEL_RING_THREAD_H

#include "model/weight_ring.h"

#include <pthread.h>
#include <sys/types.h>

#define RING_NONE UINT32_MAX

struct weight_ring {
    lckv_allocator allocator;
    struct direct_file file;
    const struct portion *portions;
    uint32_t n_portions, n_places;
    size_t place_bytes, row_bytes, memory_bytes;
    uint8_t *memory, *places, *row; /* `places` and `row` lie in the memory, aligned */
    int64_t patience;

    _Atomic pid_t owner;    /* the process that has the thread; see adopt() */
    pthread_mutex_t mutex;  /* guards what follows */
    pthread_cond_t arrived; /* a portion is there, or reading has failed */
    pthread_cond_t wanted;  /* the thread may have something to do */
    pthread_cond_t turn;    /* a pass is over */
    pthread_t thread;
    bool started;
    _Atomic bool ending;
    bool taken;         /* a pass runs, or may begin because it was handed the ring */
    bool handed;        /* to one of the passes that waited when it was given back */
    uint32_t n_waiting; /* passes */
    uint64_t n_given;   /* times that it was given back */
    uint32_t *place_of; /* [n_portions] RING_NONE: not there */
    uint32_t *held; /* [n_places] the portion in a place; RING_NONE: none, or one is being read */
    struct portion_order order;
    _Atomic uint64_t position;  /* of the pass: earlier ones are over */
    _Atomic uint32_t row_asked; /* the number of the last row that a pass asked for */
    _Atomic uint32_t row_done;  /* and of the last one that was read or is not needed any more */
    uint64_t row_offset;
    size_t row_needed;
    _Atomic uint64_t n_reads; /* that were read; tells slow from stuck */
    lckv_status status;       /* why the thread stopped reading */
    char message[512];
    bool failed; /* and a worker of this pass has met that */
};

/* What the thread runs until the ring ends: it reads what is needed next. */
void *ring_thread(void *ring);

/*
 * Stops reading until the next pass begins, because of `status` and this thread's message. The
 * caller holds the mutex.
 */
void ring_stop(struct weight_ring *ring, lckv_status status);

#endif
