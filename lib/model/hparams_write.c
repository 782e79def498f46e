/*
 * Writes hyperparameters to GGUF metadata: the keys that hparams_gguf.c reads (docs/semantics.md,
 * section 6).
 */
#include "model/hparams.h"

#include "model/architecture.h"
#include "model/hparams_plan.h"

#include <stdio.h>
#include <string.h>

#define KEY_BYTES 128

/* A model that other programs would run wrongly gets an architecture name of its own. */
static const char *architecture_name(const struct hparams *h, const struct lckv_plan *plan)
{
    return plan->standard && !h->force_nodiag ? "llama" : "lckv-llama";
}

static lckv_status set_plan(const struct hparams *h, const struct lckv_plan *plan,
                            struct metadata *metadata)
{
    char *text;
    size_t length = 0;
    if (plan->standard && !h->force_nodiag)
        return LCKV_OK;
    lckv_status status = plan_text(plan, NULL, 0, &length);
    if (status != LCKV_OK && status != LCKV_BUFFER_TOO_SMALL)
        return status;
    status = arena_alloc(metadata->arena, length + 1, 1, "a layer plan", &text);
    if (status == LCKV_OK)
        status = plan_text(plan, text, length + 1, &length);
    if (status == LCKV_OK)
        status = metadata_set_text(metadata, "lckv.layer_types", text, length);
    if (status == LCKV_OK)
        status = metadata_set_u32(metadata, "lckv.forward_passes", h->forward_passes);
    if (status == LCKV_OK)
        status = metadata_set_u32(metadata, "lckv.backward_passes", h->backward_passes);
    if (status == LCKV_OK)
        status = metadata_set_bool(metadata, "lckv.force_nodiag", h->force_nodiag);
    if (status == LCKV_OK)
        status = metadata_set_bool(metadata, "lckv.use_sequential", h->use_sequential);
    if (status == LCKV_OK && h->sliding_window != 0)
        status = metadata_set_u32(metadata, "lckv.sliding_window", h->sliding_window);
    return status;
}

lckv_status hparams_to_metadata(const struct hparams *h, const struct lckv_plan *plan,
                                struct metadata *metadata)
{
    const char *architecture = architecture_name(h, plan);
    char key[KEY_BYTES];
    const struct {
        const char *suffix;
        uint32_t value;
    } counts[] = {
        {"block_count", h->n_layers},          {"context_length", h->context_length},
        {"embedding_length", h->hidden_size},  {"feed_forward_length", h->intermediate_size},
        {"attention.head_count", h->n_heads},  {"attention.head_count_kv", h->n_kv_heads},
        {"attention.key_length", h->head_dim}, {"attention.value_length", h->head_dim},
        {"rope.dimension_count", h->head_dim}, {"vocab_size", h->n_vocab},
    };
    lckv_status status =
        metadata_set_text(metadata, "general.architecture", architecture, strlen(architecture));
    if (status == LCKV_OK && h->name.length > 0)
        status = metadata_set_text(metadata, "general.name", h->name.bytes, h->name.length);
    for (size_t i = 0; status == LCKV_OK && i < sizeof counts / sizeof counts[0]; i++) {
        snprintf(key, sizeof key, "%s.%s", architecture, counts[i].suffix);
        status = metadata_set_u32(metadata, key, counts[i].value);
    }
    snprintf(key, sizeof key, "%s.attention.layer_norm_rms_epsilon", architecture);
    if (status == LCKV_OK)
        status = metadata_set_f32(metadata, key, h->rms_norm_eps);
    snprintf(key, sizeof key, "%s.rope.freq_base", architecture);
    if (status == LCKV_OK)
        status = metadata_set_f32(metadata, key, (float)h->rope_theta);
    if (status == LCKV_OK && h->rope_scaling == ROPE_SCALING_LINEAR) {
        snprintf(key, sizeof key, "%s.rope.scaling.type", architecture);
        status = metadata_set_text(metadata, key, "linear", strlen("linear"));
        snprintf(key, sizeof key, "%s.rope.scaling.factor", architecture);
        if (status == LCKV_OK)
            status = metadata_set_f32(metadata, key, (float)h->rope_factor);
    }
    if (status == LCKV_OK)
        status = hparams_plan_to_metadata(h, plan, architecture, metadata);
    return status == LCKV_OK ? set_plan(h, plan, metadata) : status;
}
