/*
 * Fills a cache with sessions. See filled_cache.h.
 */
#include "bench/filled_cache.h"

#include "sample/random.h"
#include "tools/tiles.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MOST_ATTEMPTS 20
#define GUESSED_TABLES (1 << 20) /* bytes, at first */
#define LEAST_ROWS 256           /* of the scratch, so that prompts can be measured, too */

void check(int ok, const char *what)
{
    if (!ok) {
        fprintf(stderr, "throughput: %s\n", what);
        exit(1);
    }
}

void check_lckv(lckv_status status)
{
    check(status == LCKV_OK, lckv_last_error());
}

void *allocate(size_t n, size_t size)
{
    void *memory = calloc(n, size);
    check(memory != NULL, "out of memory");
    return memory;
}

static void open_model(struct filled_cache *filled)
{
    lckv_model_options options;
    lckv_model_options_init(&options, sizeof options);
    if (filled->setting.stream_bytes > 0) {
        options.weights = LCKV_WEIGHTS_STREAMED;
        options.stream_bytes = filled->setting.stream_bytes;
    } else {
        options.weights = LCKV_WEIGHTS_COPIED; /* memory reads them faster than a mapped file */
    }
    filled->info.size = sizeof filled->info;
    request_tiles();
    check_lckv(lckv_model_open(filled->setting.path, &options, &filled->model));
    check_lckv(lckv_model_get_info(filled->model, &filled->info));
}

/* What the planner says about the budget, which is that of pages alone. */
static void plan_memory(struct filled_cache *filled)
{
    struct setting *setting = &filled->setting;
    lckv_memory_request request = {.size = sizeof request,
                                   .plan = lckv_model_plan(filled->model),
                                   .n_kv_heads = filled->info.n_kv_heads,
                                   .head_dim = filled->info.head_dim,
                                   .sliding_window = filled->info.sliding_window,
                                   .context = setting->context,
                                   .budget_bytes = setting->kv_bytes};
    filled->planned.size = sizeof filled->planned;
    check_lckv(lckv_dtype_from_name(setting->kv_type, &request.kv_dtype));
    check_lckv(lckv_memory_estimate(&request, &filled->planned));
    if (setting->standard_sessions > 0) {
        setting->kv_bytes = setting->standard_sessions * filled->planned.standard_bytes_per_session;
        request.budget_bytes = setting->kv_bytes;
        check_lckv(lckv_memory_estimate(&request, &filled->planned));
    }
    check(filled->planned.sessions_that_fit > 0, "not one session fits into the budget");
    check(filled->planned.sessions_that_fit < CACHE_MAX_ROWS, "too many sessions fit");
}

/*
 * Makes a cache with as many pages as kv_bytes can hold. A cache's budget is for its scratch and
 * its tables, too, which come on top here: the estimate of a small cache tells the scratch, and the
 * budget goes up or down by the pages that are missing or too many.
 */
static void make_cache(struct filled_cache *filled)
{
    const uint64_t n_sessions = filled->planned.sessions_that_fit + 1; /* one more must not fit */
    const uint64_t context = filled->setting.context, kv_bytes = filled->setting.kv_bytes;
    lckv_cache_estimate_report *estimate = &filled->estimate;
    lckv_cache_options options;
    lckv_cache_options_init(&options, sizeof options);
    check_lckv(lckv_dtype_from_name(filled->setting.kv_type, &options.kv_dtype));
    options.n_threads = filled->setting.n_threads;
    options.max_sessions = (uint32_t)n_sessions;
    options.max_rows = n_sessions > LEAST_ROWS ? (uint32_t)n_sessions : LEAST_ROWS;
    options.reuse = LCKV_REUSE_OFF;
    options.n_tokens = 1;
    estimate->size = sizeof *estimate;
    check_lckv(lckv_cache_estimate(filled->model, &options, context, estimate));
    options.n_tokens = 0;
    options.budget_bytes = estimate->scratch_bytes + kv_bytes + GUESSED_TABLES;
    const uint64_t n_pages = kv_bytes / estimate->page_bytes;
    for (int attempt = 0;; attempt++) {
        check(attempt < MOST_ATTEMPTS, "no budget gives the pages that were asked for");
        check_lckv(lckv_cache_estimate(filled->model, &options, context, estimate));
        if (estimate->n_pages == n_pages)
            break;
        options.budget_bytes += (n_pages - estimate->n_pages) * estimate->page_bytes;
    }
    check_lckv(lckv_cache_create(filled->model, &options, &filled->cache));
}

/* Numbers from -1 to 1, which every type of keys and values can hold. */
static void make_page(struct filled_cache *filled)
{
    const struct kv_layout *layout = &filled->cache->layouts[0];
    float *k = allocate(layout->head_dim, sizeof *k), *v = allocate(layout->head_dim, sizeof *v);
    struct random random;
    random_seed(&random, 1);
    filled->page = allocate(layout->page_bytes, 1);
    for (uint32_t position = 0; position < layout->page_positions; position++) {
        for (uint32_t head = 0; head < layout->n_kv_heads; head++) {
            for (uint32_t d = 0; d < layout->head_dim; d++) {
                k[d] = (float)(2 * random_fraction(&random) - 1);
                v[d] = (float)(2 * random_fraction(&random) - 1);
            }
            filled->model->kernels->kv_store(layout, filled->page, position, head, k, v);
        }
    }
    free(k);
    free(v);
}

/* Puts the page's contents into all pages of a session. */
static void fill_pages(const struct filled_cache *filled, const lckv_session *session)
{
    for (uint32_t s = 0; s < filled->model->plan->n_slots; s++) {
        const struct slot_pages *slot = &session->slots[s];
        for (size_t i = 0; i < slot->count; i++) {
            if (slot->ids[i] != PAGE_NONE)
                memcpy(page_address(&filled->cache->pages, slot->ids[i]), filled->page,
                       filled->cache->layouts[0].page_bytes);
        }
    }
}

/* Makes a session `length` tokens long without computing anything, if pages suffice. */
static lckv_status grow(const struct filled_cache *filled, lckv_session *session, uint64_t length)
{
    const uint64_t begin = session->length, n = length - begin;
    check_lckv(cache_enter(filled->cache));
    lckv_status status = LCKV_CACHE_FULL;
    const uint64_t tables = filled->cache->table_bytes + session_table_growth(session, n);
    if (session_pages_needed(session, n, n) <= cache_available(filled->cache, tables)) {
        status = session_reserve(session, filled->tokens, n);
        if (status == LCKV_OK)
            status = session_extend(session, begin, length);
        if (status == LCKV_OK) {
            fill_pages(filled, session);
            session_commit(session, false);
        } else {
            session_rollback(session);
        }
    }
    cache_leave(filled->cache);
    return status;
}

void set_length(const struct filled_cache *filled, lckv_session *session, uint64_t length)
{
    uint64_t now_long;
    check_lckv(lckv_session_length(session, &now_long));
    if (now_long > length)
        check_lckv(lckv_session_truncate(session, length));
    else if (now_long < length)
        check(grow(filled, session, length) == LCKV_OK, "the cache has too few pages");
}

/* Makes sessions of the whole context until the cache is full. */
static void fill_cache(struct filled_cache *filled)
{
    const uint64_t context = filled->setting.context, most = filled->planned.sessions_that_fit + 1;
    filled->sessions = allocate(most, sizeof(lckv_session *));
    filled->tokens = allocate(context + MOST_STEPS + most, sizeof *filled->tokens);
    for (uint64_t i = 0; i < context + MOST_STEPS + most; i++)
        filled->tokens[i] = (lckv_token)(i * 7919 % filled->info.n_vocab);
    for (; filled->n_sessions < most; filled->n_sessions++) {
        lckv_session **session = &filled->sessions[filled->n_sessions];
        check_lckv(lckv_session_create(filled->cache, session));
        lckv_status status = grow(filled, *session, context);
        check(status == LCKV_OK || status == LCKV_CACHE_FULL, lckv_last_error());
        if (status == LCKV_CACHE_FULL) {
            lckv_session_release(*session);
            return;
        }
    }
}

void describe(const struct filled_cache *filled)
{
    const struct setting *setting = &filled->setting;
    const lckv_memory_report *planned = &filled->planned;
    const lckv_cache_estimate_report *estimate = &filled->estimate;
    lckv_cache_stats stats = {.size = sizeof stats};
    static char plan[1 << 16];
    size_t length;
    check_lckv(lckv_cache_get_stats(filled->cache, &stats));
    check_lckv(lckv_plan_text(filled->model->plan, plan, sizeof plan, &length));
    printf("{\"plan\": \"%s\", \"n_slots\": %u, \"n_layers\": %u, \"weights\": \"%s\", "
           "\"kernel_set\": \"%s\", \"n_threads\": %u, \"kv_type\": \"%s\", \"context\": %llu, ",
           plan, filled->model->plan->n_slots, filled->info.n_layers, filled->info.weight_dtypes,
           filled->info.kernel_set, stats.n_threads, setting->kv_type,
           (unsigned long long)setting->context);
    printf("\"kv_bytes\": %llu, \"bytes_per_session\": %llu, \"standard_bytes_per_session\": %llu, "
           "\"planned_sessions\": %llu, \"sessions\": %zu, ",
           (unsigned long long)setting->kv_bytes, (unsigned long long)planned->bytes_per_session,
           (unsigned long long)planned->standard_bytes_per_session,
           (unsigned long long)planned->sessions_that_fit, filled->n_sessions);
    printf("\"n_pages\": %llu, \"page_bytes_total\": %llu, \"table_bytes\": %llu, "
           "\"scratch_bytes\": %llu, \"estimated_bytes\": %llu, ",
           (unsigned long long)stats.n_pages, (unsigned long long)stats.page_bytes_total,
           (unsigned long long)stats.table_bytes, (unsigned long long)stats.scratch_bytes,
           (unsigned long long)(estimate->page_bytes_total + estimate->table_bytes +
                                estimate->scratch_bytes));
    printf("\"weight_bytes\": %llu, \"decode_bytes\": %llu, \"resident_bytes\": %llu, "
           "\"ring_bytes\": %llu}\n",
           (unsigned long long)filled->info.weight_bytes,
           (unsigned long long)filled->info.decode_bytes,
           (unsigned long long)filled->info.resident_bytes,
           (unsigned long long)filled->info.ring_bytes);
}

struct filled_cache filled_cache(const struct setting *setting)
{
    struct filled_cache filled = {.setting = *setting};
    open_model(&filled);
    plan_memory(&filled);
    make_cache(&filled);
    make_page(&filled);
    fill_cache(&filled);
    return filled;
}
