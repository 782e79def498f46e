/*
 * The table of architectures. See architecture.h.
 */
#include "model/architecture.h"

#include "base/text.h"

#include <stdio.h>
#include <string.h>

static const struct architecture architectures[] = {
    {
        .gguf_name = "llama",
        .hf_model_type = "llama",
        .lckv_name = "lckv-llama",
        .gguf_rope_adjacent = true,
    },
};
#define N_ARCHITECTURES (sizeof architectures / sizeof architectures[0])

const struct architecture *architecture_from_gguf(struct text name)
{
    for (size_t i = 0; i < N_ARCHITECTURES; i++) {
        if (text_equals(name, architectures[i].gguf_name) ||
            text_equals(name, architectures[i].lckv_name))
            return &architectures[i];
    }
    return NULL;
}

const struct architecture *architecture_from_hf(struct text model_type)
{
    for (size_t i = 0; i < N_ARCHITECTURES; i++) {
        if (text_equals(model_type, architectures[i].hf_model_type) ||
            text_equals(model_type, architectures[i].lckv_name))
            return &architectures[i];
    }
    return NULL;
}

const char *architecture_name(const struct architecture *architecture, struct text name)
{
    return text_equals(name, architecture->lckv_name) ? architecture->lckv_name
                                                      : architecture->gguf_name;
}

struct architecture_names architecture_names(bool gguf)
{
    struct architecture_names names = {""};
    for (size_t i = 0; i < N_ARCHITECTURES; i++) {
        const struct architecture *a = &architectures[i];
        const size_t used = strlen(names.text);
        snprintf(names.text + used, sizeof names.text - used, "%s%s, %s", i > 0 ? ", " : "",
                 gguf ? a->gguf_name : a->hf_model_type, a->lckv_name);
    }
    return names;
}
