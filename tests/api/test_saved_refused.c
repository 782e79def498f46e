/*
 * Saved sessions that are damaged, or belong to another model, cache or kernel set, are refused
 * with the reason, and change nothing. Nor does a failing allocation.
 */
#include "saved_support.h"

#include "allocator.h"

#include <stdbool.h>

/* ---- What does not belong together ---- */

/* Restores into a new cache, expects a failure and that it has changed nothing. */
static void refuse(const lckv_model *model, lckv_cache_options options, struct bytes *bytes,
                   lckv_status wanted, const char *message)
{
    lckv_session *restored = NULL;
    size_t n = 77;
    options.n_threads = 1;
    lckv_cache *cache = make_cache(model, options);
    lckv_cache_stats before = stats_of(cache);
    ck_assert_status(restore_some(cache, bytes, &restored, 1, &n), wanted);
    ck_assert_error_has(message);
    ck_assert_ptr_null(restored);
    ck_assert_uint_eq(n, 77);
    lckv_cache_stats after = stats_of(cache);
    ck_assert_mem_eq(&before, &after, sizeof before);
    lckv_cache_release(cache);
}

START_TEST(foreign_sessions_are_refused_with_the_reason)
{
    float logits[N_VOCAB];
    lckv_model *model = open_golden(WINDOWED, LCKV_PRECISION_FULL);
    lckv_cache *cache = make_paged(model, 64);
    lckv_session *session = make_session(cache);
    append(session, cache, 0, 40, logits);
    struct bytes bytes = save(&session, 1);
    lckv_model *other = open_golden(UPWARD, LCKV_PRECISION_FULL);
    refuse(other, (lckv_cache_options){0}, &bytes, LCKV_MISMATCH, "need a model with n_");
    lckv_model_release(other);
    char path[] = "tests/data/goldens/" WINDOWED;
    other = open_model(path, (lckv_model_options){.precision = LCKV_PRECISION_FULL,
                                                  .gemm = LCKV_GEMM_OWN,
                                                  .sliding_window = 8});
    refuse(other, (lckv_cache_options){0}, &bytes, LCKV_MISMATCH,
           "sliding_window 7; this one has 8");
    lckv_model_release(other);
    refuse(model, (lckv_cache_options){.kv_dtype = LCKV_DTYPE_F32}, &bytes, LCKV_MISMATCH,
           "keys in f16");
    refuse(model, (lckv_cache_options){.v_dtype = LCKV_DTYPE_BF16}, &bytes, LCKV_MISMATCH,
           "this cache has f16 and bf16");
    refuse(model, (lckv_cache_options){.n_tokens = 16, .max_sessions = 1, .page_positions = 16},
           &bytes, LCKV_CACHE_FULL, "pages and");
    lckv_session_release(session);
    lckv_cache_release(cache);
    lckv_model_release(model);
    free(bytes.data);
}
END_TEST

/* What other kernels computed is taken only if the caller says so, and never handed on. */
START_TEST(other_kernels_need_the_option)
{
    size_t n = 0, n_reused = 0;
    lckv_model *full = open_golden(DOWNWARD, LCKV_PRECISION_FULL);
    lckv_model *fast = open_golden(DOWNWARD, LCKV_PRECISION_FAST);
    lckv_cache *from = make_paged(full, 64), *to = make_paged(fast, 64);
    lckv_session *saved[2] = {make_session(from), make_session(from) /* empty */};
    lckv_session *restored[2], *other = make_session(to);
    lckv_item item = item_of(saved[0], 0, N_TOKENS, got[0]);
    ck_assert_ok(run(from, &item, 1, LCKV_PREFILL_AUTO));
    struct bytes bytes = save(saved, 2);
    refuse(fast, (lckv_cache_options){0}, &bytes, LCKV_MISMATCH, "precision full");
    lckv_restore_options options = {.size = sizeof options, .any_kernels = 1};
    bytes.at = 0;
    ck_assert_ok(lckv_sessions_restore(to, get, &bytes, &options, restored, 2, &n));
    ck_assert_uint_eq(length_of(restored[0]), N_TOKENS);
    ck_assert_ok(lckv_session_reuse(other, tokens, N_TOKENS, &n_reused));
    ck_assert_uint_eq(n_reused, 0);
    item = item_of(restored[1], 0, 10, got[0]); /* what these kernels compute is */
    ck_assert_ok(run(to, &item, 1, LCKV_PREFILL_AUTO));
    ck_assert_ok(lckv_session_reuse(other, tokens, N_TOKENS, &n_reused));
    ck_assert_uint_eq(n_reused, 10);
    release_all(saved, 2);
    release_all(restored, 2);
    lckv_session_release(other);
    lckv_cache_release(from);
    lckv_cache_release(to);
    lckv_model_release(full);
    lckv_model_release(fast);
    free(bytes.data);
}
END_TEST

/* ---- Damage ---- */

/* Two sessions that share pages, and a note. */
static struct bytes make_victim(lckv_cache *cache)
{
    float logits[N_VOCAB];
    lckv_session *pair[2];
    pair[0] = make_session(cache);
    append(pair[0], cache, 0, 20, logits);
    ck_assert_ok(lckv_session_fork(pair[0], &pair[1]));
    append(pair[1], cache, 50, 53, logits);
    struct bytes bytes = {0};
    lckv_save_options options = {.size = sizeof options, .note = "note", .note_length = 4};
    ck_assert_ok(lckv_sessions_save(pair, 2, put, &bytes, &options));
    release_all(pair, 2);
    return bytes;
}

static void must_fail(lckv_cache *cache, struct counting *counting, struct bytes *bytes,
                      const char *what, size_t at)
{
    lckv_session *restored[2] = {NULL, NULL};
    const size_t out = counting->out;
    size_t n = 77;
    lckv_cache_stats before = stats_of(cache);
    lckv_status status = restore_some(cache, bytes, restored, 2, &n);
    ck_assert_msg(status == LCKV_BAD_FORMAT || status == LCKV_UNSUPPORTED, "%s at %zu gives %s",
                  what, at, lckv_status_name(status));
    ck_assert_uint_eq(n, 77);
    lckv_cache_stats after = stats_of(cache);
    ck_assert_mem_eq(&before, &after, sizeof before);
    ck_assert_uint_eq(counting->out, out);
}

/* _i: even: cut, odd: flipped; 2 and 3: with a context window */
START_TEST(damage_is_found_and_changes_nothing)
{
    struct counting counting = {.n_allowed = SIZE_MAX};
    lckv_allocator allocator = counting_allocator(&counting);
    lckv_model *model;
    lckv_model_options options = {
        .size = sizeof options, .allocator = &allocator, .gemm = LCKV_GEMM_OWN};
    ck_assert_ok(lckv_model_open("tests/data/goldens/" WINDOWED, &options, &model));
    lckv_cache *cache = make_cache(model, (lckv_cache_options){.n_threads = 1,
                                                               .page_positions = 16,
                                                               .reuse = LCKV_REUSE_OFF,
                                                               .rollback = 2,
                                                               .context_window = _i < 2 ? 0 : 12});
    struct bytes bytes = make_victim(cache), damaged = bytes;
    const bool is_short = getenv("LCKV_TEST_SHORT") != NULL;
    if (_i % 2 == 0) {
        for (size_t at = 0; at < bytes.length; at += at < 600 ? 1 : is_short ? 997 : 100) {
            damaged.length = at;
            must_fail(cache, &counting, &damaged, "a cut", at);
        }
    } else {
        for (size_t at = 0; at < bytes.length; at += at < 600 ? 1 : is_short ? 997 : 97) {
            bytes.data[at] ^= (uint8_t)(1 << at % 8);
            must_fail(cache, &counting, &bytes, "a flipped bit", at);
            bytes.data[at] ^= (uint8_t)(1 << at % 8);
        }
        for (size_t at = bytes.length - 24; at < bytes.length; at++) {
            bytes.data[at] ^= 0x80;
            must_fail(cache, &counting, &bytes, "a flipped bit", at);
            bytes.data[at] ^= 0x80;
        }
    }
    lckv_session *restored[2];
    restore(cache, &bytes, restored, 2);
    release_all(restored, 2);
    lckv_cache_release(cache);
    lckv_model_release(model);
    ck_assert_uint_eq(counting.out, 0);
    free(bytes.data);
}
END_TEST

/* Frames that change places, or of another file, do not fit the chain of checksums. */
START_TEST(frames_of_two_files_do_not_mix)
{
    float logits[N_VOCAB];
    lckv_model *model = open_golden(DOWNWARD, 0);
    lckv_cache *cache = make_paged(model, 64);
    lckv_session *sessions[2], *restored = NULL;
    size_t n = 0;
    for (int i = 0; i < 2; i++) {
        sessions[i] = make_session(cache);
        append(sessions[i], cache, 0, i == 0 ? 500 : 499, logits);
        append(sessions[i], cache, i == 0 ? 500 : 499, 501, logits);
    }
    ck_assert_ok(lckv_session_truncate(sessions[1], 400));
    append(sessions[1], cache, 100, 201, logits);
    struct bytes a = save(&sessions[0], 1), b = save(&sessions[1], 1);
    ck_assert_uint_eq(a.length, b.length);
    ck_assert_uint_gt(a.length, 3 * 65536);
    memcpy(a.data + 12 + 65548, b.data + 12 + 65548, 65548); /* the second frame */
    ck_assert_status(restore_some(cache, &a, &restored, 1, &n), LCKV_BAD_FORMAT);
    ck_assert_error_has("the checksum differs");
    release_all(sessions, 2);
    lckv_cache_release(cache);
    lckv_model_release(model);
    free(a.data);
    free(b.data);
}
END_TEST

START_TEST(every_allocation_may_fail)
{
    struct counting counting = {.n_allowed = SIZE_MAX};
    lckv_allocator allocator = counting_allocator(&counting);
    lckv_model *model;
    lckv_model_options options = {
        .size = sizeof options, .allocator = &allocator, .gemm = LCKV_GEMM_OWN};
    ck_assert_ok(lckv_model_open("tests/data/goldens/" WINDOWED, &options, &model));
    lckv_cache *cache = make_cache(
        model, (lckv_cache_options){.n_threads = 1, .page_positions = 16, .reuse = LCKV_REUSE_OFF});
    lckv_session *session = make_session(cache), *restored[2];
    struct bytes bytes = make_victim(cache), again = {0};
    const size_t out = counting.out;
    lckv_status status = LCKV_OUT_OF_MEMORY;
    for (size_t allowed = 0; status != LCKV_OK; allowed++) {
        size_t n;
        lckv_cache_stats before = stats_of(cache);
        counting.n_allowed = allowed;
        status = restore_some(cache, &bytes, restored, 2, &n);
        counting.n_allowed = SIZE_MAX;
        if (status != LCKV_OK) {
            ck_assert_status(status, LCKV_OUT_OF_MEMORY);
            lckv_cache_stats after = stats_of(cache);
            ck_assert_mem_eq(&before, &after, sizeof before);
            ck_assert_uint_eq(counting.out, out);
        }
    }
    release_all(restored, 2);
    ck_assert_uint_eq(counting.out, out);
    status = LCKV_OUT_OF_MEMORY;
    for (size_t allowed = 0; status != LCKV_OK; allowed++) {
        again.length = 0;
        counting.n_allowed = allowed;
        status = lckv_sessions_save(&session, 1, put, &again, NULL);
        counting.n_allowed = SIZE_MAX;
        ck_assert(status == LCKV_OK || status == LCKV_OUT_OF_MEMORY);
        ck_assert_uint_eq(counting.out, out);
    }
    lckv_session_release(session);
    lckv_cache_release(cache);
    lckv_model_release(model);
    ck_assert_uint_eq(counting.out, 0);
    free(bytes.data);
    free(again.data);
}
END_TEST

static void add_all(Suite *suite)
{
    TCase *tcase = tcase_create("refused");
    tcase_set_timeout(tcase, 120);
    tcase_add_checked_fixture(tcase, make_tokens, NULL);
    tcase_add_test(tcase, foreign_sessions_are_refused_with_the_reason);
    tcase_add_test(tcase, other_kernels_need_the_option);
    tcase_add_loop_test(tcase, damage_is_found_and_changes_nothing, 0, 4);
    tcase_add_test(tcase, frames_of_two_files_do_not_mix);
    tcase_add_test(tcase, every_allocation_may_fail);
    suite_add_tcase(suite, tcase);
}

TEST_MAIN("refused", add_all)
