/*
 * Sessions that are restored go on bit for bit as if nothing had happened, and share what they
 * shared, whatever the size of a page.
 */
#include "saved_support.h"

static const uint32_t page_sizes[] = {16, 64, 48, 1024};

/* _i: a model and two page sizes. */
START_TEST(a_restored_session_goes_on_bit_for_bit)
{
    static const size_t lengths[] = {0, 1, 15, 16, 17, 64, 100, 200};
    float logits[N_VOCAB];
    size_t n_sizes = COUNT(page_sizes);
    lckv_model *model = open_golden(models[(size_t)_i / (n_sizes * n_sizes)], 0);
    lckv_cache *from = make_paged(model, page_sizes[(size_t)_i / n_sizes % n_sizes]);
    lckv_cache *to = make_paged(model, page_sizes[(size_t)_i % n_sizes]);
    for (size_t i = 0; i < COUNT(lengths); i++) {
        lckv_session *session = make_session(from), *restored = NULL;
        if (lengths[i] > 0)
            append(session, from, 0, lengths[i], logits);
        struct bytes bytes = save(&session, 1);
        restore(to, &bytes, &restored, 1);
        assert_alike(session, from, restored, to);
        lckv_session_release(session);
        lckv_session_release(restored);
        free(bytes.data);
    }
    lckv_cache_release(from);
    lckv_cache_release(to);
    lckv_model_release(model);
}
END_TEST

START_TEST(every_type_of_keys_and_values_is_restored)
{
    static const lckv_dtype types[] = {LCKV_DTYPE_F32, LCKV_DTYPE_F16, LCKV_DTYPE_BF16};
    float logits[N_VOCAB];
    lckv_model *model = open_golden(UPWARD, 0);
    for (size_t i = 0; i < COUNT(types) * COUNT(types); i++) {
        lckv_cache *cache = make_cache(
            model, (lckv_cache_options){.kv_dtype = types[i / 3], .v_dtype = types[i % 3]});
        lckv_session *session = make_session(cache), *restored = NULL;
        append(session, cache, 0, 90, logits);
        struct bytes bytes = save(&session, 1);
        restore(cache, &bytes, &restored, 1);
        assert_alike(session, cache, restored, cache);
        lckv_session_release(session);
        lckv_session_release(restored);
        lckv_cache_release(cache);
        free(bytes.data);
    }
    lckv_model_release(model);
}
END_TEST

/* The tokens of an iterated call are not taken over by others, after a restore neither. */
START_TEST(what_was_iterated_stays_marked)
{
    size_t n_reused = 7;
    lckv_model *model = open_golden(UPWARD, 0);
    lckv_cache *cache = make_paged(model, 16);
    lckv_session *session = make_session(cache), *restored = NULL, *other = make_session(cache);
    lckv_item item = make_item(session, tokens, 20, got[0], N_VOCAB);
    ck_assert_ok(run(cache, &item, 1, LCKV_PREFILL_EXACT));
    item = make_item(session, tokens + 20, 20, got[0], N_VOCAB);
    ck_assert_ok(run(cache, &item, 1, LCKV_PREFILL_ITERATED));
    struct bytes bytes = save(&session, 1);
    lckv_session_release(session);
    restore(cache, &bytes, &restored, 1);
    ck_assert_ok(lckv_session_reuse(other, tokens, N_TOKENS, &n_reused));
    ck_assert_uint_eq(n_reused, 20);
    lckv_session_release(restored);
    lckv_session_release(other);
    lckv_cache_release(cache);
    lckv_model_release(model);
    free(bytes.data);
}
END_TEST

/* Logits are not saved: the last token gives them again. */
START_TEST(logits_come_back_with_the_last_token)
{
    const float *held;
    float before[N_VOCAB], after[N_VOCAB];
    lckv_model *model = open_golden(DOWNWARD, 0);
    lckv_cache *cache = make_paged(model, 64);
    lckv_session *session = make_session(cache), *restored = NULL;
    append(session, cache, 0, 70, before);
    struct bytes bytes = save(&session, 1);
    restore(cache, &bytes, &restored, 1);
    ck_assert_status(lckv_session_logits(restored, &held, NULL), LCKV_INVALID_ARGUMENT);
    ck_assert_ok(lckv_session_truncate(restored, 69));
    append(restored, cache, 69, 70, after);
    ck_assert_mem_eq(before, after, sizeof before);
    lckv_session_release(session);
    lckv_session_release(restored);
    lckv_cache_release(cache);
    lckv_model_release(model);
    free(bytes.data);
}
END_TEST

/* ---- Sharing ---- */

/*
 * A family of sessions: a text of 200 tokens; a fork that goes on; a fork cut to 100 that goes on
 * in another way; one cut to 90; and an unrelated one.
 */
enum { FAMILY = 5 };
static void make_family(lckv_cache *cache, lckv_session **family)
{
    float logits[N_VOCAB];
    family[0] = make_session(cache);
    append(family[0], cache, 0, 200, logits);
    for (int i = 1; i < 4; i++)
        ck_assert_ok(lckv_session_fork(family[0], &family[i]));
    append(family[1], cache, 300, 350, logits);
    ck_assert_ok(lckv_session_truncate(family[2], 100));
    append(family[2], cache, 400, 470, logits);
    ck_assert_ok(lckv_session_truncate(family[3], 90));
    family[4] = make_session(cache);
    append(family[4], cache, 500, 533, logits);
}

/* _i: the page sizes. */
START_TEST(sessions_share_again_what_they_shared)
{
    size_t n_sizes = COUNT(page_sizes);
    uint32_t size_from = page_sizes[(size_t)_i / n_sizes],
             size_to = page_sizes[(size_t)_i % n_sizes];
    lckv_session *family[FAMILY], *restored[FAMILY];
    lckv_model *model = open_golden(UPWARD, 0);
    lckv_cache *from = make_paged(model, size_from), *to = make_paged(model, size_to);
    make_family(from, family);
    save_and_restore(family, from, restored, to, FAMILY);
    if (size_from == 64 && size_to == 16) /* four small pages for each, but no empty ones */
        ck_assert_uint_le(pages_in_use(to), 4 * pages_in_use(from));
    go_on_and_release(family, from, restored, to, FAMILY, assert_alike);
    lckv_model_release(model);
}
END_TEST

/* The bytes of a shared prefix are there once. */
START_TEST(shared_pages_are_saved_once)
{
    float logits[N_VOCAB];
    lckv_session *forks[4];
    lckv_model *model = open_golden(DOWNWARD, 0);
    lckv_cache *cache = make_paged(model, 64);
    forks[0] = make_session(cache);
    append(forks[0], cache, 0, 200, logits);
    struct bytes one = save(forks, 1);
    for (size_t i = 1; i < COUNT(forks); i++)
        ck_assert_ok(lckv_session_fork(forks[0], &forks[i]));
    struct bytes all = save(forks, COUNT(forks));
    ck_assert_uint_lt(all.length, one.length + one.length / 10);
    lckv_session *restored[COUNT(forks)];
    uint64_t before = pages_in_use(cache);
    restore(cache, &all, restored, COUNT(forks));
    ck_assert_uint_eq(pages_in_use(cache), 2 * before);
    release_all(forks, COUNT(forks));
    release_all(restored, COUNT(forks));
    lckv_cache_release(cache);
    lckv_model_release(model);
    free(one.data);
    free(all.data);
}
END_TEST

/* Two sessions of a windowed plan whose windows begin at different places of a page. */
START_TEST(windows_that_begin_apart_share_what_both_keep)
{
    float logits[N_VOCAB];
    lckv_model *model = open_golden(WINDOWED, 0);
    size_t n_sizes = COUNT(page_sizes);
    lckv_cache *from = make_paged(model, page_sizes[(size_t)_i / n_sizes]);
    lckv_cache *to = make_paged(model, page_sizes[(size_t)_i % n_sizes]);
    lckv_session *pair[2], *restored[2];
    pair[0] = make_session(from);
    append(pair[0], from, 0, 150, logits);
    ck_assert_ok(lckv_session_fork(pair[0], &pair[1]));
    append(pair[1], from, 150, 185, logits);
    struct bytes bytes = save(pair, 2);
    restore(to, &bytes, restored, 2);
    if (page_sizes[(size_t)_i / n_sizes] == page_sizes[(size_t)_i % n_sizes])
        ck_assert_uint_eq(pages_in_use(from), pages_in_use(to));
    assert_alike(pair[0], from, restored[0], to);
    assert_alike(pair[1], from, restored[1], to);
    /* Goes back as far as the original can. */
    uint64_t least;
    ck_assert_ok(lckv_session_min_length(pair[1], &least));
    ck_assert_uint_gt(least, 0);
    ck_assert_ok(lckv_session_truncate(pair[1], least));
    ck_assert_ok(lckv_session_truncate(restored[1], least));
    assert_alike(pair[1], from, restored[1], to);
    release_all(pair, 2);
    release_all(restored, 2);
    lckv_cache_release(from);
    lckv_cache_release(to);
    lckv_model_release(model);
    free(bytes.data);
}
END_TEST

/* Makes a cache of exactly so many pages. */
static lckv_cache *cache_of_pages(const lckv_model *model, uint64_t n_pages)
{
    lckv_cache_options options = {.max_sessions = 8, .n_threads = 1};
    lckv_cache *cache = make_paged(model, 64);
    const lckv_cache_stats stats = stats_of(cache);
    for (options.budget_bytes = stats.scratch_bytes + n_pages * stats.page_bytes;;
         options.budget_bytes += stats.page_bytes / 4) {
        lckv_cache_release(cache);
        cache = make_cache(model, options);
        if (stats_of(cache).n_pages >= n_pages)
            break;
    }
    ck_assert_uint_eq(stats_of(cache).n_pages, n_pages);
    return cache;
}

/* A cache that was full with some sessions has room for them again, and needs all of it. */
START_TEST(what_filled_a_cache_fills_it_again)
{
    lckv_session *family[FAMILY], *restored[FAMILY];
    lckv_model *model = open_golden(UPWARD, 0);
    lckv_cache *roomy = make_paged(model, 64);
    make_family(roomy, family);
    struct bytes bytes = save(family, FAMILY);
    const uint64_t n_pages = pages_in_use(roomy);
    size_t n = 0;
    lckv_cache *cache = cache_of_pages(model, n_pages);
    restore(cache, &bytes, restored, FAMILY);
    ck_assert_uint_eq(stats_of(cache).n_pages_free, 0);
    release_all(restored, FAMILY);
    lckv_cache_release(cache);
    cache = cache_of_pages(model, n_pages - 1);
    ck_assert_status(restore_some(cache, &bytes, restored, FAMILY, &n), LCKV_CACHE_FULL);
    ck_assert_error_has("pages and");
    ck_assert_uint_eq(stats_of(cache).n_pages_free, n_pages - 1);
    ck_assert_uint_eq(stats_of(cache).n_sessions, 0);
    lckv_cache_release(cache);
    release_all(family, FAMILY);
    lckv_cache_release(roomy);
    lckv_model_release(model);
    free(bytes.data);
}
END_TEST

/* Kept sessions make room. */
START_TEST(kept_sessions_are_given_up_for_a_restore)
{
    float logits[N_VOCAB];
    lckv_model *model = open_golden(DOWNWARD, 0);
    lckv_cache *cache =
        make_cache(model, (lckv_cache_options){.n_tokens = 128, .max_sessions = 1, .n_threads = 1});
    lckv_session *session = make_session(cache), *restored = NULL;
    append(session, cache, 0, 100, logits);
    struct bytes bytes = save(&session, 1);
    ck_assert_ok(lckv_session_truncate(session, 0));
    append(session, cache, 200, 300, logits);
    lckv_session_release(session);
    ck_assert_uint_gt(stats_of(cache).n_pages_kept, 0);
    restore(cache, &bytes, &restored, 1);
    lckv_session_release(restored);
    lckv_cache_release(cache);
    lckv_model_release(model);
    free(bytes.data);
}
END_TEST

static void add_all(Suite *suite)
{
    const int n_pairs = COUNT(page_sizes) * COUNT(page_sizes);
    TCase *tcase = tcase_create("saved sessions");
    tcase_set_timeout(tcase, 120);
    tcase_add_checked_fixture(tcase, make_tokens, NULL);
    tcase_add_loop_test(tcase, a_restored_session_goes_on_bit_for_bit, 0,
                        (int)COUNT(models) * n_pairs);
    tcase_add_test(tcase, every_type_of_keys_and_values_is_restored);
    tcase_add_test(tcase, what_was_iterated_stays_marked);
    tcase_add_test(tcase, logits_come_back_with_the_last_token);
    tcase_add_loop_test(tcase, sessions_share_again_what_they_shared, 0, n_pairs);
    tcase_add_test(tcase, shared_pages_are_saved_once);
    tcase_add_loop_test(tcase, windows_that_begin_apart_share_what_both_keep, 0, n_pairs);
    tcase_add_test(tcase, what_filled_a_cache_fills_it_again);
    tcase_add_test(tcase, kept_sessions_are_given_up_for_a_restore);
    suite_add_tcase(suite, tcase);
}

TEST_MAIN("saved", add_all)
