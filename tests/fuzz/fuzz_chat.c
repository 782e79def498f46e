/*
 * Conversations written by a template. The part "template" is the chat template of
 * tokenizer_config.json, "chat_template.jinja" is the one of its own file, and each other part is a
 * message whose role is the part's name.
 */
#include "tiny.h"
#include "touch.h"

enum { MAX_MESSAGES = 4 }; /* each may write all of the template */

static const char *const special_tokens[] = {"<s>", "</s>", "<|im_start|>", "<|im_end|>"};

/* Writes a tokenizer with a token for each byte, so that tokens give back every text. */
static void write_tokenizer(void)
{
    char text[8192];
    int used = sprintf(text, "{\"model\":{\"type\":\"BPE\",\"vocab\":{");
    for (unsigned byte = 0, n_others = 0; byte < 256; byte++) {
        bool is_itself = (byte > 0x20 && byte < 0x7F) || (byte > 0xA0 && byte != 0xAD);
        unsigned c = is_itself ? byte : 256 + n_others++;
        used += sprintf(text + used, "\"\\u%04x\":%u,", c, byte);
    }
    used += sprintf(text + used, "\"us\":256},\"merges\":[\"u s\"]},\"added_tokens\":[");
    for (unsigned i = 0; i < COUNT(special_tokens); i++)
        used += sprintf(text + used, "%s{\"id\":%u,\"content\":\"%s\",\"special\":true}",
                        i > 0 ? "," : "", 257 + i, special_tokens[i]);
    used += sprintf(text + used, "],\"pre_tokenizer\":{\"type\":\"ByteLevel\",\"add_prefix_space\":"
                                 "false,\"use_regex\":true},\"decoder\":{\"type\":\"ByteLevel\"}}");
    folder_write("tokenizer.json", text, (size_t)used, 0);
}

/* Writes tokenizer_config.json, with `template` as a JSON string unless it is NULL. */
static void write_config(const struct part *template)
{
    size_t length = template != NULL ? template->length : 0;
    char *config = malloc(length * 6 + 128);
    require(config != NULL, "no memory");
    size_t used = (size_t)sprintf(config, "{\"bos_token\":\"<s>\",\"eos_token\":\"</s>\"");
    if (template != NULL)
        used += (size_t)sprintf(config + used, ",\"chat_template\":\"");
    for (size_t i = 0; i < length; i++) {
        unsigned char byte = (unsigned char)template->body[i];
        if (byte < 0x20 || byte == '"' || byte == '\\')
            used += (size_t)sprintf(config + used, "\\u%04x", byte);
        else
            config[used++] = (char)byte;
    }
    used += (size_t)sprintf(config + used, "%s}", template != NULL ? "\"" : "");
    folder_write("tokenizer_config.json", config, used, 0);
    free(config);
}

/* Says whether a template may write special tokens: it needs their first byte or their names. */
static bool may_write_special(const struct part *template)
{
    return memchr(template->body, '<', template->length) != NULL ||
           memmem(template->body, template->length, "_token", 6) != NULL;
}

/* Checks that the tokens of a conversation give its text, and messages make no special one. */
static void check_tokens(const lckv_model *model, const lckv_message *messages, size_t n,
                         uint32_t flags, bool has_special)
{
    size_t n_tokens = 0, length = 0, text_length = 0;
    lckv_status status =
        lckv_chat_tokenize(model, messages, sizeof *messages, n, flags, NULL, 0, &n_tokens);
    if (!succeeded(status) && status != LCKV_BUFFER_TOO_SMALL)
        return;
    lckv_token *tokens = malloc((n_tokens + 1) * sizeof *tokens);
    char *text = malloc(n_tokens * 16 + 1), *written = malloc(n_tokens * 16 + 1);
    require(tokens != NULL && text != NULL && written != NULL, "no memory");
    require_ok(lckv_chat_tokenize(model, messages, sizeof *messages, n, flags, tokens, n_tokens,
                                  &n_tokens));
    for (size_t i = 0; i < n_tokens; i++)
        require(has_special || tokens[i] <= 256, "token %d of a message", (int)tokens[i]);
    require_ok(lckv_detokenize(model, tokens, n_tokens, LCKV_DETOKENIZE_SPECIAL, text,
                               n_tokens * 16, &length));
    require_ok(lckv_chat_format(model, messages, sizeof *messages, n, flags, written, n_tokens * 16,
                                &text_length));
    require(length == text_length && memcmp(text, written, length) == 0, "%.*s for %.*s",
            (int)length, text, (int)text_length, written);
    free(tokens);
    free(text);
    free(written);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct tiny tiny = {.n_layers = 1, .is_tied = true, .n_vocab = 261};
    struct input input = {data, size};
    struct part part, template = {.body = ""};
    lckv_message messages[MAX_MESSAGES];
    char roles[MAX_MESSAGES][sizeof part.name];
    size_t n = 0;
    bool has_special = false, has_config = false;
    lckv_pool *pool;
    lckv_model_options options = model_options(&pool);
    lckv_model *model = NULL;
    folder_begin();
    require(tiny_write_weights(&tiny, folder), "cannot write to %s", folder);
    write_tokenizer();
    while (n < COUNT(messages) && next_part(&input, &part)) {
        if (strcmp(part.name, "template") == 0) {
            template = part;
            has_config = true;
        } else if (strcmp(part.name, "chat_template.jinja") == 0) {
            folder_write_part(&part);
            has_special = has_special || may_write_special(&part);
        } else {
            lckv_message *message = &messages[n];
            strcpy(roles[n], part.name);
            *message = (lckv_message){roles[n], strlen(roles[n]), part.body, part.length};
            if (message->role_length == 0)
                message->role = NULL;
            if (message->content_length == 0)
                message->content = NULL;
            n++;
        }
    }
    write_config(has_config ? &template : NULL);
    has_special = has_special || may_write_special(&template);
    if (succeeded(lckv_model_open(folder, &options, &model)))
        check_tokens(model, messages, n, size % 2 == 0 ? LCKV_CHAT_ANSWER : 0, has_special);
    lckv_model_release(model);
    lckv_pool_release(pool);
    require_nothing_kept();
    return 0;
}
