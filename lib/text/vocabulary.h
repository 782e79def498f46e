/*
 * The vocabulary holds for each token its spelling in the file, the bytes that it stands for, its
 * type, and its score if it has one. bpe.h, unigram.h and special_tokens.h turn text into tokens.
 */
#ifndef LCKV_TEXT_VOCABULARY_H
#define LCKV_TEXT_VOCABULARY_H

#include "base/checked.h"
#include "base/table.h"
#include "format/metadata.h"
#include "text/token_list.h"

#define VOCABULARY_MAX_HOLES 65536 /* holes are ids that no token has */

/*
 * The most bytes of a normal token where scores decide. Without a limit, the time for a text could
 * grow with the length of the tokens. SentencePiece makes tokens of up to 16 characters unless it
 * is told otherwise; Gemma's longest has 93 bytes.
 */
#define VOCABULARY_MAX_PIECE 512

/* What an added token does to the text around it, and how it is found. */
enum {
    TOKEN_STRIP_LEFT = 1,  /* takes the white space before it */
    TOKEN_STRIP_RIGHT = 2, /* and behind it */
    TOKEN_SINGLE_WORD = 4, /* matches only between characters that belong to no word */
    TOKEN_NORMALIZED = 8,  /* matches only where no token without this flag does */
    TOKEN_WEIGHED = 16     /* its score is weighed against those of others; it is not cut out */
};

struct vocabulary_token {
    struct text spelling;
    struct text text;     /* the bytes; equal to the spelling if the type is control or unknown */
    lckv_token_type type; /* 0 only while the vocabulary is being filled */
    uint32_t flags;
};

struct vocabulary {
    struct arena *arena;
    struct vocabulary_token *tokens;
    uint32_t n_tokens;
    size_t longest_spelling;
    bool metaspace;        /* spelled as in metaspace.h; otherwise as in byte_level.h */
    double *scores;        /* of the tokens; NULL: there are none */
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

/* Makes room for scores, 0 at first; and sets one. LCKV_BAD_FORMAT if it is no finite number. */
CHECKED lckv_status vocabulary_add_scores(struct vocabulary *vocabulary);
CHECKED lckv_status vocabulary_set_score(struct vocabulary *vocabulary, uint32_t id, double score);

/* Whether the score of a token is weighed against those of others. */
CHECKED bool vocabulary_weighs(const struct vocabulary_token *token);

/*
 * LCKV_UNSUPPORTED if a token that is weighed has more than VOCABULARY_MAX_PIECE bytes, for
 * vocabularies whose scores decide.
 */
CHECKED lckv_status vocabulary_check_pieces(const struct vocabulary *vocabulary);

/* Fills holes with unused tokens, and makes the texts of all tokens. */
CHECKED lckv_status vocabulary_finish(struct vocabulary *vocabulary);

/* The token of a spelling, or -1. */
lckv_token vocabulary_find(const struct vocabulary *vocabulary, struct text spelling);

/* The same for tokens that plain text may become: normal and user-defined ones. */
lckv_token vocabulary_find_plain(const struct vocabulary *vocabulary, struct text spelling);

/* Whether each of these bytes has a token. */
CHECKED bool vocabulary_has_bytes(const struct vocabulary *vocabulary, const char *bytes,
                                  size_t length);

/*
 * Appends what stands for a text that has no token: the tokens of its bytes, or the unknown token,
 * if there is one; but not a second time if *was_unknown says that it came last. Sets *was_unknown.
 */
CHECKED lckv_status vocabulary_give_unknown(const struct vocabulary *vocabulary, struct text text,
                                            lckv_token unknown, bool *was_unknown,
                                            struct token_list *list);

/* Whether tokens of the type are found in text before anything else. */
CHECKED bool vocabulary_is_special(lckv_token_type type);

/* Whether detokenizing leaves out tokens of the type unless special tokens are asked for. */
CHECKED bool vocabulary_hides(lckv_token_type type);

#endif
