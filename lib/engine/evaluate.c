/*
 * One evaluate call, from checked items to grown sessions. The forward pass itself is forward.c's;
 * how rows are put together into passes is schedule.c's.
 */
#include "engine/evaluate.h"

#include "base/status.h"
#include "engine/schedule.h"

#include <string.h>

static const lckv_item *item_at(const lckv_item *items, size_t stride, size_t i)
{
    return (const lckv_item *)(const void *)((const char *)items + i * stride);
}

static size_t wanted_rows(const lckv_item *item)
{
    switch (item->want & ~(uint32_t)LCKV_WANT_HIDDEN) {
    case LCKV_WANT_ALL:
        return item->n_tokens;
    case LCKV_WANT_LAST:
        return 1;
    default:
        return (item->want & LCKV_WANT_HIDDEN) != 0 ? 1 : 0;
    }
}

static lckv_status check_capacity(size_t i, const char *what, size_t rows, size_t width,
                                  size_t capacity)
{
    if (capacity / width < rows)
        return fail(LCKV_INVALID_ARGUMENT,
                    "item %zu: %s_capacity is %zu floats; %zu rows of %zu are needed", i, what,
                    capacity, rows, width);
    return LCKV_OK;
}

static lckv_status check_item(struct lckv_cache *cache, const lckv_item *item, size_t i)
{
    const struct hparams *h = &cache->model->hparams;
    uint32_t logits = item->want & ~(uint32_t)LCKV_WANT_HIDDEN;
    if (item->session == NULL || item->session->cache != cache)
        return fail(LCKV_INVALID_ARGUMENT, "item %zu: expected a session of this cache", i);
    if (item->session->item_of == cache->n_evaluates)
        return fail(LCKV_INVALID_ARGUMENT, "item %zu: its session is in the call twice", i);
    item->session->item_of = cache->n_evaluates;
    if (item->tokens == NULL || item->n_tokens == 0)
        return fail(LCKV_INVALID_ARGUMENT, "item %zu: expected at least one token", i);
    if (item->n_tokens > UINT32_MAX || item->session->length > UINT32_MAX)
        return fail(LCKV_UNSUPPORTED, "item %zu: sessions end at 2^32 tokens", i);
    if (logits > LCKV_WANT_ALL)
        return fail(LCKV_INVALID_ARGUMENT,
                    "item %zu: want is %u; expected NOTHING, LAST or ALL, and HIDDEN beside it", i,
                    item->want);
    if (item->reserved != 0)
        return fail(LCKV_INVALID_ARGUMENT, "item %zu: reserved must be 0", i);
    for (size_t t = 0; t < item->n_tokens; t++) {
        if (item->tokens[t] < 0 || (uint32_t)item->tokens[t] >= h->n_vocab)
            return fail(LCKV_INVALID_ARGUMENT,
                        "item %zu: token %zu is %d; the vocabulary has ids 0 to %u", i, t,
                        (int)item->tokens[t], h->n_vocab - 1);
    }
    lckv_status status = LCKV_OK;
    if (logits != LCKV_WANT_NOTHING && item->logits != NULL)
        status = check_capacity(i, "logits", wanted_rows(item), h->n_vocab, item->logits_capacity);
    if (status == LCKV_OK && (item->want & LCKV_WANT_HIDDEN) != 0)
        status = item->hidden == NULL
                     ? fail(LCKV_INVALID_ARGUMENT, "item %zu: HIDDEN needs an array `hidden`", i)
                     : check_capacity(i, "hidden", wanted_rows(item), h->hidden_size,
                                      item->hidden_capacity);
    return status;
}

/* The rows of logits that the cache itself must hold. */
static lckv_status check_logit_rows(const struct lckv_cache *cache, const lckv_item *items,
                                    size_t stride, size_t n_items)
{
    size_t rows = 0;
    for (size_t i = 0; i < n_items; i++) {
        const lckv_item *item = item_at(items, stride, i);
        if (item->logits == NULL && (item->want & ~(uint32_t)LCKV_WANT_HIDDEN) != 0)
            rows += wanted_rows(item);
    }
    if (rows > cache->max_logit_rows)
        return fail(LCKV_INVALID_ARGUMENT,
                    "%zu rows of logits are wanted and the cache holds %u; raise max_logit_rows or "
                    "give the items arrays",
                    rows, cache->max_logit_rows);
    return LCKV_OK;
}

/*
 * How an item is encoded. The model's own mode is defined in docs/semantics.md, section 3.
 */
static enum encoding choose_encoding(const struct lckv_model *model,
                                     const struct schedule *schedule, lckv_prefill prefill,
                                     size_t n_tokens)
{
    bool upward = model->plan->n_upward > 0;
    if (prefill == LCKV_PREFILL_MODEL) {
        if (model->hparams.use_sequential || (upward && n_tokens <= schedule->n_iterations))
            return ENCODE_EXACT;
        prefill = LCKV_PREFILL_ITERATED;
    }
    if (prefill == LCKV_PREFILL_EXACT)
        return ENCODE_EXACT;
    if (!upward)
        return ENCODE_PARALLEL;
    return prefill == LCKV_PREFILL_ITERATED ? ENCODE_ITERATED : ENCODE_EXACT;
}

static lckv_status choose_passes(const struct lckv_model *model,
                                 const lckv_evaluate_options *options, struct schedule *schedule)
{
    uint32_t m = options->forward_passes, b = options->backward_passes;
    if (options->prefill < LCKV_PREFILL_AUTO || options->prefill > LCKV_PREFILL_MODEL)
        return fail(LCKV_INVALID_ARGUMENT, "prefill is %d; expected AUTO, EXACT, ITERATED or MODEL",
                    (int)options->prefill);
    if (options->prefill != LCKV_PREFILL_ITERATED && (m != 0 || b != 0))
        return fail(LCKV_INVALID_ARGUMENT,
                    "forward_passes and backward_passes belong to prefill ITERATED");
    if (m == 0 && b == 0)
        m = model->hparams.forward_passes, b = model->hparams.backward_passes;
    if (m > MAX_PASSES || b > MAX_PASSES || m + b == 0)
        return fail(LCKV_INVALID_ARGUMENT, "%u + %u passes; expected 1 to %u in all", m, b,
                    2 * MAX_PASSES);
    schedule->n_iterations = m + b;
    return LCKV_OK;
}

/* The pages that all items need when no pass takes more than `chunk` tokens of one. */
static uint64_t pages_needed(const struct schedule *schedule, uint64_t chunk, size_t *failed)
{
    uint64_t total = 0;
    *failed = schedule->n_items;
    for (size_t i = 0; i < schedule->n_items; i++) {
        const struct scheduled *item = &schedule->items[i];
        uint64_t most = item->encoding == ENCODE_EXACT      ? 1
                        : item->encoding == ENCODE_ITERATED ? item->item->n_tokens
                                                            : chunk;
        total += session_pages_needed(item->item->session, item->item->n_tokens, most);
        if (total > schedule->cache->n_free) {
            *failed = i;
            break;
        }
    }
    return total;
}

/*
 * Smaller chunks need fewer pages of windowed slots at a time; the result is the same. What a cache
 * for a number of tokens promises holds for chunks of up to rollback + 1, and that may be 2.
 */
static lckv_status fit_pages(struct schedule *schedule, lckv_evaluate_report *report)
{
    size_t failed;
    uint64_t needed = pages_needed(schedule, schedule->chunk, &failed);
    while (failed < schedule->n_items && schedule->chunk > 1) {
        schedule->chunk = schedule->chunk / 2;
        needed = pages_needed(schedule, schedule->chunk, &failed);
    }
    report->pages_needed = needed;
    report->pages_free = schedule->cache->n_free;
    if (failed == schedule->n_items)
        return LCKV_OK;
    report->failed_item = (int64_t)failed;
    return fail(LCKV_CACHE_FULL,
                "item %zu: %llu pages are needed up to here and %zu are free; release or truncate "
                "sessions, or create a larger cache",
                failed, (unsigned long long)needed, schedule->cache->n_free);
}

/* Everything that can be wrong with the call, found before anything changes. */
static lckv_status prepare(struct lckv_cache *cache, const lckv_item *items, size_t stride,
                           size_t n_items, const lckv_evaluate_options *options,
                           struct schedule *schedule, lckv_evaluate_report *report)
{
    report->failed_item = -1;
    report->pages_needed = report->n_tokens = report->n_rows = 0;
    report->pages_free = cache->n_free;
    cache->n_evaluates++;
    schedule->cache = cache;
    schedule->chunk = cache->max_rows;
    schedule->n_items = n_items;
    schedule->progress = options->progress;
    schedule->progress_user = options->progress_user;
    lckv_status status = choose_passes(cache->model, options, schedule);
    if (status == LCKV_OK)
        status = memory_alloc(&cache->allocator, n_items, sizeof *schedule->items,
                              "the items of a call", &schedule->items);
    for (size_t i = 0; status == LCKV_OK && i < n_items; i++) {
        const lckv_item *item = item_at(items, stride, i);
        status = check_item(cache, item, i);
        if (status != LCKV_OK) {
            report->failed_item = (int64_t)i;
            break;
        }
        enum encoding encoding =
            choose_encoding(cache->model, schedule, options->prefill, item->n_tokens);
        if (encoding == ENCODE_ITERATED && item->n_tokens > cache->max_rows) {
            report->failed_item = (int64_t)i;
            status = fail(LCKV_INVALID_ARGUMENT,
                          "item %zu: %zu tokens; iterated encoding takes at most max_rows (%u)", i,
                          item->n_tokens, cache->max_rows);
        }
        schedule->items[i] = (struct scheduled){.item = item, .encoding = encoding};
        report->n_tokens += item->n_tokens;
    }
    if (status == LCKV_OK)
        status = check_logit_rows(cache, items, stride, n_items);
    if (status == LCKV_OK)
        status = fit_pages(schedule, report);
    schedule->n_tokens = report->n_tokens;
    return status;
}

/* Where each item's wanted rows go: the caller's array, or the cache's. */
static void place_logits(struct schedule *schedule)
{
    float *next = schedule->workspace.logits;
    for (size_t i = 0; i < schedule->n_items; i++) {
        struct scheduled *item = &schedule->items[i];
        item->hidden = item->item->hidden;
        item->logits = item->item->logits;
        if (item->logits == NULL && (item->item->want & ~(uint32_t)LCKV_WANT_HIDDEN) != 0) {
            item->logits = next;
            item->in_cache = true;
            next += wanted_rows(item->item) * schedule->cache->model->hparams.n_vocab;
        }
    }
}

static void commit(struct schedule *schedule)
{
    for (size_t i = 0; i < schedule->n_items; i++) {
        struct scheduled *item = &schedule->items[i];
        struct lckv_session *session = item->item->session;
        session_commit(session, item->item->tokens, item->item->n_tokens);
        if (item->in_cache) {
            session->logits = item->logits;
            session->n_logit_rows = wanted_rows(item->item);
            session->logits_of = schedule->cache->n_computed;
        }
    }
}

lckv_status evaluate(struct lckv_cache *cache, const lckv_item *items, size_t stride,
                     size_t n_items, const lckv_evaluate_options *options,
                     lckv_evaluate_report *report)
{
    struct schedule schedule = {0};
    size_t n_reserved = 0, n_bytes;
    lckv_status status = prepare(cache, items, stride, n_items, options, &schedule, report);
    for (; status == LCKV_OK && n_reserved < n_items; n_reserved++) {
        status = session_reserve(schedule.items[n_reserved].item->session,
                                 schedule.items[n_reserved].item->n_tokens);
        if (status != LCKV_OK)
            report->failed_item = (int64_t)n_reserved;
    }
    if (status == LCKV_OK)
        status =
            workspace_init(&schedule.workspace, cache->model, cache->max_rows,
                           cache->max_logit_rows, pool_size(cache->pool), cache->scratch, &n_bytes);
    if (status == LCKV_OK) {
        cache->n_computed++; /* from here on the cache's logits are this call's */
        place_logits(&schedule);
        status = schedule_run(&schedule);
        report->n_rows = schedule.n_rows;
    }
    for (size_t i = 0; status != LCKV_OK && i < n_reserved; i++)
        session_rollback(schedule.items[i].item->session);
    if (status == LCKV_OK)
        commit(&schedule);
    memory_free(&cache->allocator, schedule.items, n_items, sizeof *schedule.items);
    return status;
}

lckv_status evaluate_cost(struct lckv_cache *cache, const lckv_item *items, size_t stride,
                          size_t n_items, const lckv_evaluate_options *options,
                          lckv_evaluate_report *report)
{
    struct schedule schedule = {0};
    lckv_status status = prepare(cache, items, stride, n_items, options, &schedule, report);
    memory_free(&cache->allocator, schedule.items, n_items, sizeof *schedule.items);
    return status;
}
