/*
 * The table of architectures. See architecture.h.
 */
#include "model/architecture.h"

#include "base/text.h"

static const struct architecture architectures[] = {
    {.gguf_name = "llama", .hf_model_type = "llama", .gguf_rope_adjacent = true, .condensed = true},
    {.gguf_name = "lckv-llama",
     .hf_model_type = "lckv-llama",
     .gguf_rope_adjacent = true,
     .condensed = true},
};
#define N_ARCHITECTURES (sizeof architectures / sizeof architectures[0])

const struct architecture *architecture_from_gguf(struct text name)
{
    for (size_t i = 0; i < N_ARCHITECTURES; i++) {
        if (text_equals(name, architectures[i].gguf_name))
            return &architectures[i];
    }
    return NULL;
}

const struct architecture *architecture_from_hf(struct text model_type)
{
    for (size_t i = 0; i < N_ARCHITECTURES; i++) {
        if (text_equals(model_type, architectures[i].hf_model_type))
            return &architectures[i];
    }
    return NULL;
}
