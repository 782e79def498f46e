/*
 * Random operations on the sessions of two caches, each of which may fail (life_chances.h). After
 * each one the sessions contain what they must, and the caches tell the truth (life_checks.h).
 * LCKV_TEST_OPERATIONS sets the number of operations in a life, LCKV_TEST_SEED the first of the
 * seeds. Uses the public header only.
 */
#include "life_growth.h"
#include "life_saved.h"

enum { N_LIVES = 12 };

/* ---- Sessions come and go ---- */

/* Whether a new session of so many tokens was made. LCKV_CACHE_FULL must have a reason. */
static bool was_made(struct life *life, const struct home *home, size_t length, lckv_status status)
{
    if (status == LCKV_CACHE_FULL && home->n_texts < home->options.max_sessions)
        check_poverty(home, table_bytes(life, length));
    if (status == LCKV_OK)
        ck_assert_uint_lt(home->n_texts, home->options.max_sessions);
    return succeeded(life, status);
}

static bool begin_empty(struct life *life, struct text *text, struct home *home)
{
    if (!was_made(life, home, 0, lckv_session_create(home->cache, &text->session)))
        return false;
    text->home = home;
    text->length = text->min_length = 0;
    return true;
}

static void begin(struct life *life)
{
    struct text *text = any_gap(life);
    if (text != NULL)
        begin_empty(life, text, any_home(life));
}

/* The most tokens that live sessions of the home have in common with a text, if they keep all. */
static size_t least_reused(const struct life *life, const struct text *text, size_t n)
{
    size_t most = 0;
    for (size_t i = 0; i < MOST_SESSIONS; i++) {
        const struct text *other = &life->texts[i];
        size_t common = 0;
        if (other == text || other->session == NULL || other->home != text->home)
            continue;
        while (common < n - 1 && common < other->length &&
               text->tokens[common] == other->tokens[common])
            common++;
        most = common > most && other->min_length == 0 ? common : most;
    }
    return text->home->options.reuse == LCKV_REUSE_OFF ? 0 : most;
}

/* A session begins like any text, perhaps one that was released, and goes on otherwise. */
static void begin_again(struct life *life)
{
    const struct text *like = &life->texts[below(MOST_SESSIONS)];
    struct text *text = any_gap(life);
    size_t n_reused = 99, n_like = one_in(3) ? below((uint32_t)like->length + 1) : like->length;
    const size_t n = n_like + 1 + below(9);
    if (text == NULL || n > life->longest)
        return;
    memmove(text->tokens, like->tokens, n_like * sizeof *text->tokens);
    for (size_t t = n_like; t < n; t++)
        text->tokens[t] = any_token();
    if (!begin_empty(life, text, any_home(life)))
        return;
    lckv_status status = lckv_session_reuse(text->session, text->tokens, n, &n_reused);
    if (status == LCKV_CACHE_FULL)
        check_poverty(text->home, table_bytes(life, n));
    if (!succeeded(life, status))
        return;
    uint64_t min_length;
    ck_assert_ok(lckv_session_min_length(text->session, &min_length));
    ck_assert_uint_lt(n_reused, n);
    ck_assert_uint_ge(n_reused, least_reused(life, text, n));
    text->length = n_reused;
    text->min_length = (size_t)min_length; /* that of a session which may be gone */
    life->n_reused += n_reused;
}

static void fork_any(struct life *life)
{
    const struct text *from = any_text(life);
    struct text *text = any_gap(life);
    if (text == NULL || from == NULL)
        return;
    lckv_session *fork;
    if (!was_made(life, from->home, from->length, lckv_session_fork(from->session, &fork)))
        return;
    *text = *from;
    text->session = fork;
}

static void release_any(struct life *life)
{
    struct text *text = any_text(life);
    if (text == NULL)
        return;
    lckv_session_release(text->session);
    text->session = NULL;
}

static void truncate_any(struct life *life)
{
    struct text *text = any_text(life);
    if (text == NULL)
        return;
    const size_t length = one_in(10) ? 0 : below((uint32_t)text->length + 1);
    lckv_status status = lckv_session_truncate(text->session, length);
    if (length > 0 && length < text->min_length) {
        ck_assert_status(status, LCKV_OUT_OF_WINDOW);
        return;
    }
    ck_assert_ok(status);
    text->length = length;
    text->min_length = length > 0 ? text->min_length : 0;
}

/* ---- Lives ---- */

static void operate(struct life *life)
{
    static void (*const operations[])(struct life *) = {
        begin,         begin_again,   begin_again,   begin_again,   fork_any,
        fork_any,      truncate_any,  release_any,   release_any,   save_some,
        restore_saved, append_tokens, append_tokens, append_tokens, append_tokens};
    life->is_starved = one_in(20);
    life->counting.n_allowed = life->is_starved ? below(12) : SIZE_MAX;
    operations[below(COUNT(operations))](life);
    life->counting.n_allowed = SIZE_MAX;
    for (size_t i = 0; i < COUNT(life->homes); i++)
        check_home(life, &life->homes[i]);
}

/* Whether calls have failed in each of the ways that are expected. */
static bool has_failed_in_all_ways(const struct life *life)
{
    return life->n_statuses[LCKV_CACHE_FULL] > 0 && life->n_statuses[LCKV_CANCELLED] > 0 &&
           life->n_statuses[LCKV_OUT_OF_MEMORY] > 0;
}

/* _i: the seed; _i % 6: the model. Where calls seldom succeed, it takes longer to cancel one. */
START_TEST(sessions_contain_what_they_must)
{
    static struct life life;
    const char *asked = getenv("LCKV_TEST_OPERATIONS"), *first = getenv("LCKV_TEST_SEED");
    const int n = asked != NULL ? atoi(asked) : 600;
    begin_life(&life, (uint64_t)_i + (first != NULL ? strtoul(first, NULL, 10) : 0));
    for (int i = 0; i < n || (i < 10 * n && !has_failed_in_all_ways(&life)); i++) {
        operate(&life);
        const struct text *text = any_text(&life);
        if (text != NULL)
            check_text(&life, text);
    }
    for (size_t i = 0; i < MOST_SESSIONS; i++) {
        if (life.texts[i].session != NULL)
            check_text(&life, &life.texts[i]);
    }
    ck_assert(has_failed_in_all_ways(&life));
    end_life(&life);
}
END_TEST

static void add_life(Suite *suite)
{
    TCase *tcase = tcase_create("life");
    tcase_add_checked_fixture(tcase, folder_make, folder_remove);
    tcase_set_timeout(tcase, 1800);
    tcase_add_loop_test(tcase, sessions_contain_what_they_must, 0, N_LIVES);
    suite_add_tcase(suite, tcase);
}

TEST_MAIN("a life of sessions", add_life)
