/*
 * Embeddings: each text becomes a vector, so that texts of the same meaning lie near each other.
 * The vector is the mean of the hidden states after all of its tokens, or the last of them; one
 * call computes both for all texts, and no logits. Prints how near each pair of texts is.
 *
 *     cc embeddings.c $(pkg-config --cflags --libs lckv) -lm -o embeddings && ./embeddings MODEL
 */
#include <lckv.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { N_TEXTS = 6, MAX_TOKENS = 64 };

static const char *const texts[N_TEXTS] = {
    "The dog ran after the ball in the park.",    "A puppy played in the garden and chased a ball.",
    "Mom baked a sweet cake for the party.",      "Grandma made cookies and they tasted good.",
    "The boat sailed over the sea to an island.", "A ship crossed the big sea in a storm.",
};

static int check(lckv_status status)
{
    if (status != LCKV_OK)
        fprintf(stderr, "%s: %s\n", lckv_status_name(status), lckv_last_error());
    return status != LCKV_OK;
}

/* Scales vectors to length 1, so that the product of two is the cosine of their angle. */
static void normalize(float *vectors, size_t size)
{
    for (size_t t = 0; t < N_TEXTS; t++) {
        double sum = 0;
        for (size_t i = 0; i < size; i++)
            sum += (double)vectors[t * size + i] * vectors[t * size + i];
        const float scale = sum > 0 ? (float)(1 / sqrt(sum)) : 0;
        for (size_t i = 0; i < size; i++)
            vectors[t * size + i] *= scale;
    }
}

/*
 * Computes both vectors of every text, float32 [N_TEXTS, size]. `states` has room for the hidden
 * states of all tokens, MAX_TOKENS for each text.
 */
static int embed(const lckv_model *model, lckv_cache *cache, size_t size, float *states,
                 float *means, float *lasts)
{
    static lckv_token tokens[N_TEXTS][MAX_TOKENS];
    lckv_session *sessions[N_TEXTS] = {NULL};
    lckv_item items[N_TEXTS];
    int failed = 0;
    for (size_t t = 0; t < N_TEXTS && !failed; t++) {
        size_t n = 0;
        failed =
            check(lckv_session_create(cache, &sessions[t])) ||
            check(lckv_tokenize(model, texts[t], strlen(texts[t]), 0, tokens[t], MAX_TOKENS, &n));
        items[t] = (lckv_item){.session = sessions[t],
                               .tokens = tokens[t],
                               .n_tokens = n,
                               .want = LCKV_WANT_HIDDEN_ALL,
                               .hidden = states + t * MAX_TOKENS * size,
                               .hidden_capacity = MAX_TOKENS * size};
    }
    failed = failed || check(lckv_evaluate(cache, items, sizeof items[0], N_TEXTS, NULL, NULL));
    for (size_t t = 0; t < N_TEXTS; t++) {
        lckv_session_release(sessions[t]);
        for (size_t i = 0; i < size && !failed; i++) {
            double sum = 0;
            for (size_t row = 0; row < items[t].n_tokens; row++)
                sum += items[t].hidden[row * size + i];
            means[t * size + i] = (float)(sum / (double)items[t].n_tokens);
            lasts[t * size + i] = items[t].hidden[(items[t].n_tokens - 1) * size + i];
        }
    }
    return failed;
}

static void print_cosines(const char *name, float *vectors, size_t size)
{
    normalize(vectors, size);
    printf("%s\n", name);
    for (size_t a = 0; a < N_TEXTS; a++) {
        for (size_t b = 0; b < N_TEXTS; b++) {
            double cosine = 0;
            for (size_t i = 0; i < size; i++)
                cosine += (double)vectors[a * size + i] * vectors[b * size + i];
            printf("%6.2f", cosine);
        }
        printf("  %s\n", texts[a]);
    }
}

int main(int argc, char **argv)
{
    const char *path = argc > 1 ? argv[1] : "examples/models/stories-lckv-q8_0.gguf";
    lckv_model *model = NULL;
    lckv_cache *cache = NULL;
    lckv_model_info info = {.size = sizeof info};
    /* No text is continued, so nothing is kept of released sessions. */
    lckv_cache_options options = {.size = sizeof options,
                                  .n_tokens = N_TEXTS * MAX_TOKENS,
                                  .max_sessions = N_TEXTS,
                                  .max_logit_rows = 1,
                                  .reuse = LCKV_REUSE_OFF};
    float *states = NULL, *means = NULL, *lasts = NULL;
    int failed = check(lckv_model_open(path, NULL, &model)) ||
                 check(lckv_model_get_info(model, &info)) ||
                 check(lckv_cache_create(model, &options, &cache));
    const size_t size = info.hidden_size;
    if (!failed) {
        states = malloc(N_TEXTS * MAX_TOKENS * size * sizeof *states);
        means = malloc(N_TEXTS * size * sizeof *means);
        lasts = malloc(N_TEXTS * size * sizeof *lasts);
        failed = states == NULL || means == NULL || lasts == NULL;
    }
    failed = failed || embed(model, cache, size, states, means, lasts);
    if (!failed) {
        print_cosines("mean of all hidden states", means, size);
        print_cosines("last hidden state", lasts, size);
    }
    free(states);
    free(means);
    free(lasts);
    lckv_cache_release(cache);
    lckv_model_release(model);
    return failed;
}
