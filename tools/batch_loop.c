/*
 * See batch_loop.h.
 */
#include "batch_loop.h"

#include "interrupt.h"
#include "report.h"

#include <inttypes.h>
#include <stdlib.h>

/* ---- What is done with jobs that are over ---- */

static int write_job(struct batch_loop *loop, struct batch_job *job)
{
    struct batch_answer answer;
    if (job->request.problem[0] != '\0')
        return batch_output_error(loop->output, &loop->input->ids, &job->request);
    int status = batch_job_end(&loop->model, job, &answer);
    if (status == EXIT_SUCCESS)
        status = batch_output_answer(loop->output, &job->request, &answer);
    if (status == EXIT_SUCCESS) {
        loop->n_prompt_tokens += answer.n_prompt;
        loop->n_new_tokens += answer.n_tokens;
    }
    return status;
}

static int write_jobs(struct batch_loop *loop)
{
    int status = EXIT_SUCCESS;
    for (size_t i = 0; status == EXIT_SUCCESS && i < loop->queue.n_jobs;) {
        if (!batch_job_is_over(loop->queue.jobs[i])) {
            i++;
            continue;
        }
        struct batch_job *job = batch_queue_remove(&loop->queue, i);
        status = write_job(loop, job);
        batch_job_free(job);
    }
    return status;
}

/* ---- Admission ---- */

/* Takes a prompt from the input, if one is there. Waits for it if nothing else is to be done. */
static int take_prompt(struct batch_loop *loop, bool *is_taken)
{
    struct batch_request request;
    *is_taken = false;
    switch (batch_input_next(loop->input, loop->queue.n_jobs == 0, &request)) {
    case BATCH_FAILED:
        return EXIT_FAILURE;
    case BATCH_END:
        loop->input_is_over = true;
        return EXIT_SUCCESS;
    case BATCH_LATER:
        return EXIT_SUCCESS;
    case BATCH_REQUEST:
        break;
    }
    struct batch_job *job = batch_job_begin(&loop->model, &request);
    if (job == NULL)
        return EXIT_FAILURE;
    *is_taken = true;
    if (!batch_job_is_over(job)) {
        batch_queue_add(&loop->queue, job);
        return EXIT_SUCCESS;
    }
    int status = write_job(loop, job);
    batch_job_free(job);
    return status;
}

/* Admits as many jobs as fit. */
static int admit(struct batch_loop *loop)
{
    struct batch_queue *queue = &loop->queue;
    int status = EXIT_SUCCESS;
    bool goes_on = true;
    while (status == EXIT_SUCCESS && goes_on && !interrupt_came()) {
        if (batch_queue_wants_job(queue) && !loop->input_is_over) {
            status = take_prompt(loop, &goes_on);
        } else if (queue->n_active < queue->n_jobs && !queue->is_full) {
            status = batch_queue_admit(queue, &goes_on);
            if (status == EXIT_SUCCESS && queue->n_active == 0) {
                goes_on = true; /* the job can never fit and is over */
                status = write_jobs(loop);
            }
        } else {
            goes_on = false;
        }
    }
    return status;
}

/* ---- Calls ---- */

static size_t n_pending(const struct batch_job *job)
{
    return job->tokens.count - job->n_encoded;
}

/*
 * How many tokens of each job a call takes. Each pass of an upward plan takes one token of each
 * item, so the call ends with the first job that must choose a token. Otherwise every job that
 * decodes gets its row, and the prompts share what is left, the oldest first: the weights are read
 * once for all rows, and no prompt makes the others wait for more than one call.
 */
static size_t fill_items(struct batch_loop *loop)
{
    struct batch_queue *queue = &loop->queue;
    size_t chunk = loop->max_rows, n_decoding = 0, n_items = 0;
    for (size_t i = 0; i < queue->n_active; i++) {
        size_t pending = n_pending(queue->jobs[i]);
        n_decoding += pending == 1;
        if (loop->is_upward && pending < chunk)
            chunk = pending;
    }
    size_t room = loop->max_rows - n_decoding;
    for (size_t i = 0; i < queue->n_active; i++) {
        const struct batch_job *job = queue->jobs[i];
        size_t pending = n_pending(job);
        bool is_prompt = pending > 1 && !loop->is_upward;
        if (is_prompt && room == 0)
            continue;
        lckv_item item = batch_queue_item(job, is_prompt ? room : chunk);
        if (is_prompt)
            room -= item.n_tokens;
        if (item.n_tokens == pending)
            item.want = LCKV_WANT_LAST;
        queue->items[n_items++] = item;
    }
    return n_items;
}

/* Takes what a call gave. Its items are in the order of the jobs, but some jobs had none. */
static int take_results(struct batch_loop *loop, size_t n_items)
{
    struct batch_queue *queue = &loop->queue;
    int status = EXIT_SUCCESS;
    size_t k = 0;
    for (size_t i = 0; status == EXIT_SUCCESS && k < n_items; i++) {
        struct batch_job *job = queue->jobs[i];
        const lckv_item *item = &queue->items[k];
        if (item->session != job->session)
            continue;
        k++;
        job->n_encoded += item->n_tokens;
        if (item->want == LCKV_WANT_LAST)
            status = batch_job_step(&loop->model, job);
    }
    return status;
}

/*
 * One call. After a cancel or when the cache is full, nothing has changed. Prompts are encoded
 * exactly, so that an answer does not depend on which others are computed with it.
 */
static int compute(struct batch_loop *loop)
{
    struct batch_queue *queue = &loop->queue;
    const lckv_evaluate_options exact = {.size = sizeof exact, .window = 1};
    size_t n_items = fill_items(loop);
    double began = now_seconds();
    lckv_status status =
        lckv_evaluate(queue->cache, queue->items, sizeof *queue->items, n_items, &exact, NULL);
    loop->evaluate_seconds += now_seconds() - began;
    if (status == LCKV_CANCELLED && interrupt_came())
        return EXIT_SUCCESS;
    if (status == LCKV_CACHE_FULL) {
        batch_queue_yield(queue);
        return EXIT_SUCCESS;
    }
    if (status != LCKV_OK)
        return fail_library();
    loop->n_calls++;
    loop->n_items += n_items;
    if (queue->n_active > loop->most_sessions)
        loop->most_sessions = queue->n_active;
    return take_results(loop, n_items);
}

/* ---- The loop ---- */

static void show_progress(struct batch_loop *loop)
{
    const struct batch_output *output = loop->output;
    double seconds = now_seconds() - loop->began;
    uint64_t n_now = output->n_answers + output->n_errors;
    uint64_t n_done = n_now + loop->input->n_skipped;
    char total[32] = "", left[48] = "";
    if (loop->n_lines > 0)
        snprintf(total, sizeof total, " of %" PRIu64, loop->n_lines);
    if (loop->n_lines > n_done && output->n_answers > 0)
        snprintf(left, sizeof left, ", %s left",
                 human_seconds(seconds / (double)n_now * (double)(loop->n_lines - n_done)).text);
    progress_show(&loop->progress, "%" PRIu64 "%s prompts, %zu at once, %.0f tokens/s%s", n_done,
                  total, loop->queue.n_active,
                  per_second((double)(loop->n_prompt_tokens + loop->n_new_tokens), seconds), left);
}

int batch_loop_run(struct batch_loop *loop)
{
    int status = EXIT_SUCCESS;
    loop->began = now_seconds();
    interrupt_watch(loop->queue.cache);
    while (status == EXIT_SUCCESS && !interrupt_came()) {
        status = admit(loop);
        if (status != EXIT_SUCCESS || (loop->queue.n_active == 0 && loop->input_is_over))
            break;
        if (loop->queue.n_active == 0)
            continue; /* a signal came while there was nothing to do */
        status = compute(loop);
        if (status == EXIT_SUCCESS)
            status = write_jobs(loop);
        show_progress(loop);
    }
    progress_end(&loop->progress);
    interrupt_unwatch();
    return status == EXIT_SUCCESS && interrupt_came() ? EXIT_INTERRUPTED : status;
}
