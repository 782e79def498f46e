/*
 * Conversion: what is written is the same model, bit for bit where nothing has to change. Plans
 * take the means of the weights. Failures leave the old file.
 */
#include "format/checkpoint_open.h"
#include "format/gguf.h"
#include "kernels/blocks.h"

#include <dirent.h>
#include <math.h>
#include <stdio.h>
#include <unistd.h>

#include "allocator.h"
#include "folder.h"
#include "sessions.h"
#include "small_model.h"

#define STANDARD "tests/data/goldens/standard-llama"

static char first[FOLDER_PATH], second[FOLDER_PATH];

static void set_up(void)
{
    folder_make();
    folder_join(first, "first.gguf");
    folder_join(second, "second.gguf");
}

/* Computes exact logits of a few tokens, [8, 160]. */
static void logits_of(const char *path, float *logits)
{
    static const lckv_token tokens[8] = {1, 5, 9, 2, 130, 7, 7, 3};
    lckv_model *model = open_model(path, (lckv_model_options){.precision = LCKV_PRECISION_FULL});
    lckv_cache *cache = make_cache(model, (lckv_cache_options){0});
    lckv_session *session = make_session(cache);
    lckv_item item = make_item(session, tokens, 8, logits, 160);
    ck_assert_ok(run(cache, &item, 1, LCKV_PREFILL_AUTO));
    lckv_session_release(session);
    lckv_cache_release(cache);
    lckv_model_release(model);
}

/* Converting `first` as it is changes no byte. */
static void check_reconverted(void)
{
    size_t length, length_again;
    ck_assert_ok(lckv_convert(first, second, NULL, NULL));
    char *bytes = read_whole(first, &length), *again = read_whole(second, &length_again);
    ck_assert_uint_eq(length, length_again);
    ck_assert_mem_eq(bytes, again, length);
    free(bytes);
    free(again);
}

static const char *const fixtures[] = {"lckv-w2",      "standard-llama",   "nodiag-w10like",
                                       "yoco-windows", "rope-llama3-tied", "cla2"};

START_TEST(a_converted_model_is_the_same_model)
{
    static float before[8 * 160], after[8 * 160];
    char path[128];
    snprintf(path, sizeof path, "tests/data/goldens/%s", fixtures[_i]);
    ck_assert_ok(lckv_convert(path, first, NULL, NULL));
    logits_of(path, before);
    logits_of(first, after);
    for (size_t i = 0; i < 8 * 160; i++)
        ck_assert(before[i] == after[i]);
    /* Reading it and writing it again changes no byte. */
    check_reconverted();
}
END_TEST

/* Covers each of lckv's own keys, which files of other programs do not have. */
START_TEST(a_tokenizer_stays_the_same_from_file_to_file)
{
    static const char *const keys[] = {
        "lckv.tokenizer.patterns",   "lckv.tokenizer.nfc",        "lckv.tokenizer.ignore_merges",
        "lckv.tokenizer.lstrip_ids", "lckv.tokenizer.rstrip_ids", "lckv.tokenizer.single_word_ids"};
    char *weights = realpath(STANDARD "/model.safetensors", NULL);
    char *config = realpath(STANDARD "/config.json", NULL);
    ck_assert_int_eq(symlink(weights, folder_path("model.safetensors")), 0);
    ck_assert_int_eq(symlink(config, folder_path("config.json")), 0);
    free(weights);
    free(config);
    folder_write_text(
        "tokenizer.json",
        "{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0,\"b\":1,\"ab\":2},\"merges\":[\"a b\"],"
        "\"ignore_merges\":true},\"normalizer\":{\"type\":\"NFC\"},\"pre_tokenizer\":{\"type\":"
        "\"Sequence\",\"pretokenizers\":[{\"type\":\"Split\",\"pattern\":{\"Regex\":\"b|.\"},"
        "\"behavior\":\"Isolated\"},{\"type\":\"ByteLevel\",\"add_prefix_space\":false,"
        "\"use_regex\":false}]},\"added_tokens\":[{\"id\":3,\"content\":\"<l>\",\"lstrip\":true},"
        "{\"id\":4,\"content\":\"<r>\",\"rstrip\":true},{\"id\":5,\"content\":\"w\","
        "\"single_word\":true}]}");
    ck_assert_ok(lckv_convert(folder, first, NULL, NULL));
    check_reconverted();
    lckv_model *model = open_model(second, (lckv_model_options){0});
    for (size_t i = 0; i < COUNT(keys); i++) {
        char value[256];
        size_t length;
        ck_assert_ok(lckv_model_metadata(model, keys[i], value, sizeof value, &length));
    }
    lckv_model_release(model);
}
END_TEST

/* Makes a copy of rope-llama3-tied with another rope, whose numbers float32 does not hold. */
static void make_odd(const char *rope)
{
    static char odd[4096];
    char *text = read_whole("tests/data/goldens/rope-llama3-tied/config.json", NULL);
    char *begin = strstr(text, "\"rope_theta\""), *end = strstr(text, "\"tie_word_embeddings\"");
    ck_assert(begin != NULL && end != NULL);
    int length = snprintf(odd, sizeof odd, "%.*s%s,%s", (int)(begin - text), text, rope, end);
    ck_assert_int_lt(length, (int)sizeof odd);
    free(text);
    folder_write_text("config.json", odd);
    char *weights = realpath("tests/data/goldens/rope-llama3-tied/model.safetensors", NULL);
    ck_assert_int_eq(symlink(weights, folder_path("model.safetensors")), 0);
    free(weights);
}

START_TEST(numbers_are_rounded_as_gguf_keeps_them)
{
    static const char *const ropes[] = {
        "\"rope_theta\":500000.1,\"rope_scaling\":{\"rope_type\":\"llama3\",\"factor\":7.3,"
        "\"low_freq_factor\":1.1,\"high_freq_factor\":3.7,\"original_max_position_embeddings\":33}",
        "\"rope_theta\":10000.7,\"rope_scaling\":{\"rope_type\":\"linear\",\"factor\":1.7}",
    };
    static float before[8 * 160], after[8 * 160];
    make_odd(ropes[_i]);
    ck_assert_ok(lckv_convert(folder, first, NULL, NULL));
    logits_of(folder, before);
    logits_of(first, after);
    ck_assert(memcmp(before, after, sizeof before) == 0);
}
END_TEST

static void read_matrix(struct checkpoint *checkpoint, const char *name, float *values, size_t n)
{
    const struct tensor *tensor = checkpoint_find(checkpoint, name);
    ck_assert_ptr_nonnull(tensor);
    uint8_t *bytes = malloc(tensor->n_bytes);
    ck_assert_uint_eq(tensor->shape[0] * tensor->shape[1], n);
    ck_assert_ok(checkpoint_read(checkpoint, tensor, 0, bytes, tensor->n_bytes));
    blocks_dequantize(tensor->dtype, bytes, n, values);
    free(bytes);
}

/*
 * Checks k of a source layer: it is the mean over its readers, with rows paired as neighbours. v is
 * unchanged.
 */
static void check_source(struct checkpoint *old, struct checkpoint *new, const char *kind,
                         bool paired, bool copied)
{
    enum { N = 64 * 64, HEAD = 16 };
    static float sum[N], one[N], got[N];
    char name[96];
    memset(sum, 0, sizeof sum);
    for (int i = copied ? 6 : 1; i <= 6; i++) { /* layers 1 to 6 read layer 6 */
        snprintf(name, sizeof name, "model.layers.%d.self_attn.%s_proj.weight", i, kind);
        read_matrix(old, name, one, N);
        for (size_t k = 0; k < N; k++)
            sum[k] += one[k] / (copied ? 1 : 6);
    }
    snprintf(name, sizeof name, "blk.6.attn_%s.weight", kind);
    read_matrix(new, name, got, N);
    for (size_t row = 0; row < 64; row++) {
        size_t in_head = row % HEAD;
        size_t from = !paired ? row : row - in_head + in_head % 2 * (HEAD / 2) + in_head / 2;
        for (size_t c = 0; c < 64; c++)
            ck_assert(fabsf(got[row * 64 + c] - sum[from * 64 + c]) < 1e-6f);
    }
}

START_TEST(plans_take_the_means_of_their_readers)
{
    struct checkpoint old, new;
    lckv_convert_options options = {.size = sizeof options,
                                    .plan = "0_6_6_6_6_6_6_7",
                                    .init = _i == 0 ? LCKV_CONVERT_MEAN : LCKV_CONVERT_COPY};
    ck_assert_ok(lckv_convert(STANDARD, first, &options, NULL));
    ck_assert_ok(checkpoint_open(&old, STANDARD, &memory_default_allocator));
    ck_assert_ok(checkpoint_open(&new, first, &memory_default_allocator));
    check_source(&old, &new, "k", true, _i == 1);
    check_source(&old, &new, "v", false, _i == 1);
    ck_assert_ptr_null(checkpoint_find(&new, "blk.3.attn_k.weight"));
    ck_assert_ptr_nonnull(checkpoint_find(&new, "blk.3.attn_q.weight"));
    struct text name = {"", 0};
    ck_assert_ok(metadata_get_text(&new.metadata, "general.architecture", &name, NULL));
    ck_assert_str_eq(name.bytes, "lckv-llama");
    checkpoint_close(&old);
    checkpoint_close(&new);
    static float logits[8 * 160];
    logits_of(first, logits); /* the model runs, too */
    for (size_t i = 0; i < 8 * 160; i++)
        ck_assert(isfinite(logits[i]));
}
END_TEST

START_TEST(rows_that_no_block_holds_stay_f16)
{
    static const lckv_dtype dtypes[] = {LCKV_DTYPE_Q8_0, LCKV_DTYPE_Q5_1, LCKV_DTYPE_Q4_K};
    for (size_t i = 0; i < COUNT(dtypes); i++) {
        lckv_convert_options options = {.size = sizeof options, .dtype = dtypes[i]};
        lckv_convert_report report = {.size = sizeof report};
        ck_assert_ok(lckv_convert("tests/data/goldens/mixattention", first, &options, &report));
        ck_assert_uint_gt(report.n_kept_f16, 0); /* rows of 72 and of 100 */
        ck_assert_uint_gt(report.file_bytes, 0);
        lckv_model_release(open_model(first, (lckv_model_options){0}));
    }
}
END_TEST

/*
 * Writes `first` again as a file of zeros: q8_0, with iq4_nl keys and, last of all, one f16 matrix.
 * It says something of an architecture that it does not have, and of one that nobody knows.
 */
static void write_mixed(void)
{
    enum { MOST = 128 };
    static const char zeros[1 << 16];
    static struct gguf_tensor tensors[MOST];
    struct checkpoint old;
    struct gguf_writer writer;
    struct output output;
    ck_assert_ok(lckv_convert(STANDARD, first, NULL, NULL));
    ck_assert_ok(checkpoint_open(&old, first, &memory_default_allocator));
    ck_assert_uint_le(old.n_tensors, MOST);
    ck_assert_ok(metadata_set_u32(&old.metadata, "lckv-llama.context_length", 7));
    ck_assert_ok(metadata_set_u32(&old.metadata, "other.context_length", 7));
    for (size_t i = 0; i < old.n_tensors; i++) {
        const struct tensor *from = &old.tensors[i];
        const char *name = from->name.bytes;
        tensors[i] =
            (struct gguf_tensor){.name = name, .dtype = LCKV_DTYPE_Q8_0, .n_dims = from->n_dims};
        memcpy(tensors[i].shape, from->shape, sizeof from->shape);
        if (from->n_dims == 1)
            tensors[i].dtype = LCKV_DTYPE_F32;
        else if (strstr(name, "attn_k") != NULL)
            tensors[i].dtype = LCKV_DTYPE_IQ4_NL;
        else if (strcmp(name, "blk.7.ffn_down.weight") == 0)
            tensors[i].dtype = LCKV_DTYPE_F16;
    }
    ck_assert_ok(output_open(&output, second, &memory_default_allocator));
    ck_assert_ok(gguf_writer_begin(&writer, &output, &old.metadata, tensors, old.n_tensors));
    for (size_t i = 0; i < old.n_tensors; i++) {
        uint64_t bytes = 0;
        ck_assert(dtype_bytes(tensors[i].dtype, tensors[i].shape[0] * tensors[i].shape[1], &bytes));
        ck_assert_uint_le(bytes, sizeof zeros);
        ck_assert_ok(gguf_writer_data(&writer, zeros, bytes));
    }
    ck_assert_ok(gguf_writer_end(&writer));
    ck_assert_ok(output_commit(&output));
    checkpoint_close(&old);
}

static void check_metadata(const char *key, const char *expected)
{
    lckv_model *model = open_model(first, (lckv_model_options){0});
    char text[16];
    size_t length;
    ck_assert_ok(lckv_model_metadata(model, key, text, sizeof text, &length));
    ck_assert_str_eq(text, expected);
    lckv_model_release(model);
}

static void check_file_type(const char *expected)
{
    check_metadata("general.file_type", expected);
}

struct remarks {
    char last[192];
    size_t n;
};

static void keep_remark(void *user, const char *text, size_t length)
{
    struct remarks *remarks = user;
    snprintf(remarks->last, sizeof remarks->last, "%.*s", (int)length, text);
    remarks->n++;
}

START_TEST(types_that_are_only_read_are_copied_but_not_averaged)
{
    struct remarks remarks = {"", 0};
    lckv_convert_options options = {
        .size = sizeof options, .log = keep_remark, .log_user = &remarks};
    lckv_convert_report report = {.size = sizeof report};
    write_mixed();
    ck_assert_ok(lckv_convert(second, first, &options, &report));
    ck_assert_uint_eq(report.n_kept_f16, 0);
    options.plan = "0_6_6_6_6_6_6_7";
    ck_assert_ok(lckv_convert(second, first, &options, &report));
    ck_assert_uint_eq(report.n_kept_f16, 1); /* keys of layer 6; 0 and 7 read only themselves */
    ck_assert_uint_eq(remarks.n, 2 * 2 + 1); /* two keys of other architectures each time */
    ck_assert_msg(strstr(remarks.last, "iq4_nl") != NULL && strstr(remarks.last, "mean") != NULL,
                  "%s", remarks.last);
    check_file_type("7"); /* most of it is q8_0, whatever the last matrix is */
}
END_TEST

/* Converts to plan 1_1 of two layers: the keys of layer 1 are the mean over both. */
static void convert_to_one_source(struct small_model *model)
{
    lckv_convert_options options = {.size = sizeof options, .plan = "1_1"};
    small_write(model, first);
    ck_assert_ok(lckv_convert(first, second, &options, NULL));
}

/* The element type of one source says nothing about the others. */
START_TEST(means_are_of_each_source_in_its_own_type)
{
    enum { N = SMALL_HEAD_DIM };
    static const lckv_dtype types[][2] = {{LCKV_DTYPE_F32, LCKV_DTYPE_Q6_K},
                                          {LCKV_DTYPE_Q6_K, LCKV_DTYPE_F32},
                                          {LCKV_DTYPE_F16, LCKV_DTYPE_Q8_0}};
    static float expected[N], other[N], got[N];
    struct small_model model;
    small_begin(&model);
    uint8_t *a = small_data(small_add(&model, "blk.0.attn_k.bias", types[_i][0], N, 0));
    uint8_t *b = small_data(small_add(&model, "blk.1.attn_k.bias", types[_i][1], N, 0));
    blocks_dequantize(types[_i][0], a, N, expected);
    blocks_dequantize(types[_i][1], b, N, other);
    free(a);
    free(b);
    convert_to_one_source(&model);
    struct checkpoint new;
    ck_assert_ok(checkpoint_open(&new, second, &memory_default_allocator));
    ck_assert_ptr_null(checkpoint_find(&new, "blk.0.attn_k.bias"));
    const struct tensor *bias = checkpoint_find(&new, "blk.1.attn_k.bias");
    ck_assert_ptr_nonnull(bias);
    ck_assert_int_eq(bias->dtype, LCKV_DTYPE_F32);
    ck_assert_ok(checkpoint_read(&new, bias, 0, got, sizeof got));
    for (size_t i = 0; i < N; i++)
        ck_assert(got[i] == (expected[i] + other[i]) / 2);
    checkpoint_close(&new);
}
END_TEST

START_TEST(a_mean_has_the_widest_type_of_its_sources)
{
    struct small_model model;
    small_begin(&model);
    small_find(&model, "blk.0.attn_k.weight")->dtype = LCKV_DTYPE_Q8_0;
    small_find(&model, "blk.0.attn_v.weight")->dtype = LCKV_DTYPE_Q8_0;
    small_find(&model, "blk.1.attn_v.weight")->dtype = LCKV_DTYPE_F16;
    convert_to_one_source(&model);
    struct checkpoint new;
    ck_assert_ok(checkpoint_open(&new, second, &memory_default_allocator));
    ck_assert_int_eq(checkpoint_find(&new, "blk.1.attn_k.weight")->dtype, LCKV_DTYPE_F32);
    ck_assert_int_eq(checkpoint_find(&new, "blk.1.attn_v.weight")->dtype, LCKV_DTYPE_F16);
    checkpoint_close(&new);
}
END_TEST

/* This includes negative zeros, infinities and NaN. */
START_TEST(vectors_are_copied_bit_for_bit)
{
    static const uint32_t odd[] = {0x80000000, 0x7f800000, 0xff800000, 0x7fc01234};
    struct small_model model;
    struct checkpoint old, new;
    float before[SMALL_HIDDEN], after[SMALL_HIDDEN];
    small_begin(&model);
    small_write(&model, first);
    ck_assert_ok(checkpoint_open(&old, first, &memory_default_allocator));
    const struct tensor *norm = checkpoint_find(&old, "output_norm.weight");
    FILE *file = fopen(first, "r+b");
    ck_assert_ptr_nonnull(file);
    ck_assert_int_eq(fseek(file, (long)norm->offset, SEEK_SET), 0);
    ck_assert_uint_eq(fwrite(odd, sizeof odd, 1, file), 1);
    ck_assert_int_eq(fclose(file), 0);
    ck_assert_ok(checkpoint_read(&old, norm, 0, before, sizeof before));
    checkpoint_close(&old);
    ck_assert_ok(lckv_convert(first, second, NULL, NULL));
    ck_assert_ok(checkpoint_open(&new, second, &memory_default_allocator));
    norm = checkpoint_find(&new, "output_norm.weight");
    ck_assert_ok(checkpoint_read(&new, norm, 0, after, sizeof after));
    ck_assert_int_eq(memcmp(before, odd, sizeof odd), 0);
    ck_assert_int_eq(memcmp(before, after, sizeof before), 0);
    checkpoint_close(&new);
}
END_TEST

START_TEST(the_file_type_is_that_of_most_weights)
{
    static const struct {
        lckv_dtype dtype;
        const char *file_type;
    } types[] = {{LCKV_DTYPE_F32, "0"},
                 {LCKV_DTYPE_F16, "1"},
                 {LCKV_DTYPE_Q4_0, "2"},
                 {LCKV_DTYPE_Q4_1, "3"},
                 {LCKV_DTYPE_Q8_0, "7"},
                 {LCKV_DTYPE_Q4_K, "8"}, /* rows of 64 and 128 cannot be that: q5_0 */
                 {LCKV_DTYPE_Q5_K, "9"}, /* q5_1 */
                 {LCKV_DTYPE_Q6_K, "7"}, /* q8_0 */
                 {LCKV_DTYPE_BF16, "32"}};
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        lckv_convert_options options = {.size = sizeof options, .dtype = types[i].dtype};
        ck_assert_ok(lckv_convert(STANDARD, first, &options, NULL));
        check_file_type(types[i].file_type);
    }
}
END_TEST

static void check_window(const char *input, const char *output, uint32_t given, uint32_t expected)
{
    lckv_convert_options options = {.size = sizeof options,
                                    .plan = "0s_1s_2_2_2_2_2_2",
                                    .init = LCKV_CONVERT_COPY,
                                    .sliding_window = given};
    if (expected == 0) {
        ck_assert_status(lckv_convert(input, output, &options, NULL), LCKV_BAD_PLAN);
        ck_assert_error_has("sliding_window");
        return;
    }
    ck_assert_ok(lckv_convert(input, output, &options, NULL));
    lckv_model *model = open_model(output, (lckv_model_options){0});
    ck_assert_uint_eq(info_of(model).sliding_window, expected);
    lckv_model_release(model);
    model = open_model(output, (lckv_model_options){.sliding_window = expected + 3});
    ck_assert_uint_eq(info_of(model).sliding_window, expected + 3);
    lckv_model_release(model);
}

/* The same holds for a directory and a GGUF file. */
START_TEST(plans_with_windows_need_a_size)
{
    ck_assert_ok(lckv_convert(STANDARD, first, NULL, NULL));
    check_window(STANDARD, second, 0, 0);
    check_window(first, second, 0, 0);
    check_window(STANDARD, second, 5, 5);
    check_window(first, second, 5, 5);
    check_window(second, first, 0, 5); /* the size that the source says */
    check_window(second, first, 6, 6);
    check_window("tests/data/goldens/yoco-windows", first, 0, 7);
}
END_TEST

/* Memory that was not written must not get into a file. */
START_TEST(packed_files_are_the_same_every_time)
{
    struct counting counting = {.n_allowed = SIZE_MAX};
    lckv_allocator allocator = {.size = sizeof allocator,
                                .user = &counting,
                                .alloc = counting_alloc,
                                .free = counting_free};
    static const lckv_dtype types[] = {LCKV_DTYPE_F16, LCKV_DTYPE_BF16, LCKV_DTYPE_Q8_0,
                                       LCKV_DTYPE_Q4_0};
    lckv_convert_options options = {.size = sizeof options, .packed = 1, .dtype = types[_i]};
    ck_assert_ok(lckv_convert(STANDARD, first, &options, NULL));
    options.allocator = &allocator;
    ck_assert_ok(lckv_convert(STANDARD, second, &options, NULL));
    ck_assert_uint_eq(counting.out, 0);
    size_t length, length_again;
    char *bytes = read_whole(first, &length), *again = read_whole(second, &length_again);
    ck_assert_uint_eq(length, length_again);
    ck_assert_int_eq(memcmp(bytes, again, length), 0);
    free(bytes);
    free(again);
}
END_TEST

static int32_t cancel(void *user, uint64_t done, uint64_t total)
{
    (void)user, (void)done, (void)total;
    return 1;
}

/* The conversion fails; nothing but the old file is in the folder, and all memory is given back. */
static void check_failure(const char *from, lckv_convert_options options, lckv_status status)
{
    struct counting counting = {.n_allowed = SIZE_MAX};
    const lckv_allocator allocator = counting_allocator(&counting);
    options.size = sizeof options;
    options.allocator = &allocator;
    ck_assert_status(lckv_convert(from, first, &options, NULL), status);
    ck_assert_uint_eq(counting.out, 0);
    char *text = read_whole(first, NULL);
    ck_assert_str_eq(text, "precious");
    free(text);
    DIR *directory = opendir(folder);
    ck_assert_ptr_nonnull(directory);
    for (const struct dirent *entry; (entry = readdir(directory)) != NULL;)
        ck_assert(entry->d_name[0] == '.' || strcmp(entry->d_name, "first.gguf") == 0);
    closedir(directory);
}

struct watched {
    uint64_t done, total;
    bool wrong; /* it went back, beyond the total, or the total changed */
};

static int32_t watch(void *user, uint64_t done, uint64_t total)
{
    struct watched *watched = user;
    watched->wrong |=
        done < watched->done || done > total || (watched->total != 0 && total != watched->total);
    watched->done = done;
    watched->total = total;
    return 0;
}

/* Also where tensors are made that the source does not have (rope factors). */
START_TEST(progress_goes_up_to_the_total)
{
    static const char *const sources[] = {STANDARD, "tests/data/goldens/rope-llama3-tied"};
    for (int packed = 0; packed < 2; packed++) {
        struct watched watched = {0};
        const lckv_convert_options options = {
            .size = sizeof options, .packed = packed, .progress = watch, .progress_user = &watched};
        ck_assert_ok(lckv_convert(sources[_i], first, &options, NULL));
        ck_assert(!watched.wrong);
        ck_assert_uint_gt(watched.total, 0);
        ck_assert_uint_eq(watched.done, watched.total);
    }
}
END_TEST

START_TEST(failures_leave_the_old_file)
{
    folder_write_text("first.gguf", "precious");
    check_failure(STANDARD, (lckv_convert_options){.progress = cancel}, LCKV_CANCELLED);
    check_failure(STANDARD, (lckv_convert_options){.plan = "0_1"}, LCKV_BAD_PLAN);
    check_failure("tests/data/goldens/lckv-w2", (lckv_convert_options){.plan = "0_1_2_3_4_5_6_7"},
                  LCKV_MISMATCH); /* keys that the model does not have */
    ck_assert_error_has("layer");
    check_failure(STANDARD, (lckv_convert_options){.dtype = LCKV_DTYPE_Q2_K}, LCKV_UNSUPPORTED);
    ck_assert_error_has("expected f32");
    check_failure(STANDARD, (lckv_convert_options){.dtype = LCKV_DTYPE_Q4_0, .mixture = 1},
                  LCKV_INVALID_ARGUMENT);
    ck_assert_error_has("expected dtype q4_K or q5_K");
    ck_assert_status(lckv_convert(STANDARD, "/nonexistent/x.gguf", NULL, NULL), LCKV_IO);
}
END_TEST

/* A plan makes a llama file an lckv-llama one, where keys of that name would begin to count. */
START_TEST(keys_of_other_architectures_are_not_taken_over)
{
    const lckv_convert_options options = {
        .size = sizeof options, .plan = "0_6_6_6_6_6_6_7", .init = LCKV_CONVERT_COPY};
    write_mixed();
    ck_assert_ok(lckv_convert(second, first, &options, NULL));
    check_metadata("lckv-llama.context_length", "512");
    check_metadata("other.context_length", "7");
}
END_TEST

/* How prompts are encoded, and who attends to itself, are keys of lckv's own. */
START_TEST(how_a_model_computes_is_kept)
{
    static const struct {
        const char *path;
        int sequential, nodiag;
    } models[] = {{"tests/data/goldens/deep13-sequential", 1, 0},
                  {"tests/data/goldens/nodiag-w10like", 0, 1},
                  {"tests/data/goldens/lckv-w2", 0, 0}};
    for (size_t i = 0; i < COUNT(models); i++) {
        ck_assert_ok(lckv_convert(models[i].path, first, NULL, NULL));
        lckv_model *before = open_model(models[i].path, (lckv_model_options){0});
        lckv_model *after = open_model(first, (lckv_model_options){0});
        const lckv_model_info a = info_of(before), b = info_of(after);
        ck_assert_int_eq(a.use_sequential, models[i].sequential);
        ck_assert_int_eq(a.force_nodiag, models[i].nodiag);
        ck_assert_int_eq(b.use_sequential, a.use_sequential);
        ck_assert_int_eq(b.force_nodiag, a.force_nodiag);
        ck_assert_uint_eq(b.forward_passes, a.forward_passes);
        ck_assert_uint_eq(b.backward_passes, a.backward_passes);
        lckv_model_release(before);
        lckv_model_release(after);
    }
}
END_TEST

static void add_all(Suite *suite)
{
    TCase *tcase = tcase_create("convert");
    tcase_add_checked_fixture(tcase, set_up, folder_remove);
    tcase_set_timeout(tcase, 120);
    tcase_add_loop_test(tcase, a_converted_model_is_the_same_model, 0, 6);
    tcase_add_test(tcase, a_tokenizer_stays_the_same_from_file_to_file);
    tcase_add_loop_test(tcase, numbers_are_rounded_as_gguf_keeps_them, 0, 2);
    tcase_add_loop_test(tcase, plans_take_the_means_of_their_readers, 0, 2);
    tcase_add_test(tcase, how_a_model_computes_is_kept);
    tcase_add_test(tcase, rows_that_no_block_holds_stay_f16);
    tcase_add_test(tcase, types_that_are_only_read_are_copied_but_not_averaged);
    tcase_add_loop_test(tcase, means_are_of_each_source_in_its_own_type, 0, 3);
    tcase_add_test(tcase, a_mean_has_the_widest_type_of_its_sources);
    tcase_add_test(tcase, vectors_are_copied_bit_for_bit);
    tcase_add_test(tcase, the_file_type_is_that_of_most_weights);
    tcase_add_test(tcase, keys_of_other_architectures_are_not_taken_over);
    tcase_add_test(tcase, plans_with_windows_need_a_size);
    tcase_add_loop_test(tcase, packed_files_are_the_same_every_time, 0, 4);
    tcase_add_loop_test(tcase, progress_goes_up_to_the_total, 0, 2);
    tcase_add_test(tcase, failures_leave_the_old_file);
    suite_add_tcase(suite, tcase);
}

TEST_MAIN("convert", add_all)
