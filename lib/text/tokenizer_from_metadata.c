/*
 * Makes a tokenizer from the tokenizer.ggml.* keys of a GGUF file.
 */
#include "text/tokenizer_parts.h"

#include "base/reader.h"
#include "base/status.h"
#include "base/text.h"

#include <inttypes.h>
#include <string.h>

const char *const tokenizer_flag_keys[N_TOKEN_FLAGS] = {
    KEY_STRIP_LEFT, KEY_STRIP_RIGHT, KEY_SINGLE_WORD, KEY_NORMALIZED, KEY_WEIGHED};

/* Finds the array with that key. *value becomes NULL if it is missing. */
static lckv_status get_array(const struct metadata *metadata, const char *key, uint32_t type,
                             const struct metadata_value **value)
{
    *value = metadata_find(metadata, key);
    if (*value == NULL)
        return LCKV_OK;
    bool is_type = (*value)->element_type == type ||
                   (type == METADATA_I32 && (*value)->element_type == METADATA_U32);
    if ((*value)->type != METADATA_ARRAY || !is_type)
        return fail(LCKV_BAD_FORMAT, "%s: expected an array of %s", key,
                    type == METADATA_STRING ? "strings" : "32-bit integers");
    return LCKV_OK;
}

static lckv_status require_array(const struct metadata *metadata, const char *key, uint32_t type,
                                 const struct metadata_value **value)
{
    lckv_status status = get_array(metadata, key, type, value);
    if (status == LCKV_OK && *value == NULL)
        return fail(LCKV_BAD_FORMAT, "%s is missing, expected an array", key);
    return status;
}

static lckv_status read_vocabulary(struct tokenizer *tokenizer, const struct metadata *metadata)
{
    const struct metadata_value *tokens, *types;
    lckv_status status = require_array(metadata, KEY_TOKENS, METADATA_STRING, &tokens);
    if (status == LCKV_OK)
        status = get_array(metadata, KEY_TYPES, METADATA_I32, &types);
    if (status != LCKV_OK)
        return status;
    if (types != NULL && types->count != tokens->count)
        return fail(LCKV_BAD_FORMAT,
                    "%s: %" PRIu64 " types, expected one for each of %" PRIu64 " tokens", KEY_TYPES,
                    types->count, tokens->count);
    struct reader reader;
    if (types != NULL)
        reader_init(&reader, types->as.elements, (size_t)types->count * sizeof(int32_t), KEY_TYPES);
    status =
        vocabulary_init(&tokenizer->vocabulary, &tokenizer->arena, tokens->count, tokens->count);
    for (uint64_t id = 0; status == LCKV_OK && id < tokens->count; id++) {
        int32_t type = LCKV_TOKEN_NORMAL;
        if (types != NULL)
            type = (int32_t)reader_u32(&reader, "a token's type");
        status = vocabulary_set(&tokenizer->vocabulary, id, tokens->as.strings[id], type);
    }
    if (status == LCKV_OK && types != NULL)
        status = reader_status(&reader);
    if (status == LCKV_OK)
        status = vocabulary_finish(&tokenizer->vocabulary);
    return status == LCKV_OK ? status : fail_in(status, "%s", KEY_TOKENS);
}

/*
 * Reads merges, "left right". Those whose texts are no tokens can never happen, and are skipped.
 * Where scores decide there are none.
 */
static lckv_status read_merges(struct tokenizer *tokenizer, const struct metadata *metadata)
{
    const struct metadata_value *merges;
    if (tokenizer->is_unigram || tokenizer->bpe.by_score)
        return bpe_init(&tokenizer->bpe, &tokenizer->vocabulary, 0);
    lckv_status status = require_array(metadata, KEY_MERGES, METADATA_STRING, &merges);
    if (status == LCKV_OK)
        status = bpe_init(&tokenizer->bpe, &tokenizer->vocabulary, merges->count);
    for (uint64_t i = 0; status == LCKV_OK && i < merges->count; i++) {
        struct text merge = merges->as.strings[i];
        const char *space =
            merge.length > 0 ? memchr(merge.bytes + 1, ' ', merge.length - 1) : NULL;
        size_t left = space != NULL ? (size_t)(space - merge.bytes) : 0;
        if (left == 0 || left + 1 == merge.length)
            return fail(LCKV_BAD_FORMAT,
                        "%s: merge %" PRIu64 " is %s, expected two tokens and a "
                        "space",
                        KEY_MERGES, i, quoted(merge.bytes, merge.length).text);
        bool known;
        struct text right = {space + 1, merge.length - left - 1};
        status = bpe_add_merge(&tokenizer->bpe, (struct text){merge.bytes, left}, right, &known);
        if (status != LCKV_OK)
            status = fail_in(status, "%s", KEY_MERGES);
    }
    return status;
}

static lckv_status read_behavior(struct text name, enum pretokenizer_behavior *behavior,
                                 bool *inverted)
{
    struct text rest = name;
    *inverted = text_begins(name, INVERTED);
    if (*inverted)
        rest = (struct text){name.bytes + strlen(INVERTED), name.length - strlen(INVERTED)};
    if (!pretokenizer_find_behavior(rest, behavior))
        return fail(LCKV_UNSUPPORTED, "%s: behavior %s is not supported", KEY_BEHAVIORS,
                    quoted(name.bytes, name.length).text);
    return LCKV_OK;
}

static lckv_status read_patterns(struct tokenizer *tokenizer, const struct metadata *metadata)
{
    const struct metadata_value *patterns, *behaviors;
    lckv_status status = get_array(metadata, KEY_PATTERNS, METADATA_STRING, &patterns);
    if (status == LCKV_OK)
        status = get_array(metadata, KEY_BEHAVIORS, METADATA_STRING, &behaviors);
    uint64_t count = patterns != NULL ? patterns->count : 0;
    if (status == LCKV_OK && behaviors != NULL && behaviors->count != count)
        return fail(LCKV_BAD_FORMAT,
                    "%s: %" PRIu64 " behaviors, expected one for each of %" PRIu64 " patterns",
                    KEY_BEHAVIORS, behaviors->count, count);
    for (uint64_t i = 0; status == LCKV_OK && i < count; i++) {
        enum pretokenizer_behavior behavior = PRETOKENIZER_ISOLATED;
        bool inverted = false;
        if (behaviors != NULL)
            status = read_behavior(behaviors->as.strings[i], &behavior, &inverted);
        if (status != LCKV_OK)
            return status;
        status =
            pretokenizer_add(&tokenizer->pretokenizer, patterns->as.strings[i], behavior, inverted);
        if (status != LCKV_OK)
            status = fail_in(status, "%s", KEY_PATTERNS);
    }
    return status;
}

static lckv_status read_pretokenizer(struct tokenizer *tokenizer, const struct metadata *metadata)
{
    struct text name = {"default", strlen("default")};
    lckv_status status = metadata_get_text(metadata, KEY_PRE, &name, NULL);
    if (status != LCKV_OK)
        return status;
    if (text_equals(name, PRE_OWN))
        return read_patterns(tokenizer, metadata);
    const struct pretokenizer_kind *kind = pretokenizer_find_kind(name);
    if (kind == NULL)
        return fail(LCKV_UNSUPPORTED, "%s: pre-tokenizer %s is not supported", KEY_PRE,
                    quoted(name.bytes, name.length).text);
    tokenizer->bpe.ignore_merges = kind->ignore_merges;
    tokenizer->add_bos = kind->add_bos;
    return pretokenizer_add_kind(&tokenizer->pretokenizer, kind);
}

/* *token stays as it is if the key is missing, or holds the -1 that some converters write. */
static lckv_status read_token(const struct tokenizer *tokenizer, const struct metadata *metadata,
                              const char *key, lckv_token *token)
{
    uint32_t id = UINT32_MAX;
    lckv_status status = metadata_get_u32(metadata, key, &id, NULL);
    if (status != LCKV_OK || id == UINT32_MAX)
        return status;
    if (id >= tokenizer->vocabulary.n_tokens)
        return fail(LCKV_BAD_FORMAT, "%s is %" PRIu32 ", expected less than %" PRIu32, key, id,
                    tokenizer->vocabulary.n_tokens);
    *token = (lckv_token)id;
    return LCKV_OK;
}

static lckv_status read_flags(struct tokenizer *tokenizer, const struct metadata *metadata,
                              const char *key, uint32_t flag)
{
    const struct metadata_value *ids;
    lckv_status status = get_array(metadata, key, METADATA_I32, &ids);
    if (status != LCKV_OK || ids == NULL)
        return status;
    struct reader reader;
    reader_init(&reader, ids->as.elements, (size_t)ids->count * sizeof(int32_t), key);
    for (uint64_t i = 0; i < ids->count; i++) {
        uint32_t id = reader_u32(&reader, "a token");
        if (id >= tokenizer->vocabulary.n_tokens)
            return fail(LCKV_BAD_FORMAT, "%s has %" PRIu32 ", expected less than %" PRIu32, key, id,
                        tokenizer->vocabulary.n_tokens);
        tokenizer->vocabulary.tokens[id].flags |= flag;
    }
    return reader_status(&reader);
}

static lckv_status read_normalizer(struct tokenizer *tokenizer, const struct metadata *metadata)
{
    struct text json = {"", 0};
    bool nfc = false;
    lckv_status status = metadata_get_bool(metadata, KEY_NFC, &nfc, NULL);
    if (status == LCKV_OK && nfc)
        status = tokenizer_add_nfc(tokenizer);
    if (status == LCKV_OK)
        status = metadata_get_text(metadata, KEY_NORMALIZER, &json, NULL);
    return status == LCKV_OK && json.length > 0 ? tokenizer_read_normalizer_text(tokenizer, json)
                                                : status;
}

static lckv_status read_rules(struct tokenizer *tokenizer, const struct metadata *metadata)
{
    lckv_status status = special_ids_read_metadata(&tokenizer->ids, metadata);
    if (status == LCKV_OK)
        status = special_ids_check(&tokenizer->ids, tokenizer->vocabulary.n_tokens);
    for (uint32_t i = 0; status == LCKV_OK && i < N_TOKEN_FLAGS; i++)
        status = read_flags(tokenizer, metadata, tokenizer_flag_keys[i], 1u << i);
    if (status == LCKV_OK)
        status = read_token(tokenizer, metadata, KEY_UNKNOWN_BYTE, &tokenizer->bpe.unknown);
    if (status == LCKV_OK)
        status = metadata_get_bool(metadata, KEY_ADD_BOS, &tokenizer->add_bos, NULL);
    if (status == LCKV_OK)
        status = metadata_get_bool(metadata, KEY_ADD_EOS, &tokenizer->add_eos, NULL);
    if (status == LCKV_OK)
        status = read_normalizer(tokenizer, metadata);
    if (status == LCKV_OK)
        status =
            metadata_get_bool(metadata, KEY_IGNORE_MERGES, &tokenizer->bpe.ignore_merges, NULL);
    return status;
}

lckv_status tokenizer_read_metadata(struct tokenizer *tokenizer, const struct metadata *metadata)
{
    struct text model = {"", 0}, chat_template = {"", 0};
    lckv_status status = metadata_get_text(metadata, KEY_MODEL, &model, NULL);
    bool is_spaced = tokenizer_is_spaced(model);
    if (status == LCKV_OK && !is_spaced && !text_equals(model, "gpt2"))
        return fail(LCKV_UNSUPPORTED,
                    "%s: tokenizer %s is not supported, expected \"gpt2\", \"llama\", \"t5\" or "
                    "\"gemma4\"",
                    KEY_MODEL, quoted(model.bytes, model.length).text);
    if (status == LCKV_OK && is_spaced)
        status = tokenizer_read_spacing(tokenizer, metadata, model);
    if (status == LCKV_OK)
        status = read_vocabulary(tokenizer, metadata);
    if (status == LCKV_OK)
        status = read_merges(tokenizer, metadata);
    if (status == LCKV_OK && !is_spaced)
        status = read_pretokenizer(tokenizer, metadata);
    if (status == LCKV_OK)
        status = read_rules(tokenizer, metadata);
    if (status == LCKV_OK && is_spaced)
        status = tokenizer_read_scores(tokenizer, metadata, model);
    if (status == LCKV_OK)
        status = metadata_get_text(metadata, KEY_CHAT_TEMPLATE, &chat_template, NULL);
    return status == LCKV_OK ? tokenizer_set_chat_template(tokenizer, chat_template) : status;
}
