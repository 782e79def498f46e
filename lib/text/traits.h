/*
 * What tokenizers with a spaced vocabulary (metaspace.h) may do, as a set of traits, and the kinds
 * that GGUF files name, each of which has some traits by itself.
 */
#ifndef LCKV_TEXT_TRAITS_H
#define LCKV_TEXT_TRAITS_H

#include "base/checked.h"
#include "text/tokenizer_parts.h"

enum {
    TRAIT_FIRST_PREFIX,
    TRAIT_EACH_PREFIX,
    TRAIT_PREFIX_IF_MISSING,
    TRAIT_DROP_PREFIX,
    TRAIT_WHITE,
    TRAIT_COLLAPSE,
    TRAIT_TRIM_BEGIN,
    TRAIT_TRIM_END,
    TRAIT_TRIM_WHITE,
    TRAIT_WORDS_AT_MARKS,
    TRAIT_WORDS_AT_NEWLINES,
    TRAIT_WHOLE_NEWLINES,
    TRAIT_ADDED_BEHIND,
    TRAIT_BY_SCORE,
    TRAIT_FUSE_UNKNOWN,
    TRAIT_UNIGRAM,
    TRAIT_SINGLE,
    TRAIT_NORMALIZER,
    N_TRAITS
};

/* The traits of a tokenizer, as bits; and a tokenizer with these traits. */
uint32_t traits_of(const struct tokenizer *tokenizer);
void traits_set(struct tokenizer *tokenizer, uint32_t traits);

/* Reads a list of words, separated by blanks; LCKV_UNSUPPORTED for unknown ones. Writes one. */
CHECKED lckv_status traits_read(struct text words, uint32_t *traits);
CHECKED lckv_status traits_write(uint32_t traits, struct metadata *metadata);

/* A kind of tokenizer that tokenizer.ggml.model names. */
struct spaced_kind {
    const char *name;
    uint32_t traits;
    bool has_prefix;   /* a file may say whether there is one */
    bool space_prefix; /* unless the file says otherwise */
    bool add_bos, add_eos;
    bool always_bos;                /* whatever the file says, as in llama.cpp */
    lckv_token special[N_SPECIALS]; /* ids unless the file names others; -1: none */
};

/* The kind with that name, or NULL; and the kind that describes a tokenizer best. */
const struct spaced_kind *spaced_kind_find(struct text name);
const struct spaced_kind *spaced_kind_of(const struct tokenizer *tokenizer);

/* What a tokenizer of the kind does if there is no list of words. */
uint32_t spaced_kind_traits(const struct spaced_kind *kind, bool space_prefix, bool remove_spaces);

#endif
