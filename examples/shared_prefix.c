/*
 * Many sessions on one prefix, which is computed and kept once. Several answers to one prompt are
 * forks of a session; requests that come later find the prefix with lckv_session_reuse, also when
 * the sessions that computed it are gone. Prints the answers, and what was shared.
 *
 *     cc shared_prefix.c $(pkg-config --cflags --libs lckv) -o shared_prefix
 *     ./shared_prefix MODEL
 */
#include <lckv.h>
#include <stdio.h>
#include <string.h>

enum { N_ANSWERS = 4, MAX_PROMPT = 256, MAX_ANSWER = 30 };

static const char *const prefix =
    "Once upon a time, in a small village by the sea, there lived a girl named Mia. Mia had a "
    "little dog named Max, and a red boat that her grandpa had made. Every day Mia and Max sailed "
    "along the shore. They looked for shells, they fed the birds, and they talked to the old man "
    "who lived in the white house on the hill. One day";

static const char *const endings[] = {", it rained.", ", the boat was gone.", ", Max was sad."};

static int check(lckv_status status)
{
    if (status != LCKV_OK)
        fprintf(stderr, "%s: %s\n", lckv_status_name(status), lckv_last_error());
    return status != LCKV_OK;
}

/* Appends tokens; the cache then holds the logits after the last of them. */
static int append(lckv_session *session, const lckv_token *tokens, size_t n)
{
    const lckv_item item = {
        .session = session, .tokens = tokens, .n_tokens = n, .want = LCKV_WANT_LAST};
    return check(lckv_evaluate(lckv_session_cache(session), &item, sizeof item, 1, NULL, NULL));
}

struct answer {
    lckv_session *session;
    lckv_sampler *sampler;
    lckv_token tokens[MAX_ANSWER];
    size_t n_tokens;
    int has_ended;
};

/* Chooses a token for every answer that goes on, and appends all of them in one call. */
static int step(const lckv_model *model, lckv_cache *cache, struct answer answers[N_ANSWERS])
{
    lckv_item items[N_ANSWERS];
    size_t n = 0;
    for (size_t i = 0; i < N_ANSWERS; i++) {
        struct answer *a = &answers[i];
        lckv_token *token = &a->tokens[a->n_tokens];
        if (a->has_ended)
            continue;
        if (check(lckv_sampler_sample_session(a->sampler, a->session, token)) ||
            check(lckv_sampler_accept(a->sampler, *token)))
            return 1;
        a->n_tokens++;
        a->has_ended = lckv_model_is_end_token(model, *token);
        if (!a->has_ended)
            items[n++] = (lckv_item){
                .session = a->session, .tokens = token, .n_tokens = 1, .want = LCKV_WANT_LAST};
    }
    return n > 0 && check(lckv_evaluate(cache, items, sizeof items[0], n, NULL, NULL));
}

static int show(const lckv_model *model, lckv_cache *cache, const struct answer answers[N_ANSWERS])
{
    lckv_cache_stats stats = {.size = sizeof stats};
    for (size_t i = 0; i < N_ANSWERS; i++) {
        char text[1024];
        size_t length;
        if (check(lckv_detokenize(model, answers[i].tokens, answers[i].n_tokens,
                                  LCKV_DETOKENIZE_CONTINUES, text, sizeof text, &length)))
            return 1;
        printf("answer %zu: One day%.*s\n", i + 1, (int)length, text);
    }
    if (check(lckv_cache_get_stats(cache, &stats)))
        return 1;
    printf("with %d answers: %llu pages in use\n", N_ANSWERS,
           (unsigned long long)(stats.n_pages - stats.n_pages_free));
    return 0;
}

/*
 * Forks the session, which has logits, once for each answer, and writes all answers together. The
 * first token of each comes from the logits that a fork has in common with its original.
 */
static int write_answers(const lckv_model *model, lckv_session *session)
{
    lckv_cache *cache = lckv_session_cache(session);
    struct answer answers[N_ANSWERS] = {0};
    int failed = 0;
    for (size_t i = 0; i < N_ANSWERS && !failed; i++) {
        lckv_sampler_options options = {.size = sizeof options, .temperature = 0.9f, .seed = i + 1};
        failed = check(lckv_session_fork(session, &answers[i].session)) ||
                 check(lckv_sampler_create(&options, &answers[i].sampler));
    }
    for (size_t i = 0; i < MAX_ANSWER && !failed; i++)
        failed = step(model, cache, answers);
    failed = failed || show(model, cache, answers);
    for (size_t i = 0; i < N_ANSWERS; i++) {
        lckv_session_release(answers[i].session);
        lckv_sampler_release(answers[i].sampler);
    }
    return failed;
}

/* A request of its own: the same prefix with another ending. Nothing tells it of the others. */
static int request(const lckv_model *model, lckv_cache *cache, const char *ending)
{
    lckv_session *session = NULL;
    lckv_token tokens[MAX_PROMPT];
    char text[1024];
    size_t n, n_reused = 0;
    int length = snprintf(text, sizeof text, "%s%s", prefix, ending);
    int failed = check(lckv_tokenize(model, text, (size_t)length, 0, tokens, MAX_PROMPT, &n)) ||
                 check(lckv_session_create(cache, &session)) ||
                 check(lckv_session_reuse(session, tokens, n, &n_reused)) ||
                 append(session, tokens + n_reused, n - n_reused);
    if (!failed)
        printf("\"...%s\": %zu of %zu tokens were there\n", ending, n_reused, n);
    lckv_session_release(session);
    return failed;
}

int main(int argc, char **argv)
{
    const char *path = argc > 1 ? argv[1] : "examples/models/stories-lckv-q8_0.gguf";
    lckv_model *model = NULL;
    lckv_cache *cache = NULL;
    lckv_session *session = NULL;
    lckv_cache_options options = {
        .size = sizeof options, .n_tokens = 1024, .max_sessions = N_ANSWERS + 2};
    lckv_cache_stats stats = {.size = sizeof stats};
    lckv_token tokens[MAX_PROMPT];
    size_t n = 0;
    int failed = check(lckv_model_open(path, NULL, &model)) ||
                 check(lckv_cache_create(model, &options, &cache)) ||
                 check(lckv_session_create(cache, &session)) ||
                 check(lckv_tokenize(model, prefix, strlen(prefix), 0, tokens, MAX_PROMPT, &n)) ||
                 append(session, tokens, n) || check(lckv_cache_get_stats(cache, &stats));
    if (!failed)
        printf("a prefix of %zu tokens: %llu pages in use\n", n,
               (unsigned long long)(stats.n_pages - stats.n_pages_free));
    failed = failed || write_answers(model, session);
    lckv_session_release(session); /* the cache keeps its pages until it needs them */
    for (size_t i = 0; i < sizeof endings / sizeof endings[0] && !failed; i++)
        failed = request(model, cache, endings[i]);
    lckv_cache_release(cache);
    lckv_model_release(model);
    return failed;
}
