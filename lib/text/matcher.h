/*
 * The matcher finds patterns in texts, one match after the other, within limits.
 *
 * PCRE2's own match limit starts anew at each position of the text and does not see how far a
 * repeated character reaches, so a pattern within it may still take time quadratic in the text.
 * Therefore the work of a whole text is counted: PCRE2 calls out before each item of the pattern,
 * and each call costs a step and the bytes passed since the last one.
 */
#ifndef LCKV_TEXT_MATCHER_H
#define LCKV_TEXT_MATCHER_H

#include "base/checked.h"
#include "text/pattern.h"

/* What one call needs to use patterns, which any number of threads may share. */
struct matcher {
    pcre2_match_data *match;
    pcre2_match_context *limits;
    uint64_t steps_left; /* of the whole text */
    uint64_t cost;       /* of one step of the pattern that is being matched */
    size_t position;     /* in the text that is being matched, at the last step */
};

/* The matcher must not move afterwards. */
CHECKED lckv_status matcher_init(struct matcher *matcher, pcre2_general_context *memory);
void matcher_release(struct matcher *matcher);

/* Allows the work that a text of `length` bytes may take, however many parts it comes in. */
void matcher_allow(struct matcher *matcher, size_t length);

/* A search for a pattern in one text. Searches that share a matcher may be nested. */
struct matcher_search {
    const struct pattern *pattern;
    struct text text;  /* valid UTF-8 */
    size_t at;         /* where the next match may begin */
    size_t begin, end; /* of the last match; `end` is SIZE_MAX before the first */
};

static inline struct matcher_search matcher_search(const struct pattern *pattern, struct text text)
{
    return (struct matcher_search){.pattern = pattern, .text = text, .end = SIZE_MAX};
}

/*
 * Finds the next match. An empty one does not count where the last match ended. LCKV_UNSUPPORTED if
 * the pattern takes more work than was allowed.
 */
CHECKED lckv_status matcher_next(struct matcher *matcher, struct matcher_search *search,
                                 bool *found);

#endif
