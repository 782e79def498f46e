/*
 * The jobs of lckv batch that have begun, in the order of the input. The first `n_active` of them
 * have sessions and are computed together; the others wait until the cache has room. When it has
 * not, the youngest gives its session up, and begins again before any that comes later.
 */
#ifndef TOOLS_BATCH_QUEUE_H
#define TOOLS_BATCH_QUEUE_H

#include "batch_job.h"

struct batch_queue {
    lckv_cache *cache;
    struct batch_job **jobs; /* room for `capacity` */
    lckv_item *items;        /* room for `capacity`: those of a call */
    size_t capacity;
    size_t n_jobs;
    size_t n_active;
    uint64_t n_pages; /* of the cache */
    uint32_t n_slots; /* of the model's plan */
    bool is_full;     /* nothing more fits until a job has ended */
    uint64_t n_yielded;
    uint64_t n_reused; /* tokens that the cache had of other texts */
};

/* A queue for as many jobs as the cache has sessions. Complains and returns an exit status. */
int batch_queue_init(struct batch_queue *queue, lckv_cache *cache, uint32_t n_slots);

/* Whether the queue has room for a job, and nobody waits before it. */
bool batch_queue_wants_job(const struct batch_queue *queue);

/* Adds a job, which the queue then owns, behind the others. It waits. */
void batch_queue_add(struct batch_queue *queue, struct batch_job *job);

/*
 * Gives the first job that waits a session, if the cache has room: for its tokens, for all that the
 * active ones have not encoded yet, and for some growth of each. The session begins with what the
 * cache has of the same tokens; if an active job is about to compute more of them, the job waits
 * for that. *is_admitted tells whether it has its session now. If the cache is too small for the
 * job even alone, the job is over. Complains and returns an exit status.
 */
int batch_queue_admit(struct batch_queue *queue, bool *is_admitted);

/*
 * After a call that found the cache full: takes the session of the youngest active job, or ends the
 * job if it is the only one.
 */
void batch_queue_yield(struct batch_queue *queue);

/* Removes a job, which is the caller's again. */
struct batch_job *batch_queue_remove(struct batch_queue *queue, size_t i);

/* The tokens that the job has not encoded, at most `most`, as an item that wants no logits. */
lckv_item batch_queue_item(const struct batch_job *job, size_t most);

void batch_queue_free(struct batch_queue *queue);

#endif
