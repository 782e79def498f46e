/*
 * Writes tokenizers with a spaced vocabulary as GGUF metadata.
 *
 * Other programs join tokens by scores alone, so a tokenizer with merges gets scores from them: the
 * earlier a token can be made, the larger its score.
 */
#include "text/tokenizer_parts.h"

#include "base/status.h"
#include "text/traits.h"

#include <string.h>

lckv_status tokenizer_write_spacing(const struct tokenizer *tokenizer, struct metadata *metadata)
{
    const struct spacing *spacing = &tokenizer->spacing;
    const struct spaced_kind *kind = spaced_kind_of(tokenizer);
    const struct text charsmap = spacing->charsmap.bytes;
    bool space_prefix = spacing->prefix != SPACING_NO_PREFIX;
    bool remove_spaces = spacing->collapse && spacing->trim_begin;
    uint32_t traits = traits_of(tokenizer);
    lckv_status status = metadata_set_text(metadata, KEY_MODEL, kind->name, strlen(kind->name));
    if (status == LCKV_OK && kind->has_prefix)
        status = metadata_set_text(metadata, KEY_PRE, "default", strlen("default"));
    if (status == LCKV_OK)
        status = metadata_set_bool(metadata, KEY_SPACE_PREFIX, space_prefix);
    if (status == LCKV_OK && tokenizer->is_unigram)
        status = metadata_set_bool(metadata, KEY_REMOVE_SPACES, remove_spaces);
    if (status == LCKV_OK && charsmap.length > 0) {
        const struct metadata_value value = {.key = {KEY_CHARSMAP, strlen(KEY_CHARSMAP)},
                                             .type = METADATA_ARRAY,
                                             .element_type = METADATA_U8,
                                             .count = charsmap.length,
                                             .as.elements = (const uint8_t *)charsmap.bytes};
        status = metadata_set_value(metadata, &value);
    }
    for (lckv_special i = 0; status == LCKV_OK && i < N_SPECIALS; i++) {
        if (tokenizer->ids.special[i] < 0 && kind->special[i] >= 0) /* there is none */
            status = metadata_set_u32(metadata, special_ids_key(i), UINT32_MAX);
    }
    if (status == LCKV_OK && traits != spaced_kind_traits(kind, space_prefix, remove_spaces))
        status = traits_write(traits, metadata);
    const struct text normalizer = tokenizer->normalizer_source;
    if (status == LCKV_OK && normalizer.length > 0)
        status = metadata_set_text(metadata, KEY_NORMALIZER, normalizer.bytes, normalizer.length);
    if (status == LCKV_OK && tokenizer->unigram.has_own_unknown_score) {
        const struct metadata_value value = {.key = {KEY_UNKNOWN_SCORE, strlen(KEY_UNKNOWN_SCORE)},
                                             .type = METADATA_F64,
                                             .count = 1,
                                             .as.f = tokenizer->unigram.unknown_score};
        status = metadata_set_value(metadata, &value);
    }
    if (status == LCKV_OK && tokenizer->bpe.ignore_merges)
        status = metadata_set_bool(metadata, KEY_IGNORE_MERGES, true);
    if (status == LCKV_OK && tokenizer->bpe.unknown != tokenizer->ids.special[LCKV_SPECIAL_UNKNOWN])
        status = metadata_set_u32(metadata, KEY_UNKNOWN_BYTE, (uint32_t)tokenizer->bpe.unknown);
    return status;
}

/* ---- Scores ---- */

static lckv_status score_by_merges(const struct bpe *bpe, struct arena *scratch, double **scores)
{
    uint32_t n_tokens = bpe->vocabulary->n_tokens;
    lckv_status status =
        arena_alloc(scratch, n_tokens, sizeof *scores[0], "the scores to write", scores);
    if (status != LCKV_OK)
        return status;
    for (uint32_t id = 0; id < n_tokens; id++)
        (*scores)[id] = -(double)bpe->n_merges - 1;
    for (uint32_t i = bpe->n_merges; i-- > 0;) {
        if (bpe_uses_merge(bpe, i))
            (*scores)[bpe->merges[i].result] = -(double)i;
    }
    return LCKV_OK;
}

static void pack(uint64_t bits, size_t size, uint8_t *bytes)
{
    for (size_t i = 0; i < size; i++)
        bytes[i] = (uint8_t)(bits >> (8 * i));
}

/* Writes `count` scores; ids that the vocabulary lacks have none, so they get 0. */
static lckv_status write_array(const double *scores, uint32_t n_scores, uint32_t count,
                               const char *key, uint32_t type, struct metadata *metadata,
                               struct arena *scratch)
{
    size_t size = metadata_type_size(type);
    uint8_t *bytes;
    lckv_status status = arena_alloc(scratch, count, size, "the scores to write", &bytes);
    if (status != LCKV_OK)
        return status;
    for (uint32_t id = 0; id < n_scores; id++) {
        float single = (float)scores[id];
        uint64_t bits = 0;
        if (type == METADATA_F64)
            memcpy(&bits, &scores[id], sizeof scores[id]);
        else {
            uint32_t half;
            memcpy(&half, &single, sizeof half);
            bits = half;
        }
        pack(bits, size, bytes + id * size);
    }
    const struct metadata_value value = {.key = {key, strlen(key)},
                                         .type = METADATA_ARRAY,
                                         .element_type = type,
                                         .count = count,
                                         .as.elements = bytes};
    return metadata_set_value(metadata, &value);
}

lckv_status tokenizer_write_scores(const struct tokenizer *tokenizer, struct metadata *metadata,
                                   struct arena *scratch)
{
    const struct vocabulary *vocabulary = &tokenizer->vocabulary;
    double *scores = vocabulary->scores;
    bool exact = true;
    lckv_status status = LCKV_OK;
    if (scores == NULL)
        status = score_by_merges(&tokenizer->bpe, scratch, &scores);
    if (status == LCKV_OK)
        status = write_array(scores, vocabulary->n_tokens, tokenizer->n_ids, KEY_SCORES,
                             METADATA_F32, metadata, scratch);
    for (uint32_t id = 0; status == LCKV_OK && id < vocabulary->n_tokens; id++)
        exact = exact && (double)(float)scores[id] == scores[id];
    if (status == LCKV_OK && !exact)
        status = write_array(scores, vocabulary->n_tokens, tokenizer->n_ids, KEY_EXACT_SCORES,
                             METADATA_F64, metadata, scratch);
    return status;
}
