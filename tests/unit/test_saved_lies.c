/*
 * Saved sessions whose checksums are right and whose numbers are not: a session is told something
 * that cannot be before it is saved, and restoring it is refused. Damage is in
 * tests/api/test_saved_refused.c.
 */
#include "cache/session.h"

#include "folder.h"
#include "sessions.h"

#include <math.h>

enum { N = 40 };

static lckv_model *model;
static lckv_cache *cache;
static lckv_session *session;

/* A session with windowed slots that have forgotten their first tokens. */
static void set_up(void)
{
    lckv_token tokens[N];
    folder_make();
    model = open_golden("yoco-windows", LCKV_PRECISION_FULL);
    cache = make_cache(model, (lckv_cache_options){.page_positions = 16, .rollback = 1});
    session = make_session(cache);
    fill_tokens(tokens, N);
    const lckv_item item = {.session = session, .tokens = tokens, .n_tokens = N};
    ck_assert_ok(run(cache, &item, 1, LCKV_PREFILL_AUTO));
    ck_assert_uint_gt(session->min_length, 0);
}

static void tear_down(void)
{
    lckv_session_release(session);
    lckv_cache_release(cache);
    lckv_model_release(model);
    folder_remove();
}

static lckv_status save_and_restore(void)
{
    lckv_session *restored;
    size_t n;
    ck_assert_ok(lckv_sessions_save_file(&session, 1, folder_path("saved"), NULL));
    const uint64_t free_before = free_pages(cache);
    lckv_status status =
        lckv_sessions_restore_file(cache, folder_path("saved"), NULL, &restored, 1, &n);
    if (status == LCKV_OK)
        lckv_session_release(restored);
    ck_assert_uint_eq(free_pages(cache), free_before);
    return status;
}

START_TEST(numbers_at_their_limits_are_restored)
{
    ck_assert_ok(save_and_restore());
    session->min_length = N;
    ck_assert_ok(save_and_restore());
    session->inexact_from = N - 1;
    session->tolerance = INFINITY;
    ck_assert_ok(save_and_restore());
    session->tolerance = 1e-30f;
    ck_assert_ok(save_and_restore());
    session->tokens[7] = (lckv_token)info_of(model).n_vocab - 1;
    ck_assert_ok(save_and_restore());
}
END_TEST

START_TEST(a_session_has_its_shortest_length)
{
    session->min_length = N + 1;
    ck_assert_status(save_and_restore(), LCKV_BAD_FORMAT);
    ck_assert_error_has("saved session 0 has min_length 41, which cannot be");
}
END_TEST

START_TEST(what_is_inexact_begins_in_the_session)
{
    session->tolerance = 1;
    session->inexact_from = N;
    ck_assert_status(save_and_restore(), LCKV_BAD_FORMAT);
    ck_assert_error_has("saved session 0 has inexact_from 40, which cannot be");
}
END_TEST

/* A tolerance is a number of at least 0, and not 0 exactly where something is inexact. */
START_TEST(a_tolerance_belongs_to_what_is_inexact)
{
    const struct {
        uint64_t from;
        float tolerance;
    } rows[] = {{UINT64_MAX, 1}, {UINT64_MAX, INFINITY}, {0, 0}, {N - 1, -1}, {0, NAN}};
    for (size_t i = 0; i < COUNT(rows); i++) {
        session->inexact_from = rows[i].from;
        session->tolerance = rows[i].tolerance;
        ck_assert_status(save_and_restore(), LCKV_BAD_FORMAT);
        ck_assert_error_has("saved session 0 has tolerance bits");
    }
}
END_TEST

START_TEST(tokens_are_the_models)
{
    session->tokens[7] = (lckv_token)info_of(model).n_vocab;
    ck_assert_status(save_and_restore(), LCKV_BAD_FORMAT);
    ck_assert_error_has("saved session 0 has token ");
    session->tokens[7] = -1;
    ck_assert_status(save_and_restore(), LCKV_BAD_FORMAT);
}
END_TEST

static void add_all(Suite *suite)
{
    TCase *tcase = tcase_create("lies");
    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_test(tcase, numbers_at_their_limits_are_restored);
    tcase_add_test(tcase, a_session_has_its_shortest_length);
    tcase_add_test(tcase, what_is_inexact_begins_in_the_session);
    tcase_add_test(tcase, a_tolerance_belongs_to_what_is_inexact);
    tcase_add_test(tcase, tokens_are_the_models);
    suite_add_tcase(suite, tcase);
}

TEST_MAIN("saved lies", add_all)
