/*
 * In a life of sessions: some of them grow in one call.
 */
#ifndef LCKV_TESTS_LIFE_GROWTH_H
#define LCKV_TESTS_LIFE_GROWTH_H

#include "life_chances.h"

enum { MOST_ITEMS = 3 };

struct call {
    struct home *home;
    lckv_item items[MOST_ITEMS];
    lckv_token tokens[MOST_ITEMS][MOST_LENGTH];
    struct text *texts[MOST_ITEMS];
    size_t n;
};

static inline void any_call(struct life *life, struct call *call)
{
    call->home = any_home(life);
    call->n = 0;
    for (size_t first = below(MOST_SESSIONS), i = 0; i < MOST_SESSIONS && call->n < MOST_ITEMS;
         i++) {
        struct text *text = &life->texts[(first + i) % MOST_SESSIONS];
        const size_t n = one_in(2) ? 1 : 1 + below(one_in(3) ? 100 : 30);
        if (text->session == NULL || text->home != call->home || one_in(3) ||
            text->length + n > life->longest)
            continue;
        for (size_t t = 0; t < n; t++)
            call->tokens[call->n][t] = any_token();
        call->items[call->n] =
            (lckv_item){.session = text->session, .tokens = call->tokens[call->n], .n_tokens = n};
        call->texts[call->n++] = text;
    }
}

/* Whether the cache was made for as many tokens as this call leads to (lckv_cache_create). */
static inline bool is_promised(const struct life *life, const struct call *call)
{
    const struct home *home = call->home;
    size_t n_all = home->n_positions, n_long = 0, n_long_tokens = 0;
    for (size_t i = 0; i < call->n; i++) {
        const size_t n = call->items[i].n_tokens;
        n_all += n;
        n_long += n > 1;
        n_long_tokens += n > 1 ? n : 0;
    }
    return n_all <= home->options.n_tokens && !(life->forgets && home->keeps_more) &&
           (n_long <= 1 || n_long_tokens <= home->options.max_rows);
}

/* The pages that the first `n_items` items cannot do without, and those that suffice. */
static inline uint64_t most_pages(const struct life *life, const struct call *call, size_t n_items)
{
    uint64_t pages = 0;
    for (size_t i = 0; i < n_items; i++) {
        const size_t length = call->texts[i]->length;
        const bool has_tail = length % call->home->options.page_positions != 0;
        pages += pages_of(life, call->home, length + call->items[i].n_tokens) -
                 pages_of(life, call->home, length) + (has_tail ? life->n_slots : 0);
    }
    return pages;
}

static inline void check_full(const struct life *life, const struct call *call,
                              const lckv_evaluate_report *report, const lckv_cache_stats *before)
{
    uint64_t bytes = 0;
    ck_assert(!is_promised(life, call));
    ck_assert_uint_gt(report->pages_needed, report->pages_free);
    ck_assert_int_ge(report->failed_item, 0);
    for (int64_t i = 0; i <= report->failed_item; i++)
        bytes += table_bytes(life, call->texts[i]->length + call->items[i].n_tokens);
    if (call->home->options.budget_bytes == 0)
        ck_assert_uint_eq(report->pages_free, before->n_pages_free);
    else
        ck_assert_uint_ge(report->pages_free + bytes / before->page_bytes + 1,
                          before->n_pages_free);
    ck_assert_uint_le(report->pages_needed,
                      most_pages(life, call, (size_t)report->failed_item + 1));
}

/* A price can be asked, and a call fail for want of pages, without any effect. */
static inline void check_unchanged(const struct home *home, const lckv_cache_stats *before)
{
    const lckv_cache_stats after = stats_of(home->cache);
    ck_assert_mem_eq(&after, before, sizeof after);
}

static inline void append_tokens(struct life *life)
{
    static struct call call;
    any_call(life, &call);
    if (call.n == 0)
        return;
    lckv_cache *cache = call.home->cache;
    struct patience patience = any_patience(call.home);
    lckv_evaluate_options options = {
        .size = sizeof options, .window = 1, .progress = progress, .progress_user = &patience};
    lckv_evaluate_report report = {.size = sizeof report}, cost = {.size = sizeof cost};
    const lckv_cache_stats before = stats_of(cache);
    lckv_status priced =
        lckv_evaluate_cost(cache, call.items, sizeof *call.items, call.n, &options, &cost);
    check_unchanged(call.home, &before);
    lckv_status status =
        lckv_evaluate(cache, call.items, sizeof *call.items, call.n, &options, &report);
    if (!life->is_starved) {
        ck_assert_int_eq(priced == LCKV_CACHE_FULL, status == LCKV_CACHE_FULL);
        ck_assert_uint_eq(report.pages_needed, cost.pages_needed);
        ck_assert_uint_eq(report.pages_free, cost.pages_free);
    }
    if (status == LCKV_CACHE_FULL) {
        check_full(life, &call, &report, &before);
        check_unchanged(call.home, &before);
    } else if (status != LCKV_OK && call.home->options.budget_bytes == 0) {
        ck_assert_uint_eq(free_pages(cache), before.n_pages_free);
    }
    if (!succeeded(life, status))
        return;
    ck_assert_uint_le(report.pages_needed, report.pages_free);
    for (size_t i = 0; i < call.n; i++) {
        struct text *text = call.texts[i];
        memcpy(text->tokens + text->length, call.tokens[i],
               call.items[i].n_tokens * sizeof **call.tokens);
        text->length += call.items[i].n_tokens;
        note_growth(life, text);
    }
}

#endif
