/*
 * Sessions that share pages: forks, and sessions that begin with what the cache still holds. What
 * they compute must be bit for bit what a session of its own computes, and no page may be held
 * twice or lost. Uses the public header only.
 */
#include "cache_support.h"

#include "allocator.h"

#define PAGE 16

static uint32_t slots_of(const lckv_model *model)
{
    return plan_info_of(model).n_slots;
}

static lckv_session *fork_of(lckv_session *session)
{
    lckv_session *fork;
    ck_assert_ok(lckv_session_fork(session, &fork));
    return fork;
}

static size_t reuse(lckv_session *session, const lckv_token *text, size_t n)
{
    size_t n_reused = SIZE_MAX;
    ck_assert_ok(lckv_session_reuse(session, text, n, &n_reused));
    ck_assert_uint_eq(length_of(session), n_reused);
    return n_reused;
}

/* Appends tokens [begin, end) of the text and checks their logits. */
static void append(lckv_cache *cache, lckv_session *session, size_t begin, size_t end)
{
    lckv_item item = item_of(session, begin, end, got[0]);
    ck_assert_ok(run(cache, &item, 1, LCKV_PREFILL_AUTO));
    ck_assert(memcmp(got[0], expected + begin * N_VOCAB, (end - begin) * N_VOCAB * sizeof(float)) ==
              0);
}

/* Appends `n` times the token 5, so that the session leaves the text. */
static void stray(lckv_cache *cache, lckv_session *session, size_t n)
{
    static const lckv_token others[N_TOKENS] = {5, 5, 5, 5, 5, 5, 5, 5};
    lckv_item item = make_item(session, others, n, got[3], N_VOCAB);
    ck_assert_ok(run(cache, &item, 1, LCKV_PREFILL_AUTO));
}

static lckv_model *open_one(int i)
{
    lckv_model *model = open_golden(models[i], LCKV_PRECISION_FULL);
    reference_logits(model, 0, expected);
    return model;
}

static lckv_cache *paged(const lckv_model *model, lckv_cache_options options)
{
    options.page_positions = PAGE;
    if (options.n_tokens == 0 && options.budget_bytes == 0)
        options.n_tokens = 1024;
    return make_cache(model, options);
}

START_TEST(forks_go_their_own_ways)
{
    lckv_model *model = open_one(_i);
    lckv_cache *cache = paged(model, (lckv_cache_options){0});
    const uint64_t all = free_pages(cache);
    lckv_session *session = make_session(cache);
    append(cache, session, 0, 20);
    uint64_t pages = free_pages(cache);
    lckv_session *fork = fork_of(session), *second = fork_of(fork);
    ck_assert_uint_eq(free_pages(cache), pages);
    ck_assert_uint_eq(length_of(second), 20);
    stray(cache, fork, 1); /* copies the second page of each slot */
    ck_assert_uint_eq(free_pages(cache), pages - slots_of(model));
    append(cache, session, 20, 30);
    ck_assert_uint_eq(free_pages(cache), pages - 2 * slots_of(model));
    append(cache, second, 20, 30); /* the last that holds the page needs no copy */
    ck_assert_uint_eq(free_pages(cache), pages - 2 * slots_of(model));
    ck_assert_ok(lckv_session_truncate(fork, 19));
    append(cache, fork, 19, 30);
    lckv_session_release(session);
    append(cache, second, 30, N_TOKENS);
    append(cache, fork, 30, N_TOKENS);
    lckv_session_release(fork);
    lckv_session_release(second);
    ck_assert_uint_eq(free_pages(cache), all);
    lckv_cache_release(cache);
    lckv_model_release(model);
}
END_TEST

START_TEST(forks_in_one_call_write_to_pages_of_their_own)
{
    lckv_model *model = open_one(_i);
    lckv_cache *cache = paged(model, (lckv_cache_options){.reuse = LCKV_REUSE_OFF});
    lckv_session *sessions[4] = {make_session(cache)};
    append(cache, sessions[0], 0, 20);
    lckv_item items[4];
    for (size_t i = 0; i < 4; i++) {
        sessions[i] = i == 0 ? sessions[0] : fork_of(sessions[0]);
        items[i] = item_of(sessions[i], 20, 24, got[i]);
    }
    const uint64_t pages = free_pages(cache);
    lckv_evaluate_report report = {.size = sizeof report};
    ck_assert_ok(lckv_evaluate_cost(cache, items, sizeof *items, 4, NULL, &report));
    ck_assert_uint_eq(report.pages_needed, 3 * slots_of(model));
    ck_assert_ok(lckv_evaluate_cost(cache, items, sizeof *items, 2, NULL, &report));
    ck_assert_uint_eq(report.pages_needed, 2 * slots_of(model));
    const lckv_evaluate_options exact = {.size = sizeof exact, .window = 1};
    ck_assert_ok(lckv_evaluate(cache, items, sizeof *items, 4, &exact, &report));
    ck_assert_uint_eq(report.pages_needed, 3 * slots_of(model));
    ck_assert_uint_eq(free_pages(cache), pages - 3 * slots_of(model));
    for (size_t i = 0; i < 4; i++) {
        ck_assert(memcmp(got[i], expected + 20 * N_VOCAB, 4 * N_VOCAB * sizeof(float)) == 0);
        lckv_session_release(sessions[i]);
    }
    lckv_cache_release(cache);
    lckv_model_release(model);
}
END_TEST

static int32_t cancel(void *user, uint64_t done, uint64_t total)
{
    (void)user, (void)done, (void)total;
    return 1;
}

/* _i: model. After a call that failed, forks share what they shared before. */
START_TEST(a_cancelled_call_undoes_its_copies)
{
    lckv_model *model = open_one(_i);
    lckv_cache *cache = paged(model, (lckv_cache_options){.max_rows = 1});
    lckv_session *session = make_session(cache);
    append(cache, session, 0, 20);
    lckv_session *kept = fork_of(session), *fork = fork_of(session);
    lckv_session_release(kept); /* holds the pages, too, as long as there is room */
    const lckv_cache_stats before = stats_of(cache);
    lckv_item items[2] = {item_of(session, 20, 36, got[0]), item_of(fork, 20, 36, got[1])};
    lckv_evaluate_options options = {.size = sizeof options, .progress = cancel};
    ck_assert_status(lckv_evaluate(cache, items, sizeof *items, 2, &options, NULL), LCKV_CANCELLED);
    ck_assert_uint_eq(stats_of(cache).n_pages_free, before.n_pages_free);
    ck_assert_uint_eq(stats_of(cache).n_pages_kept, before.n_pages_kept);
    append(cache, session, 20, 36);
    append(cache, fork, 20, 36);
    lckv_session_release(session);
    lckv_session_release(fork);
    lckv_cache_release(cache);
    lckv_model_release(model);
}
END_TEST

START_TEST(a_fork_has_the_logits_and_may_be_truncated)
{
    lckv_model *model = open_one(0);
    lckv_cache *cache = paged(model, (lckv_cache_options){.max_sessions = 2});
    lckv_session *session = make_session(cache);
    lckv_item item = {.session = session, .tokens = tokens, .n_tokens = 20, .want = LCKV_WANT_LAST};
    ck_assert_ok(run(cache, &item, 1, LCKV_PREFILL_AUTO));
    lckv_session *fork = fork_of(session), *none = NULL;
    const float *logits;
    size_t n_rows;
    ck_assert_ok(lckv_session_logits(fork, &logits, &n_rows));
    ck_assert_uint_eq(n_rows, 1);
    ck_assert(memcmp(logits, expected + 19 * N_VOCAB, N_VOCAB * sizeof(float)) == 0);
    ck_assert_status(lckv_session_fork(session, &none), LCKV_CACHE_FULL);
    ck_assert_ptr_null(none);
    ck_assert_status(lckv_session_fork(NULL, &none), LCKV_INVALID_ARGUMENT);
    ck_assert_status(lckv_session_fork(session, NULL), LCKV_INVALID_ARGUMENT);
    ck_assert_ok(lckv_session_truncate(fork, 3));
    append(cache, fork, 3, N_TOKENS);
    append(cache, session, 20, N_TOKENS);
    lckv_session_release(session);
    lckv_session_release(fork);
    lckv_cache_release(cache);
    lckv_model_release(model);
}
END_TEST

/* _i: model. Rollback is long, so that windowed slots reach far enough back. */
START_TEST(a_session_begins_with_what_the_cache_holds)
{
    lckv_model *model = open_one(_i);
    lckv_cache *cache = paged(model, (lckv_cache_options){0});
    const uint64_t all = free_pages(cache);
    lckv_session *session = make_session(cache), *live = make_session(cache), *other;
    append(cache, session, 0, 25);
    const uint64_t pages = free_pages(cache);
    ck_assert_uint_eq(reuse(live, tokens, 20), 19); /* one is left to evaluate */
    ck_assert_uint_eq(free_pages(cache), pages);
    append(cache, live, 19, 36);
    lckv_session_release(session);
    lckv_session_release(live);
    ck_assert_uint_eq(free_pages(cache), all);
    ck_assert_uint_gt(stats_of(cache).n_pages_kept, 0);
    other = make_session(cache);
    ck_assert_uint_eq(reuse(other, tokens, N_TOKENS), 36); /* of the longest, though released */
    append(cache, other, 36, N_TOKENS);
    lckv_cache_stats stats = stats_of(cache);
    ck_assert_uint_eq(stats.n_reuses, 2);
    ck_assert_uint_eq(stats.n_reused_tokens, 19 + 36);
    ck_assert_uint_eq(stats.n_reused_pages, (2 + 3) * slots_of(model));
    lckv_token changed[N_TOKENS];
    memcpy(changed, tokens, sizeof changed);
    changed[17] = 5;
    lckv_session_release(other);
    other = make_session(cache);
    live = make_session(cache);
    ck_assert_uint_eq(reuse(live, changed, N_TOKENS), 17); /* the rest of it stays kept */
    ck_assert_uint_eq(reuse(other, tokens, N_TOKENS), N_TOKENS - 1);
    stray(cache, live, 1);
    ck_assert_ok(lckv_session_truncate(live, 17));
    append(cache, live, 17, N_TOKENS);
    ck_assert_status(lckv_session_reuse(live, tokens, 3, NULL), LCKV_INVALID_ARGUMENT);
    ck_assert_error_has("empty session");
    ck_assert_ok(lckv_session_truncate(live, 0));
    ck_assert_uint_eq(reuse(live, changed, 0), 0);
    ck_assert_uint_eq(reuse(live, changed, 1), 0);
    changed[0] = 5;
    ck_assert_uint_eq(reuse(live, changed, N_TOKENS), 0);
    ck_assert_status(lckv_session_reuse(live, NULL, 3, NULL), LCKV_INVALID_ARGUMENT);
    lckv_session_release(live);
    lckv_session_release(other);
    ck_assert_uint_eq(free_pages(cache), all);
    lckv_cache_release(cache);
    lckv_model_release(model);
}
END_TEST

START_TEST(reuse_can_be_turned_off)
{
    lckv_model *model = open_one(0);
    lckv_cache *cache = paged(model, (lckv_cache_options){.reuse = LCKV_REUSE_OFF});
    lckv_session *session = make_session(cache), *other = make_session(cache);
    append(cache, session, 0, 20);
    ck_assert_uint_eq(reuse(other, tokens, N_TOKENS), 0);
    lckv_session_release(session);
    ck_assert_uint_eq(stats_of(cache).n_pages_kept, 0);
    ck_assert_uint_eq(reuse(other, tokens, N_TOKENS), 0);
    lckv_session_release(other);
    lckv_cache_release(cache);
    lckv_cache_options wrong = {.size = sizeof wrong, .reuse = 3};
    ck_assert_status(lckv_cache_create(model, &wrong, &cache), LCKV_INVALID_ARGUMENT);
    ck_assert_error_has("reuse is 3");
    lckv_model_release(model);
}
END_TEST

/* Keys and values that an iterated call left are not those of exact encoding. */
START_TEST(iterated_tokens_are_not_reused)
{
    lckv_model *model = open_one(0);
    lckv_cache *cache = paged(model, (lckv_cache_options){0});
    lckv_session *session = make_session(cache), *other = make_session(cache);
    append(cache, session, 0, 10);
    for (size_t begin = 10; begin < 20; begin += 5) {
        lckv_item item = item_of(session, begin, begin + 5, got[0]);
        ck_assert_ok(run(cache, &item, 1, LCKV_PREFILL_ITERATED));
    }
    ck_assert_uint_eq(reuse(other, tokens, N_TOKENS), 10);
    append(cache, other, 10, 15); /* exact again */
    lckv_session *third = make_session(cache);
    ck_assert_uint_eq(reuse(third, tokens, N_TOKENS), 15);
    ck_assert_ok(lckv_session_truncate(third, 0));
    lckv_session_release(third);
    ck_assert_ok(lckv_session_truncate(other, 0));
    lckv_session *fork = fork_of(session);
    lckv_session_release(session);
    ck_assert_uint_eq(reuse(other, tokens, N_TOKENS), 10);
    ck_assert_ok(lckv_session_truncate(other, 0));
    ck_assert_ok(lckv_session_truncate(fork, 10)); /* all that is left is exact */
    append(cache, fork, 10, 30);
    ck_assert_uint_eq(reuse(other, tokens, N_TOKENS), 30);
    append(cache, other, 30, N_TOKENS);
    lckv_session_release(fork);
    lckv_session_release(other);
    lckv_cache_release(cache);
    lckv_model_release(model);
}
END_TEST

/* A prefix that windowed slots no longer hold is not taken over. */
START_TEST(windows_limit_what_is_reused)
{
    lckv_model *model = open_one(2);
    lckv_cache *cache = paged(model, (lckv_cache_options){.rollback = 1});
    const uint32_t window = info_of(model).sliding_window;
    lckv_session *session = make_session(cache), *other = make_session(cache);
    ck_assert_uint_lt(window, 30);
    append(cache, session, 0, 35);
    ck_assert_uint_eq(reuse(other, tokens, 20), 0);
    ck_assert_uint_eq(reuse(other, tokens, 36), 35);
    append(cache, other, 35, N_TOKENS);
    lckv_session_release(session);
    lckv_session_release(other);
    lckv_cache_release(cache);
    lckv_model_release(model);
}
END_TEST

/* What was released longest ago goes first, its last pages first, and only if it must. */
START_TEST(kept_pages_give_way_to_calls)
{
    lckv_model *model = open_one(0);
    lckv_cache *cache =
        paged(model, (lckv_cache_options){.n_tokens = 6 * PAGE, .max_sessions = 1, .max_rows = 32});
    const uint64_t all = free_pages(cache);
    lckv_session *session = make_session(cache);
    append(cache, session, 0, N_TOKENS); /* three pages of each slot */
    lckv_session_release(session);
    session = make_session(cache);
    stray(cache, session, PAGE); /* one page */
    lckv_session_release(session);
    ck_assert_uint_eq(free_pages(cache), all);
    ck_assert_uint_eq(stats_of(cache).n_pages_kept, 4 * slots_of(model));
    static lckv_token long_text[6 * PAGE];
    for (size_t i = 0; i < COUNT(long_text); i++)
        long_text[i] = (lckv_token)(i % 3 + 7);
    session = make_session(cache);
    lckv_item item = {.session = session, .tokens = long_text, .n_tokens = 4 * PAGE};
    ck_assert_ok(run(cache, &item, 1, LCKV_PREFILL_AUTO)); /* takes two of the six, and two more */
    ck_assert_uint_eq(stats_of(cache).n_pages_kept, 2 * slots_of(model));
    lckv_session_release(session);
    session = make_session(cache);
    ck_assert_uint_eq(reuse(session, tokens, N_TOKENS), PAGE); /* the first of the three is left */
    ck_assert_ok(lckv_session_truncate(session, 0));
    item.session = session;
    item.n_tokens = 6 * PAGE;
    ck_assert_ok(run(cache, &item, 1, LCKV_PREFILL_AUTO)); /* all that there is */
    ck_assert_uint_eq(free_pages(cache), 0);
    ck_assert_uint_eq(stats_of(cache).n_pages_kept, 0);
    lckv_session_release(session);
    lckv_cache_release(cache);
    lckv_model_release(model);
}
END_TEST

/* Copies for the sake of kept sessions must not make a call fail that could do without them. */
START_TEST(kept_pages_cost_no_copy_that_there_is_no_room_for)
{
    lckv_model *model = open_one(0);
    lckv_cache *cache = paged(model, (lckv_cache_options){.n_tokens = 2 * PAGE, .max_sessions = 2});
    lckv_session *session = make_session(cache);
    append(cache, session, 0, 20);
    lckv_session_release(fork_of(session));
    lckv_session *filler = make_session(cache);
    stray(cache, filler, PAGE);
    ck_assert_uint_eq(free_pages(cache), 0);
    append(cache, session, 20, 32);
    lckv_session_release(filler);
    lckv_session_release(session);
    lckv_cache_release(cache);
    lckv_model_release(model);
}
END_TEST

static int32_t cancel_later(void *user, uint64_t done, uint64_t total)
{
    (void)done, (void)total;
    return --*(int *)user == 0;
}

/*
 * _i / 2: model; _i % 2: the order. The last holder of a page writes to it, and the others to
 * copies. If the call fails, one that is longer takes the page up again.
 */
START_TEST(a_cancelled_call_leaves_longer_forks_as_they_were)
{
    static const lckv_token others[N_TOKENS] = {5, 5, 5, 5, 5, 5, 5, 5};
    lckv_model *model = open_one(_i / 2);
    lckv_cache *cache = paged(model, (lckv_cache_options){.max_rows = 1, .reuse = LCKV_REUSE_OFF});
    lckv_session *session = make_session(cache);
    append(cache, session, 0, 20);
    lckv_session *fork = fork_of(session);
    ck_assert_ok(lckv_session_truncate(fork, 17));
    const uint64_t pages = free_pages(cache);
    int n_calls = 9;
    lckv_item items[2];
    items[_i % 2] = item_of(session, 20, 36, got[0]);
    items[1 - _i % 2] = make_item(fork, others, 8, got[1], N_VOCAB);
    lckv_evaluate_options options = {
        .size = sizeof options, .progress = cancel_later, .progress_user = &n_calls};
    ck_assert_status(lckv_evaluate(cache, items, sizeof *items, 2, &options, NULL), LCKV_CANCELLED);
    ck_assert_uint_eq(free_pages(cache), pages);
    append(cache, session, 20, 36);
    append(cache, fork, 17, 36);
    lckv_session_release(session);
    lckv_session_release(fork);
    lckv_cache_release(cache);
    lckv_model_release(model);
}
END_TEST

/* The shared prefix of many sessions is held once. */
START_TEST(many_sessions_share_one_copy_of_a_prefix)
{
    enum { N = 32 };
    lckv_model *model = open_one(0);
    lckv_cache *cache = paged(model, (lckv_cache_options){.n_tokens = 4096, .max_sessions = N});
    const uint64_t all = free_pages(cache);
    lckv_session *sessions[N];
    for (size_t i = 0; i < N; i++) {
        sessions[i] = make_session(cache);
        ck_assert_uint_eq(reuse(sessions[i], tokens, 38), i > 0 ? 37 : 0);
        append(cache, sessions[i], i > 0 ? 37 : 0, 38);
    }
    ck_assert_uint_le(all - free_pages(cache), (3 + N) * slots_of(model));
    for (size_t i = 0; i < N; i++) {
        append(cache, sessions[i], 38, N_TOKENS);
        lckv_session_release(sessions[i]);
    }
    ck_assert_uint_eq(free_pages(cache), all);
    lckv_cache_release(cache);
    lckv_model_release(model);
}
END_TEST

/*
 * A cache whose budget pays for the pages of options->n_tokens tokens and for `beyond` bytes of
 * tables; the options get the budget.
 */
static lckv_cache *budgeted(const lckv_model *model, lckv_cache_options *options, uint64_t beyond)
{
    lckv_cache *cache = paged(model, *options);
    const lckv_cache_stats stats = stats_of(cache);
    lckv_cache_release(cache);
    options->n_tokens = 0;
    options->budget_bytes = stats.scratch_bytes + stats.page_bytes_total + beyond;
    return paged(model, *options);
}

static lckv_session *begin_text(lckv_cache *cache, const lckv_token *text, size_t n)
{
    lckv_session *session = make_session(cache);
    const lckv_item item = {.session = session, .tokens = text, .n_tokens = n};
    ck_assert_ok(run(cache, &item, 1, LCKV_PREFILL_AUTO));
    return session;
}

/* Tables of sessions that share pages are paid for with pages that nobody holds. */
START_TEST(tables_of_forks_stay_in_the_budget)
{
    enum { N = 200 };
    lckv_model *model = open_one(0);
    lckv_cache_options options = {.n_tokens = 4096, .max_sessions = N, .max_rows = 16};
    lckv_cache *cache = budgeted(model, &options, 100000);
    static const lckv_token text[2000];
    lckv_session *sessions[N] = {begin_text(cache, text, COUNT(text))};
    lckv_cache_stats stats;
    const uint64_t before = free_pages(cache);
    size_t n = 1;
    for (lckv_status status = LCKV_OK; status == LCKV_OK && n < N; n += status == LCKV_OK) {
        status = lckv_session_fork(sessions[0], &sessions[n]);
        if (status != LCKV_OK) {
            ck_assert_status(status, LCKV_CACHE_FULL);
            ck_assert_error_has("than the budget has left");
        }
        stats = stats_of(cache);
        ck_assert_uint_le(stats.scratch_bytes + stats.table_bytes + stats.page_bytes_total,
                          options.budget_bytes);
    }
    ck_assert_uint_gt(n, N / 2);
    ck_assert_uint_lt(stats.n_pages_free, before);
    for (size_t i = 0; i < n; i++)
        lckv_session_release(sessions[i]);
    stats = stats_of(cache);
    ck_assert_uint_eq(stats.n_pages_free, stats.n_pages);
    lckv_cache_release(cache);
    lckv_model_release(model);
}
END_TEST

/* So are sessions themselves, however little they hold. */
START_TEST(sessions_without_tokens_stay_in_the_budget)
{
    enum { MOST = 4000 };
    lckv_model *model = open_one(0);
    lckv_cache_options options = {.n_tokens = 4096, .max_sessions = MOST, .max_rows = 16};
    lckv_cache *cache = budgeted(model, &options, 2000000);
    static lckv_session *sessions[MOST];
    static const lckv_token text[2000];
    sessions[0] = begin_text(cache, text, COUNT(text));
    lckv_cache_stats stats = stats_of(cache);
    const uint64_t pages_in_use = stats.n_pages - stats.n_pages_free;
    size_t n = 1;
    while (lckv_session_fork(sessions[0], &sessions[n]) == LCKV_OK)
        n++;
    ck_assert_error_has("than the budget has left");
    while (lckv_session_create(cache, &sessions[n]) == LCKV_OK)
        n++;
    ck_assert_error_has("than the budget has left");
    stats = stats_of(cache);
    ck_assert_uint_le(stats.scratch_bytes + stats.table_bytes + pages_in_use * stats.page_bytes,
                      options.budget_bytes);
    for (size_t i = 0; i < n; i++)
        lckv_session_release(sessions[i]);
    lckv_cache_release(cache);
    lckv_model_release(model);
}
END_TEST

/*
 * Room for the tables of a new session may cost kept sessions, but not the one that it is about to
 * share with: this one lives on in the new session, which needs no tables then.
 */
START_TEST(a_kept_session_lives_on_where_there_is_no_room_for_two)
{
    enum { N = 400, LONG = 2000 };
    static struct counting counting = {.n_allowed = SIZE_MAX};
    const lckv_allocator allocator = counting_allocator(&counting);
    lckv_model *model =
        open_model("tests/data/goldens/" UPWARD,
                   (lckv_model_options){.gemm = LCKV_GEMM_OWN, .allocator = &allocator});
    lckv_cache_options options = {.n_tokens = 2 * LONG, .max_sessions = N, .max_rows = 16};
    lckv_cache *cache = budgeted(model, &options, 400000);
    static lckv_token text[2][LONG];
    lckv_session *sessions[N];
    size_t n, n_reused = 0;
    for (size_t i = 0; i < LONG; i++)
        text[1][i] = 7;
    for (size_t i = 0; i < 2; i++) { /* one to be kept, and one to be forked */
        sessions[0] = begin_text(cache, text[i], LONG);
        if (i == 0)
            lckv_session_release(sessions[0]);
    }
    const uint64_t n_kept = stats_of(cache).n_pages_kept;
    ck_assert_uint_gt(n_kept, 0);
    for (n = 1; n + 1 < N && stats_of(cache).n_pages_kept == n_kept; n++)
        sessions[n] = fork_of(sessions[0]); /* until one costs pages of the kept session */
    ck_assert_uint_lt(n + 1, N);
    sessions[n] = make_session(cache);
    ck_assert_ok(lckv_session_reuse(sessions[n], text[0], LONG, &n_reused));
    ck_assert_uint_gt(n_reused, LONG / 2);
    for (size_t i = 0; i < n; i++)
        lckv_session_release(sessions[i]);
    lckv_item item = {.session = sessions[n], .tokens = text[0], .n_tokens = 1};
    ck_assert_ok(run(cache, &item, 1, LCKV_PREFILL_AUTO));
    lckv_session_release(sessions[n]);
    const lckv_cache_stats stats = stats_of(cache);
    ck_assert_uint_eq(stats.n_pages_free, stats.n_pages);
    lckv_cache_release(cache);
    lckv_model_release(model);
    ck_assert_uint_eq(counting.out, 0);
}
END_TEST

static void add_sharing(Suite *suite)
{
    TCase *tcase = tcase_create("sharing");
    tcase_add_unchecked_fixture(tcase, make_tokens, NULL);
    tcase_set_timeout(tcase, 60);
    tcase_add_loop_test(tcase, forks_go_their_own_ways, 0, 3);
    tcase_add_loop_test(tcase, forks_in_one_call_write_to_pages_of_their_own, 0, 3);
    tcase_add_loop_test(tcase, a_cancelled_call_undoes_its_copies, 0, 3);
    tcase_add_loop_test(tcase, a_cancelled_call_leaves_longer_forks_as_they_were, 0, 6);
    tcase_add_test(tcase, a_fork_has_the_logits_and_may_be_truncated);
    tcase_add_loop_test(tcase, a_session_begins_with_what_the_cache_holds, 0, 3);
    tcase_add_test(tcase, reuse_can_be_turned_off);
    tcase_add_test(tcase, iterated_tokens_are_not_reused);
    tcase_add_test(tcase, windows_limit_what_is_reused);
    tcase_add_test(tcase, kept_pages_give_way_to_calls);
    tcase_add_test(tcase, kept_pages_cost_no_copy_that_there_is_no_room_for);
    tcase_add_test(tcase, many_sessions_share_one_copy_of_a_prefix);
    tcase_add_test(tcase, tables_of_forks_stay_in_the_budget);
    tcase_add_test(tcase, sessions_without_tokens_stay_in_the_budget);
    tcase_add_test(tcase, a_kept_session_lives_on_where_there_is_no_room_for_two);
    suite_add_tcase(suite, tcase);
}

TEST_MAIN("sharing", add_sharing)
