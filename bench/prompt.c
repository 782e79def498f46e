/*
 * See prompt.h.
 */
#include "bench/prompt.h"

#include "tools/tiles.h"

#include <stdio.h>
#include <stdlib.h>

void require(lckv_status status)
{
    if (status == LCKV_OK)
        return;
    fprintf(stderr, "%s\n", lckv_last_error());
    exit(1);
}

static void fail(const char *what, const char *path)
{
    fprintf(stderr, "%s: %s\n", path, what);
    exit(1);
}

/* The first tokens of a text: at most a token a byte, and the file may be long. */
static void read_tokens(struct prompt *prompt, const char *path)
{
    enum { BYTES_OF_A_TOKEN = 16 };
    const size_t capacity = prompt->n_tokens * BYTES_OF_A_TOKEN;
    char *text = malloc(capacity);
    lckv_token *tokens = calloc(capacity, sizeof *tokens);
    size_t n_tokens = 0;
    FILE *file = fopen(path, "rb");
    if (text == NULL || tokens == NULL || file == NULL)
        fail("cannot be read", path);
    const size_t n_bytes = fread(text, 1, capacity, file);
    fclose(file);
    require(lckv_tokenize(prompt->model, text, n_bytes, 0, tokens, capacity, &n_tokens));
    if (n_tokens < prompt->n_tokens)
        fail("the text has too few tokens", path);
    free(text);
    prompt->tokens = tokens;
}

static void make_tokens(struct prompt *prompt)
{
    uint32_t state = 1;
    prompt->tokens = calloc(prompt->n_tokens, sizeof *prompt->tokens);
    for (size_t i = 0; i < prompt->n_tokens; i++) {
        state = state * UINT32_C(1664525) + UINT32_C(1013904223);
        prompt->tokens[i] = (lckv_token)((state >> 8) % prompt->n_vocab);
    }
}

struct prompt prompt_open(const char *path, const char *text, size_t n_tokens,
                          lckv_precision precision, lckv_dtype kv_dtype, uint32_t n_threads)
{
    struct prompt prompt = {.n_tokens = n_tokens};
    const lckv_model_options model_options = {.size = sizeof model_options, .precision = precision};
    request_tiles();
    require(lckv_model_open(path, &model_options, &prompt.model));
    lckv_model_info info = {.size = sizeof info};
    require(lckv_model_get_info(prompt.model, &info));
    prompt.n_vocab = info.n_vocab;
    if (text != NULL)
        read_tokens(&prompt, text);
    else
        make_tokens(&prompt);
    const lckv_cache_options cache_options = {
        .size = sizeof cache_options,
        .n_tokens = n_tokens,
        .max_sessions = 1,
        .max_rows = n_tokens > 256 ? (uint32_t)n_tokens : 0, /* for iterated prompts */
        .kv_dtype = kv_dtype,
        .n_threads = n_threads};
    require(lckv_cache_create(prompt.model, &cache_options, &prompt.cache));
    return prompt;
}

lckv_evaluate_report prompt_encode(const struct prompt *prompt, lckv_evaluate_options options,
                                   float *logits)
{
    lckv_evaluate_report report = {.size = sizeof report};
    lckv_session *session;
    require(lckv_session_create(prompt->cache, &session));
    const lckv_item item = {.session = session,
                            .tokens = prompt->tokens,
                            .n_tokens = prompt->n_tokens,
                            .want = logits != NULL ? LCKV_WANT_ALL : LCKV_WANT_LAST,
                            .logits = logits,
                            .logits_capacity =
                                logits != NULL ? prompt->n_tokens * prompt->n_vocab : 0};
    options.size = sizeof options;
    require(lckv_evaluate(prompt->cache, &item, sizeof item, 1, &options, &report));
    lckv_session_release(session);
    return report;
}

void prompt_close(struct prompt *prompt)
{
    lckv_cache_release(prompt->cache);
    lckv_model_release(prompt->model);
    free(prompt->tokens);
}
