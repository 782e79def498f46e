/*
 * The pre-tokenizer cuts text into words, which BPE never joins. It is a list of patterns. Each of
 * them cuts the texts that the one before has made into its matches and what lies between them.
 */
#ifndef LCKV_TEXT_PRETOKENIZER_H
#define LCKV_TEXT_PRETOKENIZER_H

#include "base/checked.h"
#include "text/pattern.h"

#define PRETOKENIZER_MAX_STEPS 16

/* The pattern of GPT-2's byte-level pre-tokenizer. */
#define PRETOKENIZER_GPT2 \
    "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+"

struct pretokenizer_step {
    struct text pattern; /* as in the file */
    pcre2_code *code;
    uint32_t largest_count;
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

/* Adds a pattern, which is copied. */
CHECKED lckv_status pretokenizer_add(struct pretokenizer *pretokenizer, struct text pattern);

/* A pre-tokenizer that GGUF files name in tokenizer.ggml.pre. */
struct pretokenizer_kind {
    const char *name;
    const char *patterns[4];
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

typedef lckv_status (*pretokenizer_function)(void *context, const char *word, size_t length);

/* What one call needs to use the pre-tokenizer, which any number of threads may share. */
struct splitter {
    const struct pretokenizer *pretokenizer;
    pcre2_match_data *match;
    pcre2_match_context *limits;
    pretokenizer_function function;
    void *context;
    uint64_t steps_left; /* of the whole text */
    uint64_t cost;       /* of one step of the pattern that is being matched */
    size_t position;     /* in the text that is being matched, at the last step */
};
CHECKED lckv_status splitter_init(struct splitter *splitter,
                                  const struct pretokenizer *pretokenizer,
                                  pretokenizer_function function, void *context);
void splitter_release(struct splitter *splitter);

/* Allows the work that a text of `length` bytes may take, however many parts it comes in. */
void splitter_allow(struct splitter *splitter, size_t length);

/*
 * Gives the words of the text, which must be valid UTF-8, one after the other; together they are
 * the whole text. LCKV_UNSUPPORTED if the patterns take more work than was allowed. The splitter
 * must not have moved since splitter_init.
 */
CHECKED lckv_status splitter_run(struct splitter *splitter, const char *text, size_t length);

#endif
