/*
 * Tokenizers from the files in tests/data/text/spaced, whose vocabularies are spelled with U+2581.
 */
#ifndef LCKV_TESTS_SPACED_SUPPORT_H
#define LCKV_TESTS_SPACED_SUPPORT_H

#include "text_support.h"

static const char *const spaced_names[] = {
    "bpe.model",  "rules.model",  "unigram.model", "llama.json", "mistral.json",
    "gemma.json", "unknown.json", "unigram.json",  "white.json",
};
#define N_SPACED ((int)(sizeof spaced_names / sizeof spaced_names[0]))

/* The caller frees it. */
static inline char *read_spaced(const char *name, size_t *length)
{
    char path[128];
    snprintf(path, sizeof path, "tests/data/text/spaced/%s", name);
    return read_whole(path, length);
}

/* A checkpoint that holds these bytes of a tokenizer.json or a tokenizer.model. */
static inline struct checkpoint checkpoint_of_spaced(const char *name, struct text bytes,
                                                     const char *config)
{
    struct checkpoint checkpoint = {.kind = CHECKPOINT_HF, .name = "directory"};
    if (strstr(name, ".model") != NULL)
        checkpoint.sentencepiece = bytes;
    else
        checkpoint.tokenizer = bytes;
    checkpoint.tokenizer_config = (struct text){config, strlen(config)};
    return checkpoint;
}

/* The caller releases it. */
static inline struct tokenizer *tokenizer_of_spaced(const char *name, const char *config)
{
    size_t length;
    char *bytes = read_spaced(name, &length);
    struct checkpoint checkpoint = checkpoint_of_spaced(name, (struct text){bytes, length}, config);
    struct tokenizer *tokenizer = NULL;
    ck_assert_ok(tokenizer_create(&checkpoint, &memory_default_allocator, &tokenizer));
    ck_assert_ptr_nonnull(tokenizer);
    free(bytes);
    return tokenizer;
}

#endif
