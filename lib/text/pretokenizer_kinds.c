/*
 * The pre-tokenizers that GGUF files name, and the patterns that llama.cpp uses for them.
 */
#include "text/pretokenizer.h"

#include <string.h>

#define LLAMA3                                                                \
    "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}|" \
    " ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"
#define QWEN2                                                            \
    "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}|" \
    " ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"

static const struct pretokenizer_kind kinds[] = {
    {.name = "gpt-2", .patterns = {PRETOKENIZER_GPT2}},
    {.name = "smollm", .patterns = {"\\p{N}", PRETOKENIZER_GPT2}},
    {.name = "llama-bpe", .patterns = {LLAMA3}, .ignore_merges = true, .add_bos = true},
    {.name = "llama3", .patterns = {LLAMA3}, .ignore_merges = true, .add_bos = true},
    {.name = "llama-v3", .patterns = {LLAMA3}, .ignore_merges = true, .add_bos = true},
    {.name = "qwen2", .patterns = {QWEN2}},
    {.name = "starcoder", .patterns = {"\\p{N}", PRETOKENIZER_GPT2}},
    {.name = "default",
     .patterns = {"[\\p{P}\\$\\+<=>\\^~\\|]+", PRETOKENIZER_GPT2, "\\p{N}+", "[0-9][0-9][0-9]"}},
};

#define N_KINDS (sizeof kinds / sizeof kinds[0])
#define MAX_PATTERNS (sizeof kinds[0].patterns / sizeof kinds[0].patterns[0])

static size_t count_patterns(const struct pretokenizer_kind *kind)
{
    size_t count = 0;
    while (count < MAX_PATTERNS && kind->patterns[count] != NULL)
        count++;
    return count;
}

const struct pretokenizer_kind *pretokenizer_find_kind(struct text name)
{
    for (size_t i = 0; i < N_KINDS; i++) {
        if (text_equals(name, kinds[i].name))
            return &kinds[i];
    }
    return NULL;
}

static bool has_steps_of(const struct pretokenizer *pretokenizer,
                         const struct pretokenizer_kind *kind)
{
    if (pretokenizer->n_steps != count_patterns(kind))
        return false;
    for (size_t i = 0; i < pretokenizer->n_steps; i++) {
        if (!text_equals(pretokenizer->steps[i].pattern, kind->patterns[i]))
            return false;
    }
    return true;
}

const struct pretokenizer_kind *pretokenizer_kind_of(const struct pretokenizer *pretokenizer)
{
    for (size_t i = 0; i < N_KINDS; i++) {
        if (has_steps_of(pretokenizer, &kinds[i]))
            return &kinds[i];
    }
    return NULL;
}

lckv_status pretokenizer_add_kind(struct pretokenizer *pretokenizer,
                                  const struct pretokenizer_kind *kind)
{
    lckv_status status = LCKV_OK;
    for (size_t i = 0; status == LCKV_OK && i < count_patterns(kind); i++) {
        struct text pattern = {kind->patterns[i], strlen(kind->patterns[i])};
        status = pretokenizer_add(pretokenizer, pattern);
    }
    return status;
}
