/*
 * Models with weights of eight bits, F8_E4M3, and scales: every kind of scales gives the logits of
 * the model whose weights were multiplied by them and rounded to bf16.
 */
#include <math.h>
#include <stdarg.h>
#include <sys/stat.h>

#include "allocator.h"
#include "folder.h"
#include "random.h"
#include "safetensors.h"
#include "sessions.h"

#define SOURCE "tests/data/goldens/standard-llama"

enum { N_TOKENS = 8, N_VOCAB = 160, MOST_BYTES = 1 << 20 };

/* The scales of a matrix: of all, of each row, or of blocks. */
struct kind {
    const char *suffix, *shape;   /* "%d" are the rows and columns of the grid; NULL: no scales */
    int row_height, column_width; /* 0: all */
    bool bf16;
    float last; /* the last scale, if it is not 0 */
};

/* A safetensors file that is being made. */
struct writer {
    char header[1 << 16];
    uint8_t data[MOST_BYTES];
    size_t header_length, length;
};

static struct writer writer;

__attribute__((format(printf, 1, 2))) static void add_header(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    size_t left = sizeof writer.header - writer.header_length;
    int length = vsnprintf(writer.header + writer.header_length, left, format, arguments);
    va_end(arguments);
    ck_assert_int_lt(length, (int)left);
    writer.header_length += (size_t)length;
}

static void add(const char *name, const char *suffix, const char *dtype, const char *shape,
                const void *bytes, size_t n)
{
    ck_assert_uint_le(writer.length + n, sizeof writer.data);
    memcpy(writer.data + writer.length, bytes, n);
    add_header("%s\"%s%s\":{\"dtype\":\"%s\",\"shape\":%s,\"data_offsets\":[%zu,%zu]}",
               writer.header_length > 1 ? "," : "", name, suffix, dtype, shape, writer.length,
               writer.length + n);
    writer.length += n;
}

static uint16_t to_bf16(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, 4);
    return (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

static float from_f8(uint8_t byte)
{
    int exponent = byte >> 3 & 15, mantissa = byte & 7;
    float magnitude = exponent == 0 ? (float)mantissa * 0x1p-9f
                                    : (1 + (float)mantissa / 8) * exp2f((float)exponent - 7);
    return byte > 127 ? -magnitude : magnitude;
}

/* Adds a matrix and its scales as they are or, without a kind, their product. */
static void add_matrix(const char *name, int rows, int columns, const struct kind *kind,
                       bool as_product)
{
    static uint8_t bytes[128 * 64];
    static uint16_t products[128 * 64], halves[128 * 64];
    static float scales[128 * 64];
    char shape[32], grid[32];
    int height = kind->row_height > 0 ? kind->row_height : rows;
    int width = kind->column_width > 0 ? kind->column_width : columns;
    int n_rows = (rows + height - 1) / height, n_columns = (columns + width - 1) / width;
    for (int i = 0; i < n_rows * n_columns; i++) {
        scales[i] = (float)(0.0005 + 0.0003 * random_uniform());
        halves[i] = to_bf16(scales[i]);
        if (kind->last != 0 && i == n_rows * n_columns - 1)
            halves[i] = to_bf16(scales[i] = kind->last);
        uint32_t bits = (uint32_t)halves[i] << 16;
        if (kind->bf16)
            memcpy(&scales[i], &bits, 4);
    }
    for (int i = 0; i < rows * columns; i++) {
        uint8_t byte = (uint8_t)(random_bits() >> 24);
        bytes[i] = byte % 128 < 127 ? byte : 0;
        float scale = scales[i / columns / height * n_columns + i % columns / width];
        products[i] = to_bf16(from_f8(bytes[i]) * scale);
    }
    snprintf(shape, sizeof shape, "[%d,%d]", rows, columns);
    snprintf(grid, sizeof grid, kind->shape != NULL ? kind->shape : "", n_rows, n_columns);
    size_t n = (size_t)(rows * columns), n_scales = (size_t)(n_rows * n_columns);
    if (as_product) {
        add(name, "", "BF16", shape, products, 2 * n);
        return;
    }
    add(name, "", "F8_E4M3", shape, bytes, n);
    if (kind->shape != NULL && kind->bf16)
        add(name, kind->suffix, "BF16", grid, halves, 2 * n_scales);
    else if (kind->shape != NULL)
        add(name, kind->suffix, "F32", grid, scales, 4 * n_scales);
}

/* Writes the model into a folder of its own. All matrices of layers have eight bits. */
static void write_model(const char *name, const struct kind *kind, bool as_product)
{
    static struct safetensors source;
    char path[64];
    ck_assert(mkdir(folder_path(name), 0700) == 0);
    safetensors_open(&source, SOURCE "/model.safetensors");
    random_seed = 5;
    writer.length = writer.header_length = 0;
    add_header("{");
    for (size_t i = 0; i < source.n_arrays; i++) {
        const struct safetensors_array *array = &source.arrays[i];
        const char *shape = array->n_elements == 64 ? "[64]" : "[160,64]";
        int rows = array->n_elements == 64 * 64 || strstr(array->name, "down") ? 64 : 128;
        if (strstr(array->name, "_proj.weight") == NULL) {
            add(array->name, "", "F32", shape, array->data, 4 * array->n_elements);
            continue;
        }
        add_matrix(array->name, rows, (int)array->n_elements / rows, kind, as_product);
        if (strstr(array->name, "0.self_attn.q_proj.weight") != NULL && !as_product)
            add("model.layers.0.self_attn.q_proj.input_scale", "", "F32", "[1]", "\0\0\0\0", 4);
    }
    safetensors_close(&source);
    add_header("}");
    uint64_t length = writer.header_length;
    snprintf(path, sizeof path, "%s/model.safetensors", name);
    FILE *file = fopen(folder_path(path), "wb");
    ck_assert_ptr_nonnull(file);
    ck_assert_uint_eq(fwrite(&length, 1, 8, file), 8);
    ck_assert_uint_eq(fwrite(writer.header, 1, length, file), length);
    ck_assert_uint_eq(fwrite(writer.data, 1, writer.length, file), writer.length);
    ck_assert_int_eq(fclose(file), 0);
}

/* Writes the configuration, whose quantization_config is `quantization`. */
static void write_config(const char *name, const char *quantization)
{
    char *config = read_whole(SOURCE "/config.json", NULL), *text = NULL;
    char path[64];
    ck_assert_int_gt(
        asprintf(&text, "{\"quantization_config\": %s,%s", quantization, strchr(config, '{') + 1),
        0);
    snprintf(path, sizeof path, "%s/config.json", name);
    folder_write_text(path, text);
    free(text);
    free(config);
}

static void logits_of(const char *path, float *logits)
{
    static const lckv_token tokens[N_TOKENS] = {1, 5, 9, 2, 130, 7, 7, 3};
    lckv_model *model = open_model(
        path, (lckv_model_options){.precision = LCKV_PRECISION_FULL, .gemm = LCKV_GEMM_OWN});
    lckv_cache *cache = make_cache(model, (lckv_cache_options){0});
    lckv_session *session = make_session(cache);
    lckv_item item = make_item(session, tokens, N_TOKENS, logits, N_VOCAB);
    ck_assert_ok(run(cache, &item, 1, LCKV_PREFILL_AUTO));
    lckv_session_release(session);
    lckv_cache_release(cache);
    lckv_model_release(model);
}

static const struct kind kinds[] = {{"_scale", "[]", 0, 0, false, 0},
                                    {"_scale", "[1]", 0, 0, true, 0},
                                    {"_scale", "[%d]", 1, 0, false, 0},
                                    {"_scale", "[%d,%d]", 1, 0, true, 0},
                                    {"_scale_inv", "[%d,%d]", 32, 64, false, 0},
                                    {"_scale_inv", "[%d,%d]", 128, 128, true, 0},
                                    {"_scale", "[%d,%d]", 1, 16, false, 0}};

START_TEST(scales_are_multiplied)
{
    static float expected[N_TOKENS * N_VOCAB], got[N_TOKENS * N_VOCAB];
    write_model("product", &kinds[_i], true);
    write_config("product", "null");
    logits_of(folder_path("product"), expected);
    write_model("f8", &kinds[_i], false);
    write_config("f8", "{\"quant_method\": \"fp8\"}");
    logits_of(folder_path("f8"), got);
    ck_assert_mem_eq(got, expected, sizeof expected);
    for (int32_t packed = 0; packed < 2; packed++) {
        const lckv_convert_options options = {.size = sizeof options, .packed = packed};
        ck_assert_ok(lckv_convert(folder_path("f8"), folder_path("f8.gguf"), &options, NULL));
        logits_of(folder_path("f8.gguf"), got);
        ck_assert_mem_eq(got, expected, sizeof expected);
    }
}
END_TEST

/* Memory is given back, and any allocation may be refused. */
START_TEST(nothing_is_left)
{
    struct counting counting = {.n_allowed = 0};
    const lckv_allocator allocator = counting_allocator(&counting);
    const lckv_model_options options = {.size = sizeof options, .allocator = &allocator};
    lckv_status status = LCKV_OUT_OF_MEMORY;
    write_model("f8", &kinds[_i], false);
    write_config("f8", "{\"quant_method\": \"fp8\"}");
    for (size_t n = 0; status != LCKV_OK; n++) {
        lckv_model *model = NULL;
        counting.n_allowed = n;
        status = lckv_model_open(folder_path("f8"), &options, &model);
        ck_assert(status == LCKV_OK || status == LCKV_OUT_OF_MEMORY);
        lckv_model_release(model);
        ck_assert_uint_eq(counting.out, 0);
    }
}
END_TEST

static void check_refused(const char *message)
{
    lckv_model *model = NULL;
    ck_assert_int_ne(lckv_model_open(folder_path("f8"), NULL, &model), LCKV_OK);
    ck_assert_error_has(message);
    ck_assert_int_ne(lckv_convert(folder_path("f8"), folder_path("f8.gguf"), NULL, NULL), LCKV_OK);
    ck_assert_error_has(message);
}

START_TEST(what_does_not_fit_is_refused)
{
    static const struct {
        struct kind kind;
        const char *message;
    } cases[] = {
        {{"", NULL, 0, 0, false, 0},
         "without scales, expected a tensor of the same name and _scale"},
        {{"_scale", "[1,%d,%d]", 1, 0, false, 0}, "scales of 1 x"},
        {{"_scale", "[%d,%d]", 24, 0, false, 0}, "whose sides are powers of two"},
        {{"_zero", "[%d,%d]", 1, 0, false, 0}, "it changes the weight whose name it shares"},
        {{"_scale", "[%d]", 1, 0, false, INFINITY}, "element 63 is inf, not a scale"},
        {{"_scale", "[]", 0, 0, true, -INFINITY}, "element 0 is -inf, not a scale"},
        {{"_scale_inv", "[%d,%d]", 32, 64, false, NAN}, "nan, not a scale"},
    };
    write_model("f8", &cases[_i].kind, false);
    write_config("f8", "{\"quant_method\": \"compressed-tensors\"}");
    check_refused(cases[_i].message);
}
END_TEST

START_TEST(other_quantisations_are_refused)
{
    write_model("f8", &kinds[0], false);
    write_config("f8", "{\"quant_method\": \"gptq\"}");
    check_refused("quant_method \"gptq\"; expected fp8");
    write_config("f8", "true");
    check_refused("expected fp8");
}
END_TEST

static void add_all(Suite *suite)
{
    TCase *tcase = tcase_create("f8");
    tcase_add_checked_fixture(tcase, folder_make, folder_remove);
    tcase_add_loop_test(tcase, scales_are_multiplied, 0, COUNT(kinds));
    tcase_add_loop_test(tcase, nothing_is_left, 3, 5);
    tcase_add_loop_test(tcase, what_does_not_fit_is_refused, 0, 7);
    tcase_add_test(tcase, other_quantisations_are_refused);
    suite_add_tcase(suite, tcase);
}

TEST_MAIN("f8", add_all)
