/*
 * Reads the added tokens of tokenizer.json, which stand beside the model's vocabulary or in it.
 */
#include "text/tokenizer_parts.h"

#include "base/status.h"

#include <inttypes.h>

#define ADDED "tokenizer.json: added_tokens"

lckv_status tokenizer_count_added(const struct json_value *added, uint64_t *n_tokens)
{
    size_t i = 0;
    for (const struct json_value *entry = json_first(added); entry != NULL;
         entry = json_next(added, entry), i++) {
        uint32_t id = 0;
        bool found;
        lckv_status status = json_get_u32(entry, ADDED, "id", &id, &found);
        if (status != LCKV_OK)
            return status;
        if (!found || id >= TOKENIZER_MAX_TOKENS)
            return fail(LCKV_BAD_FORMAT, ADDED ": id of entry %zu: expected an integer below %u", i,
                        TOKENIZER_MAX_TOKENS);
        if (id >= *n_tokens)
            *n_tokens = (uint64_t)id + 1;
    }
    return LCKV_OK;
}

/*
 * Hugging Face's tokenizers numbers added tokens itself: from the size of the vocabulary on, in the
 * order of the list, unless the vocabulary has their text. Files that it wrote give the same ids;
 * in others it is not known which of the two ids a model was trained with.
 */
static lckv_status check_added_id(struct text content, uint32_t id, uint32_t next)
{
    if (id == next)
        return LCKV_OK;
    return fail(LCKV_UNSUPPORTED,
                ADDED ": %s has id %" PRIu32 "; expected %" PRIu32
                      ", the next one, which other readers of the file give it",
                quoted(content.bytes, content.length).text, id, next);
}

lckv_status tokenizer_set_added_token(struct vocabulary *vocabulary, const struct json_value *entry,
                                      uint32_t id, uint32_t *next)
{
    static const char *const flag_names[] = {"lstrip", "rstrip", "single_word", "normalized"};
    enum { N_FLAGS = sizeof flag_names / sizeof flag_names[0] };
    struct text content = {"", 0};
    bool found = false, special = false, flags[N_FLAGS] = {false};
    lckv_status status = json_get_text(entry, ADDED, "content", &content, &found);
    if (status == LCKV_OK && !found)
        return fail(LCKV_BAD_FORMAT, ADDED ": content of id %" PRIu32 ": expected a string", id);
    if (status == LCKV_OK)
        status = tokenizer_check_members(
            entry, ADDED, "id content single_word lstrip rstrip normalized special __type");
    if (status == LCKV_OK)
        status = json_get_bool(entry, ADDED, "special", &special, NULL);
    for (size_t i = 0; status == LCKV_OK && i < N_FLAGS; i++)
        status = json_get_bool(entry, ADDED, flag_names[i], &flags[i], NULL);
    if (status != LCKV_OK)
        return status;

    /* Of a text that is listed already the id that it has counts, and of its flags the last. */
    lckv_token listed = vocabulary_find(vocabulary, content);
    if (listed < 0) {
        status = vocabulary_set(vocabulary, id, content, LCKV_TOKEN_USER_DEFINED);
        if (status == LCKV_OK && next != NULL)
            status = check_added_id(content, id, *next);
        if (status != LCKV_OK)
            return status;
        listed = (lckv_token)id;
    }
    if (next != NULL && (uint32_t)listed >= *next)
        *next = (uint32_t)listed + 1;
    struct vocabulary_token *token = &vocabulary->tokens[listed];
    if (!special)
        token->type = LCKV_TOKEN_USER_DEFINED;
    else if (token->type != LCKV_TOKEN_UNKNOWN)
        token->type = LCKV_TOKEN_CONTROL;
    token->flags = 0;
    for (uint32_t i = 0; i < N_FLAGS; i++)
        token->flags |= flags[i] ? 1u << i : 0;
    return LCKV_OK;
}

lckv_status tokenizer_set_added(struct tokenizer *tokenizer, const struct json_value *added,
                                uint32_t next)
{
    lckv_status status = LCKV_OK;
    for (const struct json_value *entry = json_first(added); status == LCKV_OK && entry != NULL;
         entry = json_next(added, entry)) {
        uint32_t id = 0;
        status = json_get_u32(entry, ADDED, "id", &id, NULL);
        if (status == LCKV_OK)
            status = tokenizer_set_added_token(&tokenizer->vocabulary, entry, id, &next);
    }
    return status;
}
