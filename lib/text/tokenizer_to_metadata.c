/*
 * Writes a tokenizer as GGUF metadata, from which the same tokenizer can be read. What other
 * programs know is written in their keys, and the rest in keys of lckv's own, which are left out if
 * they would say the default.
 */
#include "text/tokenizer_parts.h"

#include "base/status.h"

#include <string.h>

static lckv_status write_vocabulary(const struct tokenizer *tokenizer, struct metadata *metadata,
                                    struct arena *scratch)
{
    const struct vocabulary *vocabulary = &tokenizer->vocabulary;
    uint32_t n_ids = tokenizer->n_ids;
    struct text *spellings;
    int32_t *types;
    lckv_status status =
        arena_alloc(scratch, n_ids, sizeof spellings[0], "the vocabulary to write", &spellings);
    if (status == LCKV_OK)
        status = arena_alloc(scratch, n_ids, sizeof types[0], "the token types to write", &types);
    for (uint32_t id = 0; status == LCKV_OK && id < n_ids; id++) {
        types[id] = LCKV_TOKEN_UNUSED;
        if (id >= vocabulary->n_tokens) {
            status = vocabulary_spell_hole(scratch, id, &spellings[id]);
            continue;
        }
        spellings[id] = vocabulary->tokens[id].spelling;
        types[id] = vocabulary->tokens[id].type;
    }
    if (status == LCKV_OK)
        status = metadata_set_texts(metadata, KEY_TOKENS, spellings, n_ids);
    if (status == LCKV_OK)
        status = metadata_set_i32s(metadata, KEY_TYPES, types, n_ids);
    return status;
}

/* Makes "left right", in the arena. */
static lckv_status join(const struct vocabulary *vocabulary, const struct bpe_merge *merge,
                        struct arena *scratch, struct text *joined)
{
    struct text left = vocabulary->tokens[merge->left].spelling;
    struct text right = vocabulary->tokens[merge->right].spelling;
    char *bytes;
    joined->length = left.length + 1 + right.length;
    lckv_status status = arena_alloc(scratch, joined->length + 1, 1, "a merge to write", &bytes);
    if (status != LCKV_OK)
        return status;
    memcpy(bytes, left.bytes, left.length);
    bytes[left.length] = ' ';
    memcpy(bytes + left.length + 1, right.bytes, right.length);
    joined->bytes = bytes;
    return LCKV_OK;
}

static lckv_status write_merges(const struct bpe *bpe, struct metadata *metadata,
                                struct arena *scratch)
{
    struct text *merges;
    lckv_status status =
        arena_alloc(scratch, bpe->n_merges, sizeof merges[0], "the merges to write", &merges);
    uint32_t count = 0;
    for (uint32_t i = 0; status == LCKV_OK && i < bpe->n_merges; i++) {
        if (bpe_uses_merge(bpe, i))
            status = join(bpe->vocabulary, &bpe->merges[i], scratch, &merges[count++]);
    }
    if (status == LCKV_OK)
        status = metadata_set_texts(metadata, KEY_MERGES, merges, count);
    return status;
}

/* Writes the steps. Behaviours are left out if there are no others than other versions know. */
static lckv_status write_patterns(const struct pretokenizer *pretokenizer,
                                  struct metadata *metadata, struct arena *scratch)
{
    struct text patterns[PRETOKENIZER_MAX_STEPS], behaviors[PRETOKENIZER_MAX_STEPS];
    bool all_isolated = true;
    lckv_status status = LCKV_OK;
    for (size_t i = 0; status == LCKV_OK && i < pretokenizer->n_steps; i++) {
        const struct pretokenizer_step *step = &pretokenizer->steps[i];
        const char *name = pretokenizer_behavior_name(step->behavior);
        size_t marked = step->inverted ? strlen(INVERTED) : 0;
        char *bytes;
        all_isolated = all_isolated && step->behavior == PRETOKENIZER_ISOLATED;
        patterns[i] = step->pattern.text;
        behaviors[i].length = marked + strlen(name);
        status = arena_text(scratch, behaviors[i].length, &bytes);
        if (status != LCKV_OK)
            return status;
        memcpy(bytes, INVERTED, marked);
        memcpy(bytes + marked, name, strlen(name));
        behaviors[i].bytes = bytes;
    }
    status = metadata_set_texts(metadata, KEY_PATTERNS, patterns, pretokenizer->n_steps);
    if (status == LCKV_OK && !all_isolated)
        status = metadata_set_texts(metadata, KEY_BEHAVIORS, behaviors, pretokenizer->n_steps);
    return status;
}

static lckv_status write_pretokenizer(const struct tokenizer *tokenizer, struct metadata *metadata,
                                      struct arena *scratch)
{
    const struct pretokenizer *pretokenizer = &tokenizer->pretokenizer;
    const struct pretokenizer_kind *kind = pretokenizer_kind_of(pretokenizer);
    const char *name = kind != NULL ? kind->name : PRE_OWN;
    bool ignore_merges = kind != NULL && kind->ignore_merges;
    struct text normalizer = tokenizer->normalizer_source;
    lckv_status status = metadata_set_text(metadata, KEY_MODEL, "gpt2", strlen("gpt2"));
    if (status == LCKV_OK)
        status = metadata_set_text(metadata, KEY_PRE, name, strlen(name));
    if (status == LCKV_OK)
        status = metadata_set_bool(metadata, KEY_SPACE_PREFIX, false);
    if (status == LCKV_OK && kind == NULL && pretokenizer->n_steps > 0)
        status = write_patterns(pretokenizer, metadata, scratch);
    if (status == LCKV_OK && normalizer_is_nfc(&tokenizer->normalizer))
        status = metadata_set_bool(metadata, KEY_NFC, true);
    else if (status == LCKV_OK && normalizer.length > 0)
        status = metadata_set_text(metadata, KEY_NORMALIZER, normalizer.bytes, normalizer.length);
    if (status == LCKV_OK && tokenizer->bpe.ignore_merges != ignore_merges)
        status = metadata_set_bool(metadata, KEY_IGNORE_MERGES, tokenizer->bpe.ignore_merges);
    if (status == LCKV_OK && tokenizer->bpe.unknown >= 0)
        status = metadata_set_u32(metadata, KEY_UNKNOWN_BYTE, (uint32_t)tokenizer->bpe.unknown);
    return status;
}

static lckv_status write_flag(const struct vocabulary *vocabulary, const char *key, uint32_t flag,
                              struct metadata *metadata, struct arena *scratch)
{
    size_t count = 0;
    for (uint32_t id = 0; id < vocabulary->n_tokens; id++)
        count += (vocabulary->tokens[id].flags & flag) != 0;
    if (count == 0)
        return LCKV_OK;
    int32_t *ids;
    lckv_status status = arena_alloc(scratch, count, sizeof ids[0], "token flags to write", &ids);
    if (status != LCKV_OK)
        return status;
    count = 0;
    for (uint32_t id = 0; id < vocabulary->n_tokens; id++) {
        if ((vocabulary->tokens[id].flags & flag) != 0)
            ids[count++] = (int32_t)id;
    }
    return metadata_set_i32s(metadata, key, ids, count);
}

static lckv_status write_rules(const struct tokenizer *tokenizer, struct metadata *metadata)
{
    lckv_status status = special_ids_write(&tokenizer->ids, metadata);
    if (status == LCKV_OK)
        status = metadata_set_bool(metadata, KEY_ADD_BOS, tokenizer->add_bos);
    if (status == LCKV_OK)
        status = metadata_set_bool(metadata, KEY_ADD_EOS, tokenizer->add_eos);
    if (status == LCKV_OK && tokenizer->chat_template.length > 0)
        status = metadata_set_text(metadata, KEY_CHAT_TEMPLATE, tokenizer->chat_template.bytes,
                                   tokenizer->chat_template.length);
    return status;
}

lckv_status tokenizer_to_metadata(const struct tokenizer *tokenizer, struct metadata *metadata)
{
    struct arena scratch;
    arena_init(&scratch, &tokenizer->arena.allocator);
    bool is_spaced = tokenizer->vocabulary.metaspace;
    lckv_status status = is_spaced ? tokenizer_write_spacing(tokenizer, metadata)
                                   : write_pretokenizer(tokenizer, metadata, &scratch);
    if (status == LCKV_OK)
        status = write_vocabulary(tokenizer, metadata, &scratch);
    if (status == LCKV_OK && is_spaced)
        status = tokenizer_write_scores(tokenizer, metadata, &scratch);
    if (status == LCKV_OK && !tokenizer->is_unigram && !tokenizer->bpe.by_score)
        status = write_merges(&tokenizer->bpe, metadata, &scratch);
    for (uint32_t i = 0; status == LCKV_OK && i < N_TOKEN_FLAGS; i++)
        status =
            write_flag(&tokenizer->vocabulary, tokenizer_flag_keys[i], 1u << i, metadata, &scratch);
    if (status == LCKV_OK)
        status = write_rules(tokenizer, metadata);
    arena_release(&scratch);
    return status;
}
