/*
 * Saved sessions whose checksums are right and whose numbers are not, as only somebody who means
 * it can make them, are refused.
 */
#include "saved_support.h"

#include <stdbool.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

/* The stream is a header, a frame, and the frame of no bytes: docs/saved-sessions.md. */
enum { HEADER = 12, FRAME = HEADER + 4, SESSION = 32, CHECKSUM = 8 };

static uint32_t frame_length(const struct bytes *bytes)
{
    uint32_t n;
    memcpy(&n, bytes->data + HEADER, sizeof n);
    ck_assert_uint_eq(bytes->length, FRAME + n + CHECKSUM + 4 + CHECKSUM);
    return n;
}

static void put_checksum(struct bytes *bytes, size_t begin, size_t n, uint64_t *sum)
{
    *sum = XXH3_64bits_withSeed(bytes->data + begin, n, *sum);
    memcpy(bytes->data + begin + n, sum, sizeof *sum);
}

/* Changes bytes of the frame, and makes the checksums those of the result. */
static void change(struct bytes *bytes, size_t at, const void *value, size_t size)
{
    const size_t n = frame_length(bytes);
    uint64_t sum = XXH3_64bits(bytes->data, HEADER);
    memcpy(bytes->data + at, value, size);
    put_checksum(bytes, HEADER, 4 + n, &sum);
    put_checksum(bytes, FRAME + n + CHECKSUM, 4, &sum);
}

/* Where the numbers of the first session begin. */
static size_t first_session(lckv_cache *cache)
{
    lckv_session *session = make_session(cache);
    struct bytes empty = save(&session, 1);
    const size_t at = FRAME + frame_length(&empty) - SESSION;
    lckv_session_release(session);
    free(empty.data);
    return at;
}

struct lie {
    uint64_t value;
    enum { LENGTH, MIN_LENGTH, INEXACT_FROM, TOLERANCE, TOKENS } field; /* TOKENS: the first one */
    const char *message;
};

/* A text of 60 tokens is restored, but not with one of the lies. */
static void refuse_lies(const char *name, lckv_cache_options options, const struct lie *lies,
                        size_t n_lies)
{
    float logits[N_VOCAB];
    lckv_model *model = open_golden(name, 0);
    options.n_threads = 1;
    lckv_cache *cache = make_cache(model, options);
    lckv_session *session = make_session(cache), *restored = NULL;
    append(session, cache, 0, 60, logits);
    const size_t at = first_session(cache);
    struct bytes truth = save(&session, 1);
    for (size_t i = 0; i < n_lies; i++) {
        struct bytes bytes = save(&session, 1);
        const lckv_cache_stats before = stats_of(cache);
        size_t n = 0;
        change(&bytes, at + 8 * lies[i].field, &lies[i].value,
               lies[i].field < TOKENS ? sizeof lies[i].value : sizeof(lckv_token));
        ck_assert_status(restore_some(cache, &bytes, &restored, 1, &n), LCKV_BAD_FORMAT);
        ck_assert_error_has(lies[i].message);
        const lckv_cache_stats after = stats_of(cache);
        ck_assert_mem_eq(&before, &after, sizeof before);
        free(bytes.data);
    }
    restore(cache, &truth, &restored, 1);
    lckv_session_release(restored);
    lckv_session_release(session);
    lckv_cache_release(cache);
    lckv_model_release(model);
    free(truth.data);
}

START_TEST(an_ordinary_session_can_go_back_to_its_beginning)
{
    const struct lie lies[] = {{(uint64_t)UINT32_MAX + 1, LENGTH, "length 4294967296"},
                               {UINT64_MAX, LENGTH, "has length"},
                               {60, MIN_LENGTH, "min_length 60"},
                               {UINT64_MAX, MIN_LENGTH, "has min_length"},
                               {60, INEXACT_FROM, "inexact_from 60"},
                               {0x3f800000, TOLERANCE, "tolerance bits 1065353216"},
                               {(uint64_t)1 << 32, TOLERANCE, "tolerance bits 4294967296"},
                               {N_VOCAB, TOKENS, "token 160"},
                               {UINT64_MAX, TOKENS, "token 4294967295"}};
    refuse_lies(UPWARD, (lckv_cache_options){0}, lies, COUNT(lies));
}
END_TEST

/* Its window is 7, so it drops nothing before min_length is 8. */
START_TEST(a_windowed_session_goes_back_no_further_than_its_window_allows)
{
    const struct lie lies[] = {{7, MIN_LENGTH, "min_length 7"}, {61, MIN_LENGTH, "min_length 61"}};
    refuse_lies(WINDOWED, (lckv_cache_options){.rollback = 4}, lies, COUNT(lies));
}
END_TEST

START_TEST(a_session_without_end_goes_back_no_further_than_its_window_allows)
{
    const lckv_cache_options options = {.context_window = 20, .n_sinks = 3, .rollback = 4};
    const struct lie lies[] = {{20, MIN_LENGTH, "min_length 20"},
                               {61, MIN_LENGTH, "min_length 61"},
                               {(uint64_t)UINT32_MAX + 1, LENGTH, "length 4294967296"},
                               {N_VOCAB, TOKENS, "token 160"}};
    refuse_lies(DOWNWARD, options, lies, COUNT(lies));
}
END_TEST

/* Frames have a largest length, for which their readers have memory. */
START_TEST(frames_are_not_longer_than_they_may_be)
{
    float logits[N_VOCAB];
    lckv_model *model = open_golden(DOWNWARD, 0);
    lckv_cache *cache = make_paged(model, 64);
    lckv_session *session = make_session(cache), *restored = NULL;
    append(session, cache, 0, 600, logits);
    struct bytes bytes = save(&session, 1);
    const uint32_t most = 65536, lengths[] = {most + 1, most + 13, UINT32_MAX};
    ck_assert_uint_gt(bytes.length, 2 * most);
    ck_assert_mem_eq(bytes.data + HEADER, &most, sizeof most);
    for (size_t i = 0; i < COUNT(lengths); i++) {
        char message[64];
        size_t n = 0;
        memcpy(bytes.data + HEADER, &lengths[i], sizeof lengths[i]);
        ck_assert_status(restore_some(cache, &bytes, &restored, 1, &n), LCKV_BAD_FORMAT);
        snprintf(message, sizeof message, "a frame of %u bytes", lengths[i]);
        ck_assert_error_has(message);
    }
    free(bytes.data);
    lckv_session_release(session);
    lckv_cache_release(cache);
    lckv_model_release(model);
}
END_TEST

/* What is not finite would spread to all that attend to it: zero times infinity is NaN. */
START_TEST(values_are_finite)
{
    static const struct {
        lckv_dtype dtype;
        size_t size;
        uint32_t bits[2]; /* infinity, and a number that is none */
    } types[] = {{LCKV_DTYPE_F32, 4, {0x7F800000, 0xFFC00000}},
                 {LCKV_DTYPE_F16, 2, {0x7C00, 0xFE00}},
                 {LCKV_DTYPE_BF16, 2, {0x7F80, 0xFFC0}}};
    float logits[N_VOCAB];
    lckv_model *model = open_golden(UPWARD, 0);
    lckv_cache *cache =
        make_cache(model, (lckv_cache_options){.kv_dtype = types[_i].dtype, .n_threads = 1});
    lckv_session *session = make_session(cache), *restored = NULL;
    append(session, cache, 0, 60, logits);
    for (int k = 0; k < 2; k++) {
        struct bytes bytes = save(&session, 1);
        size_t n = 0;
        /* The last number of the frame is that of the last value. */
        change(&bytes, FRAME + frame_length(&bytes) - types[_i].size, &types[_i].bits[k],
               types[_i].size);
        const lckv_cache_stats before = stats_of(cache);
        ck_assert_status(restore_some(cache, &bytes, &restored, 1, &n), LCKV_BAD_FORMAT);
        ck_assert_error_has("a value in slot ");
        const lckv_cache_stats after = stats_of(cache);
        ck_assert_mem_eq(&before, &after, sizeof before);
        free(bytes.data);
    }
    lckv_session_release(session);
    lckv_cache_release(cache);
    lckv_model_release(model);
}
END_TEST

/* The numbers at the beginning of the frame, behind the fingerprint: docs/saved-sessions.md. */
enum { FINGERPRINT = FRAME, NUMBERS = FRAME + 8, PRECISION = 10, VERSION = 12, N_NUMBERS = 13 };

/*
 * Restores a session of 60 tokens in another cache, with one byte changed unless `at` is 0, and
 * tells how many of the tokens a third session may reuse.
 */
static lckv_status change_description(size_t at, bool any_kernels, size_t *n_reused)
{
    const lckv_restore_options options = {.size = sizeof options, .any_kernels = any_kernels};
    float logits[N_VOCAB];
    lckv_model *model = open_golden(DOWNWARD, 0);
    lckv_cache *from = make_paged(model, 64), *to = make_paged(model, 64);
    lckv_session *session = make_session(from), *other = make_session(to), *restored = NULL;
    append(session, from, 0, 60, logits);
    struct bytes bytes = save(&session, 1);
    const uint8_t changed = (uint8_t)(bytes.data[at] + 1);
    size_t n = 0;
    if (at > 0)
        change(&bytes, at, &changed, 1);
    const lckv_status status = lckv_sessions_restore(to, get, &bytes, &options, &restored, 1, &n);
    ck_assert_ok(lckv_session_reuse(other, long_text(60), 60, n_reused));
    free(bytes.data);
    lckv_session_release(session);
    lckv_session_release(other);
    lckv_session_release(restored);
    lckv_cache_release(from);
    lckv_cache_release(to);
    lckv_model_release(model);
    return status;
}

/*
 * Another model or cache is refused. What other kernels have computed is restored if the caller
 * says so, and no other session reuses it, nor what another version has computed.
 */
START_TEST(each_number_of_the_description_counts)
{
    size_t n_reused = 0;
    ck_assert_ok(change_description(0, false, &n_reused));
    ck_assert_uint_eq(n_reused, 59);
    ck_assert_status(change_description(FINGERPRINT, true, &n_reused), LCKV_MISMATCH);
    ck_assert_status(change_description(FINGERPRINT + 7, true, &n_reused), LCKV_MISMATCH);
    for (size_t i = 0; i < PRECISION; i++)
        ck_assert_status(change_description(NUMBERS + 4 * i, true, &n_reused), LCKV_MISMATCH);
    const size_t kernel_set = NUMBERS + 4 * N_NUMBERS + 4 + strlen(DOWNWARD) + 4;
    const size_t of_kernels[] = {NUMBERS + 4 * PRECISION, NUMBERS + 4 * PRECISION + 4, kernel_set};
    for (size_t i = 0; i < COUNT(of_kernels); i++) {
        ck_assert_status(change_description(of_kernels[i], false, &n_reused), LCKV_MISMATCH);
        ck_assert_status(change_description(of_kernels[i], true, &n_reused), LCKV_OK);
        ck_assert_uint_eq(n_reused, 0);
    }
    ck_assert_status(change_description(NUMBERS + 4 * VERSION, false, &n_reused), LCKV_OK);
    ck_assert_uint_eq(n_reused, 0);
}
END_TEST

static void add_all(Suite *suite)
{
    TCase *tcase = tcase_create("lies");
    tcase_add_test(tcase, an_ordinary_session_can_go_back_to_its_beginning);
    tcase_add_test(tcase, a_windowed_session_goes_back_no_further_than_its_window_allows);
    tcase_add_test(tcase, a_session_without_end_goes_back_no_further_than_its_window_allows);
    tcase_add_test(tcase, frames_are_not_longer_than_they_may_be);
    tcase_add_test(tcase, each_number_of_the_description_counts);
    tcase_add_loop_test(tcase, values_are_finite, 0, 3);
    suite_add_tcase(suite, tcase);
}

TEST_MAIN("lies", add_all)
