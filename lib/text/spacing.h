/*
 * How text is made ready for a vocabulary that spells a space as U+2581 (metaspace.h): rules may
 * replace characters, spaces may be dropped, a space may be put in front, and spaces become U+2581.
 * Each stretch of text between special tokens is made ready for itself.
 */
#ifndef LCKV_TEXT_SPACING_H
#define LCKV_TEXT_SPACING_H

#include "base/checked.h"
#include "text/charsmap.h"
#include "text/text_buffer.h"

enum spacing_prefix {
    SPACING_NO_PREFIX,
    SPACING_FIRST_PREFIX, /* a space in front of a stretch that begins the text */
    SPACING_EACH_PREFIX   /* in front of every stretch */
};

enum spacing_words {
    SPACING_WHOLE,    /* a stretch is one word */
    SPACING_MARKS,    /* a word begins at each U+2581 */
    SPACING_NEWLINES, /* runs of newlines are words, and so is what lies between them */
};

struct spacing {
    struct charsmap charsmap;
    enum spacing_prefix prefix;
    enum spacing_words words;
    bool if_missing; /* no prefix in front of a space */
    bool white;      /* white space of any kind goes, and what is behind it gets a prefix */
    bool collapse;   /* of several spaces that follow each other one stays */
    bool trim_begin; /* the spaces at the begin of a stretch go */
    bool trim_end;   /* those at its end go; with trim_white, other white space there, too */
    bool trim_white;
    bool before_added; /* normalized tokens are looked for in what spacing_apply gives */
    bool drop_prefix;  /* a text that is detokenized loses the space that begins it */
    bool keep_invalid; /* bytes that are no UTF-8 stay; otherwise each becomes U+FFFD */
    bool is_done;      /* the normaliser does all of this; a stretch stays as it is */
};

/*
 * Puts the stretch into buffer->bytes. `is_first`: it begins the text. LCKV_UNSUPPORTED if rules
 * make it longer than SPACING_MAX_LENGTH.
 */
#define SPACING_MAX_LENGTH ((size_t)3 << 30)
CHECKED lckv_status spacing_apply(const struct spacing *spacing, const char *text, size_t length,
                                  bool is_first, struct text_buffer *buffer);

/* The length of the first word of what spacing_apply gave. */
size_t spacing_word(const struct spacing *spacing, const char *text, size_t length);

#endif
