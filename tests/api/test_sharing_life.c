/*
 * Random operations on the sessions of one small cache, against a simple model: a session is a list
 * of tokens, and its keys and values are what those tokens give in a cache of its own. Uses the
 * public header only. LCKV_TEST_OPERATIONS sets the number of operations for each model.
 */
#include "cache_support.h"

#include <stdbool.h>
#include <stdio.h>

#include "allocator.h"
#include "random.h"

#define PAGE 16
#define MOST_SESSIONS 6
#define MOST_LENGTH 120
#define MOST_ITEMS 3

/* What a session must contain. */
struct text {
    lckv_session *session; /* NULL: there is none */
    size_t length;
    lckv_token tokens[MOST_LENGTH];
};

struct life {
    struct counting counting;
    lckv_model *model;
    lckv_cache *cache, *reference; /* the reference never reuses */
    uint64_t budget;
    uint32_t n_slots, window, rollback;
    bool windowed[16]; /* by slot */
    size_t row;        /* floats of the keys of a position */
    struct text texts[MOST_SESSIONS];
    uint64_t n_full, n_cancelled, n_reused;
};

static uint32_t below(uint32_t n)
{
    return random_bits() % n;
}

/* Few different tokens, so that texts often begin alike. */
static lckv_token any_token(void)
{
    return below(8) == 0 ? (lckv_token)below(3) + 7 : 6;
}

static struct text *any_text(struct life *life, bool alive)
{
    struct text *text = &life->texts[below(MOST_SESSIONS)];
    return (text->session != NULL) == alive ? text : NULL;
}

static size_t min_length_of(lckv_session *session)
{
    uint64_t length;
    ck_assert_ok(lckv_session_min_length(session, &length));
    return (size_t)length;
}

/* The keys and values of a slot at positions [begin, end). */
static void read_slot(const struct life *life, lckv_session *session, uint32_t slot, size_t begin,
                      size_t end, float *kv)
{
    ck_assert_ok(
        lckv_session_read_kv(session, slot, begin, end, kv, kv + (end - begin) * life->row));
}

/* Checks tokens, keys and values of a session. */
static void check_text(struct life *life, const struct text *text)
{
    static float got_kv[2 * MOST_LENGTH * 256], expected_kv[2 * MOST_LENGTH * 256];
    lckv_token held[MOST_LENGTH];
    size_t n;
    ck_assert_ok(lckv_session_tokens(text->session, held, MOST_LENGTH, &n));
    ck_assert_uint_eq(n, text->length);
    ck_assert(memcmp(held, text->tokens, n * sizeof *held) == 0);
    if (n == 0)
        return;
    lckv_session *session = make_session(life->reference);
    lckv_item item = {.session = session, .tokens = text->tokens, .n_tokens = n};
    ck_assert_ok(run(life->reference, &item, 1, LCKV_PREFILL_AUTO));
    for (uint32_t slot = 0; slot < life->n_slots; slot++) {
        size_t begin = life->windowed[slot] && n > life->window ? n - life->window : 0;
        read_slot(life, text->session, slot, begin, n, got_kv);
        read_slot(life, session, slot, begin, n, expected_kv);
        ck_assert_msg(memcmp(got_kv, expected_kv, 2 * (n - begin) * life->row * 4) == 0,
                      "slot %u of a session of %zu tokens differs", slot, n);
    }
    lckv_session_release(session);
}

static int32_t maybe_cancel(void *user, uint64_t done, uint64_t total)
{
    (void)done, (void)total;
    return *(const int32_t *)user;
}

/* Appends tokens to several sessions in one call, which may be cancelled or find the cache full. */
static void append(struct life *life)
{
    lckv_token more[MOST_ITEMS][64];
    lckv_item items[MOST_ITEMS];
    struct text *of[MOST_ITEMS];
    size_t n = 0;
    int32_t cancels = below(8) == 0;
    lckv_evaluate_options options = {
        .size = sizeof options, .progress = maybe_cancel, .progress_user = &cancels};
    lckv_evaluate_report report = {.size = sizeof report}, cost = {.size = sizeof cost};
    for (uint32_t first = below(MOST_SESSIONS), i = 0; i < MOST_SESSIONS && n < MOST_ITEMS; i++) {
        struct text *text = &life->texts[(first + i) % MOST_SESSIONS];
        size_t n_tokens = below(2) == 0 ? 1 : 1 + below(60);
        if (text->session == NULL || text->length + n_tokens > MOST_LENGTH || below(3) == 0)
            continue;
        for (size_t t = 0; t < n_tokens; t++)
            more[n][t] = any_token();
        of[n] = text;
        items[n] = (lckv_item){.session = text->session, .tokens = more[n], .n_tokens = n_tokens};
        n++;
    }
    if (n == 0)
        return;
    lckv_status expected_status =
        lckv_evaluate_cost(life->cache, items, sizeof *items, n, &options, &cost);
    uint64_t before = free_pages(life->cache);
    lckv_status status = lckv_evaluate(life->cache, items, sizeof *items, n, &options, &report);
    ck_assert_uint_eq(report.pages_needed, cost.pages_needed);
    if (status == LCKV_OK) {
        ck_assert_int_eq(expected_status, LCKV_OK);
        for (size_t i = 0; i < n; i++) {
            memcpy(of[i]->tokens + of[i]->length, more[i], items[i].n_tokens * sizeof **more);
            of[i]->length += items[i].n_tokens;
        }
    } else if (status == LCKV_CACHE_FULL) {
        ck_assert_int_eq(expected_status, LCKV_CACHE_FULL);
        ck_assert_uint_gt(report.pages_needed, report.pages_free);
        life->n_full++;
    } else {
        ck_assert_status(status, LCKV_CANCELLED);
        life->n_cancelled++;
    }
    if (status != LCKV_OK)
        ck_assert_uint_eq(free_pages(life->cache), before);
}

/* A new session begins like any text, perhaps one that was released. */
static void begin_again(struct life *life, const struct text *like)
{
    struct text *text = any_text(life, false);
    size_t n_reused, n = like->length + 1 + below(9);
    if (text == NULL || n > MOST_LENGTH)
        return;
    memmove(text->tokens, like->tokens, like->length * sizeof *text->tokens);
    for (size_t t = like->length; t < n; t++)
        text->tokens[t] = any_token();
    text->session = make_session(life->cache);
    ck_assert_ok(lckv_session_reuse(text->session, text->tokens, n, &n_reused));
    ck_assert_uint_lt(n_reused, n);
    text->length = n_reused;
    life->n_reused += n_reused;
}

static void truncate_any(struct life *life, struct text *text)
{
    size_t least = min_length_of(text->session);
    size_t length = least + below((uint32_t)(text->length - least + 1));
    if (below(10) == 0)
        length = 0;
    ck_assert_ok(lckv_session_truncate(text->session, length));
    text->length = length;
    (void)life;
}

static void fork_any(struct life *life, const struct text *from)
{
    struct text *text = any_text(life, false);
    if (text == NULL)
        return;
    ck_assert_ok(lckv_session_fork(from->session, &text->session));
    text->length = from->length;
    memcpy(text->tokens, from->tokens, from->length * sizeof *text->tokens);
}

static void operate(struct life *life)
{
    struct text *alive = any_text(life, true), *gone = any_text(life, false);
    switch (below(10)) {
    case 0:
        if (gone != NULL) {
            gone->session = make_session(life->cache);
            gone->length = 0;
        }
        break;
    case 1:
    case 2:
        if (alive != NULL)
            fork_any(life, alive);
        break;
    case 3:
        if (alive != NULL)
            truncate_any(life, alive);
        break;
    case 4: /* the text stays known, for begin_again */
        if (alive != NULL) {
            lckv_session_release(alive->session);
            alive->session = NULL;
        }
        break;
    case 5:
    case 6:
        begin_again(life, &life->texts[below(MOST_SESSIONS)]);
        break;
    default:
        append(life);
    }
    lckv_cache_stats stats = stats_of(life->cache);
    if (life->budget > 0)
        ck_assert_uint_le(stats.scratch_bytes + stats.table_bytes + stats.page_bytes_total,
                          life->budget);
    ck_assert_uint_le(stats.n_pages_kept, stats.n_pages);
}

static void begin_life(struct life *life, int seed)
{
    memset(life, 0, sizeof *life);
    random_seed = (uint64_t)seed;
    life->counting.n_allowed = SIZE_MAX;
    const lckv_allocator allocator = counting_allocator(&life->counting);
    char path[128];
    snprintf(path, sizeof path, "tests/data/goldens/%s", models[seed % 3]);
    life->model = open_model(path, (lckv_model_options){.precision = LCKV_PRECISION_FULL,
                                                        .gemm = LCKV_GEMM_OWN,
                                                        .allocator = &allocator});
    lckv_cache_options options = {.n_tokens = 200,
                                  .max_sessions = MOST_SESSIONS,
                                  .page_positions = PAGE,
                                  .rollback = seed % 2 == 0 ? 8 : 64,
                                  .max_rows = 32,
                                  .n_threads = 1};
    life->reference = make_cache(life->model, (lckv_cache_options){.n_tokens = MOST_LENGTH,
                                                                   .max_sessions = 1,
                                                                   .page_positions = PAGE,
                                                                   .n_threads = 1,
                                                                   .reuse = LCKV_REUSE_OFF});
    life->cache = make_cache(life->model, options);
    lckv_plan_info plan = plan_info_of(life->model);
    lckv_model_info info = info_of(life->model);
    life->n_slots = plan.n_slots;
    life->window = info.sliding_window;
    life->row = (size_t)info.n_kv_heads * info.head_dim;
    ck_assert_uint_le(life->row, 256);
    ck_assert_uint_le(life->n_slots, COUNT(life->windowed));
    for (uint32_t i = 0; i < life->n_slots; i++) {
        lckv_slot_info slot = {.size = sizeof slot};
        ck_assert_ok(lckv_plan_get_slot(lckv_model_plan(life->model), i, &slot));
        life->windowed[i] = slot.is_windowed != 0;
    }
    if (plan.n_windowed_slots == 0) { /* as many pages, but the tables count */
        lckv_cache_stats stats = stats_of(life->cache);
        options.budget_bytes = life->budget = stats.page_bytes_total + stats.scratch_bytes + 20000;
        options.n_tokens = 0;
        lckv_cache_release(life->cache);
        life->cache = make_cache(life->model, options);
    }
}

static void end_life(struct life *life)
{
    for (size_t i = 0; i < MOST_SESSIONS; i++)
        lckv_session_release(life->texts[i].session);
    lckv_cache_stats stats = stats_of(life->cache);
    ck_assert_uint_eq(stats.n_sessions, 0);
    ck_assert_uint_eq(stats.n_pages_free, stats.n_pages);
    ck_assert_uint_gt(life->n_full, 0);
    ck_assert_uint_gt(life->n_cancelled, 0);
    ck_assert_uint_gt(life->n_reused, 0);
    lckv_cache_release(life->cache);
    lckv_cache_release(life->reference);
    lckv_model_release(life->model);
    ck_assert_uint_eq(life->counting.out, 0);
}

/* _i: seed; seed % 3: model. */
START_TEST(sessions_contain_what_they_must)
{
    static struct life life;
    const char *asked = getenv("LCKV_TEST_OPERATIONS");
    const int n = asked != NULL ? atoi(asked) : 600;
    begin_life(&life, _i);
    for (int i = 0; i < n; i++) {
        operate(&life);
        const struct text *text = any_text(&life, true);
        if (text != NULL)
            check_text(&life, text);
    }
    for (size_t i = 0; i < MOST_SESSIONS; i++) {
        if (life.texts[i].session != NULL)
            check_text(&life, &life.texts[i]);
    }
    end_life(&life);
}
END_TEST

static void add_life(Suite *suite)
{
    TCase *tcase = tcase_create("life");
    tcase_set_timeout(tcase, 600);
    tcase_add_loop_test(tcase, sessions_contain_what_they_must, 0, 6);
    suite_add_tcase(suite, tcase);
}

TEST_MAIN("a life of sharing", add_life)
