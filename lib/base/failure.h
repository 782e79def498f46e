/*
 * A handle's own last failure, for callers whose thread may change between two calls.
 */
#ifndef LCKV_BASE_FAILURE_H
#define LCKV_BASE_FAILURE_H

#include "lckv.h"

#include <pthread.h>

struct failure {
    pthread_mutex_t mutex;
    char text[1024];
};

void failure_init(struct failure *failure);
void failure_destroy(struct failure *failure);

/* Keeps this thread's message if `status` is not LCKV_OK. Returns `status`. */
lckv_status failure_keep(struct failure *failure, lckv_status status);

/* Copies the text, cut to capacity - 1 bytes; returns its length. */
size_t failure_copy(struct failure *failure, char *buffer, size_t capacity);

#endif
