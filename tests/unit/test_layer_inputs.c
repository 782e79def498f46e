/*
 * Embeddings that belong to single layers, as Gemma 4 has them, when they are the widest of all
 * that a layer multiplies, or much narrower than its MLP. Every buffer that they pass through must
 * have room for them.
 */
#include "sessions.h"
#include "small_model.h"

enum {
    LAYERS = 2,
    HIDDEN = 32,
    HEADS = 2,
    HEAD_DIM = 32,
    WIDE = 1024,
    VOCAB = 48,
    MOST_ROWS = 128
};

/* The widths of the MLP and of a layer's own embedding. */
struct widths {
    uint32_t mlp, input;
};

static void add_layer(struct small_model *model, lckv_dtype dtype, struct widths widths, int layer)
{
    const struct {
        const char *name;
        uint64_t rows, columns;
    } tensors[] = {
        {"attn_norm", HIDDEN, 0},
        {"attn_q", HEADS * HEAD_DIM, HIDDEN},
        {"attn_k", HEAD_DIM, HIDDEN},
        {"attn_v", HEAD_DIM, HIDDEN},
        {"attn_output", HIDDEN, HEADS * HEAD_DIM},
        {"attn_q_norm", HEAD_DIM, 0},
        {"attn_k_norm", HEAD_DIM, 0},
        {"post_attention_norm", HIDDEN, 0},
        {"ffn_norm", HIDDEN, 0},
        {"ffn_gate", widths.mlp, HIDDEN},
        {"ffn_up", widths.mlp, HIDDEN},
        {"ffn_down", HIDDEN, widths.mlp},
        {"post_ffw_norm", HIDDEN, 0},
        {"inp_gate", widths.input, HIDDEN},
        {"post_norm", HIDDEN, 0},
        {"proj", HIDDEN, widths.input}, /* stands at the end of the file */
    };
    char name[64];
    for (size_t i = 0; i < COUNT(tensors); i++) {
        snprintf(name, sizeof name, "blk.%d.%s.weight", layer, tensors[i].name);
        small_add(model, name, tensors[i].columns > 0 ? dtype : LCKV_DTYPE_F32, tensors[i].rows,
                  tensors[i].columns);
    }
}

/* Writes and opens a model whose matrices are of this type. */
static lckv_model *make_model(lckv_dtype dtype, struct widths widths, lckv_model_options options)
{
    const struct {
        const char *key;
        uint32_t value;
    } counts[] = {
        {"gemma4.block_count", LAYERS},
        {"gemma4.context_length", 4096},
        {"gemma4.embedding_length", HIDDEN},
        {"gemma4.feed_forward_length", widths.mlp},
        {"gemma4.attention.head_count", HEADS},
        {"gemma4.attention.head_count_kv", 1},
        {"gemma4.attention.key_length", HEAD_DIM},
        {"gemma4.attention.key_length_swa", HEAD_DIM},
        {"gemma4.attention.sliding_window", 16},
        {"gemma4.embedding_length_per_layer_input", widths.input},
    };
    static struct small_model file;
    char path[FOLDER_PATH];
    memset(&file, 0, sizeof file);
    arena_init(&file.arena, &memory_default_allocator);
    metadata_init(&file.metadata, &file.arena);
    ck_assert_ok(metadata_set_text(&file.metadata, "general.architecture", "gemma4", 6));
    ck_assert_ok(
        metadata_set_f32(&file.metadata, "gemma4.attention.layer_norm_rms_epsilon", 1e-6f));
    for (size_t i = 0; i < COUNT(counts); i++)
        ck_assert_ok(metadata_set_u32(&file.metadata, counts[i].key, counts[i].value));
    ck_assert_ok(metadata_set_bools(&file.metadata, "gemma4.attention.sliding_window_pattern",
                                    (const bool[]){true, false}, LAYERS));
    small_add(&file, "token_embd.weight", dtype, VOCAB, HIDDEN);
    small_add(&file, "output_norm.weight", LCKV_DTYPE_F32, HIDDEN, 0);
    small_add(&file, "per_layer_token_embd.weight", dtype, VOCAB, LAYERS * widths.input);
    small_add(&file, "per_layer_model_proj.weight", dtype, LAYERS * widths.input, HIDDEN);
    small_add(&file, "per_layer_proj_norm.weight", LCKV_DTYPE_F32, widths.input, 0);
    for (int i = 0; i < LAYERS; i++)
        add_layer(&file, dtype, widths, i);
    small_write(&file, folder_join(path, "wide.gguf"));
    return open_model(path, options);
}

static const struct {
    lckv_dtype dtype;
    lckv_precision precision;
    struct widths widths;
} settings[] = {
    {LCKV_DTYPE_Q8_0, LCKV_PRECISION_FAST, {64, WIDE}},
    {LCKV_DTYPE_BF16, LCKV_PRECISION_FAST, {64, WIDE}},
    {LCKV_DTYPE_F32, LCKV_PRECISION_FULL, {64, WIDE}},
    {LCKV_DTYPE_Q8_0, LCKV_PRECISION_FAST, {WIDE, 32}},
};

/* Evaluates the tokens, `chunk` in a call, with all logits. */
static void evaluate(const lckv_model *model, const lckv_token *tokens, size_t chunk, float *logits)
{
    lckv_cache *cache = make_cache(
        model, (lckv_cache_options){.n_tokens = 512, .max_rows = MOST_ROWS, .n_threads = 2});
    lckv_session *session = make_session(cache);
    for (size_t begin = 0; begin < MOST_ROWS; begin += chunk) {
        const size_t n = MOST_ROWS - begin < chunk ? MOST_ROWS - begin : chunk;
        const lckv_item item = make_item(session, tokens + begin, n, logits + begin * VOCAB, VOCAB);
        ck_assert_ok(run(cache, &item, 1, LCKV_PREFILL_AUTO));
    }
    lckv_session_release(session);
    lckv_cache_release(cache);
}

/* More rows than a panel has, as many as the cache takes, and some that leave a panel unfilled. */
START_TEST(long_prompts_give_what_single_tokens_give)
{
    static float expected[MOST_ROWS * VOCAB], logits[MOST_ROWS * VOCAB];
    static const size_t chunks[] = {17, 97, MOST_ROWS};
    lckv_token tokens[MOST_ROWS];
    lckv_model *model = make_model(
        settings[_i].dtype, settings[_i].widths,
        (lckv_model_options){.precision = settings[_i].precision, .gemm = LCKV_GEMM_OWN});
    for (size_t i = 0; i < MOST_ROWS; i++)
        tokens[i] = (lckv_token)((i * 37 + 11) % VOCAB);
    evaluate(model, tokens, 1, expected);
    ck_assert(expected[VOCAB] != expected[2 * VOCAB]);
    for (size_t c = 0; c < COUNT(chunks); c++) {
        evaluate(model, tokens, chunks[c], logits);
        for (size_t t = 0; t < MOST_ROWS; t++)
            ck_assert_msg(
                memcmp(logits + t * VOCAB, expected + t * VOCAB, VOCAB * sizeof *logits) == 0,
                "%zu tokens in a call: token %zu differs: %g, expected %g", chunks[c], t,
                (double)logits[t * VOCAB], (double)expected[t * VOCAB]);
    }
    lckv_model_release(model);
}
END_TEST

static uint64_t fingerprint_of(lckv_model *model)
{
    uint64_t fingerprint;
    ck_assert_ok(lckv_model_fingerprint(model, &fingerprint));
    lckv_model_release(model);
    return fingerprint;
}

/* The last number of the file is that of the widest row. */
START_TEST(fingerprints_cover_the_widest_rows)
{
    const lckv_model_options options = {.gemm = LCKV_GEMM_OWN};
    const struct widths widths = {64, WIDE};
    const uint64_t fingerprint = fingerprint_of(make_model(LCKV_DTYPE_F32, widths, options));
    ck_assert(fingerprint_of(make_model(LCKV_DTYPE_F32, widths, options)) == fingerprint);
    size_t length;
    char path[FOLDER_PATH], *bytes = read_whole(folder_join(path, "wide.gguf"), &length);
    memcpy(bytes + length - sizeof(float), &(float){2}, sizeof(float));
    folder_write("wide.gguf", bytes, length);
    free(bytes);
    ck_assert(fingerprint_of(open_model(path, options)) != fingerprint);
}
END_TEST

static void add_layer_inputs(Suite *suite)
{
    TCase *tcase = tcase_create("inputs of layers");
    tcase_add_checked_fixture(tcase, folder_make, folder_remove);
    tcase_set_timeout(tcase, 60);
    tcase_add_loop_test(tcase, long_prompts_give_what_single_tokens_give, 0, COUNT(settings));
    tcase_add_test(tcase, fingerprints_cover_the_widest_rows);
    suite_add_tcase(suite, tcase);
}

TEST_MAIN("layer_inputs", add_layer_inputs)
