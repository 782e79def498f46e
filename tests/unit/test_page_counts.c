/*
 * Pages: what the planner, the size of a cache and the cost of a call say, against what sessions
 * really take. First comes the arithmetic on every shape of a grid, against passes that are played
 * with sets of pages. Then come real sessions, which take and give back pages without computing.
 */
#include "cache/session.h"

#include "random.h"
#include "support.h"

#define MOST_PAGES 64

static const char *const models[] = {
    "tests/data/goldens/yoco-windows", /* slots 0 to 2 are windowed, slot 3 is full */
    "tests/data/goldens/cycle3-window" /* slot 2 is windowed; prompts may be iterated */
};

/* A windowed slot attends to so many of the last tokens, and to the first `n_sinks` if it must. */
static uint64_t window_of(const struct windows *windows)
{
    uint64_t moving = windows->context - windows->n_sinks;
    return windows->context > 0 && moving < windows->sliding ? moving : windows->sliding;
}

static uint64_t sinks_of(const struct windows *windows)
{
    return window_of(windows) < windows->sliding ? windows->n_sinks : 0;
}

/* The first position behind the sinks that a windowed slot of `length` tokens keeps. */
static uint64_t kept_from(const struct paging *paging, uint64_t length)
{
    uint64_t kept = window_of(&paging->windows) + paging->rollback;
    return length > kept ? length - kept : 0;
}

static void mark(bool *pages, const struct paging *paging, uint64_t begin, uint64_t end)
{
    for (uint64_t p = begin; p < end; p++)
        pages[p / paging->page_positions] = true;
    for (uint64_t p = 0; p < sinks_of(&paging->windows) && p < end; p++)
        pages[p / paging->page_positions] = true;
}

static uint64_t count(const bool *pages)
{
    uint64_t n = 0;
    for (int i = 0; i < MOST_PAGES; i++)
        n += pages[i];
    return n;
}

/*
 * Plays positions [length, end) of a windowed slot in passes of `chunk`. Returns the most pages
 * held at once.
 */
static uint64_t played_peak(const struct paging *paging, uint64_t length, uint64_t end,
                            uint64_t chunk)
{
    uint64_t most = 0, kept = kept_from(paging, end);
    for (uint64_t begin = length; begin < end; begin += chunk) {
        uint64_t pass_end = begin + chunk < end ? begin + chunk : end;
        uint64_t window = window_of(&paging->windows);
        uint64_t attended = begin + 1 > window ? begin + 1 - window : 0;
        bool pages[MOST_PAGES] = {false};
        mark(pages, paging, kept_from(paging, length), length); /* in case the call fails */
        mark(pages, paging, attended < kept ? attended : kept, pass_end);
        uint64_t n = count(pages);
        most = n > most ? n : most;
    }
    return most;
}

static uint64_t held_at(const struct paging *paging, uint64_t length)
{
    bool pages[MOST_PAGES] = {false};
    mark(pages, paging, kept_from(paging, length), length);
    return count(pages);
}

/* Checks a call of `n` tokens in passes of `chunk`: as it is played, and as pages_at_peak says. */
static void check_call(const struct paging *paging, uint64_t length, uint64_t n, uint64_t chunk)
{
    uint64_t end = length + n, held = held_at(paging, length);
    uint64_t rest = pages_at_rest(paging, true, end);
    uint64_t played = played_peak(paging, length, end, chunk);
    uint64_t peak = pages_at_peak(paging, true, held, end, n, chunk);
    uint64_t reserved = pages_at_peak(paging, true, rest, end, n, chunk);
    if (held > rest || played > peak || peak > reserved || reserved > pages_for(paging, end))
        ck_abort_msg("pages of %u, window %u, %u sinks of %u, rollback %u; %llu tokens and %llu in "
                     "passes of %llu: held %llu of %llu, then %llu of %llu of %llu",
                     paging->page_positions, paging->windows.sliding, paging->windows.n_sinks,
                     paging->windows.context, paging->rollback, (unsigned long long)length,
                     (unsigned long long)n, (unsigned long long)chunk, (unsigned long long)held,
                     (unsigned long long)rest, (unsigned long long)played, (unsigned long long)peak,
                     (unsigned long long)reserved);
}

/* _i: page_positions / 16 - 1. */
START_TEST(no_call_takes_more_than_its_peak)
{
    static const struct windows windows[] = {{1, 0, 0},   {7, 0, 0},    {16, 0, 0},   {17, 0, 0},
                                             {99, 10, 4}, {99, 40, 17}, {99, 35, 32}, {7, 40, 4}};
    const uint32_t rollbacks[] = {1, 5, 20};
    const uint64_t chunks[] = {1, 2, 6, 21, 40};
    for (size_t w = 0; w < COUNT(windows); w++) {
        for (size_t r = 0; r < 3; r++) {
            struct paging paging = {(uint32_t)(_i + 1) * 16, rollbacks[r], windows[w]};
            for (uint64_t length = 0; length < 75; length++) {
                for (uint64_t n = 1; n < 75; n += 1 + n / 8) {
                    for (size_t c = 0; c < 5; c++)
                        check_call(&paging, length, n, chunks[c]);
                }
            }
        }
    }
}
END_TEST

/* The pages that are reserved for single tokens are all needed at some length. */
START_TEST(single_tokens_take_all_of_their_peak)
{
    for (uint32_t window = 1; window < 40; window++) {
        for (uint32_t rollback = 1; rollback < 40; rollback += 3) {
            struct paging paging = {16, rollback, {.sliding = window}};
            uint64_t most = 0;
            for (uint64_t length = 0; length < 150; length++) {
                uint64_t played = played_peak(&paging, length, length + 1, 1);
                most = played > most ? played : most;
                uint64_t held = pages_at_rest(&paging, true, length + 1);
                ck_assert_uint_eq(pages_at_peak(&paging, true, held, length + 1, 1, 1), most);
            }
        }
    }
}
END_TEST

START_TEST(chunks_of_the_rollback_and_one_take_no_more_than_single_tokens)
{
    for (uint32_t rollback = 1; rollback < 70; rollback++) {
        struct paging paging = {32, rollback, {.sliding = 11}};
        ck_assert_uint_eq(pages_at_peak(&paging, true, 2, 1000, 500, rollback + 1),
                          pages_at_peak(&paging, true, 2, 1000, 500, 1));
    }
}
END_TEST

START_TEST(no_length_overflows)
{
    struct paging paging = {16, UINT32_MAX, {.sliding = UINT32_MAX}};
    uint64_t most = pages_at_peak(&paging, true, UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX);
    ck_assert_uint_eq(most, pages_for(&paging, UINT64_MAX));
    ck_assert_uint_eq(pages_for(&paging, UINT64_MAX), UINT64_MAX / 16 + 1);
    ck_assert_uint_eq(pages_at_peak(&paging, false, 0, UINT64_MAX, 1, 1), UINT64_MAX / 16 + 1);
}
END_TEST

/* A number from 0 to n - 1. */
static uint64_t random_below(uint64_t n)
{
    return random_bits() % n;
}

/* What a session has, to be compared after a call that failed. */
struct picture {
    uint64_t length, min_length;
    size_t gap[4], n_pages[4];
    uint32_t pages[4][MOST_PAGES];
};

static struct picture picture_of(const lckv_session *session)
{
    struct picture picture = {.length = session->length, .min_length = session->min_length};
    for (uint32_t s = 0; s < session->cache->model->plan->n_slots; s++) {
        const struct slot_pages *slot = &session->slots[s];
        ck_assert_uint_le(slot->count, MOST_PAGES);
        picture.gap[s] = (size_t)slot->gap;
        picture.n_pages[s] = slot->count;
        for (size_t i = 0; i < slot->count; i++)
            picture.pages[s][i] = slot->ids[i];
    }
    return picture;
}

struct growth {
    lckv_session *session;
    uint64_t n_tokens, chunk, done;
};

/*
 * Does what an evaluate call does, except the computing. Unless it `succeeds`, it is cancelled at
 * its end.
 */
static void grow(lckv_cache *cache, struct growth *growths, size_t n, bool succeeds)
{
    static const lckv_token tokens[1024];
    struct picture before[4], after;
    uint64_t needed = 0;
    uint64_t n_free = cache_available(cache, cache->table_bytes), least_free = n_free;
    for (size_t i = 0; i < n; i++) {
        before[i] = picture_of(growths[i].session);
        needed += session_pages_needed(growths[i].session, growths[i].n_tokens, growths[i].chunk);
        ck_assert_ok(session_reserve(growths[i].session, tokens, growths[i].n_tokens));
    }
    ck_assert_msg(needed <= n_free, "%zu items: %llu pages are needed, %llu are free", n,
                  (unsigned long long)needed, (unsigned long long)n_free);
    for (bool going = true; going;) {
        going = false;
        for (size_t i = 0; i < n; i++) {
            struct growth *growth = &growths[i];
            uint64_t left = growth->n_tokens - growth->done;
            uint64_t step = left < growth->chunk ? left : growth->chunk;
            if (step == 0)
                continue;
            uint64_t begin = growth->session->length + growth->done;
            ck_assert_ok(session_extend(growth->session, begin, begin + step));
            growth->done += step;
            going = true;
            const uint64_t available = cache_available(cache, cache->table_bytes);
            least_free = available < least_free ? available : least_free;
        }
    }
    ck_assert_uint_le(n_free - least_free, needed);
    for (size_t i = 0; i < n; i++) {
        if (succeeds) {
            session_commit(growths[i].session, false);
            continue;
        }
        session_rollback(growths[i].session);
        after = picture_of(growths[i].session);
        ck_assert(memcmp(&before[i], &after, sizeof after) == 0);
    }
    if (!succeeds)
        ck_assert_uint_eq(cache_available(cache, cache->table_bytes), n_free);
}

/*
 * Chooses some call that a cache for `room` tokens promises to take. False if the sessions are
 * full.
 */
static bool choose_call(lckv_cache *cache, lckv_session **sessions, uint64_t room, size_t *n,
                        struct growth *growths)
{
    uint64_t used = 0, long_item = random_below(3) == 0 ? random_below(3) : UINT64_MAX;
    uint64_t rows = cache->max_rows;
    for (uint32_t s = 0; s < cache->max_sessions; s++)
        used += sessions[s]->length;
    *n = 0;
    for (uint32_t s = 0; s < cache->max_sessions && used < room; s++) {
        uint64_t n_tokens = 1, chunk = 1 + random_below(cache->paging.rollback + 1);
        if (s == long_item) { /* of any length; the other items have single tokens */
            n_tokens = 1 + random_below(room - used);
        } else if (long_item == UINT64_MAX && rows > 1 && random_below(3) != 0) {
            n_tokens = 1 + random_below(rows < room - used ? rows : room - used);
            if (cache->model->plan->n_upward > 0 && random_below(2) == 0)
                chunk = n_tokens; /* iterated */
            rows -= n_tokens > 1 ? n_tokens : 0;
        } else if (random_below(2) == 0) {
            continue;
        }
        used += n_tokens;
        growths[(*n)++] = (struct growth){sessions[s], n_tokens, chunk, 0};
    }
    return used < room;
}

static void random_life(const lckv_model *model, struct lckv_pool *pool)
{
    const uint32_t pages[] = {16, 32, 64}, rollbacks[] = {1, 5, 64}, rows[] = {1, 2, 20, 100, 256};
    uint64_t room = 1 + random_below(900);
    const struct windows windows[] = {{0, 0, 0}, {0, 0, 0}, {0, 5, 1}, {0, 70, 4}, {0, 60, 50}};
    const struct windows chosen = windows[random_below(COUNT(windows))];
    lckv_cache_options options = {.size = sizeof options,
                                  .n_tokens = room,
                                  .max_sessions = (uint32_t)(1 + random_below(3)),
                                  .page_positions = pages[random_below(3)],
                                  .rollback = rollbacks[random_below(3)],
                                  .context_window = chosen.context,
                                  .n_sinks = chosen.n_sinks,
                                  .max_rows = rows[random_below(5)]};
    lckv_cache *cache;
    lckv_session *sessions[3];
    cache_resolve(&options);
    ck_assert_ok(cache_create(model, &options, pool, 64, &cache));
    ck_assert_ok(cache_enter(cache));
    for (uint32_t s = 0; s < options.max_sessions; s++)
        ck_assert_ok(session_create(cache, &sessions[s]));
    for (int call = 0; call < 200; call++) {
        struct growth growths[3];
        size_t n;
        bool has_room = choose_call(cache, sessions, room, &n, growths);
        grow(cache, growths, n, random_below(4) != 0);
        for (uint32_t s = 0; s < options.max_sessions; s++) { /* some go back, or begin anew */
            uint64_t least = sessions[s]->min_length, length = sessions[s]->length;
            if (random_below(8) == 0)
                ck_assert_ok(
                    session_truncate(sessions[s], least + random_below(length - least + 1)));
            if (random_below(40) == 0) /* whatever the windows have dropped */
                ck_assert_ok(session_truncate(sessions[s], 0));
            if (has_room && random_below(30) != 0)
                continue;
            sessions[s]->released = true; /* as session_release during a call */
            cache_leave(cache);
            ck_assert_ok(cache_enter(cache));
            ck_assert_ok(session_create(cache, &sessions[s]));
        }
    }
    for (uint32_t s = 0; s < options.max_sessions; s++)
        session_release(sessions[s]);
    cache_leave(cache);
    ck_assert_uint_eq(cache_available(cache, cache->table_bytes), cache->pages.n);
    cache_release(cache);
}

/* All that is promised fits, and what a call took comes back if it fails. _i: seed and model. */
START_TEST(a_cache_for_so_many_tokens_takes_them_in_any_calls)
{
    lckv_model *model;
    lckv_pool *pool;
    ck_assert_ok(lckv_model_open(models[_i % 2], NULL, &model));
    ck_assert_ok(lckv_pool_create(1, &pool));
    random_seed = (uint64_t)_i;
    for (int life = 0; life < (getenv("LCKV_TEST_SHORT") != NULL ? 3 : 100); life++)
        random_life(model, pool);
    lckv_pool_release(pool);
    lckv_model_release(model);
}
END_TEST

static void add_arithmetic(Suite *suite)
{
    TCase *tcase = tcase_create("arithmetic");
    tcase_set_timeout(tcase, 60);
    tcase_add_loop_test(tcase, no_call_takes_more_than_its_peak, 0, 3);
    tcase_add_test(tcase, single_tokens_take_all_of_their_peak);
    tcase_add_test(tcase, chunks_of_the_rollback_and_one_take_no_more_than_single_tokens);
    tcase_add_test(tcase, no_length_overflows);
    suite_add_tcase(suite, tcase);
}

static void add_sessions(Suite *suite)
{
    TCase *tcase = tcase_create("sessions");
    tcase_set_timeout(tcase, 120);
    tcase_add_loop_test(tcase, a_cache_for_so_many_tokens_takes_them_in_any_calls, 0, 4);
    suite_add_tcase(suite, tcase);
}

TEST_MAIN("pages", add_arithmetic, add_sessions)
