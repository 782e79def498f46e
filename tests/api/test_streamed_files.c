/*
 * Streamed weights: what cannot be streamed is refused, wrong tensor infos do no harm, and a file
 * that fails, waits or shrinks is an error of the call that meets it.
 */
#include <pthread.h>

#include "random.h"
#include "streamed_support.h"

/* ---- Refusals ---- */

START_TEST(what_cannot_be_streamed_is_refused)
{
    lckv_model *model;
    lckv_model_options options = streamed(LCKV_PRECISION_FAST, 0);
    size_t length;
    ck_assert_status(lckv_model_open(bundled, &options, &model), LCKV_UNSUPPORTED);
    ck_assert_error_has("not packed");
    ck_assert_error_has("lckv convert examples/models/stories-lckv-q8_0.gguf packed.gguf --packed "
                        "--kernel-set ");
    ck_assert_status(lckv_model_open("tests/data/goldens/lckv-w2", &options, &model),
                     LCKV_UNSUPPORTED);
    ck_assert_error_has("lckv convert tests/data/goldens/lckv-w2 packed.gguf --packed");

    options.kernel_set = "portable";
    pack("tests/data/goldens/lckv-w2", LCKV_DTYPE_Q8_0, "avx512");
    ck_assert_status(lckv_model_open(packed, &options, &model), LCKV_UNSUPPORTED);
    ck_assert_error_has("packed for another kernel set");
    ck_assert_error_has("lckv convert ORIGINAL packed.gguf --packed --kernel-set portable");

    options.kernel_set = NULL;
    pack_golden("lckv-w2", LCKV_DTYPE_Q8_0);
    char *bytes = read_whole(packed, &length);
    ck_assert_status(lckv_model_open_memory(bytes, length, &options, &model),
                     LCKV_INVALID_ARGUMENT);
    ck_assert_error_has("cannot be streamed");
    free(bytes);

    options.stream_bytes = least_bytes() - 1;
    ck_assert_status(lckv_model_open(packed, &options, &model), LCKV_INVALID_ARGUMENT);
    ck_assert_error_has("stream_bytes is ");
    options.weights = LCKV_WEIGHTS_DEFAULT;
    ck_assert_status(lckv_model_open(packed, &options, &model), LCKV_INVALID_ARGUMENT);
    ck_assert_error_has("LCKV_WEIGHTS_STREAMED");
}
END_TEST

/* The offset of a matrix in its tensor info, 24 bytes behind its name. */
static char *offset_of(char *bytes, size_t length, const char *name)
{
    char *at = memmem(bytes, length, name, strlen(name));
    ck_assert_ptr_nonnull(at);
    return at + strlen(name) + 24;
}

/* Changes a bit of the tensor infos, or moves a matrix to the second half or beyond. */
static void spoil(char *bytes, size_t length)
{
    static const char *const names[] = {"token_embd.weight",   "output.weight",
                                        "blk.0.attn_q.weight", "blk.3.attn_output.weight",
                                        "blk.6.attn_k.weight", "blk.7.ffn_down.weight"};
    char *first = memmem(bytes, length, names[0], strlen(names[0]));
    char *bit = first + random_bits() % 4000;
    uint64_t half = length / 2 / 4096, offset = (half + random_bits() % (half + 4)) * 4096;
    if (random_bits() % 4 == 0)
        *bit = (char)((uint32_t)*bit ^ 1u << random_bits() % 8);
    else
        memcpy(offset_of(bytes, length, names[random_bits() % COUNT(names)]), &offset,
               sizeof offset);
}

/* A file with other tensor infos is refused, or computes something. */
START_TEST(a_file_with_wrong_tensor_infos_does_no_harm)
{
    static const lckv_token tokens[] = {1, 5, 9};
    size_t length, n_opened = 0, n_refused = 0;
    pack_golden("lckv-w2", LCKV_DTYPE_Q8_0);
    char *good = read_whole(packed, &length), *bytes = calloc(2, length); /* room for others */
    random_seed = 1 + (uint64_t)_i;
    for (int trial = 0; trial < 100; trial++) {
        memcpy(bytes, good, length);
        spoil(bytes, 2 * length);
        folder_write("packed.gguf", bytes, 2 * length);
        lckv_model_options options = streamed(LCKV_PRECISION_FAST, 0);
        lckv_model *model;
        if (lckv_model_open(packed, &options, &model) != LCKV_OK) {
            n_refused++;
            continue;
        }
        lckv_cache *cache = make_cache(model, (lckv_cache_options){.n_threads = 1});
        lckv_session *session = make_session(cache);
        lckv_item item = {.session = session,
                          .tokens = tokens,
                          .n_tokens = COUNT(tokens),
                          .want = LCKV_WANT_LAST};
        ck_assert_ok(run(cache, &item, 1, LCKV_PREFILL_AUTO));
        lckv_session_release(session);
        lckv_cache_release(cache);
        lckv_model_release(model);
        n_opened++;
    }
    free(good);
    free(bytes);
    ck_assert_uint_gt(n_opened, 20);
    ck_assert_uint_gt(n_refused, 20);
}
END_TEST

/* ---- Failures ---- */

/* A model with one session that holds three tokens. */
struct trial {
    lckv_model *model;
    lckv_cache *cache;
    lckv_session *session;
    uint64_t free_pages;
};

static struct trial begin_trial(void)
{
    static const lckv_token tokens[] = {1, 5, 9};
    struct trial trial;
    pack_golden("lckv-w2", LCKV_DTYPE_F32);
    trial.model = open_streamed(LCKV_PRECISION_FAST, least_bytes());
    trial.cache = make_cache(trial.model, (lckv_cache_options){.n_threads = 2});
    trial.session = make_session(trial.cache);
    lckv_item item = {.session = trial.session, .tokens = tokens, .n_tokens = COUNT(tokens)};
    ck_assert_ok(run(trial.cache, &item, 1, LCKV_PREFILL_AUTO));
    trial.free_pages = free_pages(trial.cache);
    return trial;
}

static lckv_status append(const struct trial *trial, float *logits)
{
    static const lckv_token tokens[] = {2, 130};
    lckv_item item = make_item(trial->session, tokens, COUNT(tokens), logits, VOCAB);
    return run(trial->cache, &item, 1, LCKV_PREFILL_AUTO);
}

/* Checks that the session is as before, works again, and computes the right logits. */
static void end_trial(const struct trial *trial)
{
    static float expected[2 * VOCAB], got[2 * VOCAB];
    ck_assert_uint_eq(length_of(trial->session), 3);
    ck_assert_uint_eq(free_pages(trial->cache), trial->free_pages);
    ck_assert_ok(append(trial, got));
    struct trial copy = *trial;
    copy.model = open_copied(LCKV_PRECISION_FAST);
    copy.cache = make_cache(copy.model, (lckv_cache_options){0});
    copy.session = make_session(copy.cache);
    lckv_item item = {
        .session = copy.session, .tokens = (const lckv_token[]){1, 5, 9}, .n_tokens = 3};
    ck_assert_ok(run(copy.cache, &item, 1, LCKV_PREFILL_AUTO));
    ck_assert_ok(append(&copy, expected));
    ck_assert_mem_eq(got, expected, sizeof got);
    const struct trial *both[] = {trial, &copy};
    for (int i = 0; i < 2; i++) {
        lckv_session_release(both[i]->session);
        lckv_cache_release(both[i]->cache);
        lckv_model_release(both[i]->model);
    }
}

static off_t end_of_file(void)
{
    struct stat facts;
    ck_assert_int_eq(stat(packed, &facts), 0);
    return facts.st_size;
}

START_TEST(a_file_that_shrinks_is_an_error_of_the_call)
{
    struct trial trial = begin_trial();
    static float logits[2 * VOCAB];
    size_t length;
    char *bytes = read_whole(packed, &length);
    wait_until_quiet();
    ck_assert_int_eq(truncate(packed, end_of_file() / 2 + _i * 100), 0);
    ck_assert_status(append(&trial, logits), LCKV_IO);
    ck_assert_error_has("streamed weights of layer ");
    ck_assert_error_has("it was longer when it was opened");
    char kept[512];
    lckv_cache_last_error(trial.cache, kept, sizeof kept);
    ck_assert_str_eq(kept, lckv_last_error());
    ck_assert_int_eq(truncate(packed, 4096), 0);
    ck_assert_status(append(&trial, logits), LCKV_IO); /* not even the embedding is there */
    ck_assert_error_has("streamed weights of ");
    FILE *file = fopen(packed, "r+b");
    ck_assert_ptr_nonnull(file);
    ck_assert_uint_eq(fwrite(bytes, 1, length, file), length);
    ck_assert_int_eq(fclose(file), 0);
    free(bytes);
    end_trial(&trial);
}
END_TEST

START_TEST(a_read_that_fails_is_an_error_of_the_call)
{
    struct trial trial = begin_trial();
    static float logits[2 * VOCAB];
    const off_t end = end_of_file();
    for (int part = 1; part < 8; part++) {
        reads.fail_from = end * part / 8;
        ck_assert_status(append(&trial, logits), LCKV_IO);
        ck_assert_error_has("packed.gguf: cannot read: Input/output error");
        ck_assert_uint_eq(length_of(trial.session), 3);
    }
    reads.fail_from = 0;
    end_trial(&trial);
}
END_TEST

struct canceller {
    lckv_cache *cache;
    int after; /* milliseconds */
};

static void *cancel_soon(void *argument)
{
    struct canceller *canceller = argument;
    for (int i = 0; i < canceller->after; i++)
        reads_sleep();
    lckv_cache_cancel(canceller->cache);
    return NULL;
}

/* It is cancelled while the disk does not answer: for a layer, or for a row of the embedding. */
START_TEST(a_call_that_waits_for_the_file_can_be_cancelled)
{
    struct trial trial = begin_trial();
    static float logits[2 * VOCAB];
    struct canceller canceller = {trial.cache, 100};
    pthread_t thread;
    wait_until_quiet();
    reads.stuck_from = _i == 0 ? end_of_file() / 2 : 1;
    ck_assert_int_eq(pthread_create(&thread, NULL, cancel_soon, &canceller), 0);
    ck_assert_status(append(&trial, logits), LCKV_CANCELLED);
    pthread_join(thread, NULL);
    reads.stuck_from = 0;
    end_trial(&trial);
}
END_TEST

START_TEST(a_file_system_that_refuses_direct_reads_is_read_otherwise)
{
    static float expected[TRACE], got[TRACE];
    pack_golden("lckv-w2", LCKV_DTYPE_Q8_0);
    lckv_model *copied = open_copied(LCKV_PRECISION_FAST),
               *model = open_streamed(LCKV_PRECISION_FAST, 0);
    trace(copied, 2, LCKV_PREFILL_AUTO, expected);
    reads.no_direct = true;
    trace(model, 2, LCKV_PREFILL_AUTO, got);
    ck_assert_mem_eq(got, expected, sizeof got);
    ck_assert_int_gt(reads.n_buffered, 0);
    lckv_model_release(copied);
    lckv_model_release(model);
}
END_TEST

static void add_all(Suite *suite)
{
    TCase *tcase = tcase_create("files of streamed weights");
    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_set_timeout(tcase, 240);
    tcase_add_test(tcase, what_cannot_be_streamed_is_refused);
    tcase_add_loop_test(tcase, a_file_with_wrong_tensor_infos_does_no_harm, 0, 2);
    tcase_add_loop_test(tcase, a_file_that_shrinks_is_an_error_of_the_call, 0, 2);
    tcase_add_test(tcase, a_read_that_fails_is_an_error_of_the_call);
    tcase_add_loop_test(tcase, a_call_that_waits_for_the_file_can_be_cancelled, 0, 2);
    tcase_add_test(tcase, a_file_system_that_refuses_direct_reads_is_read_otherwise);
    suite_add_tcase(suite, tcase);
}

TEST_MAIN("files of streamed weights", add_all)
