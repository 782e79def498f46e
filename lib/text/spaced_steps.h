/*
 * What tokenizer_spaced_json.c and tokenizer_spaced_normalizer.c share: the steps of a
 * tokenizer.json that prepare text for a vocabulary with U+2581.
 */
#ifndef LCKV_TEXT_SPACED_STEPS_H
#define LCKV_TEXT_SPACED_STEPS_H

#include "base/checked.h"
#include "text/tokenizer_parts.h"

/* What spacing_apply does, in this order. */
enum spaced_stage {
    STAGE_NONE,
    STAGE_RULES,
    STAGE_STRIP,
    STAGE_COLLAPSE,
    STAGE_PREPEND,
    STAGE_MARKS
};

/* What is read of one list of steps. */
struct spaced_steps {
    struct tokenizer *tokenizer;
    enum spaced_stage stage;
    bool marked;   /* spaces have become U+2581 */
    bool unspaced; /* all of them, so that none is left */
    bool apart;    /* a normaliser of its own runs before */
    bool white;    /* text was split at white space */
};

typedef lckv_status (*spaced_step_function)(struct spaced_steps *steps,
                                            const struct json_value *step);

/* Reads each step of the list `list`; `known` are the members that a sequence may have. */
CHECKED lckv_status spaced_read_list(struct spaced_steps *steps, const struct json_value *step,
                                     const char *what, const char *known, const char *list,
                                     spaced_step_function read);

/* Whether the pattern of a step is {"<kind>": "<expected>"}, where kind is String or Regex. */
CHECKED bool spaced_pattern_is(const struct json_value *step, const char *kind,
                               const char *expected);

/*
 * Read the normaliser: as a spacing, LCKV_UNSUPPORTED if spacing_apply does not do the same; or as
 * one that runs before, which any of known steps can be.
 */
CHECKED lckv_status spaced_read_usual(struct spaced_steps *steps,
                                      const struct json_value *normalizer);
CHECKED lckv_status spaced_read_any(struct spaced_steps *steps,
                                    const struct json_value *normalizer);

#endif
