/*
 * SentencePiece's compiled normalisation rules: a table from short byte strings to what replaces
 * them. Files carry it as bytes: the size of a double array, the array, and the replacements, each
 * with a NUL behind it.
 */
#ifndef LCKV_TEXT_CHARSMAP_H
#define LCKV_TEXT_CHARSMAP_H

#include "base/arena.h"
#include "base/checked.h"
#include "base/text.h"

#include <stdint.h>

/* Limits, so that a text grows by no more than a factor: NFKC makes 33 bytes of three at most. */
#define CHARSMAP_MAX_KEY 256
#define CHARSMAP_MAX_REPLACEMENT 256

struct charsmap {
    struct text bytes; /* as in the file; length 0: there are no rules */
    uint32_t *units;   /* the double array */
    size_t n_units;
    struct text replacements;
};

/* Reads the table; all of it is copied into the arena. LCKV_BAD_FORMAT, LCKV_UNSUPPORTED. */
CHECKED lckv_status charsmap_init(struct charsmap *charsmap, struct text bytes,
                                  struct arena *arena);

/* The same for the bytes in base64, as tokenizer.json has them. */
CHECKED lckv_status charsmap_init_base64(struct charsmap *charsmap, struct text encoded,
                                         struct arena *arena);

/*
 * Finds the longest rule for the start of the text. Returns how many bytes it replaces, 0 if there
 * is no rule.
 */
CHECKED size_t charsmap_find(const struct charsmap *charsmap, const char *text, size_t length,
                             struct text *replacement);

#endif
