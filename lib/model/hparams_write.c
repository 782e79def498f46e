/*
 * Writes hyperparameters to GGUF metadata: the keys that hparams_gguf.c reads (docs/semantics.md,
 * section 6).
 */
#include "base/status.h"
#include "model/hparams_key.h"
#include "model/hparams_plan.h"
#include "model/hparams_sources.h"

#include <string.h>

/* Whether the layers that do not rotate are others than readers of GGUF take them to be. */
static bool rotates_otherwise(const struct hparams *h)
{
    const uint32_t interval = h->architecture->unrotated_interval;
    bool differs = false;
    for (uint32_t i = 0; interval != 0 && i < h->n_layers; i++)
        differs = differs || (h->layers[i].rope == 1) != ((i + 1) % interval == 0);
    return differs;
}

/* Whether only lckv's own keys can say how the model runs. */
static bool needs_own_keys(const struct hparams *h, const struct lckv_plan *plan)
{
    const bool standard = plan->standard && h->architecture->own_kv_layers == 0;
    return h->force_nodiag || !(standard || hparams_plan_is_common(h, plan));
}

/* A model that other programs would run wrongly gets an architecture name of its own. */
static const char *written_name(const struct hparams *h, const struct lckv_plan *plan)
{
    const struct architecture *architecture = h->architecture;
    const bool own = needs_own_keys(h, plan) || rotates_otherwise(h) || architecture->fused ||
                     (h->n_side_streams > 0 && !hparams_sparsity_is_usual(h));
    return own ? architecture->lckv_name : architecture->gguf_name;
}

static lckv_status set_unrotated(const struct hparams *h, struct metadata *metadata)
{
    bool unrotated[PLAN_MAX_LAYERS];
    for (uint32_t i = 0; i < h->n_layers; i++)
        unrotated[i] = h->layers[i].rope == 1;
    return metadata_set_bools(metadata, "lckv.unrotated_layers", unrotated, h->n_layers);
}

/* A number that layers have in common is written once, others as an array. */
static lckv_status set_layers(struct metadata *metadata, const char *architecture,
                              const char *suffix, const uint32_t *values, size_t n)
{
    char key[HPARAMS_KEY_BYTES];
    bool same = true;
    hparams_key(architecture, suffix, key);
    for (size_t i = 1; i < n; i++)
        same = same && values[i] == values[0];
    return same ? metadata_set_u32(metadata, key, values[0])
                : metadata_set_u32s(metadata, key, values, n);
}

/* The size of heads in layers with a window. */
static lckv_status set_window_heads(const struct hparams *h, const char *architecture,
                                    struct metadata *metadata)
{
    static const char *const suffixes[] = {"attention.key_length_swa", "attention.value_length_swa",
                                           "rope.dimension_count_swa"};
    lckv_status status = LCKV_OK;
    for (size_t i = 0; status == LCKV_OK && i < sizeof suffixes / sizeof suffixes[0]; i++) {
        char key[HPARAMS_KEY_BYTES];
        hparams_key(architecture, suffixes[i], key);
        status = metadata_set_u32(metadata, key, h->ropes[1].n_rotated);
    }
    return status;
}

/*
 * Layers with a window rotate in another way. A key of lckv's own tells which do if it is not the
 * plan's windows that tell: in a plan without any, and where layers have lost their window to
 * another plan, or got one, and rotate as before.
 */
static lckv_status set_window_rope(const struct hparams *h, const struct lckv_plan *plan,
                                   const char *architecture, struct metadata *metadata)
{
    char key[HPARAMS_KEY_BYTES];
    bool ropes[PLAN_MAX_LAYERS], differ = false, has_windows = false;
    if (h->ropes[1].scaling != ROPE_SCALING_NONE || h->ropes[1].n_still > 0)
        return fail(LCKV_UNSUPPORTED,
                    "the rotation of layers with a window is scaled, which GGUF has no keys for");
    for (uint32_t i = 0; i < h->n_layers; i++) {
        ropes[i] = h->layers[i].rope == 1;
        differ = differ || ropes[i] != plan->layers[i].windowed;
        has_windows = has_windows || plan->layers[i].windowed;
    }
    hparams_key(architecture, "rope.freq_base_swa", key);
    lckv_status status = metadata_set_f32(metadata, key, (float)h->ropes[1].theta);
    if (status == LCKV_OK && h->architecture->heads_by_window)
        status = set_window_heads(h, architecture, metadata);
    return status == LCKV_OK && (differ || !has_windows)
               ? metadata_set_bools(metadata, "lckv.window_ropes", ropes, h->n_layers)
               : status;
}

/* The scaling of a rope, but divisors, which are written as tensors. */
static lckv_status set_scaling(const struct rope_hparams *rope, const char *architecture,
                               struct metadata *metadata)
{
    const bool yarn = rope->scaling == ROPE_SCALING_YARN;
    const char *type = yarn ? "yarn" : "linear";
    const struct {
        const char *suffix;
        double value;
        bool written;
    } numbers[] = {
        {"rope.scaling.factor", rope->factor, yarn || rope->scaling == ROPE_SCALING_LINEAR},
        {"rope.scaling.yarn_beta_fast", rope->beta_fast, yarn && rope->beta_fast != 32},
        {"rope.scaling.yarn_beta_slow", rope->beta_slow, yarn && rope->beta_slow != 1},
        {"rope.scaling.attn_factor", rope->attention_factor, rope->attention_factor != 1},
    };
    char key[HPARAMS_KEY_BYTES];
    lckv_status status = LCKV_OK;
    hparams_key(architecture, "rope.scaling.type", key);
    if (numbers[0].written)
        status = metadata_set_text(metadata, key, type, strlen(type));
    for (size_t i = 0; status == LCKV_OK && i < sizeof numbers / sizeof numbers[0]; i++) {
        hparams_key(architecture, numbers[i].suffix, key);
        if (numbers[i].written)
            status = metadata_set_f32(metadata, key, (float)numbers[i].value);
    }
    /* Up to the model's context, other programs compute the same without it. */
    if (status == LCKV_OK && rope->scaling == ROPE_SCALING_DYNAMIC)
        status = metadata_set_f32(metadata, KEY_DYNAMIC, (float)rope->factor);
    hparams_key(architecture, "rope.scaling.original_context_length", key);
    return status == LCKV_OK && (yarn || rope->scaling == ROPE_SCALING_LONGROPE)
               ? metadata_set_u32(metadata, key, (uint32_t)rope->original_context)
               : status;
}

static lckv_status set_plan(const struct hparams *h, const struct lckv_plan *plan,
                            struct metadata *metadata)
{
    char *text;
    size_t length = 0;
    if (!needs_own_keys(h, plan))
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
    const char *architecture = written_name(h, plan);
    /* Where heads differ, all of a head is rotated; this is the size of those without a window. */
    const uint32_t head_dim =
        h->architecture->heads_by_window ? h->ropes[0].n_rotated : h->layers[0].head_dim;
    char key[HPARAMS_KEY_BYTES];
    const struct {
        const char *suffix;
        uint32_t value;
    } counts[] = {
        {"block_count", h->n_layers},
        {"context_length", h->context_length},
        {"embedding_length", h->hidden_size},
        {"attention.head_count", h->n_heads},
        {"attention.key_length", head_dim},
        {"attention.value_length", head_dim},
        {"rope.dimension_count", h->ropes[0].n_rotated},
        {"vocab_size", h->n_vocab},
    };
    uint32_t n_kv_heads[PLAN_MAX_LAYERS], intermediate_sizes[PLAN_MAX_LAYERS];
    for (uint32_t i = 0; i < h->n_layers; i++) {
        n_kv_heads[i] = h->layers[i].n_kv_heads;
        intermediate_sizes[i] = h->layers[i].intermediate_size;
    }
    lckv_status status =
        metadata_set_text(metadata, "general.architecture", architecture, strlen(architecture));
    if (status == LCKV_OK && h->name.length > 0)
        status = metadata_set_text(metadata, "general.name", h->name.bytes, h->name.length);
    for (size_t i = 0; status == LCKV_OK && i < sizeof counts / sizeof counts[0]; i++) {
        hparams_key(architecture, counts[i].suffix, key);
        status = metadata_set_u32(metadata, key, counts[i].value);
    }
    if (status == LCKV_OK)
        status = set_layers(metadata, architecture, "feed_forward_length", intermediate_sizes,
                            h->n_layers);
    if (status == LCKV_OK)
        status =
            set_layers(metadata, architecture, "attention.head_count_kv", n_kv_heads, h->n_layers);
    hparams_key(architecture, "attention.layer_norm_rms_epsilon", key);
    if (status == LCKV_OK)
        status = metadata_set_f32(metadata, key, h->rms_norm_eps);
    hparams_key(architecture, "rope.freq_base", key);
    if (status == LCKV_OK)
        status = metadata_set_f32(metadata, key, (float)h->ropes[0].theta);
    if (status == LCKV_OK)
        status = set_scaling(&h->ropes[0], architecture, metadata);
    if (status == LCKV_OK && h->architecture->inputs_by_layer) {
        hparams_key(architecture, "embedding_length_per_layer_input", key);
        status = metadata_set_u32(metadata, key, h->layer_input_size);
        if (status == LCKV_OK && h->n_input_tokens != hparams_usual_input_tokens(h))
            status = metadata_set_u32(metadata, "lckv.input_tokens", h->n_input_tokens);
    }
    if (status == LCKV_OK && h->n_side_streams > 0)
        status = hparams_altup_to_metadata(h, architecture, metadata);
    if (status == LCKV_OK && h->architecture->ropes_by_window)
        status = set_window_rope(h, plan, architecture, metadata);
    if (status == LCKV_OK && rotates_otherwise(h))
        status = set_unrotated(h, metadata);
    if (status == LCKV_OK)
        status = hparams_write_scales(h, architecture, metadata);
    if (status == LCKV_OK)
        status = hparams_plan_to_metadata(h, plan, architecture, metadata);
    return status == LCKV_OK ? set_plan(h, plan, metadata) : status;
}
