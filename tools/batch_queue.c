/*
 * See batch_queue.h.
 */
#include "batch_queue.h"

#include "report.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

int batch_queue_init(struct batch_queue *queue, lckv_cache *cache, uint32_t n_slots)
{
    lckv_cache_stats stats = {.size = sizeof stats};
    if (lckv_cache_get_stats(cache, &stats) != LCKV_OK)
        return fail_library();
    *queue = (struct batch_queue){
        .cache = cache,
        .jobs = calloc(stats.max_sessions, sizeof *queue->jobs),
        .items = calloc(stats.max_sessions, sizeof *queue->items),
        .capacity = stats.max_sessions,
        .n_pages = stats.n_pages,
        .n_slots = n_slots,
    };
    return queue->jobs != NULL && queue->items != NULL ? EXIT_SUCCESS : fail_memory();
}

bool batch_queue_wants_job(const struct batch_queue *queue)
{
    return queue->n_active == queue->n_jobs && queue->n_jobs < queue->capacity && !queue->is_full;
}

void batch_queue_add(struct batch_queue *queue, struct batch_job *job)
{
    queue->jobs[queue->n_jobs++] = job;
}

lckv_item batch_queue_item(const struct batch_job *job, size_t most)
{
    size_t n = job->tokens.count - job->n_encoded;
    return (lckv_item){.session = job->session,
                       .tokens = job->tokens.ids + job->n_encoded,
                       .n_tokens = n < most ? n : most,
                       .want = LCKV_WANT_NOTHING};
}

/* The job keeps its tokens, and perhaps the cache keeps what it has computed of them. */
static void drop_session(struct batch_job *job)
{
    lckv_session_release(job->session);
    job->session = NULL;
    job->n_encoded = 0;
}

/* The text of the job is as long as the cache allows; or not even the prompt fits. */
static void end_full(const struct batch_queue *queue, struct batch_job *job)
{
    if (job->tokens.count > job->n_prompt)
        job->reason = "full";
    else
        batch_request_fail(&job->request,
                           "the prompt has %zu tokens, more than the %" PRIu64
                           " pages of the cache hold: give more --memory",
                           job->n_prompt, queue->n_pages);
}

/* Whether the pages suffice for the job behind the active ones, which has a session already. */
static int find_room(struct batch_queue *queue, bool *has_room)
{
    lckv_evaluate_report report = {.size = sizeof report};
    size_t n = queue->n_active + 1, growing = queue->n_active > 0 ? n : 0;
    for (size_t i = 0; i < n; i++)
        queue->items[i] = batch_queue_item(queue->jobs[i], SIZE_MAX);
    lckv_status status =
        lckv_evaluate_cost(queue->cache, queue->items, sizeof *queue->items, n, NULL, &report);
    *has_room = status == LCKV_OK &&
                report.pages_needed + growing * (uint64_t)queue->n_slots <= report.pages_free;
    return status == LCKV_OK || status == LCKV_CACHE_FULL ? EXIT_SUCCESS : fail_library();
}

/* How many tokens two jobs have in common at their beginning. */
static size_t common_tokens(const struct batch_job *a, const struct batch_job *b)
{
    size_t n = 0;
    while (n < a->tokens.count && n < b->tokens.count && a->tokens.ids[n] == b->tokens.ids[n])
        n++;
    return n;
}

/* Whether an active job is about to encode tokens that the new one could take over. */
static bool is_worth_waiting(const struct batch_queue *queue, const struct batch_job *job)
{
    enum { WORTH_TOKENS = 32 };
    for (size_t i = 0; i < queue->n_active; i++) {
        const struct batch_job *other = queue->jobs[i];
        size_t n_common = common_tokens(other, job);
        if (other->n_encoded < n_common && n_common >= job->n_encoded + WORTH_TOKENS)
            return true;
    }
    return false;
}

int batch_queue_admit(struct batch_queue *queue, bool *is_admitted)
{
    struct batch_job *job = queue->jobs[queue->n_active];
    bool has_room = false;
    *is_admitted = false;
    if (lckv_session_create(queue->cache, &job->session) != LCKV_OK ||
        lckv_session_reuse(job->session, job->tokens.ids, job->tokens.count, &job->n_encoded) !=
            LCKV_OK)
        return fail_library();
    if (is_worth_waiting(queue, job)) {
        drop_session(job);
        return EXIT_SUCCESS;
    }
    int status = find_room(queue, &has_room);
    if (status == EXIT_SUCCESS && has_room) {
        *is_admitted = true;
        queue->n_active++;
        queue->n_reused += job->n_encoded;
        return EXIT_SUCCESS;
    }
    drop_session(job);
    queue->is_full = queue->n_active > 0;
    if (status == EXIT_SUCCESS && !queue->is_full)
        end_full(queue, job);
    return status;
}

void batch_queue_yield(struct batch_queue *queue)
{
    struct batch_job *job = queue->jobs[queue->n_active - 1];
    if (queue->n_active == 1) {
        end_full(queue, job);
        return;
    }
    drop_session(job);
    queue->n_active--;
    queue->n_yielded++;
    queue->is_full = true;
}

struct batch_job *batch_queue_remove(struct batch_queue *queue, size_t i)
{
    struct batch_job *job = queue->jobs[i];
    size_t n_behind = queue->n_jobs - i - 1;
    memmove(&queue->jobs[i], &queue->jobs[i + 1], n_behind * sizeof(struct batch_job *));
    queue->n_jobs--;
    queue->n_active -= i < queue->n_active;
    queue->is_full = false;
    return job;
}

void batch_queue_free(struct batch_queue *queue)
{
    for (size_t i = 0; i < queue->n_jobs; i++)
        batch_job_free(queue->jobs[i]);
    free(queue->jobs);
    free(queue->items);
    *queue = (struct batch_queue){0};
}
