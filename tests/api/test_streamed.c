/*
 * Streamed weights: the same model, bit for bit, within the bytes of the ring, whatever plan, type,
 * threads and batch, in several caches and processes. test_streamed_files.c has the files that
 * cannot be streamed.
 */
#include <pthread.h>
#include <sys/wait.h>

#include "allocator.h"
#include "streamed_support.h"

static const char *const fixtures[] = {
    "standard-llama", "lckv-w2",      "sandwich-middle",   "cla2",           "rope-llama3-tied",
    "yoco-windows",   "two-groups",   "overlap-groups",    "cycle3-window",  "mixattention",
    "all-top",        "lckv-w10like", "deep13-sequential", "nodiag-w10like", "pizza-bottom"};
static const lckv_dtype types[] = {LCKV_DTYPE_F32, LCKV_DTYPE_F16, LCKV_DTYPE_BF16, LCKV_DTYPE_Q8_0,
                                   LCKV_DTYPE_Q4_0};

/* The bytes of one more layer in the ring. */
static uint64_t layer_bytes(void)
{
    lckv_model *model = open_streamed(LCKV_PRECISION_FAST, 0);
    uint64_t three = info_of(model).ring_bytes;
    lckv_model_release(model);
    return three - least_bytes();
}

/* Checks traces of the packed file in memory against streamed ones. */
static void check_traces(lckv_precision precision, uint64_t stream_bytes, lckv_prefill prefill)
{
    static float expected[TRACE], got[TRACE];
    lckv_model *copied = open_copied(precision), *model = open_streamed(precision, stream_bytes);
    memset(expected, 0xFF, sizeof expected); /* vocabularies are smaller in some fixtures */
    trace(copied, 1, prefill, expected);
    for (uint32_t n_threads = 1; n_threads <= 4; n_threads += 3) {
        memset(got, 0xFF, sizeof got);
        trace(model, n_threads, prefill, got);
        ck_assert_mem_eq(got, expected, sizeof got);
    }
    uint64_t fingerprints[2];
    ck_assert_ok(lckv_model_fingerprint(copied, &fingerprints[0]));
    ck_assert_ok(lckv_model_fingerprint(model, &fingerprints[1]));
    ck_assert_uint_eq(fingerprints[0], fingerprints[1]);
    lckv_model_release(copied);
    lckv_model_release(model);
}

/* ---- The same model ---- */

START_TEST(logits_are_bitwise_those_of_the_model_in_memory)
{
    for (size_t t = 0; t < COUNT(types); t++) {
        pack_golden(fixtures[_i], types[t]);
        uint64_t least = least_bytes();
        for (lckv_precision p = LCKV_PRECISION_FULL; p <= LCKV_PRECISION_FAST; p++) {
            check_traces(p, least, LCKV_PREFILL_AUTO);
            check_traces(p, 0, LCKV_PREFILL_ITERATED);
        }
    }
}
END_TEST

START_TEST(every_prefill_and_size_of_the_ring_gives_the_same)
{
    pack_golden(fixtures[_i], LCKV_DTYPE_Q8_0);
    uint64_t least = least_bytes(), layer = layer_bytes();
    for (lckv_prefill prefill = LCKV_PREFILL_AUTO; prefill <= LCKV_PREFILL_MODEL; prefill++) {
        for (uint64_t more = 0; more < 20; more += 1 + more / 3)
            check_traces(LCKV_PRECISION_FAST, least + more * layer, prefill);
    }
}
END_TEST

START_TEST(every_kernel_set_can_stream_what_is_packed_for_it)
{
    static float expected[TRACE], got[TRACE];
    const char *set;
    for (size_t i = 0; (set = lckv_kernel_set_name(i)) != NULL; i++) {
        if (!lckv_kernel_set_available(set))
            continue;
        pack("tests/data/goldens/lckv-w2", LCKV_DTYPE_DEFAULT, set);
        lckv_model_options options = streamed(LCKV_PRECISION_FAST, 0);
        lckv_model *model, *copied;
        options.kernel_set = set;
        ck_assert_ok(lckv_model_open(packed, &options, &model));
        options.weights = LCKV_WEIGHTS_COPIED;
        ck_assert_ok(lckv_model_open(packed, &options, &copied));
        trace(model, 2, LCKV_PREFILL_AUTO, got);
        trace(copied, 2, LCKV_PREFILL_AUTO, expected);
        ck_assert_mem_eq(got, expected, sizeof got);
        lckv_model_release(model);
        lckv_model_release(copied);
    }
}
END_TEST

static void bundled_logits(const lckv_model *model, float *logits, size_t n_vocab)
{
    lckv_token tokens[40];
    lckv_cache *cache = make_cache(model, (lckv_cache_options){0});
    lckv_session *session = make_session(cache);
    fill_tokens(tokens, COUNT(tokens));
    lckv_item item = make_item(session, tokens, COUNT(tokens), logits, n_vocab);
    ck_assert_ok(run(cache, &item, 1, LCKV_PREFILL_AUTO));
    lckv_session_release(session);
    lckv_cache_release(cache);
}

START_TEST(the_bundled_model_is_streamed_too)
{
    pack(bundled, LCKV_DTYPE_DEFAULT, NULL);
    lckv_model *copied = open_copied(LCKV_PRECISION_FAST);
    lckv_model *model = open_streamed(LCKV_PRECISION_FAST, least_bytes());
    size_t n_vocab = info_of(model).n_vocab;
    float *expected = calloc(40 * n_vocab, sizeof *expected);
    float *got = calloc(40 * n_vocab, sizeof *got);
    bundled_logits(copied, expected, n_vocab);
    bundled_logits(model, got, n_vocab);
    ck_assert_mem_eq(got, expected, 40 * n_vocab * sizeof *got);
    ck_assert_uint_eq(info_of(model).weight_bytes, info_of(copied).weight_bytes);
    ck_assert_uint_eq(info_of(model).decode_bytes, info_of(copied).decode_bytes);
    ck_assert_uint_eq(info_of(copied).resident_bytes, info_of(copied).weight_bytes);
    ck_assert_uint_eq(info_of(copied).ring_bytes, 0);
    free(expected);
    free(got);
    lckv_model_release(model);
    lckv_model_release(copied);
}
END_TEST

/* ---- Memory and reads ---- */

START_TEST(memory_stays_within_what_was_given)
{
    pack(bundled, LCKV_DTYPE_F32, NULL);
    uint64_t given = least_bytes() + 12345;
    struct counting counting = {.n_allowed = SIZE_MAX}, of_copy = {.n_allowed = SIZE_MAX};
    lckv_allocator allocator = counting_allocator(&counting),
                   copy_allocator = counting_allocator(&of_copy);
    lckv_model_options options = streamed(LCKV_PRECISION_FAST, given);
    lckv_model *model, *copied;
    options.allocator = &allocator;
    uint64_t before = reads.n_bytes;
    ck_assert_ok(lckv_model_open(packed, &options, &model));
    lckv_model_info info = info_of(model);
    ck_assert_uint_lt(reads.n_bytes - before, info.weight_bytes / 10); /* the weights stay there */
    ck_assert_uint_le(info.ring_bytes, given);
    ck_assert_uint_gt(info.ring_bytes, given / 2);
    ck_assert_uint_lt(info.resident_bytes, info.weight_bytes / 100);
    ck_assert_uint_lt(given, info.weight_bytes / 2);

    options = (lckv_model_options){
        .size = sizeof options, .weights = LCKV_WEIGHTS_COPIED, .allocator = &copy_allocator};
    ck_assert_ok(lckv_model_open(packed, &options, &copied));
    /* Beside the weights both models hold the same, but for the tables of the ring. */
    uint64_t rest = of_copy.out - info.weight_bytes + info.resident_bytes;
    ck_assert_uint_le(counting.out, info.ring_bytes + rest + (64 << 10));
    size_t held = counting.out;
    float *logits = calloc(40 * info.n_vocab, sizeof *logits);
    bundled_logits(model, logits, info.n_vocab); /* the cache takes its memory from the same */
    ck_assert_uint_eq(counting.out, held);
    free(logits);
    lckv_model_release(model);
    lckv_model_release(copied);
    ck_assert_uint_eq(counting.out, 0);
}
END_TEST

START_TEST(every_refused_allocation_is_survived)
{
    pack_golden("lckv-w2", LCKV_DTYPE_Q8_0);
    struct counting counting = {.n_allowed = 0};
    lckv_allocator allocator = counting_allocator(&counting);
    lckv_model_options options = streamed(LCKV_PRECISION_FAST, 0);
    options.allocator = &allocator;
    lckv_status status = LCKV_OUT_OF_MEMORY;
    size_t n = 0;
    bool ring_was_refused = false;
    for (; status == LCKV_OUT_OF_MEMORY; n++) {
        lckv_model *model = NULL;
        counting.n_allowed = n;
        status = lckv_model_open(packed, &options, &model);
        ring_was_refused |= status != LCKV_OK && strstr(lckv_last_error(), "ring") != NULL;
        lckv_model_release(model);
        ck_assert_uint_eq(counting.out, 0);
    }
    ck_assert_ok(status);
    ck_assert(ring_was_refused);
}
END_TEST

/* The bytes that the second of two identical calls reads, with room for `places` layers. */
static uint64_t read_by_second_call(uint64_t places, lckv_prefill prefill)
{
    uint64_t bytes = least_bytes() + (places - 2) * layer_bytes();
    lckv_model *model = open_streamed(LCKV_PRECISION_FAST, bytes);
    lckv_cache *cache = make_cache(model, (lckv_cache_options){0});
    lckv_token tokens[12];
    static float logits[12 * VOCAB];
    uint64_t before = 0;
    fill_tokens(tokens, COUNT(tokens));
    for (int call = 0; call < 2; call++) {
        lckv_session *session = make_session(cache);
        lckv_item item = make_item(session, tokens, COUNT(tokens), logits, VOCAB);
        wait_until_quiet();
        before = reads.n_bytes;
        ck_assert_ok(run(cache, &item, 1, prefill));
        lckv_session_release(session);
    }
    wait_until_quiet();
    lckv_cache_release(cache);
    lckv_model_release(model);
    return reads.n_bytes - before;
}

START_TEST(what_the_ring_holds_is_not_read_again)
{
    enum { ROWS = 12 * 3 * 8192 }; /* of the embedding, in blocks */
    pack_golden("sandwich-middle", LCKV_DTYPE_F32);
    lckv_model *model = open_streamed(LCKV_PRECISION_FAST, 0);
    uint64_t all = info_of(model).weight_bytes, layer = layer_bytes();
    lckv_model_release(model);
    ck_assert_uint_gt(read_by_second_call(2, LCKV_PREFILL_AUTO), 8 * all / 2);
    ck_assert_uint_le(read_by_second_call(100, LCKV_PREFILL_AUTO), ROWS);
    /* The cyclic group, layers 1 to 4, is read once for its nine iterations. */
    ck_assert_uint_gt(read_by_second_call(3, LCKV_PREFILL_ITERATED), 2 * all);
    ck_assert_uint_le(read_by_second_call(7, LCKV_PREFILL_ITERATED), all + 7 * layer + ROWS);
}
END_TEST

static uint64_t ring_bytes_of(uint64_t stream_bytes)
{
    lckv_model *model = open_streamed(LCKV_PRECISION_FAST, stream_bytes);
    const uint64_t n_bytes = info_of(model).ring_bytes;
    lckv_model_release(model);
    return n_bytes;
}

START_TEST(a_ring_is_no_larger_than_the_weights)
{
    pack_golden("sandwich-middle", LCKV_DTYPE_F32);
    const uint64_t layer = layer_bytes(), most = ring_bytes_of(100 * layer);
    ck_assert_uint_gt(most, 6 * layer);
    ck_assert_uint_lt(most, 50 * layer);
    ck_assert_uint_eq(ring_bytes_of(200 * layer), most);
}
END_TEST

/* ---- Threads and processes ---- */

struct caller {
    lckv_model *model;
    pthread_t thread;
    float got[TRACE];
};

static void *trace_often(void *argument)
{
    struct caller *caller = argument;
    for (int i = 0; i < 5; i++)
        trace(caller->model, 2, LCKV_PREFILL_AUTO, caller->got);
    return NULL;
}

START_TEST(caches_of_one_model_take_turns)
{
    enum { N = 3 };
    static struct caller callers[N];
    static float expected[TRACE];
    pack_golden("sandwich-middle", LCKV_DTYPE_Q8_0);
    lckv_model *copied = open_copied(LCKV_PRECISION_FAST),
               *model = open_streamed(LCKV_PRECISION_FAST, least_bytes());
    trace(copied, 1, LCKV_PREFILL_AUTO, expected);
    for (int i = 0; i < N; i++) {
        callers[i].model = model;
        ck_assert_int_eq(pthread_create(&callers[i].thread, NULL, trace_often, &callers[i]), 0);
    }
    for (int i = 0; i < N; i++) {
        pthread_join(callers[i].thread, NULL);
        ck_assert_mem_eq(callers[i].got, expected, sizeof expected);
    }
    lckv_model_release(copied);
    lckv_model_release(model);
}
END_TEST

/* ThreadSanitizer does not support new threads in the child of a process with threads. */
#if !defined(__SANITIZE_THREAD__)
static int n_threads_alive(void)
{
    char line[128];
    int n = -1;
    FILE *file = fopen("/proc/self/status", "r");
    while (file != NULL && fgets(line, sizeof line, file) != NULL)
        sscanf(line, "Threads: %d", &n);
    if (file != NULL)
        fclose(file);
    return n;
}

START_TEST(threads_begin_with_the_first_call_and_end_with_the_model)
{
    static float logits[TRACE];
    pack_golden("lckv-w2", LCKV_DTYPE_Q8_0);
    int before = n_threads_alive();
    lckv_model *model = open_streamed(LCKV_PRECISION_FAST, 0);
    ck_assert_int_eq(n_threads_alive(), before);
    trace(model, 1, LCKV_PREFILL_AUTO, logits);
    ck_assert_int_eq(n_threads_alive(), before + 1);
    lckv_model_release(model);
    ck_assert_int_eq(n_threads_alive(), before);
}
END_TEST

START_TEST(a_child_of_fork_streams_for_itself)
{
    static float expected[TRACE], got[TRACE];
    pack_golden("lckv-w2", LCKV_DTYPE_Q8_0);
    lckv_model *model = open_streamed(LCKV_PRECISION_FAST, 0),
               *idle = open_streamed(LCKV_PRECISION_FAST, 0);
    trace(model, 2, LCKV_PREFILL_AUTO, expected);
    trace(idle, 2, LCKV_PREFILL_AUTO, expected);
    pid_t child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0) {
        alarm(20);
        trace(model, 2, LCKV_PREFILL_AUTO, got);
        lckv_model_release(model);
        lckv_model_release(idle);
        _exit(memcmp(got, expected, sizeof got) == 0 ? 0 : 1);
    }
    int status;
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0, "wait status %d", status);
    trace(model, 2, LCKV_PREFILL_AUTO, got);
    ck_assert_mem_eq(got, expected, sizeof got);
    lckv_model_release(model);
    lckv_model_release(idle);
}
END_TEST
#endif

static void add_all(Suite *suite)
{
    TCase *tcase = tcase_create("streamed weights");
    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_set_timeout(tcase, 240);
    const bool few = getenv("LCKV_TEST_SHORT") != NULL; /* sanitizers are slow */
    tcase_add_loop_test(tcase, logits_are_bitwise_those_of_the_model_in_memory, 0,
                        few ? 4 : COUNT(fixtures));
    tcase_add_loop_test(tcase, every_prefill_and_size_of_the_ring_gives_the_same, few ? 2 : 0,
                        few ? 3 : 4);
    tcase_add_test(tcase, every_kernel_set_can_stream_what_is_packed_for_it);
    tcase_add_test(tcase, the_bundled_model_is_streamed_too);
    tcase_add_test(tcase, memory_stays_within_what_was_given);
    tcase_add_test(tcase, every_refused_allocation_is_survived);
    tcase_add_test(tcase, what_the_ring_holds_is_not_read_again);
    tcase_add_test(tcase, a_ring_is_no_larger_than_the_weights);
    tcase_add_test(tcase, caches_of_one_model_take_turns);
#if !defined(__SANITIZE_THREAD__)
    tcase_add_test(tcase, threads_begin_with_the_first_call_and_end_with_the_model);
    tcase_add_test(tcase, a_child_of_fork_streams_for_itself);
#endif
    suite_add_tcase(suite, tcase);
}

TEST_MAIN("streamed", add_all)
