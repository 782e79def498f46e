/*
 * One evaluate call, from checked items (items.c) to grown sessions. schedule.c puts rows together
 * into passes, and forward.c computes a pass.
 */
#include "engine/evaluate.h"

#include "base/clock.h"
#include "base/status.h"
#include "cache/kept.h"
#include "engine/encoding.h"
#include "engine/items.h"

#include <string.h>

static const lckv_item *item_at(const lckv_item *items, size_t stride, size_t i)
{
    return (const lckv_item *)(const void *)((const char *)items + i * stride);
}

/* The pages that items take for copies of pages that others hold. */
static void count_copies(struct schedule *schedule)
{
    for (size_t i = 0; i < schedule->n_items; i++)
        session_claim_tail(schedule->items[i].item.session);
    for (size_t i = 0; i < schedule->n_items; i++) {
        struct scheduled *item = &schedule->items[i];
        item->n_copies = session_count_copies(item->item.session, schedule->gives_up_kept);
    }
    for (size_t i = 0; i < schedule->n_items; i++)
        session_forget_claims(schedule->items[i].item.session);
}

/* What items need and can have: all of them, or those up to the failed one. */
struct demand {
    uint64_t pages, available;
    size_t failed; /* the first item for which more are needed than are available, or n_items */
};

/* What the items demand when no pass takes more than `chunk` tokens of one. */
static struct demand count_pages(const struct schedule *schedule, uint64_t chunk)
{
    const struct lckv_cache *cache = schedule->cache;
    uint64_t tables = cache->table_bytes;
    if (schedule->gives_up_kept)
        tables -= kept_table_bytes(cache);
    struct demand demand = {0, cache_available(cache, tables), 0};
    for (; demand.failed < schedule->n_items; demand.failed++) {
        const struct scheduled *item = &schedule->items[demand.failed];
        const struct lckv_session *session = item->item.session;
        const uint64_t most = encoding_in_flight(schedule, item, chunk);
        demand.pages += session_pages_needed(session, item->item.n_tokens, most) + item->n_copies;
        tables += session_table_growth(session, item->item.n_tokens);
        demand.available = cache_available(cache, tables);
        if (demand.pages > demand.available)
            break;
    }
    return demand;
}

/*
 * Halves the chunk until the pages suffice: smaller chunks need fewer pages of windowed slots at a
 * time, and the result is the same. The pages that a cache has for n_tokens suffice for chunks of
 * up to rollback + 1, which may be as small as 2.
 */
static struct demand fit_chunk(struct schedule *schedule)
{
    count_copies(schedule);
    schedule->chunk = schedule->cache->max_rows;
    struct demand demand = count_pages(schedule, schedule->chunk);
    while (demand.failed < schedule->n_items && schedule->chunk > 1) {
        schedule->chunk = schedule->chunk / 2;
        demand = count_pages(schedule, schedule->chunk);
    }
    return demand;
}

/* Nothing changes: kept sessions are given up when the call begins. */
static lckv_status fit_pages(struct schedule *schedule, lckv_evaluate_report *report)
{
    struct demand demand = fit_chunk(schedule);
    if (demand.failed < schedule->n_items && schedule->cache->kept.first != NULL) {
        schedule->gives_up_kept = true; /* their tables, and the copies of what they hold */
        demand = fit_chunk(schedule);
        report->pages_free = cache_available(
            schedule->cache, schedule->cache->table_bytes - kept_table_bytes(schedule->cache));
    }
    report->pages_needed = demand.pages;
    if (demand.failed == schedule->n_items)
        return LCKV_OK;
    report->pages_free = demand.available;
    report->failed_item = (int64_t)demand.failed;
    return fail(LCKV_CACHE_FULL,
                "item %zu: %llu pages are needed up to here and %llu are free; release or truncate "
                "sessions, or create a larger cache",
                demand.failed, (unsigned long long)report->pages_needed,
                (unsigned long long)report->pages_free);
}

/* Checks everything that can be wrong with the call, before anything changes. */
static lckv_status prepare(struct lckv_cache *cache, const lckv_item *items, size_t stride,
                           size_t n_items, const lckv_evaluate_options *options,
                           struct schedule *schedule, lckv_evaluate_report *report)
{
    report->failed_item = -1;
    report->pages_needed = report->n_tokens = report->n_rows = 0;
    report->pages_free = cache_available(cache, cache->table_bytes);
    cache->n_evaluates++;
    schedule->cache = cache;
    schedule->n_items = n_items;
    schedule->progress = options->progress;
    schedule->progress_user = options->progress_user;
    lckv_status status = encoding_read(options, schedule);
    if (status == LCKV_OK)
        status = memory_alloc(&cache->allocator, n_items, sizeof *schedule->items,
                              "the items of a call", &schedule->items);
    for (size_t i = 0; status == LCKV_OK && i < n_items; i++) {
        status = take_item(schedule, item_at(items, stride, i), i, options->prefill);
        if (status != LCKV_OK)
            report->failed_item = (int64_t)i;
        else
            report->n_tokens += schedule->items[i].item.n_tokens;
    }
    if (status == LCKV_OK)
        status = check_logit_rows(schedule);
    if (status == LCKV_OK) {
        encoding_choose_window(schedule);
        status = fit_pages(schedule, report);
        encoding_fit_window(schedule);
    }
    schedule->n_tokens = report->n_tokens;
    return status;
}

/*
 * Sets where each item's wanted rows go: into the caller's array, or into the set of the cache's
 * rows that holds none now.
 */
static void place_logits(struct schedule *schedule)
{
    const struct lckv_cache *cache = schedule->cache;
    size_t n_vocab = cache->model->hparams.n_vocab,
           set = (cache->n_committed + 1) % CACHE_LOGIT_SETS;
    float *next = workspace_of(cache)->logits + set * cache->max_logit_rows * n_vocab;
    for (size_t i = 0; i < schedule->n_items; i++) {
        struct scheduled *item = &schedule->items[i];
        item->hidden = item->item.hidden;
        item->logits = item->item.logits;
        if (item->logits == NULL && item->n_logits > 0) {
            item->logits = next;
            item->in_cache = true;
            next += item->n_logits * n_vocab;
        }
    }
}

static void commit(struct schedule *schedule)
{
    struct lckv_cache *cache = schedule->cache;
    cache->n_committed++; /* the logits that the cache hands out are now this call's */
    for (size_t i = 0; i < schedule->n_items; i++) {
        const struct scheduled *item = &schedule->items[i];
        struct lckv_session *session = item->item.session;
        session_commit(session, encoding_tolerance(schedule, item));
        if (item->in_cache) {
            session->logits = item->logits;
            session->n_logit_rows = item->n_logits;
            session->logits_of = cache->n_committed;
        }
    }
}

static void roll_back(const struct schedule *schedule)
{
    for (size_t i = 0; schedule->items != NULL && i < schedule->n_items; i++) {
        if (schedule->items[i].item.session != NULL) /* else the call failed before this item */
            session_rollback(schedule->items[i].item.session);
    }
}

/* Tells how the tokens went through the layers. */
static void describe(const struct schedule *schedule, lckv_evaluate_report *report)
{
    report->n_rows = schedule->n_rows;
    report->n_passes = schedule->n_passes;
    report->residual = schedule->residual;
    if (schedule->has_window) {
        report->window = schedule->window;
        report->tolerance = schedule->tolerance;
    }
}

lckv_status evaluate(struct lckv_cache *cache, const lckv_item *items, size_t stride,
                     size_t n_items, const lckv_evaluate_options *options,
                     lckv_evaluate_report *report)
{
    struct schedule schedule = {0};
    const int64_t began = clock_nanoseconds();
    lckv_status status = prepare(cache, items, stride, n_items, options, &schedule, report);
    if (status == LCKV_OK && schedule.gives_up_kept)
        give_up_all_kept(cache);
    for (size_t i = 0; status == LCKV_OK && i < n_items; i++) {
        status = reserve_item(&schedule, i);
        if (status != LCKV_OK)
            report->failed_item = (int64_t)i;
    }
    if (status == LCKV_OK) {
        place_logits(&schedule);
        status = schedule_run(&schedule);
        describe(&schedule, report);
    }
    if (status == LCKV_OK)
        commit(&schedule);
    else
        roll_back(&schedule);
    report->seconds = (double)(clock_nanoseconds() - began) * 1e-9;
    memory_free(&cache->allocator, schedule.items, n_items, sizeof *schedule.items);
    return status;
}

lckv_status evaluate_cost(struct lckv_cache *cache, const lckv_item *items, size_t stride,
                          size_t n_items, const lckv_evaluate_options *options,
                          lckv_evaluate_report *report)
{
    struct schedule schedule = {0};
    lckv_status status = prepare(cache, items, stride, n_items, options, &schedule, report);
    if (status == LCKV_OK)
        describe(&schedule, report);
    memory_free(&cache->allocator, schedule.items, n_items, sizeof *schedule.items);
    return status;
}
