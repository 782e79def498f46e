/*
 * Reads tokenizers with a spaced vocabulary from GGUF metadata: "llama" (SentencePiece's BPE), "t5"
 * (its unigram model) and "gemma4" (BPE with merges).
 *
 * The field's keys say less about them than there is to say. Where their defaults would not give
 * the same tokenizer again, a key of lckv's own holds the traits (traits.h).
 */
#include "text/tokenizer_parts.h"

#include "base/reader.h"
#include "base/status.h"
#include "base/text.h"
#include "text/traits.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

bool tokenizer_is_spaced(struct text model)
{
    return spaced_kind_find(model) != NULL;
}

static lckv_status read_charsmap(struct tokenizer *tokenizer, const struct metadata *metadata)
{
    const struct metadata_value *value = metadata_find(metadata, KEY_CHARSMAP);
    if (value == NULL)
        return LCKV_OK;
    if (value->type != METADATA_ARRAY ||
        (value->element_type != METADATA_U8 && value->element_type != METADATA_I8))
        return fail(LCKV_BAD_FORMAT, "%s: expected an array of bytes", KEY_CHARSMAP);
    struct text bytes = {(const char *)value->as.elements, (size_t)value->count};
    lckv_status status = charsmap_init(&tokenizer->spacing.charsmap, bytes, &tokenizer->arena);
    return status == LCKV_OK ? status : fail_in(status, "%s", KEY_CHARSMAP);
}

lckv_status tokenizer_read_spacing(struct tokenizer *tokenizer, const struct metadata *metadata,
                                   struct text model)
{
    const struct spaced_kind *kind = spaced_kind_find(model);
    struct text words = {"", 0};
    bool found, space_prefix = kind->space_prefix, remove_spaces = false;
    uint32_t traits = 0;
    tokenizer->vocabulary.metaspace = true;
    tokenizer->bpe.characters = true;
    tokenizer->add_bos = kind->add_bos;
    tokenizer->add_eos = kind->add_eos;
    lckv_status status = metadata_get_bool(metadata, KEY_SPACE_PREFIX, &space_prefix, NULL);
    if (status == LCKV_OK)
        status = metadata_get_bool(metadata, KEY_REMOVE_SPACES, &remove_spaces, NULL);
    if (status == LCKV_OK)
        status = metadata_get_text(metadata, KEY_SPACING, &words, &found);
    if (status == LCKV_OK && found)
        status = traits_read(words, &traits);
    else if (status == LCKV_OK)
        traits = spaced_kind_traits(kind, space_prefix, remove_spaces);
    if (status != LCKV_OK)
        return status;
    traits_set(tokenizer, traits);
    return read_charsmap(tokenizer, metadata);
}

static lckv_status read_score_array(struct tokenizer *tokenizer, const struct metadata *metadata,
                                    const char *key)
{
    struct vocabulary *vocabulary = &tokenizer->vocabulary;
    const struct metadata_value *value = metadata_find(metadata, key);
    uint32_t type =
        value != NULL && value->type == METADATA_ARRAY ? value->element_type : METADATA_STRING;
    if (value == NULL)
        return LCKV_OK;
    if (type != METADATA_F32 && type != METADATA_I32 && type != METADATA_F64)
        return fail(LCKV_BAD_FORMAT, "%s: expected an array of numbers", key);
    if (value->count != vocabulary->n_tokens)
        return fail(LCKV_BAD_FORMAT,
                    "%s: %" PRIu64 " scores, expected one for each of %" PRIu32 " tokens", key,
                    value->count, vocabulary->n_tokens);
    struct reader reader;
    reader_init(&reader, value->as.elements, (size_t)value->count * metadata_type_size(type), key);
    for (uint32_t id = 0; id < vocabulary->n_tokens; id++) {
        double score = type == METADATA_F64   ? reader_f64(&reader, "a score")
                       : type == METADATA_F32 ? (double)reader_f32(&reader, "a score")
                                              : (double)(int32_t)reader_u32(&reader, "a score");
        lckv_status status = vocabulary_set_score(vocabulary, id, score);
        if (status != LCKV_OK)
            return fail_in(status, "%s", key);
    }
    return reader_status(&reader);
}

/* Special ids of which the file says nothing. */
static void complete_ids(struct tokenizer *tokenizer, const struct metadata *metadata,
                         const struct spaced_kind *kind)
{
    for (lckv_special i = 0; i < N_SPECIALS; i++) {
        bool exists =
            kind->special[i] >= 0 && (uint32_t)kind->special[i] < tokenizer->vocabulary.n_tokens;
        if (exists && metadata_find(metadata, special_ids_key(i)) == NULL)
            tokenizer->ids.special[i] = kind->special[i];
    }
}

/* Gemma 4 stops to wait for a tool with a token that no key names as an end. */
static lckv_status add_end(struct tokenizer *tokenizer)
{
    static const char end[] = "<|tool_response>";
    const struct text text = {end, sizeof end - 1};
    return special_ids_add_end(&tokenizer->ids, vocabulary_find(&tokenizer->vocabulary, text));
}

/* Whether `text` holds the word, in small or capital letters. */
static bool has_word(struct text text, const char *word)
{
    size_t length = strlen(word);
    for (size_t at = 0; at + length <= text.length; at++) {
        size_t i = 0;
        while (i < length && (text.bytes[at + i] | 0x20) == (word[i] | 0x20))
            i++;
        if (i == length)
            return true;
    }
    return false;
}

/*
 * The special tokens of Phi-3 take the white space behind them. Its GGUF files have no key that
 * says so; llama.cpp goes by the model's name.
 */
static lckv_status strip_behind(struct tokenizer *tokenizer, const struct metadata *metadata)
{
    static const char *const others[] = {"<unk>", "<s>", "<|endoftext|>"};
    struct vocabulary *vocabulary = &tokenizer->vocabulary;
    struct text name = {"", 0};
    lckv_status status = metadata_get_text(metadata, "general.name", &name, NULL);
    if (status != LCKV_OK || !(has_word(name, "phi-3") || has_word(name, "phi3")))
        return status;
    for (uint32_t id = 0; id < vocabulary->n_tokens; id++) {
        struct vocabulary_token *token = &vocabulary->tokens[id];
        bool strips = vocabulary_is_special(token->type);
        for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
            strips = strips && !text_equals(token->spelling, others[i]);
        token->flags |= strips ? TOKEN_STRIP_RIGHT : 0;
    }
    return LCKV_OK;
}

static lckv_status read_unknown_score(struct tokenizer *tokenizer, const struct metadata *metadata)
{
    const struct metadata_value *value = metadata_find(metadata, KEY_UNKNOWN_SCORE);
    if (value == NULL)
        return LCKV_OK;
    if (value->type != METADATA_F64 || !isfinite(value->as.f))
        return fail(LCKV_BAD_FORMAT, "%s: expected a finite number in double precision",
                    KEY_UNKNOWN_SCORE);
    tokenizer->unigram.unknown_score = value->as.f;
    tokenizer->unigram.has_own_unknown_score = true;
    return LCKV_OK;
}

lckv_status tokenizer_read_scores(struct tokenizer *tokenizer, const struct metadata *metadata,
                                  struct text model)
{
    const struct spaced_kind *kind = spaced_kind_find(model);
    lckv_status status = LCKV_OK;
    complete_ids(tokenizer, metadata, kind);
    if (kind->always_bos) {
        tokenizer->add_bos = true; /* whatever the file says, as in llama.cpp */
        status = add_end(tokenizer);
    }
    if (status == LCKV_OK)
        status = strip_behind(tokenizer, metadata);
    if (metadata_find(metadata, KEY_UNKNOWN_BYTE) == NULL)
        tokenizer->bpe.unknown = tokenizer->ids.special[LCKV_SPECIAL_UNKNOWN];
    if (status == LCKV_OK && (tokenizer->is_unigram || tokenizer->bpe.by_score)) {
        status = vocabulary_add_scores(&tokenizer->vocabulary);
        if (status == LCKV_OK)
            status = read_score_array(tokenizer, metadata, KEY_SCORES);
        if (status == LCKV_OK)
            status = read_score_array(tokenizer, metadata, KEY_EXACT_SCORES);
    }
    if (status == LCKV_OK)
        status = tokenizer_use_scores(tokenizer);
    return status == LCKV_OK ? read_unknown_score(tokenizer, metadata) : status;
}

lckv_status tokenizer_use_scores(struct tokenizer *tokenizer)
{
    struct vocabulary *vocabulary = &tokenizer->vocabulary;
    /* Control tokens are always found in the text as it comes. */
    for (uint32_t id = 0; tokenizer->spacing.before_added && id < vocabulary->n_tokens; id++) {
        if (vocabulary->tokens[id].type != LCKV_TOKEN_USER_DEFINED)
            vocabulary->tokens[id].flags &= ~(uint32_t)TOKEN_NORMALIZED;
    }
    if (tokenizer->is_unigram)
        return unigram_init(&tokenizer->unigram, vocabulary, tokenizer->bpe.unknown);
    return tokenizer->bpe.by_score ? vocabulary_check_pieces(vocabulary) : LCKV_OK;
}
