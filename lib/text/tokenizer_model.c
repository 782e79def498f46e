/*
 * Reads a BPE model of tokenizer.json: vocabulary and merges. tokenizer_unigram.c reads the other
 * kind.
 */
#include "text/tokenizer_parts.h"

#include "base/status.h"
#include "base/text.h"
#include "text/metaspace.h"

#include <inttypes.h>
#include <string.h>

#define TOKENIZER "tokenizer.json"
#define MODEL TOKENIZER ": model"

/* Refuses options of the model that are not absent, null, false, 0 or "". */
static lckv_status check_unused_options(const struct json_value *model)
{
    static const char *const options[] = {"dropout", "continuing_subword_prefix",
                                          "end_of_word_suffix"};
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
    *n_tokens = 0;
    for (const struct json_value *value = json_first(vocab); value != NULL;
         value = json_next(vocab, value)) {
        int64_t id;
        lckv_status status = read_id(value, &id);
        if (status != LCKV_OK)
            return status;
        if ((uint64_t)id >= *n_tokens)
            *n_tokens = (uint64_t)id + 1;
    }
    return tokenizer_count_added(added, n_tokens);
}

/* With byte_fallback, tokens like "<0x0A>" stand for bytes. */
static lckv_status read_vocabulary(struct tokenizer *tokenizer, const struct json_value *vocab,
                                   const struct json_value *added, bool has_bytes)
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
            status = vocabulary_set(vocabulary, (uint64_t)id, json_name(value),
                                    has_bytes && metaspace_byte(json_name(value)) >= 0
                                        ? LCKV_TOKEN_BYTE
                                        : LCKV_TOKEN_NORMAL);
    }
    if (status == LCKV_OK)
        status = tokenizer_set_added(tokenizer, added, (uint32_t)json_count(vocab));
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

/* Reads model.unk_token, which stands for bytes or characters that have no token. */
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
    if (fuse && !tokenizer->bpe.characters)
        return fail(LCKV_UNSUPPORTED, MODEL ": fuse_unk is not supported");
    tokenizer->bpe.fuse_unknown = fuse;
    tokenizer->bpe.unknown = vocabulary_find(&tokenizer->vocabulary, unknown);
    if (tokenizer->bpe.unknown < 0)
        return fail(LCKV_BAD_FORMAT, MODEL ": unk_token %s: expected a token",
                    quoted(unknown.bytes, unknown.length).text);
    return LCKV_OK;
}

static lckv_status read_byte_fallback(const struct tokenizer *tokenizer,
                                      const struct json_value *model, bool *has_bytes)
{
    lckv_status status = json_get_bool(model, MODEL, "byte_fallback", has_bytes, NULL);
    if (status == LCKV_OK && *has_bytes && !tokenizer->vocabulary.metaspace)
        return fail(LCKV_UNSUPPORTED, MODEL ": byte_fallback together with ByteLevel is not "
                                            "supported");
    return status;
}

lckv_status tokenizer_read_model(struct tokenizer *tokenizer, const struct json_value *root)
{
    const struct json_value *model = NULL, *vocab = NULL, *merges = NULL, *added = NULL;
    bool has_bytes = false;
    lckv_status status = json_get_object(root, TOKENIZER, "model", &model);
    if (status == LCKV_OK && model == NULL)
        return fail(LCKV_BAD_FORMAT, TOKENIZER ": model is missing, expected an object");
    if (status == LCKV_OK)
        status = json_get_array(root, TOKENIZER, "added_tokens", &added);
    if (status == LCKV_OK && tokenizer->is_unigram)
        return tokenizer_read_unigram(tokenizer, model, added);
    if (status == LCKV_OK)
        status = check_model(model);
    if (status == LCKV_OK)
        status = read_byte_fallback(tokenizer, model, &has_bytes);
    if (status == LCKV_OK)
        status = json_get_object(model, MODEL, "vocab", &vocab);
    if (status == LCKV_OK)
        status = json_get_array(model, MODEL, "merges", &merges);
    if (status == LCKV_OK && (vocab == NULL || merges == NULL))
        return fail(LCKV_BAD_FORMAT, MODEL ": vocab or merges is missing");
    if (status == LCKV_OK)
        status = read_vocabulary(tokenizer, vocab, added, has_bytes);
    if (status == LCKV_OK)
        status = read_merges(tokenizer, merges);
    if (status == LCKV_OK)
        status = json_get_bool(model, MODEL, "ignore_merges", &tokenizer->bpe.ignore_merges, NULL);
    if (status == LCKV_OK)
        status = read_unknown(tokenizer, model);
    return status;
}
