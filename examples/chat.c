/*
 * A conversation: in each turn all messages so far are written as the model's chat template writes
 * them, and a new session takes over what the cache has of them from the turn before, so only what
 * is new is computed. A model without a template just continues the text.
 *
 *     cc chat.c $(pkg-config --cflags --libs lckv) -o chat && ./chat MODEL
 */
#include <lckv.h>
#include <stdio.h>
#include <string.h>

enum { MAX_MESSAGES = 100, MAX_TEXT = 16384, MAX_TOKENS = 4096 };

struct conversation {
    lckv_message messages[MAX_MESSAGES];
    size_t n_messages;
    char text[MAX_TEXT]; /* the contents of all messages, one behind the other */
    size_t length;
};

static int check(lckv_status status)
{
    if (status != LCKV_OK)
        fprintf(stderr, "%s: %s\n", lckv_status_name(status), lckv_last_error());
    return status != LCKV_OK;
}

/* Adds text to the last message. What there is no room for is dropped. */
static void extend(struct conversation *conversation, const char *text, size_t length)
{
    lckv_message *last = &conversation->messages[conversation->n_messages - 1];
    if (length > MAX_TEXT - conversation->length)
        length = MAX_TEXT - conversation->length;
    memcpy(conversation->text + conversation->length, text, length);
    conversation->length += length;
    last->content_length += length;
}

static void begin_message(struct conversation *conversation, const char *role)
{
    conversation->messages[conversation->n_messages++] = (lckv_message){
        .role = role,
        .role_length = strlen(role),
        .content = conversation->text + conversation->length,
    };
}

/* Prints the answer piece by piece, and keeps it for the next turns. */
static int32_t take_answer(void *user, lckv_token token, const char *text, size_t length)
{
    (void)token;
    extend(user, text, length);
    fwrite(text, 1, length, stdout);
    fflush(stdout);
    return 0;
}

/* The tokens of the whole conversation. Nothing in a message can end its turn. */
static int tokenize(const lckv_model *model, const struct conversation *conversation,
                    lckv_token tokens[MAX_TOKENS], size_t *n)
{
    lckv_status status =
        lckv_chat_tokenize(model, conversation->messages, sizeof conversation->messages[0],
                           conversation->n_messages, LCKV_CHAT_ANSWER, tokens, MAX_TOKENS, n);
    if (status == LCKV_UNSUPPORTED) /* there is no template */
        status = lckv_tokenize(model, conversation->text, conversation->length, 0, tokens,
                               MAX_TOKENS, n);
    return check(status);
}

/* Answers the user's line. */
static int answer(lckv_cache *cache, lckv_sampler *sampler, struct conversation *conversation,
                  const char *line)
{
    static lckv_token tokens[MAX_TOKENS];
    const lckv_model *model = lckv_cache_model(cache);
    lckv_session *session = NULL;
    size_t n = 0, n_reused = 0;
    lckv_generate_options options = {.size = sizeof options,
                                     .max_tokens = 80,
                                     .callback = take_answer,
                                     .callback_user = conversation};
    if (conversation->n_messages + 2 > MAX_MESSAGES)
        return fputs("the conversation is too long\n", stderr), 1;
    begin_message(conversation, "user");
    extend(conversation, line, strlen(line));
    if (tokenize(model, conversation, tokens, &n))
        return 1;
    begin_message(conversation, "assistant");
    int failed =
        check(lckv_session_create(cache, &session)) ||
        check(lckv_session_reuse(session, tokens, n, &n_reused)) ||
        check(lckv_generate(session, sampler, tokens + n_reused, n - n_reused, &options, NULL));
    lckv_session_release(session); /* the cache keeps its pages until it needs them */
    putchar('\n');
    return failed;
}

int main(int argc, char **argv)
{
    static struct conversation conversation;
    const char *path = argc > 1 ? argv[1] : "examples/models/stories-lckv-q8_0.gguf";
    lckv_model *model = NULL;
    lckv_cache *cache = NULL;
    lckv_sampler *sampler = NULL;
    lckv_cache_options memory = {.size = sizeof memory, .n_tokens = MAX_TOKENS};
    lckv_sampler_options sampling = {.size = sizeof sampling, .temperature = 0.7f, .top_p = 0.95f};
    int failed = check(lckv_model_open(path, NULL, &model)) ||
                 check(lckv_cache_create(model, &memory, &cache)) ||
                 check(lckv_sampler_create(&sampling, &sampler));
    char line[1024];
    while (!failed && fputs("> ", stdout) >= 0 && fflush(stdout) == 0 &&
           fgets(line, sizeof line, stdin) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        failed = line[0] != '\0' && answer(cache, sampler, &conversation, line);
    }
    putchar('\n');
    lckv_sampler_release(sampler);
    lckv_cache_release(cache);
    lckv_model_release(model);
    return failed;
}
