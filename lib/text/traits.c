/*
 * The traits of tokenizers with a spaced vocabulary. See traits.h.
 */
#include "text/traits.h"

#include "base/status.h"
#include "base/text.h"

#include <string.h>

#define BIT(trait) (1u << (trait))

static const char *const trait_words[N_TRAITS] = {
    [TRAIT_FIRST_PREFIX] = "first-prefix",
    [TRAIT_EACH_PREFIX] = "each-prefix",
    [TRAIT_PREFIX_IF_MISSING] = "prefix-if-missing",
    [TRAIT_DROP_PREFIX] = "drop-prefix",
    [TRAIT_WHITE] = "white-is-space",
    [TRAIT_COLLAPSE] = "collapse",
    [TRAIT_TRIM_BEGIN] = "trim-begin",
    [TRAIT_TRIM_END] = "trim-end",
    [TRAIT_TRIM_WHITE] = "trim-white",
    [TRAIT_WORDS_AT_MARKS] = "words-at-marks",
    [TRAIT_WORDS_AT_NEWLINES] = "words-at-newlines",
    [TRAIT_WHOLE_NEWLINES] = "whole-newlines",
    [TRAIT_ADDED_BEHIND] = "added-behind",
    [TRAIT_BY_SCORE] = "by-score",
    [TRAIT_FUSE_UNKNOWN] = "fuse-unknown",
    [TRAIT_UNIGRAM] = "unigram",
    [TRAIT_SINGLE] = "single-precision",
    [TRAIT_NORMALIZER] = "by-normalizer",
};

uint32_t traits_of(const struct tokenizer *tokenizer)
{
    const struct spacing *spacing = &tokenizer->spacing;
    const bool has[N_TRAITS] = {
        [TRAIT_FIRST_PREFIX] = spacing->prefix == SPACING_FIRST_PREFIX,
        [TRAIT_EACH_PREFIX] = spacing->prefix == SPACING_EACH_PREFIX,
        [TRAIT_PREFIX_IF_MISSING] = spacing->if_missing,
        [TRAIT_DROP_PREFIX] = spacing->drop_prefix,
        [TRAIT_WHITE] = spacing->white,
        [TRAIT_COLLAPSE] = spacing->collapse,
        [TRAIT_TRIM_BEGIN] = spacing->trim_begin,
        [TRAIT_TRIM_END] = spacing->trim_end,
        [TRAIT_TRIM_WHITE] = spacing->trim_white,
        [TRAIT_WORDS_AT_MARKS] = spacing->words == SPACING_MARKS,
        [TRAIT_WORDS_AT_NEWLINES] = spacing->words == SPACING_NEWLINES,
        [TRAIT_WHOLE_NEWLINES] = tokenizer->bpe.whole_newlines,
        [TRAIT_ADDED_BEHIND] = spacing->before_added,
        [TRAIT_BY_SCORE] = tokenizer->bpe.by_score,
        [TRAIT_FUSE_UNKNOWN] = tokenizer->bpe.fuse_unknown,
        [TRAIT_UNIGRAM] = tokenizer->is_unigram,
        [TRAIT_SINGLE] = tokenizer->unigram.single,
        [TRAIT_NORMALIZER] = spacing->is_done,
    };
    uint32_t traits = 0;
    for (int i = 0; i < N_TRAITS; i++)
        traits |= has[i] ? BIT(i) : 0;
    return traits;
}

void traits_set(struct tokenizer *tokenizer, uint32_t traits)
{
    struct spacing *spacing = &tokenizer->spacing;
    spacing->prefix = (traits & BIT(TRAIT_FIRST_PREFIX)) != 0  ? SPACING_FIRST_PREFIX
                      : (traits & BIT(TRAIT_EACH_PREFIX)) != 0 ? SPACING_EACH_PREFIX
                                                               : SPACING_NO_PREFIX;
    spacing->words = (traits & BIT(TRAIT_WORDS_AT_MARKS)) != 0      ? SPACING_MARKS
                     : (traits & BIT(TRAIT_WORDS_AT_NEWLINES)) != 0 ? SPACING_NEWLINES
                                                                    : SPACING_WHOLE;
    spacing->if_missing = (traits & BIT(TRAIT_PREFIX_IF_MISSING)) != 0;
    spacing->drop_prefix = (traits & BIT(TRAIT_DROP_PREFIX)) != 0;
    spacing->white = (traits & BIT(TRAIT_WHITE)) != 0;
    spacing->collapse = (traits & BIT(TRAIT_COLLAPSE)) != 0;
    spacing->trim_begin = (traits & BIT(TRAIT_TRIM_BEGIN)) != 0;
    spacing->trim_end = (traits & BIT(TRAIT_TRIM_END)) != 0;
    spacing->trim_white = (traits & BIT(TRAIT_TRIM_WHITE)) != 0;
    spacing->before_added = (traits & BIT(TRAIT_ADDED_BEHIND)) != 0;
    tokenizer->bpe.whole_newlines = (traits & BIT(TRAIT_WHOLE_NEWLINES)) != 0;
    tokenizer->bpe.by_score = (traits & BIT(TRAIT_BY_SCORE)) != 0;
    tokenizer->bpe.fuse_unknown = (traits & BIT(TRAIT_FUSE_UNKNOWN)) != 0;
    tokenizer->is_unigram = (traits & BIT(TRAIT_UNIGRAM)) != 0;
    tokenizer->unigram.single = (traits & BIT(TRAIT_SINGLE)) != 0;
    spacing->is_done = (traits & BIT(TRAIT_NORMALIZER)) != 0;
}

/* ---- Words ---- */

lckv_status traits_read(struct text words, uint32_t *traits)
{
    *traits = 0;
    for (size_t at = 0; at < words.length;) {
        const char *word = words.bytes + at;
        const char *blank = memchr(word, ' ', words.length - at);
        struct text name = {word, blank != NULL ? (size_t)(blank - word) : words.length - at};
        int trait = 0;
        while (trait < N_TRAITS && !text_equals(name, trait_words[trait]))
            trait++;
        if (trait == N_TRAITS)
            return fail(LCKV_UNSUPPORTED, "%s: %s is not supported", KEY_SPACING,
                        quoted(name.bytes, name.length).text);
        *traits |= BIT(trait);
        at += name.length + 1;
    }
    return LCKV_OK;
}

lckv_status traits_write(uint32_t traits, struct metadata *metadata)
{
    char words[512];
    size_t length = 0;
    for (int i = 0; i < N_TRAITS; i++) {
        if ((traits & BIT(i)) == 0)
            continue;
        size_t n = strlen(trait_words[i]);
        if (length > 0)
            words[length++] = ' ';
        memcpy(words + length, trait_words[i], n);
        length += n;
    }
    return metadata_set_text(metadata, KEY_SPACING, words, length);
}

/* ---- The kinds of GGUF ---- */

static const struct spaced_kind kinds[] = {
    {.name = "llama",
     .traits = BIT(TRAIT_BY_SCORE) | BIT(TRAIT_FUSE_UNKNOWN),
     .has_prefix = true,
     .space_prefix = true,
     .add_bos = true,
     .special = {1, 2, 0, -1, -1}},
    {.name = "t5",
     .traits = BIT(TRAIT_UNIGRAM) | BIT(TRAIT_FUSE_UNKNOWN),
     .has_prefix = true,
     .add_eos = true,
     .special = {-1, 1, 2, 0, -1}},
    {.name = "gemma4",
     .traits = BIT(TRAIT_WORDS_AT_NEWLINES) | BIT(TRAIT_WHOLE_NEWLINES) | BIT(TRAIT_FUSE_UNKNOWN),
     .add_bos = true,
     .always_bos = true,
     .special = {-1, -1, -1, -1, -1}},
};
#define N_KINDS (sizeof kinds / sizeof kinds[0])

const struct spaced_kind *spaced_kind_find(struct text name)
{
    for (size_t i = 0; i < N_KINDS; i++) {
        if (text_equals(name, kinds[i].name))
            return &kinds[i];
    }
    return NULL;
}

const struct spaced_kind *spaced_kind_of(const struct tokenizer *tokenizer)
{
    if (tokenizer->is_unigram)
        return &kinds[1];
    return &kinds[tokenizer->spacing.words == SPACING_NEWLINES ? 2 : 0];
}

uint32_t spaced_kind_traits(const struct spaced_kind *kind, bool space_prefix, bool remove_spaces)
{
    uint32_t traits = kind->traits;
    if (space_prefix && kind->has_prefix)
        traits |= BIT(TRAIT_EACH_PREFIX) | BIT(TRAIT_DROP_PREFIX);
    if (remove_spaces && (traits & BIT(TRAIT_UNIGRAM)) != 0)
        traits |= BIT(TRAIT_COLLAPSE) | BIT(TRAIT_TRIM_BEGIN) | BIT(TRAIT_TRIM_END);
    return traits;
}
