/*
 * The list of steps of a normaliser. normalize.c runs them.
 */
#include "text/normalizer.h"

#include "base/status.h"

lckv_status normalizer_init(struct normalizer *normalizer, struct arena *arena)
{
    normalizer->arena = arena;
    normalizer->memory = pattern_memory_create(arena);
    return normalizer->memory != NULL ? LCKV_OK
                                      : fail(LCKV_OUT_OF_MEMORY, "out of memory for patterns");
}

void normalizer_release(struct normalizer *normalizer)
{
    for (size_t i = 0; i < normalizer->n_steps; i++)
        pattern_release(&normalizer->steps[i].pattern);
    pcre2_general_context_free(normalizer->memory);
}

lckv_status normalizer_add(struct normalizer *normalizer, const struct normalizer_step *step,
                           struct text pattern)
{
    if (normalizer->n_steps == NORMALIZER_MAX_STEPS)
        return fail(LCKV_UNSUPPORTED, "more than %d normalizer steps", NORMALIZER_MAX_STEPS);
    struct normalizer_step *added = &normalizer->steps[normalizer->n_steps];
    lckv_status status = LCKV_OK;
    *added = *step;
    if (step->kind == NORMALIZER_REPLACE)
        status = pattern_init(&added->pattern, pattern, normalizer->arena, normalizer->memory);
    if (status == LCKV_OK)
        normalizer->n_steps++;
    return status;
}

bool normalizer_is_nfc(const struct normalizer *normalizer)
{
    return normalizer->n_steps == 1 && normalizer->steps[0].kind == NORMALIZER_FORM &&
           normalizer->steps[0].form == NORMAL_FORM_C;
}
