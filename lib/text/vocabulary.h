/*
 * The vocabulary holds for each token its spelling in the file, the bytes that it stands for, and
 * its type. bpe.h and special_tokens.h turn text into tokens.
 */
#ifndef LCKV_TEXT_VOCABULARY_H
#define LCKV_TEXT_VOCABULARY_H

#include "base/checked.h"
#include "base/table.h"
#include "format/metadata.h"

#define VOCABULARY_MAX_HOLES 65536 /* holes are ids that no token has */

/* What an added token does to the text around it. */
enum {
    TOKEN_STRIP_LEFT = 1,  /* takes the white space before it */
    TOKEN_STRIP_RIGHT = 2, /* and behind it */
    TOKEN_SINGLE_WORD = 4, /* matches only between characters that belong to no word */
    TOKEN_NORMALIZED = 8   /* matches only where no token without this flag does */
};

struct vocabulary_token {
    struct text spelling;
    struct text text;     /* the bytes; equal to the spelling unless the type is normal or byte */
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

/* `n_listed` tokens will be set, with ids below `n_tokens`. */
CHECKED lckv_status vocabulary_init(struct vocabulary *vocabulary, struct arena *arena,
                                    uint64_t n_tokens, uint64_t n_listed);

/*
 * Sets a token and copies its spelling. Of several tokens with one spelling vocabulary_find finds
 * the first. LCKV_BAD_FORMAT if the id is taken or out of range.
 */
CHECKED lckv_status vocabulary_set(struct vocabulary *vocabulary, uint64_t id, struct text spelling,
                                   int64_t type);

/*
 * Makes the spelling of a hole, as the field's converters write it. No text becomes such a token.
 */
CHECKED lckv_status vocabulary_spell_hole(struct arena *arena, uint32_t id, struct text *spelling);

/* Fills holes with unused tokens, and makes the texts of all tokens. */
CHECKED lckv_status vocabulary_finish(struct vocabulary *vocabulary);

/* The token of a spelling, or -1. */
lckv_token vocabulary_find(const struct vocabulary *vocabulary, struct text spelling);

/* Whether detokenizing leaves out tokens of the type unless special tokens are asked for. */
CHECKED bool vocabulary_hides(lckv_token_type type);

#endif
