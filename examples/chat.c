/*
 * A conversation in one session: each line of the user is written as the model's chat template
 * writes it, and appended; the earlier turns stay in the cache. A model without a template just
 * continues the text.
 *
 *     cc chat.c $(pkg-config --cflags --libs lckv) -o chat && ./chat MODEL
 */
#include <lckv.h>
#include <stdio.h>
#include <string.h>

#define MAX_TOKENS 2048

static int32_t print(void *user, lckv_token token, const char *text, size_t length)
{
    (void)user, (void)token;
    fwrite(text, 1, length, stdout);
    fflush(stdout);
    return 0;
}

static int check(lckv_status status)
{
    if (status != LCKV_OK)
        fprintf(stderr, "%s: %s\n", lckv_status_name(status), lckv_last_error());
    return status != LCKV_OK;
}

/*
 * The tokens to append for a line of the user: a turn as the model's chat template writes it, or if
 * there is none, the line itself. Nothing in the line can end the turn.
 */
static int tokenize(const lckv_model *model, const char *line, uint32_t flags,
                    lckv_token tokens[MAX_TOKENS], size_t *n)
{
    lckv_message message = {"user", 4, line, strlen(line)};
    lckv_status status = lckv_chat_tokenize(model, &message, sizeof message, 1, LCKV_CHAT_ANSWER,
                                            tokens, MAX_TOKENS, n);
    if (status == LCKV_UNSUPPORTED)
        status = lckv_tokenize(model, line, strlen(line), flags, tokens, MAX_TOKENS, n);
    return check(status);
}

/* Appends the user's turn and generates the answer. */
static int answer(const lckv_model *model, lckv_session *session, lckv_sampler *sampler,
                  const char *line)
{
    lckv_token tokens[MAX_TOKENS];
    size_t n = 0;
    uint64_t before = 0;
    lckv_generate_options options = {.size = sizeof options, .max_tokens = 80, .callback = print};
    if (check(lckv_session_length(session, &before)) ||
        tokenize(model, line, before > 0 ? LCKV_TOKENIZE_NO_BOS : 0, tokens, &n))
        return 1;
    int failed = n > 0 && check(lckv_generate(session, sampler, tokens, n, &options, NULL));
    putchar('\n');
    return failed;
}

int main(int argc, char **argv)
{
    const char *path = argc > 1 ? argv[1] : "examples/models/stories-lckv-q8_0.gguf";
    lckv_model *model = NULL;
    lckv_cache *cache = NULL;
    lckv_session *session = NULL;
    lckv_sampler *sampler = NULL;
    lckv_sampler_options sampling = {.size = sizeof sampling, .temperature = 0.7f, .top_p = 0.95f};
    int failed = check(lckv_model_open(path, NULL, &model)) ||
                 check(lckv_cache_create(model, NULL, &cache)) ||
                 check(lckv_session_create(cache, &session)) ||
                 check(lckv_sampler_create(&sampling, &sampler));
    char line[1024];
    while (!failed && fputs("> ", stdout) >= 0 && fflush(stdout) == 0 &&
           fgets(line, sizeof line, stdin) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        failed = line[0] != '\0' && answer(model, session, sampler, line);
    }
    putchar('\n');
    lckv_sampler_release(sampler);
    lckv_session_release(session);
    lckv_cache_release(cache);
    lckv_model_release(model);
    return failed;
}
