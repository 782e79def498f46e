/*
 * The pre-tokenizer cuts text into words, which BPE never joins. It is a list of steps. Each of
 * them works on the texts that the one before has made: most cut a text into the matches of a
 * pattern and what lies between them.
 */
#ifndef LCKV_TEXT_PRETOKENIZER_H
#define LCKV_TEXT_PRETOKENIZER_H

#include "base/checked.h"
#include "text/matcher.h"
#include "text/text_buffer.h"

#define PRETOKENIZER_MAX_STEPS 16

/* The pattern of GPT-2's byte-level pre-tokenizer. */
#define PRETOKENIZER_GPT2 \
    "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+"

/* What becomes of matches and of the texts between them. All are fragments; empty ones vanish. */
enum pretokenizer_behavior {
    PRETOKENIZER_ISOLATED,             /* each stays for itself */
    PRETOKENIZER_REMOVED,              /* matches vanish */
    PRETOKENIZER_MERGED_WITH_PREVIOUS, /* a match joins the text before it */
    PRETOKENIZER_MERGED_WITH_NEXT,     /* or behind it */
    PRETOKENIZER_CONTIGUOUS,           /* matches that follow each other become one */
    PRETOKENIZER_PREFIX,               /* no pattern: a blank is put before a text without one */
    PRETOKENIZER_SPELL                 /* no pattern: later steps see bytes in GPT-2's alphabet */
};

struct pretokenizer_step {
    enum pretokenizer_behavior behavior;
    bool inverted; /* matches and the texts between them change their roles */
    struct pattern pattern;
};

struct pretokenizer {
    struct arena *arena;
    pcre2_general_context *memory; /* allocates as the arena does */
    struct pretokenizer_step steps[PRETOKENIZER_MAX_STEPS];
    size_t n_steps; /* 0: the whole text is one word */
};

/* The pretokenizer must not move afterwards. Release it before the arena. */
CHECKED lckv_status pretokenizer_init(struct pretokenizer *pretokenizer, struct arena *arena);
void pretokenizer_release(struct pretokenizer *pretokenizer);

/* Adds a step. The pattern is copied; steps without one ignore it. */
CHECKED lckv_status pretokenizer_add(struct pretokenizer *pretokenizer, struct text pattern,
                                     enum pretokenizer_behavior behavior, bool inverted);

/* ---- Kinds: pretokenizer_kinds.c ---- */

#define PRETOKENIZER_MAX_PATTERNS 6

/* A pre-tokenizer that GGUF files name in tokenizer.ggml.pre. Matches of patterns are isolated. */
struct pretokenizer_kind {
    const char *name;
    const char *patterns[PRETOKENIZER_MAX_PATTERNS];
    bool ignore_merges;
    bool add_bos; /* unless the file says otherwise */
};

/*
 * The kind with that name, and the first kind with the steps of this pre-tokenizer. NULL if there
 * is none.
 */
const struct pretokenizer_kind *pretokenizer_find_kind(struct text name);
const struct pretokenizer_kind *pretokenizer_kind_of(const struct pretokenizer *pretokenizer);
CHECKED lckv_status pretokenizer_add_kind(struct pretokenizer *pretokenizer,
                                          const struct pretokenizer_kind *kind);

/*
 * Behaviours by name: those with a pattern as tokenizer.json has them, and "Prefix" and "Spell".
 */
const char *pretokenizer_behavior_name(enum pretokenizer_behavior behavior);
CHECKED bool pretokenizer_find_behavior(struct text name, enum pretokenizer_behavior *behavior);

/* ---- Splitting: splitter.c ---- */

typedef lckv_status (*pretokenizer_function)(void *context, const char *word, size_t length);

/* What one call needs to use the pre-tokenizer, which any number of threads may share. */
struct splitter {
    const struct pretokenizer *pretokenizer;
    struct matcher *matcher;
    pretokenizer_function function;
    void *context;
    bool is_spelled; /* the text is spelled in GPT-2's alphabet now */
    struct text_buffer prefixed, spelled, word;
};

/* The matcher must outlive the splitter. */
void splitter_init(struct splitter *splitter, const struct pretokenizer *pretokenizer,
                   struct matcher *matcher, pretokenizer_function function, void *context);
void splitter_release(struct splitter *splitter);

/*
 * Gives the words of the text, which must be valid UTF-8, one after the other. If no step removes
 * matches, they are the whole text together. LCKV_UNSUPPORTED if the patterns take more work than
 * the matcher allows.
 */
CHECKED lckv_status splitter_run(struct splitter *splitter, const char *text, size_t length);

#endif
