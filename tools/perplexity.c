/*
 * See perplexity.h.
 *
 * Several documents advance side by side, each in a session (a lane) of its own, so that one call
 * computes many rows even where a prompt must go token by token.
 */
#include "perplexity.h"

#include "progress.h"
#include "report.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_LANES = 16, CHUNK = 32 };
#define LOGIT_BYTES (UINT64_C(64) << 20)     /* for the rows of logits of one call */
#define ONE_CALL_BYTES (UINT64_C(256) << 20) /* the same, if documents must not be split */
#define KV_BYTES (UINT64_C(1) << 30)         /* for all lanes, unless a single one needs more */

struct lane {
    lckv_session *session; /* NULL: the lane has no document */
    const struct document *document;
    size_t n_done;
    double nll; /* of this document */
};

struct run {
    const struct perplexity_job *job;
    struct perplexity_result *result;
    size_t n_vocab;
    size_t chunk; /* the most tokens of a document in one call */
    size_t n_lanes;
    size_t next; /* the first document that no lane has taken */
    uint64_t n_total;
    lckv_cache *cache;
    float *logits; /* [n_lanes, chunk, n_vocab] */
    struct lane lanes[MAX_LANES];
};

/* Nothing is predicted from the last token, so it is not encoded. */
static size_t encoded_length(const struct document *document)
{
    return document->n_tokens > 0 ? document->n_tokens - 1 : 0;
}

/* -log softmax(logits)[token] in double. */
static double negative_log_probability(const float *logits, size_t n_vocab, lckv_token token)
{
    float top = logits[0];
    for (size_t i = 1; i < n_vocab; i++)
        top = logits[i] > top ? logits[i] : top;
    double sum = 0;
    for (size_t i = 0; i < n_vocab; i++)
        sum += exp((double)logits[i] - (double)top);
    return log(sum) + (double)top - (double)logits[token];
}

/* Gives the next documents to lanes that have none. */
static int fill_lanes(struct run *run)
{
    for (size_t i = 0; i < run->n_lanes; i++) {
        struct lane *lane = &run->lanes[i];
        while (lane->session == NULL && run->next < run->job->n_documents) {
            const struct document *document = &run->job->documents[run->next++];
            if (encoded_length(document) <= document->first)
                continue;
            *lane = (struct lane){.document = document};
            if (lckv_session_create(run->cache, &lane->session) != LCKV_OK)
                return fail_library();
        }
    }
    return EXIT_SUCCESS;
}

/* Takes the rows of a lane that got `n` tokens, and ends its document if these were the last. */
static int take_rows(struct run *run, struct lane *lane, size_t n, const float *rows)
{
    const struct document *document = lane->document;
    for (size_t i = 0; i < n; i++) {
        size_t position = lane->n_done + i;
        lckv_token next = document->tokens[position + 1];
        if (position < document->first)
            continue;
        if (next < 0 || (size_t)next >= run->n_vocab) {
            complain("token %d is not in the vocabulary of %zu", (int)next, run->n_vocab);
            return EXIT_FAILURE;
        }
        lane->nll += negative_log_probability(rows + i * run->n_vocab, run->n_vocab, next);
        run->result->n_tokens++;
    }
    lane->n_done += n;
    run->result->n_encoded += n;
    if (lane->n_done == encoded_length(document)) {
        run->result->nll += lane->nll;
        lckv_session_release(lane->session);
        lane->session = NULL;
    }
    return EXIT_SUCCESS;
}

/* Makes one call for all lanes that have a document. */
static int step(struct run *run)
{
    lckv_item items[MAX_LANES];
    struct lane *owners[MAX_LANES];
    size_t n_items = 0;
    for (size_t i = 0; i < run->n_lanes; i++) {
        struct lane *lane = &run->lanes[i];
        if (lane->session == NULL)
            continue;
        size_t rest = encoded_length(lane->document) - lane->n_done;
        size_t n = rest < run->chunk ? rest : run->chunk;
        bool is_counted = lane->n_done + n > lane->document->first;
        owners[n_items] = lane;
        items[n_items++] = (lckv_item){
            .session = lane->session,
            .tokens = lane->document->tokens + lane->n_done,
            .n_tokens = n,
            .want = is_counted ? LCKV_WANT_ALL : LCKV_WANT_NOTHING,
            .logits = is_counted ? run->logits + i * run->chunk * run->n_vocab : NULL,
            .logits_capacity = is_counted ? n * run->n_vocab : 0,
        };
    }
    lckv_evaluate_options options = evaluate_options(run->job->prefill);
    if (lckv_evaluate(run->cache, items, sizeof items[0], n_items, &options, NULL) != LCKV_OK)
        return fail_library();
    int status = EXIT_SUCCESS;
    for (size_t i = 0; i < n_items && status == EXIT_SUCCESS; i++)
        status = take_rows(run, owners[i], items[i].n_tokens, items[i].logits);
    return status;
}

static int run_all(struct run *run)
{
    struct progress progress = progress_begin("measuring");
    double begin = now_seconds();
    int status = fill_lanes(run);
    while (status == EXIT_SUCCESS) {
        bool is_working = false;
        for (size_t i = 0; i < run->n_lanes; i++)
            is_working = is_working || run->lanes[i].session != NULL;
        if (!is_working)
            break;
        status = step(run);
        if (status == EXIT_SUCCESS)
            status = fill_lanes(run);
        progress_update(&progress, run->result->n_encoded, run->n_total);
    }
    run->result->seconds = now_seconds() - begin;
    for (size_t i = 0; i < run->n_lanes; i++)
        lckv_session_release(run->lanes[i].session);
    progress_end(&progress);
    return status;
}

static size_t clamp(uint64_t value, size_t most)
{
    return value < 1 ? 1 : value > most ? most : (size_t)value;
}

/* Chooses lanes and chunk within the limits above, for documents of at most `longest` tokens. */
static int plan_run(struct run *run, size_t longest)
{
    lckv_memory_report memory;
    int status = model_memory(run->job->model, &run->job->cache, longest, &memory);
    if (status != EXIT_SUCCESS)
        return status;
    size_t n_lanes = clamp(run->job->n_documents, MAX_LANES);
    if (memory.bytes_per_session > 0)
        n_lanes = clamp(KV_BYTES / memory.bytes_per_session, n_lanes);
    uint64_t row_bytes = (uint64_t)run->n_vocab * sizeof(float);
    if (prefill_takes_whole(run->job->prefill)) {
        run->chunk = longest;
        run->n_lanes = clamp(ONE_CALL_BYTES / row_bytes / longest, n_lanes);
    } else {
        run->n_lanes = n_lanes;
        /* If there are few lanes, each of them may have more rows. */
        run->chunk = clamp(LOGIT_BYTES / row_bytes / n_lanes, CHUNK * MAX_LANES / n_lanes);
    }
    return EXIT_SUCCESS;
}

static int create_lanes(struct run *run, size_t longest)
{
    enum { PAGE = 64, DEFAULT_ROWS = 256 };
    lckv_cache_options options = {
        .size = sizeof options,
        .n_tokens = (uint64_t)run->n_lanes * ((longest + PAGE - 1) / PAGE * PAGE),
        .max_sessions = (uint32_t)run->n_lanes,
        .kv_dtype = run->job->cache.kv_types.keys,
        .v_dtype = run->job->cache.kv_types.values,
        .page_positions = PAGE,
        .n_threads = (uint32_t)run->job->cache.n_threads,
        .context_window = (uint32_t)run->job->cache.context_window,
        .n_sinks = (uint32_t)run->job->cache.n_sinks,
    };
    if (prefill_takes_whole(run->job->prefill) && longest > DEFAULT_ROWS)
        options.max_rows = (uint32_t)longest;
    return create_cache(run->job->model, &options, "a smaller --context", &run->cache);
}

int perplexity_measure(const struct perplexity_job *job, struct perplexity_result *result)
{
    struct run run = {.job = job, .result = result};
    lckv_model_info info = {.size = sizeof info};
    *result = (struct perplexity_result){0};
    if (lckv_model_get_info(job->model, &info) != LCKV_OK)
        return fail_library();
    run.n_vocab = info.n_vocab;
    size_t longest = 1;
    for (size_t i = 0; i < job->n_documents; i++) {
        size_t n = encoded_length(&job->documents[i]);
        longest = n > longest ? n : longest;
        run.n_total += n;
    }
    if (longest > UINT32_MAX || run.n_vocab == 0) {
        complain("a document of %zu tokens is too long", longest);
        return EXIT_FAILURE;
    }
    const uint64_t window = job->cache.context_window;
    note_training_context(job->model, window > 0 && window < longest ? window : longest);
    int status = plan_run(&run, longest);
    if (status == EXIT_SUCCESS)
        status = create_lanes(&run, longest);
    if (status == EXIT_SUCCESS) {
        run.logits = malloc(run.n_lanes * run.chunk * run.n_vocab * sizeof *run.logits);
        status = run.logits != NULL ? run_all(&run) : fail_memory();
    }
    free(run.logits);
    lckv_cache_release(run.cache);
    return status;
}
