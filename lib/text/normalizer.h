/*
 * The normaliser changes text before anything is looked for in it, in a list of steps: Unicode's
 * normalisation forms, lower case, what is replaced or removed.
 */
#ifndef LCKV_TEXT_NORMALIZER_H
#define LCKV_TEXT_NORMALIZER_H

#include "base/checked.h"
#include "text/charsmap.h"
#include "text/matcher.h"
#include "text/normal_form.h"

#define NORMALIZER_MAX_STEPS 16

/* A text may become so many times longer: no character's normal form is 12 times as long. */
#define NORMALIZER_MAX_GROWTH 32
#define NORMALIZER_FREE_BYTES 65536

enum normalizer_kind {
    NORMALIZER_FORM,
    NORMALIZER_LOWERCASE,
    NORMALIZER_STRIP,         /* white space at the start and at the end */
    NORMALIZER_STRIP_ACCENTS, /* removes combining marks */
    NORMALIZER_REPLACE,       /* puts a content where a pattern matches */
    NORMALIZER_PREPEND,       /* puts a content in front of a text that is not empty */
    NORMALIZER_PRECOMPILED,   /* SentencePiece's compiled rules */
    NORMALIZER_REPAIR         /* makes U+FFFD of bytes that are no UTF-8 */
};

struct normalizer_step {
    enum normalizer_kind kind;
    enum normal_form form;
    bool at_start, at_end; /* where white space is stripped */
    struct pattern pattern;
    struct text content; /* instead of the matches, or in front */
    struct charsmap rules;
};

struct normalizer {
    struct arena *arena;
    pcre2_general_context *memory; /* allocates as the arena does */
    struct normalizer_step steps[NORMALIZER_MAX_STEPS];
    size_t n_steps;
};

/* The normalizer must not move afterwards. Release it before the arena. */
CHECKED lckv_status normalizer_init(struct normalizer *normalizer, struct arena *arena);
void normalizer_release(struct normalizer *normalizer);

/* Adds a step. Its pattern is made of the one that is given; the content must be in the arena. */
CHECKED lckv_status normalizer_add(struct normalizer *normalizer,
                                   const struct normalizer_step *step, struct text pattern);

/* Whether all it does is normalisation form C. */
CHECKED bool normalizer_is_nfc(const struct normalizer *normalizer);

/* ---- Normalising: normalize.c ---- */

/* The memory of one call, used again for each text. */
struct normalizing {
    const struct normalizer *normalizer;
    struct matcher *matcher;
    struct text_buffer buffers[2];
    struct code_points points;
    /* While a step runs: */
    struct text input;
    size_t at;    /* in the input: the bytes before are done */
    size_t limit; /* of the output */
    struct text_buffer *output;
    size_t *marks;
    size_t n_marks, next_mark; /* marks before `next_mark` are done */
    bool has_moved; /* the result does not begin with what became of the text's first character */
};

/* The matcher must outlive it. */
void normalizing_init(struct normalizing *normalizing, const struct normalizer *normalizer,
                      struct matcher *matcher);
void normalizing_release(struct normalizing *normalizing);

/*
 * Normalises a text, which must be valid UTF-8 unless the first step repairs it. *result is valid
 * until the next call. The marks, offsets in the text in ascending order, become offsets in the
 * result; one within characters that change together moves behind them. LCKV_UNSUPPORTED if the
 * text grows beyond all measure.
 */
CHECKED lckv_status normalizing_run(struct normalizing *normalizing, struct text text,
                                    size_t *marks, size_t n_marks, struct text *result);

#endif
