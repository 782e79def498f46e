/*
 * Reads a unigram model of tokenizer.json: tokens with their scores.
 */
#include "text/tokenizer_parts.h"

#include "base/status.h"
#include "text/metaspace.h"

#include <inttypes.h>
#include <math.h>

#define MODEL "tokenizer.json: model"

/* An entry is ["token", score]. */
static lckv_status set_token(struct vocabulary *vocabulary, const struct json_value *entry,
                             uint32_t id, lckv_token unknown, bool has_bytes)
{
    const struct json_value *spelling = json_first(entry);
    double score;
    if (!json_is(entry, JSON_ARRAY) || json_count(entry) != 2 || !json_is(spelling, JSON_STRING) ||
        !json_number(json_next(entry, spelling), &score))
        return fail(LCKV_BAD_FORMAT,
                    MODEL ": vocab: entry %" PRIu32 ": expected [\"token\", score]", id);
    lckv_token_type type = LCKV_TOKEN_NORMAL;
    if ((lckv_token)id == unknown)
        type = LCKV_TOKEN_UNKNOWN;
    else if (has_bytes && metaspace_byte(json_text(spelling)) >= 0)
        type = LCKV_TOKEN_BYTE;
    lckv_status status = vocabulary_set(vocabulary, id, json_text(spelling), type);
    return status == LCKV_OK ? vocabulary_set_score(vocabulary, id, score) : status;
}

static lckv_status read_vocabulary(struct tokenizer *tokenizer, const struct json_value *vocab,
                                   const struct json_value *added, bool has_bytes)
{
    struct vocabulary *vocabulary = &tokenizer->vocabulary;
    uint64_t n_tokens = json_count(vocab);
    uint64_t n_listed = n_tokens + json_count(added);
    uint32_t id = 0;
    lckv_status status = tokenizer_count_added(added, &n_tokens);
    if (status == LCKV_OK)
        status = vocabulary_init(vocabulary, &tokenizer->arena, n_tokens, n_listed);
    if (status == LCKV_OK)
        status = vocabulary_add_scores(vocabulary);
    for (const struct json_value *entry = json_first(vocab); status == LCKV_OK && entry != NULL;
         entry = json_next(vocab, entry), id++)
        status = set_token(vocabulary, entry, id, tokenizer->bpe.unknown, has_bytes);
    if (status == LCKV_OK)
        status = tokenizer_set_added(tokenizer, added, id);
    return status == LCKV_OK ? vocabulary_finish(vocabulary) : status;
}

/* Hugging Face's tokenizers takes the least score of all tokens, not of normal ones only. */
static void set_unknown_score(struct tokenizer *tokenizer, uint32_t n_scores)
{
    struct unigram *unigram = &tokenizer->unigram;
    double smallest = INFINITY;
    for (uint32_t id = 0; id < n_scores; id++)
        smallest = fmin(smallest, tokenizer->vocabulary.scores[id]);
    double score = smallest - UNIGRAM_UNKNOWN_PENALTY;
    unigram->has_own_unknown_score = score < unigram->unknown_score;
    if (unigram->has_own_unknown_score)
        unigram->unknown_score = score;
}

lckv_status tokenizer_read_unigram(struct tokenizer *tokenizer, const struct json_value *model,
                                   const struct json_value *added)
{
    const struct json_value *vocab = NULL;
    uint32_t unknown = 0;
    bool has_unknown = false, has_bytes = false;
    lckv_status status =
        tokenizer_check_members(model, MODEL, "type unk_id vocab byte_fallback alpha nbest_size");
    if (status == LCKV_OK)
        status = json_get_array(model, MODEL, "vocab", &vocab);
    if (status == LCKV_OK && vocab == NULL)
        return fail(LCKV_BAD_FORMAT, MODEL ": vocab is missing, expected an array");
    if (status == LCKV_OK)
        status = json_get_u32(model, MODEL, "unk_id", &unknown, &has_unknown);
    if (status == LCKV_OK && has_unknown && unknown >= json_count(vocab))
        return fail(LCKV_BAD_FORMAT, MODEL ": unk_id is %" PRIu32 ", expected less than %zu",
                    unknown, json_count(vocab));
    if (status == LCKV_OK)
        status = json_get_bool(model, MODEL, "byte_fallback", &has_bytes, NULL);
    if (status != LCKV_OK)
        return status;
    tokenizer->bpe.unknown = has_unknown ? (lckv_token)unknown : -1;
    tokenizer->bpe.fuse_unknown = true;
    status = read_vocabulary(tokenizer, vocab, added, has_bytes);
    if (status == LCKV_OK)
        status = tokenizer_use_scores(tokenizer);
    if (status != LCKV_OK)
        return fail_in(status, "tokenizer.json");
    set_unknown_score(tokenizer, (uint32_t)json_count(vocab));
    return LCKV_OK;
}
