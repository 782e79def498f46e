/*
 * The shortest useful program: it opens a model, appends a prompt, and prints it and its
 * continuation.
 *
 *     cc minimal.c $(pkg-config --cflags --libs lckv) -o minimal && ./minimal MODEL
 */
#include <lckv.h>
#include <stdio.h>
#include <string.h>

static int32_t print(void *user, lckv_token token, const char *text, size_t length)
{
    (void)token;
    fwrite(text, 1, length, user);
    return 0;
}

int main(int argc, char **argv)
{
    const char *path = argc > 1 ? argv[1] : "examples/models/stories-lckv-q8_0.gguf";
    const char *prompt = "Once upon a time";
    lckv_model *model = NULL;
    lckv_cache *cache = NULL;
    lckv_session *session = NULL;
    lckv_token tokens[64];
    size_t n = 0;
    lckv_generate_options options = {
        .size = sizeof options, .max_tokens = 64, .callback = print, .callback_user = stdout};
    int failed = lckv_model_open(path, NULL, &model) ||
                 lckv_tokenize(model, prompt, strlen(prompt), 0, tokens, 64, &n) ||
                 lckv_cache_create(model, NULL, &cache) || lckv_session_create(cache, &session);
    if (!failed)
        fputs(prompt, stdout);
    failed = failed || lckv_generate(session, NULL, tokens, n, &options, NULL);
    if (failed)
        fprintf(stderr, "%s\n", lckv_last_error());
    putchar('\n');
    lckv_session_release(session);
    lckv_cache_release(cache);
    lckv_model_release(model);
    return failed ? 1 : 0;
}
