/*
 * The pre-tokenizer runs patterns with PCRE2, without its JIT compiler, and within limits.
 *
 * PCRE2's own match limit starts anew at each position of the text and does not see how far a
 * repeated character reaches, so a pattern within it may still take time quadratic in the text.
 * Therefore the work of a whole text is counted: PCRE2 calls out before each item of the pattern,
 * and each call costs a step and the bytes passed since the last one.
 */
#include "text/pretokenizer.h"

#include "base/status.h"
#include "base/utf8.h"

#include <string.h>

/*
 * The steps that the patterns may take on one text. Those of known models need 5 to 15 steps for
 * each byte, whatever the text.
 */
#define FREE_STEPS 1000000
#define STEPS_PER_BYTE 256

/* Limits of one match, so that nesting cannot grow with the text. */
#define MATCH_MAX_DEPTH 100000u
#define MATCH_MAX_HEAP_KIB 32768u

/* A repeat of at least n characters may fail after n - 1 of them, for which there is no callout. */
#define REPEATS_PER_STEP 8

/* PCRE2 does not tell free() the size of a block, so it is stored in front of the block. */
#define HEADER 16

static void *pattern_malloc(size_t size, void *user)
{
    const lckv_allocator *allocator = user;
    unsigned char *memory;
    if (!checked_add(size, HEADER, &size) ||
        memory_alloc(allocator, size, 1, "a pattern", &memory) != LCKV_OK)
        return NULL;
    memcpy(memory, &size, sizeof size);
    return memory + HEADER;
}

static void pattern_free(void *pointer, void *user)
{
    const lckv_allocator *allocator = user;
    if (pointer == NULL)
        return;
    unsigned char *memory = (unsigned char *)pointer - HEADER;
    size_t size;
    memcpy(&size, memory, sizeof size);
    memory_free(allocator, memory, size, 1);
}

lckv_status pretokenizer_init(struct pretokenizer *pretokenizer, struct arena *arena)
{
    pretokenizer->arena = arena;
    pretokenizer->memory =
        pcre2_general_context_create(pattern_malloc, pattern_free, &arena->allocator);
    return pretokenizer->memory != NULL ? LCKV_OK
                                        : fail(LCKV_OUT_OF_MEMORY, "out of memory for patterns");
}

void pretokenizer_release(struct pretokenizer *pretokenizer)
{
    for (size_t i = 0; i < pretokenizer->n_steps; i++)
        pcre2_code_free(pretokenizer->steps[i].code);
    pcre2_general_context_free(pretokenizer->memory);
}

lckv_status pretokenizer_add(struct pretokenizer *pretokenizer, struct text pattern)
{
    if (pretokenizer->n_steps == PRETOKENIZER_MAX_STEPS)
        return fail(LCKV_UNSUPPORTED, "more than %d pre-tokenizer steps", PRETOKENIZER_MAX_STEPS);
    struct pretokenizer_step *step = &pretokenizer->steps[pretokenizer->n_steps];
    step->pattern.length = pattern.length;
    lckv_status status =
        arena_copy(pretokenizer->arena, pattern.bytes, pattern.length, &step->pattern.bytes);
    if (status == LCKV_OK)
        status = pattern_compile(step->pattern, &pretokenizer->arena->allocator,
                                 pretokenizer->memory, &step->code, &step->largest_count);
    if (status == LCKV_OK)
        pretokenizer->n_steps++;
    return status;
}

/* Ends the match when the text has used up its steps. */
static int count_steps(pcre2_callout_block *block, void *user)
{
    struct splitter *splitter = user;
    size_t passed = block->current_position > splitter->position
                        ? block->current_position - splitter->position
                        : 0;
    uint64_t cost = splitter->cost + passed;
    splitter->position = block->current_position;
    if (cost > splitter->steps_left)
        return PCRE2_ERROR_CALLOUT;
    splitter->steps_left -= cost;
    return 0;
}

lckv_status splitter_init(struct splitter *splitter, const struct pretokenizer *pretokenizer,
                          pretokenizer_function function, void *context)
{
    *splitter =
        (struct splitter){.pretokenizer = pretokenizer, .function = function, .context = context};
    splitter->match = pcre2_match_data_create(1, pretokenizer->memory);
    splitter->limits = pcre2_match_context_create(pretokenizer->memory);
    if (splitter->match != NULL && splitter->limits != NULL) {
        pcre2_set_depth_limit(splitter->limits, MATCH_MAX_DEPTH);
        pcre2_set_heap_limit(splitter->limits, MATCH_MAX_HEAP_KIB);
        pcre2_set_match_limit(splitter->limits, UINT32_MAX);
        pcre2_set_callout(splitter->limits, count_steps, splitter);
        return LCKV_OK;
    }
    splitter_release(splitter);
    return fail(LCKV_OUT_OF_MEMORY, "out of memory for splitting text");
}

void splitter_release(struct splitter *splitter)
{
    pcre2_match_data_free(splitter->match);
    pcre2_match_context_free(splitter->limits);
    splitter->match = NULL;
    splitter->limits = NULL;
}

static lckv_status match_failed(int error, const struct pretokenizer_step *step)
{
    struct quoted pattern = quoted(step->pattern.bytes, step->pattern.length);
    switch (error) {
    case PCRE2_ERROR_NOMEMORY:
        return fail(LCKV_OUT_OF_MEMORY, "out of memory for matching pattern %s", pattern.text);
    case PCRE2_ERROR_CALLOUT:
    case PCRE2_ERROR_MATCHLIMIT:
    case PCRE2_ERROR_DEPTHLIMIT:
    case PCRE2_ERROR_HEAPLIMIT:
        return fail(LCKV_UNSUPPORTED,
                    "the tokenizer's pattern %s needs too many steps or too much memory on this "
                    "text; expected a pattern whose time grows with the text's length: tokenize "
                    "shorter texts, or mend the pattern in the tokenizer",
                    pattern.text);
    default:
        return fail(LCKV_INTERNAL, "matching pattern %s: PCRE2 error %d", pattern.text, error);
    }
}

static lckv_status split(struct splitter *splitter, size_t n_done, const char *text, size_t length)
{
    if (length == 0)
        return LCKV_OK;
    if (n_done == splitter->pretokenizer->n_steps)
        return splitter->function(splitter->context, text, length);
    const struct pretokenizer_step *step = &splitter->pretokenizer->steps[n_done];
    lckv_status status = LCKV_OK;
    size_t given = 0; /* the bytes that were given to the next step */
    for (size_t search = 0; status == LCKV_OK && search < length;) {
        splitter->position = search;
        splitter->cost = 1 + step->largest_count / REPEATS_PER_STEP;
        int found = pcre2_match(step->code, (PCRE2_SPTR)text, length, search, PCRE2_NO_UTF_CHECK,
                                splitter->match, splitter->limits);
        if (found == PCRE2_ERROR_NOMATCH)
            break;
        if (found < 0)
            return match_failed(found, step);
        /* The offsets are read now, because the next step uses the same match data. */
        const PCRE2_SIZE *offsets = pcre2_get_ovector_pointer(splitter->match);
        size_t begin = offsets[0], end = offsets[1];
        status = split(splitter, n_done + 1, text + given, begin - given);
        if (status == LCKV_OK)
            status = split(splitter, n_done + 1, text + begin, end - begin);
        given = end;
        search = end > begin ? end : end + utf8_character(text + end, length - end);
        if (end == length)
            break;
    }
    if (status != LCKV_OK)
        return status;
    return split(splitter, n_done + 1, text + given, length - given);
}

void splitter_allow(struct splitter *splitter, size_t length)
{
    splitter->steps_left = FREE_STEPS + (uint64_t)length * STEPS_PER_BYTE;
}

lckv_status splitter_run(struct splitter *splitter, const char *text, size_t length)
{
    return split(splitter, 0, text, length);
}
