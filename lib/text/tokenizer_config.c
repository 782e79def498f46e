/*
 * Reads tokenizer_config.json: the special tokens, the chat template, and rules that count before
 * those of tokenizer.json.
 */
#include "text/tokenizer_parts.h"

#include "base/status.h"
#include "base/text.h"

#define CONFIG "tokenizer_config.json"

/* Reads a token, "text" or {"content": "text"}. A text that is no token gives -1, no failure. */
static lckv_status read_special(struct tokenizer *tokenizer, const struct json_value *config,
                                const char *what, const char *key, lckv_token *token)
{
    struct text text = {"", 0};
    bool found;
    const struct json_value *value = json_find(config, key);
    lckv_status status = json_is(value, JSON_OBJECT)
                             ? json_get_text(value, what, "content", &text, &found)
                             : json_get_text(config, what, key, &text, &found);
    if (status == LCKV_OK && found)
        *token = vocabulary_find(&tokenizer->vocabulary, text);
    return status;
}

lckv_status tokenizer_set_chat_template(struct tokenizer *tokenizer, struct text source)
{
    tokenizer->chat_template.length = source.length;
    return arena_copy(&tokenizer->arena, source.bytes, source.length,
                      &tokenizer->chat_template.bytes);
}

/* Reads a string, or a list of named strings, of which the one named "default" counts. */
lckv_status tokenizer_read_chat_template(struct tokenizer *tokenizer,
                                         const struct json_value *config)
{
    struct text source = {"", 0};
    const struct json_value *value = json_find(config, "chat_template");
    lckv_status status = LCKV_OK;
    if (!json_is(value, JSON_ARRAY))
        status = json_get_text(config, CONFIG, "chat_template", &source, NULL);
    const struct json_value *entry = json_is(value, JSON_ARRAY) ? json_first(value) : NULL;
    for (; status == LCKV_OK && entry != NULL; entry = json_next(value, entry)) {
        struct text name = {"", 0};
        status = json_get_text(entry, CONFIG ": chat_template", "name", &name, NULL);
        if (status == LCKV_OK && text_equals(name, "default"))
            status = json_get_text(entry, CONFIG ": chat_template", "template", &source, NULL);
    }
    return status == LCKV_OK ? tokenizer_set_chat_template(tokenizer, source) : status;
}

lckv_status tokenizer_read_specials(struct tokenizer *tokenizer, const struct json_value *config,
                                    const char *what)
{
    static const char *const keys[N_SPECIALS] = {"bos_token", "eos_token", "unk_token", "pad_token",
                                                 "eot_token"};
    struct special_ids *ids = &tokenizer->ids;
    lckv_status status = LCKV_OK;
    for (size_t i = 0; status == LCKV_OK && i < N_SPECIALS; i++) {
        lckv_token token = -1;
        status = read_special(tokenizer, config, what, keys[i], &token);
        if (ids->special[i] < 0)
            ids->special[i] = token;
        if (status == LCKV_OK && (i == LCKV_SPECIAL_EOS || i == LCKV_SPECIAL_EOT))
            status = special_ids_add_end(ids, token);
    }
    return status;
}

lckv_status tokenizer_read_config_rules(struct tokenizer *tokenizer,
                                        const struct json_value *config)
{
    lckv_status status = json_get_bool(config, CONFIG, "add_bos_token", &tokenizer->add_bos, NULL);
    if (status == LCKV_OK)
        status = json_get_bool(config, CONFIG, "add_eos_token", &tokenizer->add_eos, NULL);
    return status;
}
