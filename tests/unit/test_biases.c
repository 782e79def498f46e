/*
 * A model in which every linear map has a bias computes what plain loops over doubles do.
 */
#include <math.h>

#include "sessions.h"
#include "small_model.h"

enum {
    N = 40, /* more rows than a pass prepares for each worker by itself */
    QUERIES = SMALL_HEADS * SMALL_HEAD_DIM,
    KEYS = SMALL_KV_HEADS * SMALL_HEAD_DIM
};

static const struct {
    const char *name;
    uint64_t rows;
} biased[] = {
    {"attn_q", QUERIES},           {"attn_k", KEYS},        {"attn_v", KEYS},
    {"attn_output", SMALL_HIDDEN}, {"ffn_gate", SMALL_FFN}, {"ffn_up", SMALL_FFN},
    {"ffn_down", SMALL_HIDDEN},
};

/* ---- The reference ---- */

/* The numbers that small_write puts into the file for a tensor; free them. */
static float *numbers_of(const char *name, size_t n)
{
    struct gguf_tensor tensor = {.dtype = LCKV_DTYPE_F32, .n_dims = 1, .shape = {n, 1, 1, 1}};
    tensor.name = name;
    return (float *)(void *)small_data(&tensor);
}

static float *part_of_layer(int layer, const char *part, const char *kind, size_t n)
{
    char name[64];
    snprintf(name, sizeof name, "blk.%d.%s.%s", layer, part, kind);
    return numbers_of(name, n);
}

static void multiply(int layer, const char *part, size_t rows, size_t columns, const double *x,
                     double *out)
{
    float *weight = part_of_layer(layer, part, "weight", rows * columns);
    float *bias = part_of_layer(layer, part, "bias", rows);
    for (size_t r = 0; r < rows; r++) {
        out[r] = (double)bias[r];
        for (size_t c = 0; c < columns; c++)
            out[r] += (double)weight[r * columns + c] * x[c];
    }
    free(weight);
    free(bias);
}

static void normalize(const double *x, float *weight, double *out)
{
    double squares = 0;
    for (size_t i = 0; i < SMALL_HIDDEN; i++)
        squares += x[i] * x[i];
    for (size_t i = 0; i < SMALL_HIDDEN; i++)
        out[i] = x[i] / sqrt(squares / SMALL_HIDDEN + (double)1e-5f) * (double)weight[i];
    free(weight);
}

/* In GGUF files of llama, numbers that are rotated together are neighbours. */
static void rotate(double *head, size_t position)
{
    for (size_t d = 0; d < SMALL_HEAD_DIM; d += 2) {
        double angle = (double)position * pow(10000, -(double)d / SMALL_HEAD_DIM);
        double a = head[d], b = head[d + 1];
        head[d] = a * cos(angle) - b * sin(angle);
        head[d + 1] = b * cos(angle) + a * sin(angle);
    }
}

/* One head over the keys and values [position + 1][SMALL_HEAD_DIM]. */
static void attend(const double *query, double (*k)[KEYS], double (*v)[KEYS], size_t position,
                   double *out)
{
    double scores[N], largest = -HUGE_VAL, sum = 0;
    for (size_t p = 0; p <= position; p++) {
        scores[p] = 0;
        for (size_t d = 0; d < SMALL_HEAD_DIM; d++)
            scores[p] += query[d] * k[p][d] / sqrt(SMALL_HEAD_DIM);
        largest = fmax(largest, scores[p]);
    }
    memset(out, 0, SMALL_HEAD_DIM * sizeof *out);
    for (size_t p = 0; p <= position; p++)
        sum += scores[p] = exp(scores[p] - largest);
    for (size_t p = 0; p <= position; p++)
        for (size_t d = 0; d < SMALL_HEAD_DIM; d++)
            out[d] += scores[p] / sum * v[p][d];
}

static void layer(int index, double *x, size_t position)
{
    static double k[SMALL_LAYERS][N][KEYS], v[SMALL_LAYERS][N][KEYS];
    double h[SMALL_HIDDEN], delta[SMALL_HIDDEN], q[QUERIES], attended[QUERIES], gate[SMALL_FFN],
        up[SMALL_FFN];
    normalize(x, part_of_layer(index, "attn_norm", "weight", SMALL_HIDDEN), h);
    multiply(index, "attn_q", QUERIES, SMALL_HIDDEN, h, q);
    multiply(index, "attn_k", KEYS, SMALL_HIDDEN, h, k[index][position]);
    multiply(index, "attn_v", KEYS, SMALL_HIDDEN, h, v[index][position]);
    rotate(k[index][position], position);
    for (size_t head = 0; head < SMALL_HEADS; head++) {
        rotate(q + head * SMALL_HEAD_DIM, position);
        attend(q + head * SMALL_HEAD_DIM, k[index], v[index], position,
               attended + head * SMALL_HEAD_DIM);
    }
    multiply(index, "attn_output", SMALL_HIDDEN, QUERIES, attended, delta);
    for (size_t i = 0; i < SMALL_HIDDEN; i++)
        x[i] += delta[i];
    normalize(x, part_of_layer(index, "ffn_norm", "weight", SMALL_HIDDEN), h);
    multiply(index, "ffn_gate", SMALL_FFN, SMALL_HIDDEN, h, gate);
    multiply(index, "ffn_up", SMALL_FFN, SMALL_HIDDEN, h, up);
    for (size_t i = 0; i < SMALL_FFN; i++)
        gate[i] = gate[i] / (1 + exp(-gate[i])) * up[i];
    multiply(index, "ffn_down", SMALL_HIDDEN, SMALL_FFN, gate, delta);
    for (size_t i = 0; i < SMALL_HIDDEN; i++)
        x[i] += delta[i];
}

/* The output matrix is the embedding. */
static void compute_reference(const lckv_token *tokens, double (*logits)[SMALL_VOCAB])
{
    float *embedding = numbers_of("token_embd.weight", SMALL_VOCAB * SMALL_HIDDEN);
    for (size_t t = 0; t < N; t++) {
        double x[SMALL_HIDDEN], h[SMALL_HIDDEN];
        for (size_t i = 0; i < SMALL_HIDDEN; i++)
            x[i] = (double)embedding[(size_t)tokens[t] * SMALL_HIDDEN + i];
        for (int i = 0; i < SMALL_LAYERS; i++)
            layer(i, x, t);
        normalize(x, numbers_of("output_norm.weight", SMALL_HIDDEN), h);
        for (size_t r = 0; r < SMALL_VOCAB; r++) {
            logits[t][r] = 0;
            for (size_t c = 0; c < SMALL_HIDDEN; c++)
                logits[t][r] += (double)embedding[r * SMALL_HIDDEN + c] * h[c];
        }
    }
    free(embedding);
}

/* ---- The library ---- */

static void check_logits(lckv_cache *cache, const lckv_token *tokens, size_t at_once,
                         double (*expected)[SMALL_VOCAB])
{
    static float logits[N][SMALL_VOCAB];
    lckv_session *session = make_session(cache);
    for (size_t t = 0; t < N; t += at_once) {
        lckv_item item = make_item(session, tokens + t, at_once, logits[t], SMALL_VOCAB);
        ck_assert_ok(run(cache, &item, 1, LCKV_PREFILL_AUTO));
    }
    for (size_t t = 0; t < N; t++)
        for (size_t r = 0; r < SMALL_VOCAB; r++)
            ck_assert_double_eq_tol((double)logits[t][r], expected[t][r], 1e-3);
    lckv_session_release(session);
}

START_TEST(every_bias_is_added_where_it_belongs)
{
    static double expected[N][SMALL_VOCAB];
    struct small_model small;
    char path[FOLDER_PATH], name[64];
    lckv_token tokens[N];
    small_begin(&small);
    for (int i = 0; i < SMALL_LAYERS; i++)
        for (size_t b = 0; b < COUNT(biased); b++) {
            snprintf(name, sizeof name, "blk.%d.%s.bias", i, biased[b].name);
            small_add(&small, name, LCKV_DTYPE_F32, biased[b].rows, 0);
        }
    small_write(&small, folder_join(path, "biased.gguf"));
    for (size_t t = 0; t < N; t++)
        tokens[t] = (lckv_token)((t * 37 + 11) % SMALL_VOCAB);
    compute_reference(tokens, expected);
    const lckv_model_options options = {.precision = LCKV_PRECISION_FULL, .gemm = LCKV_GEMM_OWN};
    lckv_model *model = open_model(path, options);
    for (uint32_t n_threads = 1; n_threads <= 3; n_threads++) {
        lckv_cache *cache = make_cache(
            model, (lckv_cache_options){.kv_dtype = LCKV_DTYPE_F32, .n_threads = n_threads});
        check_logits(cache, tokens, 1, expected);
        check_logits(cache, tokens, 4, expected);
        check_logits(cache, tokens, N, expected);
        lckv_cache_release(cache);
    }
    lckv_model_release(model);
}
END_TEST

static void add_biases(Suite *suite)
{
    TCase *tcase = tcase_create("biases");
    tcase_add_checked_fixture(tcase, folder_make, folder_remove);
    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, every_bias_is_added_where_it_belongs);
    suite_add_tcase(suite, tcase);
}

TEST_MAIN("biases", add_biases)
