/*
 * Layers that differ in KV heads and in the width of their feed-forward part.
 *
 * A wide model, whose layers are all alike, repeats the KV heads of a narrow one and pads its
 * feed-forward parts with zeros. So both must compute the same bits, although the narrow one keeps
 * less, in pages that have more positions.
 */
#include "format/gguf.h"
#include "kernels/blocks.h"
#include "plan/kv_format.h"

#include <math.h>

#include "folder.h"
#include "random.h"
#include "sessions.h"

enum {
    LAYERS = 5,
    HIDDEN = 32,
    HEADS = 4,
    HEAD_DIM = 32,
    VOCAB = 64,
    MOST_FFN = 112,
    N = 90,      /* tokens of a prompt, */
    MORE = 12,   /* and those that follow one by one */
    WINDOW = 21, /* if there are windows */
    PAGE = 16
};

static const uint32_t kv_heads[LAYERS] = {1, 4, 2, 1, 4};
static const uint32_t ffn_sizes[LAYERS] = {40, 112, 64, 41, 96};

struct shape {
    uint32_t kv_heads[LAYERS], ffn[LAYERS];
};

static struct shape shape_of(bool narrow)
{
    struct shape shape;
    for (int i = 0; i < LAYERS; i++) {
        shape.kv_heads[i] = narrow ? kv_heads[i] : HEADS;
        shape.ffn[i] = narrow ? ffn_sizes[i] : MOST_FFN;
    }
    return shape;
}

/* ---- The two files ---- */

struct model_file {
    struct arena arena;
    struct metadata metadata;
    struct gguf_tensor tensors[3 + 9 * LAYERS];
    float *data[3 + 9 * LAYERS];
    size_t n;
};

/* Element (r, c) of a matrix of the narrow model, or element r of a vector, which has 0 columns. */
static float element(const char *name, uint32_t r, uint32_t c, uint32_t n_columns)
{
    random_seed = 7;
    for (const char *at = name; *at != '\0'; at++)
        random_seed = random_seed * 31 + (unsigned char)*at;
    random_seed += (uint64_t)r * (n_columns > 0 ? n_columns : 1) + c;
    random_bits();
    const float value = (float)random_uniform();
    return n_columns == 0 ? 1 + value / 4 : value / sqrtf((float)n_columns);
}

/*
 * Adds a tensor whose element (r, c) is that of the narrow model at (rows[r], c), for -1 zero. The
 * narrow one has `n_filled` columns; those behind them are zero.
 */
static void add(struct model_file *file, lckv_dtype dtype, const char *name, uint32_t n_rows,
                uint32_t n_columns, const int *rows, uint32_t n_filled)
{
    const size_t columns = n_columns > 0 ? n_columns : 1;
    float *data = calloc(n_rows * columns, sizeof *data);
    ck_assert_ptr_nonnull(data);
    for (uint32_t r = 0; r < n_rows; r++) {
        const int row = rows != NULL ? rows[r] : (int)r;
        for (uint32_t c = 0; row >= 0 && c < (n_columns > 0 ? n_filled : 1); c++)
            data[r * columns + c] = element(name, (uint32_t)row, c, n_filled);
    }
    struct gguf_tensor *tensor = &file->tensors[file->n];
    *tensor = (struct gguf_tensor){.dtype = n_columns > 0 ? dtype : LCKV_DTYPE_F32,
                                   .n_dims = n_columns > 0 ? 2 : 1,
                                   .shape = {n_rows, columns, 1, 1}};
    ck_assert_ok(arena_copy(&file->arena, name, strlen(name), &tensor->name));
    file->data[file->n++] = data;
}

static const char *named(int layer, const char *part)
{
    static char name[64];
    snprintf(name, sizeof name, "blk.%d.%s.weight", layer, part);
    return name;
}

static void add_layer(struct model_file *file, lckv_dtype dtype, int i, bool narrow)
{
    const struct shape shape = shape_of(narrow);
    const uint32_t query = HEADS * HEAD_DIM, key = shape.kv_heads[i] * HEAD_DIM;
    int repeated[HEADS * HEAD_DIM], padded[MOST_FFN];
    for (uint32_t r = 0; r < key; r++) {
        const uint32_t head = r / HEAD_DIM / (shape.kv_heads[i] / kv_heads[i]);
        repeated[r] = (int)(head * HEAD_DIM + r % HEAD_DIM);
    }
    for (uint32_t r = 0; r < shape.ffn[i]; r++)
        padded[r] = r < ffn_sizes[i] ? (int)r : -1;
    add(file, dtype, named(i, "attn_norm"), HIDDEN, 0, NULL, 0);
    add(file, dtype, named(i, "attn_q"), query, HIDDEN, NULL, HIDDEN);
    add(file, dtype, named(i, "attn_k"), key, HIDDEN, repeated, HIDDEN);
    add(file, dtype, named(i, "attn_v"), key, HIDDEN, repeated, HIDDEN);
    add(file, dtype, named(i, "attn_output"), HIDDEN, query, NULL, query);
    add(file, dtype, named(i, "ffn_norm"), HIDDEN, 0, NULL, 0);
    add(file, dtype, named(i, "ffn_gate"), shape.ffn[i], HIDDEN, padded, HIDDEN);
    add(file, dtype, named(i, "ffn_up"), shape.ffn[i], HIDDEN, padded, HIDDEN);
    add(file, dtype, named(i, "ffn_down"), HIDDEN, shape.ffn[i], NULL, ffn_sizes[i]);
}

static const char *write_model(const char *name, lckv_dtype dtype, bool narrow)
{
    static char path[FOLDER_PATH];
    static struct model_file file;
    const struct shape shape = shape_of(narrow);
    const struct {
        const char *key;
        uint32_t value;
    } counts[] = {
        {"llama.block_count", LAYERS},         {"llama.embedding_length", HIDDEN},
        {"llama.attention.head_count", HEADS}, {"llama.attention.key_length", HEAD_DIM},
        {"llama.context_length", 64},
    };
    memset(&file, 0, sizeof file);
    arena_init(&file.arena, &memory_default_allocator);
    metadata_init(&file.metadata, &file.arena);
    ck_assert_ok(metadata_set_text(&file.metadata, "general.architecture", "llama", 5));
    ck_assert_ok(metadata_set_f32(&file.metadata, "llama.attention.layer_norm_rms_epsilon", 1e-5f));
    for (size_t i = 0; i < COUNT(counts); i++)
        ck_assert_ok(metadata_set_u32(&file.metadata, counts[i].key, counts[i].value));
    ck_assert_ok(
        metadata_set_u32s(&file.metadata, "llama.attention.head_count_kv", shape.kv_heads, LAYERS));
    ck_assert_ok(metadata_set_u32s(&file.metadata, "llama.feed_forward_length", shape.ffn, LAYERS));
    add(&file, dtype, "token_embd.weight", VOCAB, HIDDEN, NULL, HIDDEN);
    add(&file, dtype, "output_norm.weight", HIDDEN, 0, NULL, 0);
    for (int i = 0; i < LAYERS; i++)
        add_layer(&file, dtype, i, narrow);
    struct gguf_writer writer;
    struct output output;
    folder_join(path, name);
    ck_assert_ok(output_open(&output, path, &memory_default_allocator));
    ck_assert_ok(gguf_writer_begin(&writer, &output, &file.metadata, file.tensors, file.n));
    for (size_t i = 0; i < file.n; i++) {
        const size_t n = file.tensors[i].shape[0] * file.tensors[i].shape[1];
        uint64_t n_bytes = 0;
        ck_assert(dtype_bytes(file.tensors[i].dtype, n, &n_bytes));
        uint8_t *bytes = calloc(n_bytes, 1);
        ck_assert_ptr_nonnull(bytes);
        blocks_quantize(file.tensors[i].dtype, file.data[i], n, bytes);
        ck_assert_ok(gguf_writer_data(&writer, bytes, n_bytes));
        free(bytes);
        free(file.data[i]);
    }
    ck_assert_ok(gguf_writer_end(&writer));
    ck_assert_ok(output_commit(&output));
    output_discard(&output);
    arena_release(&file.arena);
    return path;
}

/* ---- Computing ---- */

static lckv_token tokens[N + MORE];

static void fill_text(void)
{
    for (size_t i = 0; i < COUNT(tokens); i++)
        tokens[i] = (lckv_token)((i * 37 + 11) % VOCAB);
}

static lckv_cache *small_pages(const lckv_model *model, uint32_t page_positions)
{
    return make_cache(model, (lckv_cache_options){.page_positions = page_positions,
                                                  .n_tokens = 400,
                                                  .max_sessions = 3,
                                                  .rollback = 5,
                                                  .n_threads = 2,
                                                  .max_rows = 32});
}

/* The logits of all tokens from `begin` on: the prompt in one call, the others one by one. */
static void evaluate(lckv_cache *cache, lckv_session *session, size_t begin, float *logits)
{
    if (begin < N) {
        const lckv_item item =
            make_item(session, tokens + begin, N - begin, logits + begin * VOCAB, VOCAB);
        ck_assert_ok(run(cache, &item, 1, LCKV_PREFILL_AUTO));
        begin = N;
    }
    for (; begin < N + MORE; begin++) {
        const lckv_item item = make_item(session, tokens + begin, 1, logits + begin * VOCAB, VOCAB);
        ck_assert_ok(run(cache, &item, 1, LCKV_PREFILL_AUTO));
    }
}

static float *logits_of(const lckv_model *model)
{
    float *logits = calloc((N + MORE) * VOCAB, sizeof *logits);
    ck_assert_ptr_nonnull(logits);
    lckv_cache *cache = small_pages(model, PAGE);
    lckv_session *session = make_session(cache);
    evaluate(cache, session, 0, logits);
    lckv_session_release(session);
    lckv_cache_release(cache);
    return logits;
}

static void ck_assert_same(const float *logits, const float *expected, size_t begin)
{
    for (size_t t = begin; t < N + MORE; t++)
        ck_assert_msg(memcmp(logits + t * VOCAB, expected + t * VOCAB, VOCAB * sizeof *logits) == 0,
                      "token %zu differs: %g, expected %g", t, (double)logits[t * VOCAB],
                      (double)expected[t * VOCAB]);
}

static const struct {
    lckv_dtype dtype;
    lckv_precision precision;
    const char *plan;
} settings[] = {
    {LCKV_DTYPE_F32, LCKV_PRECISION_FULL, NULL},
    {LCKV_DTYPE_BF16, LCKV_PRECISION_FAST, NULL},
    {LCKV_DTYPE_F16, LCKV_PRECISION_FAST, "3_4_2_3_4"}, /* upward */
    {LCKV_DTYPE_BF16, LCKV_PRECISION_FULL, "0s_1_2s_0s_1"},
};

static lckv_model *open_setting(const char *path, size_t i)
{
    return open_model(path, (lckv_model_options){.precision = settings[i].precision,
                                                 .gemm = LCKV_GEMM_OWN,
                                                 .sliding_window = WINDOW});
}

/* Writes and opens a model of setting `i`, with its plan. */
static lckv_model *make_model(size_t i, bool narrow)
{
    const char *path = write_model("shapes.gguf", settings[i].dtype, narrow);
    char planned[FOLDER_PATH];
    folder_join(planned, "planned.gguf");
    const lckv_convert_options options = {.size = sizeof options,
                                          .plan = settings[i].plan,
                                          .sliding_window = WINDOW,
                                          .init = LCKV_CONVERT_COPY};
    ck_assert_ok(lckv_convert(path, planned, &options, NULL));
    return open_setting(planned, i);
}

START_TEST(narrow_layers_compute_what_wide_ones_do)
{
    lckv_model *wide = make_model((size_t)_i, false), *narrow = make_model((size_t)_i, true);
    float *expected = logits_of(wide), *logits = logits_of(narrow);
    ck_assert_same(logits, expected, 0);
    ck_assert(expected[VOCAB] != expected[2 * VOCAB]);
    for (uint32_t i = 0; i < LAYERS; i++) {
        lckv_model_layer layer = {.size = sizeof layer};
        ck_assert_ok(lckv_model_get_layer(narrow, i, &layer));
        ck_assert_uint_eq(layer.kv_shape.n_kv_heads, kv_heads[i]);
        ck_assert_uint_eq(layer.kv_shape.head_dim, HEAD_DIM);
        ck_assert_uint_eq(layer.intermediate_size, ffn_sizes[i]);
    }
    lckv_model_layer none = {.size = sizeof none};
    ck_assert_int_eq(lckv_model_get_layer(narrow, LAYERS, &none), LCKV_INVALID_ARGUMENT);
    ck_assert_error_has("layer is 5; the model has 5 layers");
    free(expected);
    free(logits);
    lckv_model_release(wide);
    lckv_model_release(narrow);
}
END_TEST

START_TEST(packed_files_have_such_layers_too)
{
    const char *path = write_model("shapes.gguf", LCKV_DTYPE_BF16, true);
    char packed[FOLDER_PATH];
    folder_join(packed, "packed.gguf");
    const lckv_convert_options options = {.size = sizeof options, .packed = 1};
    ck_assert_ok(lckv_convert(path, packed, &options, NULL));
    lckv_model *plain = open_setting(path, 1), *mapped = open_setting(packed, 1);
    float *expected = logits_of(plain), *logits = logits_of(mapped);
    ck_assert_same(logits, expected, 0);
    uint64_t fingerprint, same;
    ck_assert_ok(lckv_model_fingerprint(plain, &fingerprint));
    ck_assert_ok(lckv_model_fingerprint(mapped, &same));
    ck_assert(fingerprint == same);
    free(expected);
    free(logits);
    lckv_model_release(plain);
    lckv_model_release(mapped);
}
END_TEST

/* Sessions are saved in parts that do not depend on pages, and forks share pages. */
START_TEST(sessions_live_on_pages_with_different_numbers_of_positions)
{
    lckv_model *model = make_model((size_t)_i, true);
    float *expected = logits_of(model), *logits = logits_of(model);
    lckv_cache *cache = small_pages(model, PAGE), *other = small_pages(model, 3 * PAGE);
    lckv_session *session = make_session(cache), *fork, *restored;
    evaluate(cache, session, 0, logits);
    ck_assert_ok(lckv_session_truncate(session, N + MORE - 3));
    ck_assert_ok(lckv_session_fork(session, &fork));
    evaluate(cache, fork, N + MORE - 3, logits);
    ck_assert_same(logits, expected, N + MORE - 3);
    char path[FOLDER_PATH];
    size_t n = 0;
    ck_assert_ok(lckv_sessions_save_file((lckv_session *[]){session, fork}, 2,
                                         folder_join(path, "saved"), NULL));
    lckv_session *both[2];
    ck_assert_ok(lckv_sessions_restore_file(other, path, NULL, both, 2, &n));
    restored = both[0];
    memset(logits, 0, (N + MORE) * VOCAB * sizeof *logits);
    evaluate(other, restored, N + MORE - 3, logits);
    ck_assert_same(logits, expected, N + MORE - 3);
    lckv_session_release(both[0]);
    lckv_session_release(both[1]);
    lckv_session_release(session);
    lckv_session_release(fork);
    ck_assert_uint_eq(stats_of(cache).n_pages_free, stats_of(cache).n_pages);
    lckv_cache_release(cache);
    lckv_cache_release(other);
    free(expected);
    free(logits);
    lckv_model_release(model);
}
END_TEST

/* W x for the token at position p, where x is what the first layer multiplies; row by row. */
static float first_product(const char *weight, size_t p, uint32_t row)
{
    const uint32_t token = (uint32_t)tokens[p];
    double squares = 0, sum = 0;
    for (uint32_t c = 0; c < HIDDEN; c++) {
        const double h = (double)element("token_embd.weight", token, c, HIDDEN);
        squares += h * h;
        sum += (double)element(weight, row, c, HIDDEN) * h *
               (double)element("blk.0.attn_norm.weight", c, 0, 0);
    }
    return (float)(sum / sqrt(squares / HIDDEN + 1e-5));
}

/*
 * Keys and values of slot 0, which has one KV head in the narrow model: values of all positions,
 * and the keys of the first one, which are not rotated. GGUF has the halves of a key in turns.
 */
static void check_first_slot(const float *keys, const float *values)
{
    for (uint32_t d = 0; d < HEAD_DIM; d++) {
        const uint32_t row = 2 * (d % (HEAD_DIM / 2)) + d / (HEAD_DIM / 2);
        ck_assert_float_eq_tol(keys[d], first_product("blk.0.attn_k.weight", 0, row), 2e-3f);
        for (size_t p = 0; p < N; p++)
            ck_assert_float_eq_tol(values[p * HEAD_DIM + d],
                                   first_product("blk.0.attn_v.weight", p, d), 2e-3f);
    }
}

/* Each KV head of the narrow model is the same as those of the wide one that repeat it. */
START_TEST(keys_and_values_can_be_read_back)
{
    lckv_model *wide = make_model(0, false), *narrow = make_model(0, true);
    lckv_cache *caches[] = {small_pages(wide, PAGE), small_pages(narrow, PAGE)};
    float *logits = calloc((N + MORE) * VOCAB, sizeof *logits);
    float *k[2], *v[2];
    ck_assert_ptr_nonnull(logits);
    for (int m = 0; m < 2; m++) {
        k[m] = calloc(N * HEADS * HEAD_DIM, sizeof **k);
        v[m] = calloc(N * HEADS * HEAD_DIM, sizeof **v);
    }
    lckv_session *sessions[] = {make_session(caches[0]), make_session(caches[1])};
    for (int m = 0; m < 2; m++)
        evaluate(caches[m], sessions[m], 0, logits);
    for (uint32_t s = 0; s < LAYERS; s++) {
        for (int m = 0; m < 2; m++)
            ck_assert_ok(lckv_session_read_kv(sessions[m], s, 0, N, k[m], v[m]));
        if (s == 0)
            check_first_slot(k[1], v[1]);
        for (size_t h = 0; h < N * HEADS; h++) {
            const size_t position = h / HEADS, head = h % HEADS / (HEADS / kv_heads[s]);
            const size_t n = (position * kv_heads[s] + head) * HEAD_DIM;
            ck_assert_mem_eq(k[0] + h * HEAD_DIM, k[1] + n, HEAD_DIM * sizeof(float));
            ck_assert_mem_eq(v[0] + h * HEAD_DIM, v[1] + n, HEAD_DIM * sizeof(float));
            ck_assert(k[1][n] != 0 && v[1][n] != 0 && k[1][n] != v[1][n]);
        }
    }
    for (int m = 0; m < 2; m++) {
        lckv_session_release(sessions[m]);
        lckv_cache_release(caches[m]);
        free(k[m]);
        free(v[m]);
    }
    free(logits);
    lckv_model_release(wide);
    lckv_model_release(narrow);
}
END_TEST

START_TEST(no_page_has_room_for_less_than_its_bytes)
{
    lckv_model *wide = make_model(0, false), *narrow = make_model(0, true);
    lckv_cache *large = small_pages(wide, PAGE), *small = small_pages(narrow, PAGE);
    const uint64_t head = 2 * HEAD_DIM * 2; /* bytes of a KV head, keys and values */
    const lckv_cache_stats all = stats_of(large), some = stats_of(small);
    ck_assert_uint_eq(all.bytes_per_token, LAYERS * HEADS * head);
    ck_assert_uint_eq(some.bytes_per_token, (1 + 4 + 2 + 1 + 4) * head);
    ck_assert_uint_eq(all.page_bytes, some.page_bytes);
    ck_assert_uint_lt(some.n_pages, all.n_pages);
    lckv_kv_shape shapes[LAYERS];
    for (int i = 0; i < LAYERS; i++)
        shapes[i] = (lckv_kv_shape){kv_heads[i], HEAD_DIM};
    lckv_memory_request request = {.size = sizeof request,
                                   .plan = lckv_model_plan(narrow),
                                   .page_positions = PAGE,
                                   .context = 128,
                                   .kv_shapes = shapes,
                                   .n_kv_shapes = LAYERS};
    lckv_memory_report report = {.size = sizeof report};
    ck_assert_ok(lckv_memory_estimate(&request, &report));
    ck_assert_uint_eq(report.bytes_per_token, some.bytes_per_token);
    /* pages of 64, 16, 32, 64 and 16 positions */
    ck_assert_uint_eq(report.bytes_per_session, (2 + 8 + 4 + 2 + 8) * some.page_bytes);
    request.n_kv_shapes = LAYERS - 1;
    ck_assert_int_eq(lckv_memory_estimate(&request, &report), LCKV_INVALID_ARGUMENT);
    ck_assert_error_has("n_kv_shapes is 4, expected 5");
    lckv_cache_release(large);
    lckv_cache_release(small);
    lckv_model_release(wide);
    lckv_model_release(narrow);
}
END_TEST

START_TEST(layouts_fill_pages_of_one_size)
{
    struct kv_shapes shapes = {0};
    struct kv_layout layouts[KV_MAX_SHAPES];
    static const uint32_t heads[] = {3, 1, 5, 100}, dims[] = {32, 64, 32, 256};
    uint32_t index;
    for (uint32_t i = 0; i < KV_MAX_SHAPES; i++)
        ck_assert_ok(kv_shapes_add(&shapes, heads[i], dims[i], &index));
    ck_assert_ok(kv_shapes_add(&shapes, 1, 64, &index));
    ck_assert_uint_eq(index, 1);
    ck_assert_int_eq(kv_shapes_add(&shapes, 64, 1, &index), LCKV_UNSUPPORTED);
    ck_assert_ok(kv_layouts_init(layouts, &shapes, LCKV_DTYPE_F16, LCKV_DTYPE_Q8_0, 16));
    ck_assert_uint_eq(layouts[3].page_positions, 16);
    for (uint32_t i = 0; i < KV_MAX_SHAPES; i++) {
        const struct kv_layout *layout = &layouts[i];
        ck_assert_uint_eq(layout->page_bytes, layouts[3].page_bytes);
        ck_assert_uint_eq(layout->page_positions % KV_SUBTILE, 0);
        ck_assert_uint_le(layout->page_positions, KV_MOST_PAGE_POSITIONS);
        ck_assert_uint_le(layout->head_bytes * heads[i], layout->page_bytes);
        ck_assert(layout->page_positions == KV_MOST_PAGE_POSITIONS ||
                  (layout->page_positions + KV_SUBTILE) * layout->position_bytes >
                      layout->page_bytes);
    }
}
END_TEST

START_TEST(a_layer_cannot_read_keys_of_another_shape)
{
    const char *path = write_model("shapes.gguf", LCKV_DTYPE_F32, true);
    const lckv_convert_options options = {.size = sizeof options, .plan = "0_1_0_3_4"};
    char output[FOLDER_PATH];
    ck_assert_int_eq(lckv_convert(path, folder_join(output, "x.gguf"), &options, NULL),
                     LCKV_BAD_PLAN);
    ck_assert_error_has("layer 2 has 2 KV heads of 32 elements and cannot read layer 0");
}
END_TEST

START_TEST(lists_have_an_entry_for_each_layer)
{
    static const uint32_t values[LAYERS + 1] = {1, 1, 1, 1, 1, 1};
    struct arena arena;
    struct metadata metadata;
    uint32_t read[LAYERS];
    bool found;
    arena_init(&arena, &memory_default_allocator);
    metadata_init(&metadata, &arena);
    ck_assert_ok(metadata_set_u32s(&metadata, "list", values, LAYERS + 1));
    ck_assert_ok(metadata_set_u32(&metadata, "one", 9));
    ck_assert_ok(metadata_set_i32s(&metadata, "negative", (const int32_t[]){1, 2, 3, -4, 5}, 5));
    ck_assert_ok(metadata_get_u32s(&metadata, "one", read, LAYERS, &found));
    ck_assert(found && read[0] == 9 && read[LAYERS - 1] == 9);
    ck_assert_ok(metadata_get_u32s(&metadata, "none", read, LAYERS, &found));
    ck_assert(!found && read[0] == 9);
    ck_assert_int_eq(metadata_get_u32s(&metadata, "list", read, LAYERS, &found), LCKV_BAD_FORMAT);
    ck_assert_error_has("expected an integer, or an array of 5");
    ck_assert_int_eq(metadata_get_u32s(&metadata, "negative", read, 5, &found), LCKV_BAD_FORMAT);
    ck_assert_error_has("element 3 is negative");
    arena_release(&arena);
}
END_TEST

static void add_shapes(Suite *suite)
{
    TCase *tcase = tcase_create("layer shapes");
    tcase_add_checked_fixture(tcase, folder_make, folder_remove);
    tcase_add_checked_fixture(tcase, fill_text, NULL);
    tcase_set_timeout(tcase, 120);
    tcase_add_loop_test(tcase, narrow_layers_compute_what_wide_ones_do, 0, COUNT(settings));
    tcase_add_loop_test(tcase, sessions_live_on_pages_with_different_numbers_of_positions, 0,
                        COUNT(settings));
    tcase_add_test(tcase, packed_files_have_such_layers_too);
    tcase_add_test(tcase, keys_and_values_can_be_read_back);
    tcase_add_test(tcase, no_page_has_room_for_less_than_its_bytes);
    tcase_add_test(tcase, layouts_fill_pages_of_one_size);
    tcase_add_test(tcase, a_layer_cannot_read_keys_of_another_shape);
    tcase_add_test(tcase, lists_have_an_entry_for_each_layer);
    suite_add_tcase(suite, tcase);
}

TEST_MAIN("layer_shapes", add_shapes)
