/*
 * The list of steps of a pre-tokenizer. splitter.c runs them.
 */
#include "text/pretokenizer.h"

#include "base/status.h"

lckv_status pretokenizer_init(struct pretokenizer *pretokenizer, struct arena *arena)
{
    pretokenizer->arena = arena;
    pretokenizer->memory = pattern_memory_create(arena);
    return pretokenizer->memory != NULL ? LCKV_OK
                                        : fail(LCKV_OUT_OF_MEMORY, "out of memory for patterns");
}

void pretokenizer_release(struct pretokenizer *pretokenizer)
{
    for (size_t i = 0; i < pretokenizer->n_steps; i++)
        pattern_release(&pretokenizer->steps[i].pattern);
    pcre2_general_context_free(pretokenizer->memory);
}

static bool has_step(const struct pretokenizer *pretokenizer, enum pretokenizer_behavior behavior)
{
    for (size_t i = 0; i < pretokenizer->n_steps; i++) {
        if (pretokenizer->steps[i].behavior == behavior)
            return true;
    }
    return false;
}

lckv_status pretokenizer_add(struct pretokenizer *pretokenizer, struct text pattern,
                             enum pretokenizer_behavior behavior, bool inverted)
{
    if (pretokenizer->n_steps == PRETOKENIZER_MAX_STEPS)
        return fail(LCKV_UNSUPPORTED, "more than %d pre-tokenizer steps", PRETOKENIZER_MAX_STEPS);
    bool changes_text = behavior == PRETOKENIZER_PREFIX || behavior == PRETOKENIZER_SPELL;
    /* Each has one buffer, and a blank is no character of the alphabet. */
    if (changes_text && has_step(pretokenizer, PRETOKENIZER_SPELL))
        return fail(LCKV_UNSUPPORTED,
                    "a pre-tokenizer step that changes the text behind one that spells its bytes");
    if (behavior == PRETOKENIZER_PREFIX && has_step(pretokenizer, PRETOKENIZER_PREFIX))
        return fail(LCKV_UNSUPPORTED, "two pre-tokenizer steps that put a blank before the text");
    struct pretokenizer_step *step = &pretokenizer->steps[pretokenizer->n_steps];
    *step = (struct pretokenizer_step){
        .behavior = behavior, .inverted = inverted, .pattern.text = {"", 0}};
    lckv_status status = LCKV_OK;
    if (!changes_text)
        status = pattern_init(&step->pattern, pattern, pretokenizer->arena, pretokenizer->memory);
    if (status == LCKV_OK)
        pretokenizer->n_steps++;
    return status;
}
