/*
 * Many sessions with one call for each step: every lckv_evaluate appends a token to each session,
 * so that the weights are read once for all of them. This is what a server does.
 *
 *     cc many_sessions.c $(pkg-config --cflags --libs lckv) -o many_sessions
 *     ./many_sessions MODEL
 */
#include <lckv.h>
#include <stdio.h>
#include <string.h>

#define N_SESSIONS 6
#define N_STEPS 40

static const char *const prompts[N_SESSIONS] = {"Once upon a time", "One day, a little dog",
                                                "Tom and Mia",      "The old tree",
                                                "In a small house", "A brave mouse"};

struct story {
    lckv_session *session;
    lckv_sampler *sampler;
    lckv_token tokens[64 + N_STEPS];
    size_t n_tokens, n_done; /* all tokens so far, and those that are in the session */
    int ended;
};

static int check(lckv_status status)
{
    if (status != LCKV_OK)
        fprintf(stderr, "%s: %s\n", lckv_status_name(status), lckv_last_error());
    return status != LCKV_OK;
}

/* One step for all stories: the first appends the prompts, the others one token to each. */
static int step(lckv_model *model, lckv_cache *cache, struct story *stories)
{
    lckv_item items[N_SESSIONS];
    struct story *of_item[N_SESSIONS];
    size_t n = 0;
    for (int i = 0; i < N_SESSIONS; i++) {
        struct story *s = &stories[i];
        if (s->ended)
            continue;
        of_item[n] = s;
        items[n++] = (lckv_item){.session = s->session,
                                 .tokens = s->tokens + s->n_done,
                                 .n_tokens = s->n_tokens - s->n_done,
                                 .want = LCKV_WANT_LAST};
    }
    if (n == 0)
        return 0;
    if (check(lckv_evaluate(cache, items, sizeof items[0], n, NULL, NULL)))
        return 1;
    for (size_t i = 0; i < n; i++) {
        struct story *s = of_item[i];
        lckv_token token;
        s->n_done = s->n_tokens;
        if (check(lckv_sampler_sample_session(s->sampler, s->session, &token)) ||
            check(lckv_sampler_accept(s->sampler, token)))
            return 1;
        s->ended = lckv_model_is_end_token(model, token);
        s->tokens[s->n_tokens++] = token;
    }
    return 0;
}

static int start(lckv_model *model, lckv_cache *cache, struct story *story, int i)
{
    lckv_sampler_options options = {
        .size = sizeof options, .temperature = 0.7f, .seed = (uint64_t)i + 1};
    return check(lckv_session_create(cache, &story->session)) ||
           check(lckv_sampler_create(&options, &story->sampler)) ||
           check(lckv_tokenize(model, prompts[i], strlen(prompts[i]), 0, story->tokens, 64,
                               &story->n_tokens));
}

static int show(lckv_model *model, lckv_cache *cache, const struct story *stories)
{
    char text[4096];
    for (int i = 0; i < N_SESSIONS; i++) {
        size_t length;
        if (check(lckv_detokenize(model, stories[i].tokens, stories[i].n_tokens, 0, text,
                                  sizeof text, &length)))
            return 1;
        printf("%d: %.*s\n", i + 1, (int)length, text);
    }
    lckv_cache_stats stats = {.size = sizeof stats};
    lckv_model_info info = {.size = sizeof info};
    lckv_plan_info plan = {.size = sizeof plan};
    if (check(lckv_cache_get_stats(cache, &stats)) || check(lckv_model_get_info(model, &info)) ||
        check(lckv_plan_get_info(lckv_model_plan(model), &plan)))
        return 1;
    printf("%llu bytes of keys and values a token; a standard cache of %u layers would take %llu\n",
           (unsigned long long)stats.bytes_per_token, (unsigned)info.n_layers,
           (unsigned long long)(stats.bytes_per_token / plan.n_slots * info.n_layers));
    return 0;
}

int main(int argc, char **argv)
{
    static struct story stories[N_SESSIONS];
    const char *path = argc > 1 ? argv[1] : "examples/models/stories-lckv-q8_0.gguf";
    lckv_model *model = NULL;
    lckv_cache *cache = NULL;
    lckv_cache_options options = {.size = sizeof options, .max_sessions = N_SESSIONS};
    int failed = check(lckv_model_open(path, NULL, &model)) ||
                 check(lckv_cache_create(model, &options, &cache));
    for (int i = 0; !failed && i < N_SESSIONS; i++)
        failed = start(model, cache, &stories[i], i);
    for (int s = 0; !failed && s < N_STEPS; s++)
        failed = step(model, cache, stories);
    if (!failed)
        failed = show(model, cache, stories);
    for (int i = 0; i < N_SESSIONS; i++) {
        lckv_session_release(stories[i].session);
        lckv_sampler_release(stories[i].sampler);
    }
    lckv_cache_release(cache);
    lckv_model_release(model);
    return failed;
}
