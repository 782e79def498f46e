/*
 * Packed files hold the same model, bit for bit, whether they are mapped, copied, read from memory
 * or packed anew for another kernel set.
 */
#include <pthread.h>
#include <stdbool.h>
#include <unistd.h>

#include "allocator.h"
#include "folder.h"
#include "sessions.h"

enum { N = 8, VOCAB = 160 };

static char plain[FOLDER_PATH], packed[FOLDER_PATH];

static void set_up(void)
{
    folder_make();
    folder_join(plain, "plain.gguf");
    folder_join(packed, "packed.gguf");
}

static const char *const fixtures[] = {"lckv-w2", "standard-llama", "rope-llama3-tied",
                                       "yoco-windows"};
static const lckv_dtype types[] = {LCKV_DTYPE_F32, LCKV_DTYPE_F16, LCKV_DTYPE_BF16, LCKV_DTYPE_Q8_0,
                                   LCKV_DTYPE_Q4_0};

/* Makes both files of a fixture, the second one packed for `kernel_set`. */
static void convert_both(const char *fixture, lckv_dtype dtype, const char *kernel_set)
{
    char path[128];
    lckv_convert_options options = {.size = sizeof options, .dtype = dtype};
    snprintf(path, sizeof path, "tests/data/goldens/%s", fixture);
    ck_assert_ok(lckv_convert(path, plain, &options, NULL));
    options.packed = 1;
    options.kernel_set = kernel_set;
    ck_assert_ok(lckv_convert(path, packed, &options, NULL));
}

static void logits_of(const lckv_model *model, float *logits)
{
    static const lckv_token tokens[N] = {1, 5, 9, 2, 130, 7, 7, 3};
    lckv_cache *cache = make_cache(model, (lckv_cache_options){0});
    lckv_session *session = make_session(cache);
    lckv_item item = make_item(session, tokens, N, logits, VOCAB);
    ck_assert_ok(run(cache, &item, 1, LCKV_PREFILL_AUTO));
    lckv_session_release(session);
    lckv_cache_release(cache);
}

/* Compares the logits of both models, and releases the models. */
static void check_same_logits(lckv_model *a, lckv_model *b)
{
    static float left[N * VOCAB], right[N * VOCAB];
    logits_of(a, left);
    logits_of(b, right);
    ck_assert_mem_eq(left, right, sizeof left);
    lckv_model_release(a);
    lckv_model_release(b);
}

static lckv_model *open_with(const char *path, lckv_precision precision, const char *kernel_set,
                             lckv_weights weights)
{
    lckv_model_options options = {.size = sizeof options,
                                  .precision = precision,
                                  .gemm = LCKV_GEMM_OWN,
                                  .kernel_set = kernel_set,
                                  .weights = weights};
    lckv_model *model;
    ck_assert_ok(lckv_model_open(path, &options, &model));
    return model;
}

START_TEST(a_packed_file_is_the_same_model_mapped)
{
    for (size_t t = 0; t < sizeof types / sizeof types[0]; t++) {
        convert_both(fixtures[_i], types[t], NULL);
        for (lckv_precision p = LCKV_PRECISION_FULL; p <= LCKV_PRECISION_FAST; p++) {
            lckv_model *a = open_with(plain, p, NULL, LCKV_WEIGHTS_DEFAULT);
            lckv_model *b = open_with(packed, p, NULL, LCKV_WEIGHTS_DEFAULT);
            lckv_model_info left = info_of(a), right = info_of(b);
            ck_assert_int_eq(left.is_mapped, 0);
            ck_assert_int_eq(right.is_mapped, 1);
            ck_assert_int_eq(right.is_repacked, 0);
            ck_assert_uint_eq(left.weight_bytes, right.weight_bytes);
            ck_assert_uint_eq(left.n_parameters, right.n_parameters);
            ck_assert_str_eq(left.weight_dtypes, right.weight_dtypes);
            check_same_logits(a, b);
        }
    }
}
END_TEST

/* Adds the tensor `name`, [n] float32, behind what the safetensors file has so far. */
static void add_vector(FILE *header, char **data, size_t *length, const char *name, size_t n)
{
    *data = realloc(*data, *length + n * sizeof(float));
    ck_assert_ptr_nonnull(*data);
    for (size_t i = 0; i < n; i++) {
        float value = (float)((*length / 4 + i * i) % 17) / 50 - 0.16f;
        memcpy(*data + *length + i * sizeof value, &value, sizeof value);
    }
    size_t end = *length + n * sizeof(float);
    fprintf(header, ",\"%s\":{\"dtype\":\"F32\",\"shape\":[%zu],\"data_offsets\":[%zu,%zu]}", name,
            n, *length, end);
    *length = end;
}

/* Finds the end of an object, so that members can be added to it. */
static size_t last_brace(const char *text, size_t length)
{
    while (text[length - 1] != '}')
        length--;
    return length - 1;
}

/* Turns a member that is false in the text into one that is true. */
static void set_true(char *text, const char *member)
{
    char *at = strstr(text, member);
    ck_assert_ptr_nonnull(at);
    memcpy(at + strlen(member) - strlen("false"), "true ", strlen("false"));
}

/*
 * Makes standard-llama with a bias for every matrix of a layer, in the folder of the test. With
 * `shared`, layer 0 reads the keys and values of layer 1 and has no biases for its own.
 */
static void make_biased(bool shared)
{
    static const struct {
        const char *name;
        size_t n;
    } biases[] = {{"self_attn.q_proj", 64}, {"self_attn.k_proj", 64}, {"self_attn.v_proj", 64},
                  {"self_attn.o_proj", 64}, {"mlp.gate_proj", 128},   {"mlp.up_proj", 128},
                  {"mlp.down_proj", 64}};
    size_t length;
    char *bytes = read_whole("tests/data/goldens/standard-llama/model.safetensors", &length);
    uint64_t n_header;
    memcpy(&n_header, bytes, sizeof n_header);
    char *text;
    size_t n_text;
    FILE *header = open_memstream(&text, &n_text);
    ck_assert_ptr_nonnull(header);
    fwrite(bytes + 8, 1, last_brace(bytes + 8, n_header), header);
    length -= 8 + n_header;
    memmove(bytes, bytes + 8 + n_header, length);
    for (int layer = 0; layer < 8; layer++) {
        for (size_t b = 0; b < sizeof biases / sizeof biases[0]; b++) {
            char name[64];
            if (shared && layer == 0 && (b == 1 || b == 2))
                continue;
            snprintf(name, sizeof name, "model.layers.%d.%s.bias", layer, biases[b].name);
            add_vector(header, &bytes, &length, name, biases[b].n);
        }
    }
    fputc('}', header);
    fclose(header);
    n_header = n_text;
    char *whole = malloc(8 + n_header + length);
    memcpy(whole, &n_header, 8);
    memcpy(whole + 8, text, n_header);
    memcpy(whole + 8 + n_header, bytes, length);
    folder_write("model.safetensors", whole, 8 + n_header + length);
    free(whole);
    free(text);
    free(bytes);
    char *config = read_whole("tests/data/goldens/standard-llama/config.json", NULL);
    set_true(config, "\"attention_bias\": false");
    set_true(config, "\"mlp_bias\": false");
    char *whole_config = malloc(strlen(config) + 64);
    ck_assert_ptr_nonnull(whole_config);
    sprintf(whole_config, "{%s%s", shared ? "\"layer_types\":\"1_1_2_3_4_5_6_7\"," : "",
            strchr(config, '{') + 1);
    folder_write_text("config.json", whole_config);
    free(whole_config);
    free(config);
}

START_TEST(biases_are_converted_and_packed_too)
{
    static float logits[2][N * VOCAB];
    make_biased(false);
    lckv_model *biased = open_with(folder, LCKV_PRECISION_FULL, NULL, LCKV_WEIGHTS_DEFAULT);
    lckv_model *without = open_golden("standard-llama", LCKV_PRECISION_FULL);
    logits_of(biased, logits[0]);
    logits_of(without, logits[1]);
    ck_assert_mem_ne(logits[0], logits[1], sizeof logits[0]);
    lckv_model_release(without);
    lckv_model_release(biased);
    /* To rows in the order of plain files, and from there to that of packed ones. */
    const struct {
        const char *from, *to;
        uint32_t is_packed;
    } ways[] = {{folder, plain, 0}, {folder, packed, 1}, {plain, packed, 1}};
    for (size_t i = 0; i < COUNT(ways); i++) {
        lckv_convert_options options = {.size = sizeof options, .packed = ways[i].is_packed};
        ck_assert_ok(lckv_convert(ways[i].from, ways[i].to, &options, NULL));
        check_same_logits(open_with(folder, LCKV_PRECISION_FULL, NULL, LCKV_WEIGHTS_DEFAULT),
                          open_with(ways[i].to, LCKV_PRECISION_FULL, NULL, LCKV_WEIGHTS_DEFAULT));
    }
}
END_TEST

START_TEST(biases_that_no_layer_reads_need_not_be_there)
{
    make_biased(true);
    lckv_convert_options options = {.size = sizeof options, .packed = 1};
    ck_assert_ok(lckv_convert(folder, packed, &options, NULL));
    check_same_logits(open_with(folder, LCKV_PRECISION_FULL, NULL, LCKV_WEIGHTS_DEFAULT),
                      open_with(packed, LCKV_PRECISION_FULL, NULL, LCKV_WEIGHTS_DEFAULT));
}
END_TEST

/* The file is packed anew, mapped, copied, and packed for another set. */
START_TEST(every_refused_allocation_of_an_open_is_survived)
{
    static const struct {
        bool is_packed;
        const char *kernel_set;
        lckv_weights weights;
    } ways[] = {{false, NULL, LCKV_WEIGHTS_DEFAULT},
                {true, NULL, LCKV_WEIGHTS_DEFAULT},
                {true, NULL, LCKV_WEIGHTS_COPIED},
                {true, "portable", LCKV_WEIGHTS_DEFAULT}};
    convert_both("lckv-w2", LCKV_DTYPE_Q8_0, NULL);
    struct counting counting = {.n_allowed = 0};
    lckv_allocator allocator = counting_allocator(&counting);
    lckv_model_options options = {.size = sizeof options,
                                  .allocator = &allocator,
                                  .kernel_set = ways[_i].kernel_set,
                                  .weights = ways[_i].weights};
    lckv_status status = LCKV_OUT_OF_MEMORY;
    size_t n = 0;
    for (; status == LCKV_OUT_OF_MEMORY; n++) {
        lckv_model *model = NULL;
        counting.n_allowed = n;
        status = lckv_model_open(ways[_i].is_packed ? packed : plain, &options, &model);
        lckv_model_release(model);
        ck_assert_msg(counting.out == 0, "refusing allocation %zu leaks %zu bytes", n,
                      counting.out);
    }
    ck_assert_ok(status);
    ck_assert_uint_gt(n, 10);
}
END_TEST

struct opening {
    uint64_t first, last, done, total; /* last: before the call that tells that all is done */
    int n_calls, cancel_at;            /* 0: never */
    pthread_t caller;
};

static int32_t watch(void *user, uint64_t done, uint64_t total)
{
    struct opening *opening = user;
    ck_assert(pthread_equal(pthread_self(), opening->caller));
    ck_assert_uint_ge(done, opening->done);
    ck_assert_uint_le(done, total);
    ck_assert(opening->n_calls == 0 || total == opening->total);
    if (opening->n_calls == 0)
        opening->first = done;
    opening->last = opening->done;
    opening->done = done;
    opening->total = total;
    return ++opening->n_calls == opening->cancel_at;
}

START_TEST(opening_tells_its_progress_and_can_be_cancelled)
{
    convert_both("lckv-w2", LCKV_DTYPE_F16, NULL);
    const char *const paths[] = {plain, packed};
    for (int p = 0; p < 2; p++) {
        struct opening whole = {.caller = pthread_self()};
        lckv_model_options options = {
            .size = sizeof options, .progress = watch, .progress_user = &whole};
        lckv_model *model;
        ck_assert_ok(lckv_model_open(paths[p], &options, &model));
        lckv_model_release(model);
        ck_assert_int_gt(whole.n_calls, 0);
        ck_assert_uint_gt(whole.total, 0);
        ck_assert_uint_eq(whole.done, whole.total);

        struct opening cancelled = {.caller = pthread_self(), .cancel_at = 1};
        options.progress_user = &cancelled;
        ck_assert_status(lckv_model_open(paths[p], &options, &model), LCKV_CANCELLED);
        ck_assert_error_has("opening was cancelled");
        ck_assert_int_eq(cancelled.n_calls, 1);
    }
}
END_TEST

/*
 * What lies mapped is done from the beginning, and with the last piece of the others everything is:
 * one thread tells each.
 */
START_TEST(progress_counts_weights_that_are_mapped)
{
    static const struct {
        const char *path;
        lckv_weights weights;
        bool is_mapped;
    } ways[] = {
        {"tests/data/goldens/standard-llama", LCKV_WEIGHTS_DEFAULT, true},
        {"tests/data/goldens/standard-llama", LCKV_WEIGHTS_COPIED, false},
    };
    lckv_pool *pool;
    ck_assert_ok(lckv_pool_create(1, &pool));
    for (size_t i = 0; i < COUNT(ways); i++) {
        struct opening whole = {.caller = pthread_self()};
        const lckv_convert_options packing = {.size = sizeof packing, .packed = 1};
        const lckv_model_options options = {.size = sizeof options,
                                            .progress = watch,
                                            .progress_user = &whole,
                                            .weights = ways[i].weights,
                                            .pool = pool};
        lckv_model *model;
        ck_assert_ok(lckv_convert(ways[i].path, packed, &packing, NULL));
        ck_assert_ok(lckv_model_open(packed, &options, &model));
        ck_assert_int_eq(info_of(model).is_mapped, ways[i].is_mapped);
        lckv_model_release(model);
        ck_assert_uint_eq(whole.done, whole.total);
        if (ways[i].is_mapped) {
            ck_assert_uint_eq(whole.first, whole.total);
        } else {
            ck_assert_uint_lt(whole.first, whole.total);
            ck_assert_uint_eq(whole.last, whole.total);
        }
    }
    lckv_pool_release(pool);
}
END_TEST

START_TEST(it_can_be_copied)
{
    convert_both("standard-llama", LCKV_DTYPE_Q8_0, NULL);
    lckv_model *a = open_with(plain, LCKV_PRECISION_FULL, NULL, LCKV_WEIGHTS_DEFAULT);
    lckv_model *b = open_with(packed, LCKV_PRECISION_FULL, NULL, LCKV_WEIGHTS_COPIED);
    ck_assert_int_eq(info_of(b).is_mapped, 0);
    ck_assert_int_eq(info_of(b).is_repacked, 0);
    ck_assert_int_eq(truncate(packed, 0), 0); /* it is not needed any more */
    check_same_logits(a, b);
}
END_TEST

/* The memory moves and goes, and stands at an address that suits no vector. */
START_TEST(it_can_be_read_from_memory)
{
    size_t length;
    convert_both("standard-llama", LCKV_DTYPE_Q4_0, NULL);
    char *bytes = read_whole(packed, &length), *elsewhere = malloc(length + 3);
    memcpy(elsewhere + 3, bytes, length);
    lckv_model_options options = {
        .size = sizeof options, .precision = LCKV_PRECISION_FULL, .gemm = LCKV_GEMM_OWN};
    lckv_model *a = open_with(plain, LCKV_PRECISION_FULL, NULL, LCKV_WEIGHTS_DEFAULT), *b;
    ck_assert_ok(lckv_model_open_memory(elsewhere + 3, length, &options, &b));
    memset(elsewhere, 0, length + 3);
    free(elsewhere);
    free(bytes);
    ck_assert_int_eq(info_of(b).is_mapped, 0);
    check_same_logits(a, b);
}
END_TEST

START_TEST(any_kernel_set_reads_what_is_packed_for_another)
{
    static const char *const with_odd_rows = "mixattention"; /* of 72 and 100 columns, so floats */
    const char *from, *to;
    const char *fixture = types[_i] < LCKV_DTYPE_Q8_0 ? with_odd_rows : fixtures[_i % 2];
    for (size_t i = 0; (from = lckv_kernel_set_name(i)) != NULL; i++) {
        convert_both(fixture, types[_i], from); /* even if it cannot run here */
        for (size_t k = 0; (to = lckv_kernel_set_name(k)) != NULL; k++) {
            if (!lckv_kernel_set_available(to))
                continue;
            lckv_model *a = open_with(plain, LCKV_PRECISION_FULL, to, LCKV_WEIGHTS_DEFAULT);
            lckv_model *b = open_with(packed, LCKV_PRECISION_FULL, to, LCKV_WEIGHTS_DEFAULT);
            ck_assert_int_ne(info_of(b).is_mapped, info_of(b).is_repacked);
            ck_assert(strcmp(from, to) != 0 || info_of(b).is_mapped);
            check_same_logits(a, b);
        }
    }
}
END_TEST

/*
 * Converts both files of a fixture in the same way, which must give the same bytes, and gives all
 * memory back.
 */
static void check_same_conversion(lckv_convert_options options)
{
    size_t length, length_of_packed;
    struct counting counting = {.n_allowed = SIZE_MAX};
    const lckv_allocator allocator = counting_allocator(&counting);
    options.allocator = &allocator;
    ck_assert_ok(lckv_convert(plain, folder_path("a.gguf"), &options, NULL));
    ck_assert_ok(lckv_convert(packed, folder_path("b.gguf"), &options, NULL));
    ck_assert_uint_eq(counting.out, 0);
    char *of_plain = read_whole(folder_path("a.gguf"), &length);
    char *of_packed = read_whole(folder_path("b.gguf"), &length_of_packed);
    ck_assert_uint_eq(length, length_of_packed);
    ck_assert_mem_eq(of_plain, of_packed, length);
    free(of_plain);
    free(of_packed);
}

/* Back, into another type, packed for another kernel set, and with another plan. */
START_TEST(a_packed_file_is_converted_as_what_it_was_packed_from)
{
    static const char *const sets[] = {"portable", "avx512bf16"};
    const lckv_convert_options conversions[] = {
        {.size = sizeof conversions[0]},
        {.size = sizeof conversions[0], .dtype = LCKV_DTYPE_Q8_0},
        {.size = sizeof conversions[0], .packed = 1, .kernel_set = "portable"},
        {.size = sizeof conversions[0], .packed = 1, .kernel_set = "avx512bf16"},
        {.size = sizeof conversions[0], .plan = "0_6_6_6_6_6_6_7"},
        {.size = sizeof conversions[0], .plan = "0_1_1_1_1_1_1_7", .dtype = LCKV_DTYPE_F16},
    };
    for (size_t s = 0; s < COUNT(sets); s++) {
        convert_both("standard-llama", types[_i], sets[s]);
        for (size_t i = 0; i < COUNT(conversions); i++)
            check_same_conversion(conversions[i]);
        convert_both("mixattention", types[_i], sets[s]); /* rows of odd lengths */
        check_same_conversion(conversions[0]);
    }
}
END_TEST

START_TEST(bad_options_are_refused)
{
    lckv_convert_options options = {.size = sizeof options, .packed = 1, .kernel_set = "abacus"};
    convert_both("standard-llama", LCKV_DTYPE_DEFAULT, NULL);
    ck_assert_status(lckv_convert(plain, packed, &options, NULL), LCKV_UNSUPPORTED);
    ck_assert_error_has("abacus");
    options.packed = 0;
    ck_assert_status(lckv_convert(plain, packed, &options, NULL), LCKV_INVALID_ARGUMENT);
    options.kernel_set = NULL;
    options.packed = 2;
    ck_assert_status(lckv_convert(plain, packed, &options, NULL), LCKV_INVALID_ARGUMENT);
    ck_assert_error_has("lckv_convert_options.packed");
    lckv_model_options open = {.size = sizeof open, .weights = 7};
    lckv_model *model;
    ck_assert_status(lckv_model_open(plain, &open, &model), LCKV_INVALID_ARGUMENT);
    ck_assert_error_has("lckv_model_options.weights");
}
END_TEST

/* A packed file that is cut anywhere is refused; no signal has to say that something is missing. */
START_TEST(a_packed_file_that_is_cut_is_refused)
{
    size_t length;
    lckv_model *model;
    convert_both("standard-llama", LCKV_DTYPE_Q8_0, NULL);
    char *bytes = read_whole(packed, &length);
    for (size_t n = 0; n < length - 4096; n += length / 37) { /* less the padding at the end */
        folder_write("cut.gguf", bytes, n);
        ck_assert_status(lckv_model_open(folder_path("cut.gguf"), NULL, &model), LCKV_BAD_FORMAT);
    }
    free(bytes);
}
END_TEST

static void add_all(Suite *suite)
{
    TCase *tcase = tcase_create("packed files");
    tcase_add_checked_fixture(tcase, set_up, folder_remove);
    tcase_set_timeout(tcase, 240);
    tcase_add_loop_test(tcase, a_packed_file_is_the_same_model_mapped, 0,
                        sizeof fixtures / sizeof fixtures[0]);
    tcase_add_test(tcase, biases_are_converted_and_packed_too);
    tcase_add_test(tcase, biases_that_no_layer_reads_need_not_be_there);
    tcase_add_loop_test(tcase, every_refused_allocation_of_an_open_is_survived, 0, 4);
    tcase_add_test(tcase, opening_tells_its_progress_and_can_be_cancelled);
    tcase_add_test(tcase, progress_counts_weights_that_are_mapped);
    tcase_add_test(tcase, it_can_be_copied);
    tcase_add_test(tcase, it_can_be_read_from_memory);
    tcase_add_loop_test(tcase, any_kernel_set_reads_what_is_packed_for_another, 0,
                        sizeof types / sizeof types[0]);
    tcase_add_loop_test(tcase, a_packed_file_is_converted_as_what_it_was_packed_from, 0,
                        sizeof types / sizeof types[0]);
    tcase_add_test(tcase, bad_options_are_refused);
    tcase_add_test(tcase, a_packed_file_that_is_cut_is_refused);
    suite_add_tcase(suite, tcase);
}

TEST_MAIN("packed_files", add_all)
