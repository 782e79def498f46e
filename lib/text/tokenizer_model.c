/*
 * Reads the model of tokenizer.json: vocabulary, added tokens and merges.
 */
#include "text/tokenizer_parts.h"

#include "base/status.h"
#include "base/text.h"

#include <inttypes.h>
#include <string.h>

#define TOKENIZER "tokenizer.json"
#define MODEL TOKENIZER ": model"
#define ADDED TOKENIZER ": added_tokens"

/* Refuses options of the model that are not absent, null, false, 0 or "". */
static lckv_status check_unused_options(const struct json_value *model)
{
    static const char *const options[] = {"dropout", "continuing_subword_prefix",
                                          "end_of_word_suffix", "byte_fallback"};
    for (size_t i = 0; i < sizeof options / sizeof options[0]; i++) {
        const struct json_value *value = json_find(model, options[i]);
        double number = 1;
        bool unused = value == NULL || json_is(value, JSON_NULL) || json_is(value, JSON_FALSE) ||
                      (json_number(value, &number) && number == 0) ||
                      (json_is(value, JSON_STRING) && json_text(value).length == 0);
        if (!unused)
            return fail(LCKV_UNSUPPORTED, MODEL ": %s is not supported", options[i]);
    }
    return LCKV_OK;
}

static lckv_status check_model(const struct json_value *model)
{
    struct text type = {"BPE", 3}; /* old files do not have the member */
    lckv_status status = json_get_text(model, MODEL, "type", &type, NULL);
    if (status == LCKV_OK && !text_equals(type, "BPE"))
        return fail(LCKV_UNSUPPORTED, MODEL ": type %s is not supported, expected \"BPE\"",
                    quoted(type.bytes, type.length).text);
    if (status == LCKV_OK)
        status = check_unused_options(model);
    return status == LCKV_OK
               ? tokenizer_check_members(
                     model, MODEL,
                     "type dropout unk_token continuing_subword_prefix end_of_word_suffix fuse_unk "
                     "byte_fallback ignore_merges vocab merges")
               : status;
}

/* Reads the id of a token in the vocabulary. */
static lckv_status read_id(const struct json_value *value, int64_t *id)
{
    struct text token = json_name(value);
    if (!json_integer(value, id) || *id < 0 || *id >= TOKENIZER_MAX_TOKENS)
        return fail(LCKV_BAD_FORMAT, MODEL ": vocab: the id of %s: expected an integer below %u",
                    quoted(token.bytes, token.length).text, TOKENIZER_MAX_TOKENS);
    return LCKV_OK;
}

/* *n_tokens becomes one more than the largest id. */
static lckv_status count_tokens(const struct json_value *vocab, const struct json_value *added,
                                uint64_t *n_tokens)
{
    int64_t largest = -1;
    size_t i = 0;
    for (const struct json_value *value = json_first(vocab); value != NULL;
         value = json_next(vocab, value)) {
        int64_t id;
        lckv_status status = read_id(value, &id);
        if (status != LCKV_OK)
            return status;
        if (id > largest)
            largest = id;
    }
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
        if (id > largest)
            largest = id;
    }
    *n_tokens = (uint64_t)(largest + 1);
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

/* `next` is the id of the next token that the vocabulary does not have. */
static lckv_status set_added_token(struct vocabulary *vocabulary, const struct json_value *entry,
                                   uint32_t *next)
{
    static const char *const flag_names[N_TOKEN_FLAGS] = {"lstrip", "rstrip", "single_word",
                                                          "normalized"};
    uint32_t id = 0;
    struct text content = {"", 0};
    bool found = false, special = false, flags[N_TOKEN_FLAGS] = {false};
    lckv_status status = json_get_u32(entry, ADDED, "id", &id, NULL);
    if (status == LCKV_OK)
        status = json_get_text(entry, ADDED, "content", &content, &found);
    if (status == LCKV_OK && !found)
        return fail(LCKV_BAD_FORMAT, ADDED ": content of id %" PRIu32 ": expected a string", id);
    if (status == LCKV_OK)
        status = tokenizer_check_members(entry, ADDED,
                                         "id content single_word lstrip rstrip normalized special");
    if (status == LCKV_OK)
        status = json_get_bool(entry, ADDED, "special", &special, NULL);
    for (size_t i = 0; status == LCKV_OK && i < N_TOKEN_FLAGS; i++)
        status = json_get_bool(entry, ADDED, flag_names[i], &flags[i], NULL);
    if (status != LCKV_OK)
        return status;

    /* Of a text that is listed already the id that it has counts, and of its flags the last. */
    lckv_token listed = vocabulary_find(vocabulary, content);
    if (listed < 0) {
        status = vocabulary_set(vocabulary, id, content, LCKV_TOKEN_USER_DEFINED);
        if (status == LCKV_OK)
            status = check_added_id(content, id, *next);
        if (status != LCKV_OK)
            return status;
        listed = (lckv_token)id;
    }
    if ((uint32_t)listed >= *next)
        *next = (uint32_t)listed + 1;
    struct vocabulary_token *token = &vocabulary->tokens[listed];
    token->type = special ? LCKV_TOKEN_CONTROL : LCKV_TOKEN_USER_DEFINED;
    token->flags = 0;
    for (uint32_t i = 0; i < N_TOKEN_FLAGS; i++)
        token->flags |= flags[i] ? 1u << i : 0;
    return LCKV_OK;
}

static lckv_status read_vocabulary(struct tokenizer *tokenizer, const struct json_value *vocab,
                                   const struct json_value *added)
{
    struct vocabulary *vocabulary = &tokenizer->vocabulary;
    uint64_t n_tokens = 0;
    lckv_status status = count_tokens(vocab, added, &n_tokens);
    uint64_t n_listed = (uint64_t)json_count(vocab) + json_count(added);
    if (status == LCKV_OK)
        status = vocabulary_init(vocabulary, &tokenizer->arena, n_tokens, n_listed);
    for (const struct json_value *value = json_first(vocab); status == LCKV_OK && value != NULL;
         value = json_next(vocab, value)) {
        int64_t id = 0;
        status = read_id(value, &id);
        if (status == LCKV_OK)
            status = vocabulary_set(vocabulary, (uint64_t)id, json_name(value), LCKV_TOKEN_NORMAL);
    }
    uint32_t next = (uint32_t)json_count(vocab);
    for (const struct json_value *entry = json_first(added); status == LCKV_OK && entry != NULL;
         entry = json_next(added, entry))
        status = set_added_token(vocabulary, entry, &next);
    if (status == LCKV_OK)
        status = vocabulary_finish(vocabulary);
    return status == LCKV_OK ? status : fail_in(status, TOKENIZER);
}

/* Takes "left right" or ["left", "right"]; false for anything else. */
static bool parse_merge(const struct json_value *merge, struct text *left, struct text *right)
{
    if (json_is(merge, JSON_STRING)) {
        struct text both = json_text(merge);
        const char *space = memchr(both.bytes, ' ', both.length);
        if (space == NULL)
            return false;
        *left = (struct text){both.bytes, (size_t)(space - both.bytes)};
        *right = (struct text){space + 1, both.length - left->length - 1};
    } else {
        if (!json_is(merge, JSON_ARRAY) || json_count(merge) != 2)
            return false;
        const struct json_value *first = json_first(merge), *second = json_next(merge, first);
        if (!json_is(first, JSON_STRING) || !json_is(second, JSON_STRING))
            return false;
        *left = json_text(first);
        *right = json_text(second);
    }
    return left->length > 0 && right->length > 0 &&
           memchr(left->bytes, ' ', left->length) == NULL &&
           memchr(right->bytes, ' ', right->length) == NULL;
}

static lckv_status read_merges(struct tokenizer *tokenizer, const struct json_value *merges)
{
    lckv_status status = bpe_init(&tokenizer->bpe, &tokenizer->vocabulary, json_count(merges));
    tokenizer->bpe.last_counts = true;
    size_t i = 0;
    for (const struct json_value *merge = json_first(merges); status == LCKV_OK && merge != NULL;
         merge = json_next(merges, merge), i++) {
        struct text left, right;
        if (!parse_merge(merge, &left, &right))
            return fail(
                LCKV_BAD_FORMAT,
                MODEL ": merges: entry %zu: expected \"left right\" or [\"left\", \"right\"]", i);
        bool known = false;
        status = bpe_add_merge(&tokenizer->bpe, left, right, &known);
        if (status == LCKV_OK && !known)
            return fail(LCKV_BAD_FORMAT,
                        MODEL ": merges: entry %zu: %s and %s: expected tokens that make a token",
                        i, quoted(left.bytes, left.length).text,
                        quoted(right.bytes, right.length).text);
    }
    return status == LCKV_OK ? status : fail_in(status, MODEL);
}

/* Reads model.unk_token, which stands for bytes that have no token. */
static lckv_status read_unknown(struct tokenizer *tokenizer, const struct json_value *model)
{
    struct text unknown = {"", 0};
    bool found, fuse = false, complete = true;
    lckv_status status = json_get_text(model, MODEL, "unk_token", &unknown, &found);
    if (status == LCKV_OK)
        status = json_get_bool(model, MODEL, "fuse_unk", &fuse, NULL);
    for (int byte = 0; byte < 256; byte++)
        complete = complete && tokenizer->vocabulary.bytes[byte] >= 0;
    if (status != LCKV_OK || !found || complete)
        return status;
    if (fuse)
        return fail(LCKV_UNSUPPORTED, MODEL ": fuse_unk is not supported");
    tokenizer->bpe.unknown = vocabulary_find(&tokenizer->vocabulary, unknown);
    if (tokenizer->bpe.unknown < 0)
        return fail(LCKV_BAD_FORMAT, MODEL ": unk_token %s: expected a token",
                    quoted(unknown.bytes, unknown.length).text);
    return LCKV_OK;
}

lckv_status tokenizer_read_model(struct tokenizer *tokenizer, const struct json_value *root)
{
    const struct json_value *model = NULL, *vocab = NULL, *merges = NULL, *added = NULL;
    lckv_status status = json_get_object(root, TOKENIZER, "model", &model);
    if (status == LCKV_OK && model == NULL)
        return fail(LCKV_BAD_FORMAT, TOKENIZER ": model is missing, expected an object");
    if (status == LCKV_OK)
        status = check_model(model);
    if (status == LCKV_OK)
        status = json_get_object(model, MODEL, "vocab", &vocab);
    if (status == LCKV_OK)
        status = json_get_array(model, MODEL, "merges", &merges);
    if (status == LCKV_OK && (vocab == NULL || merges == NULL))
        return fail(LCKV_BAD_FORMAT, MODEL ": vocab or merges is missing");
    if (status == LCKV_OK)
        status = json_get_array(root, TOKENIZER, "added_tokens", &added);
    if (status == LCKV_OK)
        status = read_vocabulary(tokenizer, vocab, added);
    if (status == LCKV_OK)
        status = read_merges(tokenizer, merges);
    if (status == LCKV_OK)
        status = json_get_bool(model, MODEL, "ignore_merges", &tokenizer->bpe.ignore_merges, NULL);
    if (status == LCKV_OK)
        status = read_unknown(tokenizer, model);
    return status;
}
