/*
 * The vocabulary: for each token its spelling in the file, the bytes it stands for, and its type.
 *
 * bpe.h and special_tokens.h turn text into tokens.
 */
#ifndef LCKV_TEXT_VOCABULARY_H
#define LCKV_TEXT_VOCABULARY_H

#include "base/checked.h"
#include "base/table.h"
#include "format/metadata.h"

#define VOCABULARY_MAX_HOLES 65536 /* ids that no token has */

/* What an added token does to the text around it. */
enum {
    TOKEN_STRIP_LEFT = 1,  /* takes the white space before it */
    TOKEN_STRIP_RIGHT = 2, /* and behind it */
    TOKEN_SINGLE_WORD = 4  /* matches only between characters that belong to no word */
};

struct vocabulary_token {
    struct text spelling;
    struct text text;     /* for tokens of types other than normal and byte the spelling itself */
    lckv_token_type type; /* 0 only while the vocabulary is being filled */
    uint32_t flags;
};

struct vocabulary {
    struct arena *arena;
    struct vocabulary_token *tokens;
    uint32_t n_tokens;
    size_t longest_spelling;
    struct table ids;      /* of spellings */
    lckv_token bytes[256]; /* the token of each byte, or -1 */
};

/* `n_listed` tokens are going to be set, with ids below `n_tokens`. */
CHECKED lckv_status vocabulary_init(struct vocabulary *vocabulary, struct arena *arena,
                                    uint64_t n_tokens, uint64_t n_listed);

/*
 * Copies the spelling, by which vocabulary_find finds it from now on; the first of several with one
 * spelling. LCKV_BAD_FORMAT if the id is taken or out of range.
 */
CHECKED lckv_status vocabulary_set(struct vocabulary *vocabulary, uint64_t id, struct text spelling,
                                   int64_t type);

/*
 * The spelling of an id without a token, as the field's converters write it. Text never becomes it.
 */
CHECKED lckv_status vocabulary_spell_hole(struct arena *arena, uint32_t id, struct text *spelling);

/* Fills holes with unused tokens and derives the texts. */
CHECKED lckv_status vocabulary_finish(struct vocabulary *vocabulary);

/* The token of a spelling, or -1. */
lckv_token vocabulary_find(const struct vocabulary *vocabulary, struct text spelling);

/* Whether detokenizing leaves out tokens of the type unless special tokens are asked for. */
CHECKED bool vocabulary_hides(lckv_token_type type);

#endif
