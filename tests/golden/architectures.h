/*
 * What the tests of architectures share: the models of tests/data/architectures
 * (tests/data/architectures/README.md), their logits, and copies of them. Uses the public header
 * only.
 */
#ifndef LCKV_TESTS_GOLDEN_ARCHITECTURES_H
#define LCKV_TESTS_GOLDEN_ARCHITECTURES_H

#include "safetensors.h"
#include "sessions.h"

#include <math.h>
#include <stdio.h>

#define TOLERANCE 1e-3

static const struct {
    const char *folder, *architecture;
    const char *plan; /* another one that fits */
} fixtures[] = {
    {"qwen2", "qwen2", "0s_0s_2"},
    {"qwen3", "qwen3", "0s_0s_2"},
    {"qwen3-biased", "qwen3", "0s_0s_2"},
    {"granite", "granite", "0s_0s_2"},
    {"mistral", "lckv-llama", "0s_0s_2"},
    {"mistral-full", "llama", "0s_0s_2"},
    {"smollm3", "smollm3", "0s_0s_2_3_4"},
    {"smollm3-listed", "lckv-smollm3", "0s_0s_2"},
    {"llama-linear", "llama", "0s_0s_2"},
    {"llama-llama3", "llama", "0s_0s_2"},
    {"qwen2-yarn", "qwen2", "0s_0s_2"},
    {"qwen3-yarn", "qwen3", "0s_0s_2"},
    {"llama-longrope", "llama", "0s_0s_2"},
    {"phi3", "lckv-phi3", "0s_0s_2"},
    {"phi3-longrope", "lckv-phi3", "0s_0s_2"},
    {"gemma3", "lckv-gemma3", "0s_0s_2"},
    {"gemma4-inputs", "gemma4", "0s_0s_2s_2s_4_2s_2s_2s_2s_4"},
    {"gemma4-keys", "gemma4", "0s_0s_2s_2s_4_2s_2s_2s_2s_4"},
    {"gemma3n", "lckv-gemma3n", "0s_0s_2s_3_2s_3"},
};
#define N_FIXTURES ((int)(sizeof fixtures / sizeof fixtures[0]))

/* The fixture of a folder. */
static inline int fixture_of(const char *name)
{
    int i = 0;
    while (strcmp(fixtures[i].folder, name) != 0)
        i++;
    return i;
}

static inline const char *path_of(int i, const char *file)
{
    static char path[128];
    snprintf(path, sizeof path, "tests/data/architectures/%s%s", fixtures[i].folder, file);
    return path;
}

static inline lckv_model *open_full(const char *path)
{
    return open_model(
        path, (lckv_model_options){.precision = LCKV_PRECISION_FULL, .gemm = LCKV_GEMM_OWN});
}

/* The logits of all tokens, `chunk` of which are evaluated in one call. */
static inline float *logits_of(const lckv_model *model, const lckv_token *tokens, size_t n,
                               size_t chunk)
{
    const size_t n_vocab = info_of(model).n_vocab;
    float *logits = calloc(n * n_vocab, sizeof *logits);
    ck_assert_ptr_nonnull(logits);
    lckv_cache *cache =
        make_cache(model, (lckv_cache_options){.kv_dtype = LCKV_DTYPE_F32, .n_threads = 2});
    lckv_session *session = make_session(cache);
    for (size_t begin = 0; begin < n; begin += chunk) {
        const size_t some = n - begin < chunk ? n - begin : chunk;
        const lckv_item item =
            make_item(session, tokens + begin, some, logits + begin * n_vocab, n_vocab);
        ck_assert_ok(run(cache, &item, 1, LCKV_PREFILL_AUTO));
    }
    lckv_session_release(session);
    lckv_cache_release(cache);
    return logits;
}

/* Converts the model as `options` say, opens the result and checks its architecture. */
static inline lckv_model *convert_and_open(int i, lckv_convert_options options,
                                           const char *architecture)
{
    char path[FOLDER_PATH];
    options.size = sizeof options;
    ck_assert_ok(lckv_convert(path_of(i, ""), folder_join(path, "model.gguf"), &options, NULL));
    lckv_model *model = open_full(path);
    ck_assert_str_eq(info_of(model).architecture, architecture);
    return model;
}

/* Copies a fixture with another config.json, and tries to open it. */
static inline lckv_status open_changed(int i, const char *from, const char *to)
{
    char path[FOLDER_PATH], *config = read_whole(path_of(i, "/config.json"), NULL);
    size_t length;
    char *weights = read_whole(path_of(i, "/model.safetensors"), &length);
    char *at = strstr(config, from);
    ck_assert_ptr_nonnull(at);
    char *changed = calloc(strlen(config) + strlen(to) + 1, 1);
    ck_assert_ptr_nonnull(changed);
    memcpy(changed, config, (size_t)(at - config));
    strcat(changed, to);
    strcat(changed, at + strlen(from));
    folder_write_text("config.json", changed);
    folder_write("model.safetensors", weights, length);
    folder_join(path, "");
    lckv_model *model = NULL;
    const lckv_status status = lckv_model_open(path, NULL, &model);
    lckv_model_release(model);
    free(config);
    free(weights);
    free(changed);
    return status;
}

#endif
