/*
 * Chooses the tensors to write, and the name and layout of each. See converter.h.
 */
#include "convert/converter.h"

#include "base/status.h"
#include "model/architecture.h"
#include "model/fused.h"
#include "model/roles.h"

#include <stdio.h>
#include <string.h>

/* Adds a tensor whose data are the mean over `n_sources` tensors. */
static lckv_status add_tensor(struct converter *c, enum weight weight, uint32_t layer,
                              const struct tensor *const *sources, size_t n_sources)
{
    struct gguf_tensor *to = &c->tensors[c->n_tensors];
    struct rows *rows = &c->rows[c->n_tensors];
    char name[WEIGHT_NAME_BYTES];
    weight_name(c->hparams.architecture, CHECKPOINT_GGUF, weight, layer, name);
    lckv_status status = arena_copy(&c->arena, name, strlen(name), &to->name);
    if (status == LCKV_OK)
        status =
            arena_alloc(&c->arena, n_sources, sizeof *rows->sources, "sources", &rows->sources);
    if (status != LCKV_OK)
        return status;
    memcpy(rows->sources, sources, n_sources * sizeof *sources);
    rows->n_sources = n_sources;
    to->dtype = converter_choose_dtype(c, sources, n_sources, weight, layer, name);
    to->n_dims = sources[0]->n_dims;
    memcpy(to->shape, sources[0]->shape, sizeof to->shape);
    if (!weight_is_vector(weight) && weight != WEIGHT_INPUT_TABLE) /* whose rows stay plain */
        to->layout = c->layout;
    if (weight == WEIGHT_INPUT_TABLE) { /* in GGUF files it has rows for all tokens */
        to->shape[0] = c->hparams.n_vocab;
        rows->n_own_rows = c->hparams.n_input_tokens;
    }
    if (weight_is_norm(weight))
        rows->added = architecture_norm_offset(c->hparams.architecture, c->in.kind);
    bool rotated = weight_is_rotated(weight);
    uint32_t head_dim = c->hparams.layers[layer].head_dim;
    /*
     * Two rows that are rotated together are neighbours in the GGUF files of some architectures.
     * Elsewhere, and in packed files, they are half a head apart.
     */
    bool split = c->in.kind == CHECKPOINT_HF || sources[0]->layout.lanes > 0 ||
                 !c->hparams.architecture->gguf_rope_adjacent;
    bool to_split = to->layout.lanes > 0 || !c->hparams.architecture->gguf_rope_adjacent;
    if (rotated && split && !to_split)
        rows->split_head_dim = head_dim;
    else if (rotated && !split && to_split)
        rows->paired_head_dim = head_dim;
    uint64_t bytes;
    if (!dtype_bytes(to->dtype, to->shape[0] * to->shape[1], &bytes))
        return fail(LCKV_INTERNAL, "tensor %s has no size as %s", name,
                    dtype_info(to->dtype)->name);
    c->total += bytes;
    c->n_tensors++;
    return LCKV_OK;
}

static lckv_status find(const struct converter *c, enum weight weight, uint32_t layer,
                        bool required, const struct tensor **tensor)
{
    return weight_find(&c->in, &c->hparams, weight, layer, required, tensor);
}

/* Adds several matrices of one shape as one tensor of three dimensions. */
static lckv_status add_stack(struct converter *c, const char *name, const enum weight *parts,
                             uint32_t n_parts)
{
    struct gguf_tensor *to = &c->tensors[c->n_tensors];
    struct rows *rows = &c->rows[c->n_tensors];
    bool same = true;
    uint64_t bytes;
    lckv_status status =
        arena_alloc(&c->arena, n_parts, sizeof *rows->sources, "sources", &rows->sources);
    for (uint32_t p = 0; status == LCKV_OK && p < n_parts; p++) {
        status = find(c, parts[p], 0, true, &rows->sources[p]);
        same = same && status == LCKV_OK && rows->sources[p]->dtype == rows->sources[0]->dtype;
    }
    if (status == LCKV_OK)
        status = arena_copy(&c->arena, name, strlen(name), &to->name);
    if (status != LCKV_OK)
        return status;
    const uint64_t *shape = rows->sources[0]->shape;
    rows->n_sources = n_parts;
    rows->stacked = true;
    to->dtype = converter_choose_dtype(c, rows->sources, same ? 1 : n_parts, parts[0], 0, name);
    to->n_dims = 3;
    memcpy(to->shape, (const uint64_t[]){n_parts, shape[0], shape[1], 1}, sizeof to->shape);
    if (!dtype_bytes(to->dtype, n_parts * shape[0] * shape[1], &bytes))
        return fail(LCKV_INTERNAL, "tensor %s has no size as %s", name,
                    dtype_info(to->dtype)->name);
    c->total += bytes;
    c->n_tensors++;
    return LCKV_OK;
}

/* Whether the weight stands in a stack, but for packed files, which have plain matrices. */
static bool is_stacked(const struct converter *c, enum weight weight)
{
    return c->layout.lanes == 0 && weight >= WEIGHT_STREAM_IN_1 && weight <= WEIGHT_STREAM_OUT_3;
}

/* Adds a tensor that comes from one tensor of the input, or the stack that begins with it. */
static lckv_status add_weight(struct converter *c, enum weight weight, uint32_t layer)
{
    const struct tensor *tensor = NULL;
    const enum weight *parts = NULL;
    uint32_t n_parts = 0;
    if (!weight_belongs(&c->hparams, weight, layer) ||
        (weight == WEIGHT_OUTPUT && c->hparams.tie_embeddings))
        return LCKV_OK;
    if (is_stacked(c, weight)) {
        const char *stack = fused_stack(weight, &parts, &n_parts);
        return stack != NULL ? add_stack(c, stack, parts, n_parts) : LCKV_OK;
    }
    lckv_status status = find(c, weight, layer, !weight_is_optional(&c->hparams, weight), &tensor);
    if (status != LCKV_OK || tensor == NULL)
        return status;
    return add_tensor(c, weight, layer, &tensor, 1);
}

/*
 * Adds k or v of a source layer: the mean over the layers that read it, or that layer's own
 * (docs/semantics.md, section 5).
 */
static lckv_status add_kv(struct converter *c, enum weight weight, uint32_t layer)
{
    const struct tensor *sources[PLAN_MAX_LAYERS];
    size_t n = 0, n_missing = 0;
    bool own = c->same_plan || c->options->init == LCKV_CONVERT_COPY;
    for (uint32_t i = 0; i < c->plan->n_layers; i++) {
        const struct tensor *tensor = NULL;
        bool takes_part = own ? i == layer : c->plan->layers[i].source == layer;
        if (!takes_part)
            continue;
        bool bias = weight_is_optional(&c->hparams, weight);
        if (!bias && c->old_plan->layers[i].slot < 0)
            return fail(LCKV_MISMATCH,
                        "%s: the new plan needs keys and values of layer %u, which the model does "
                        "not have; convert from a model that has them",
                        c->in.name, i);
        lckv_status status = find(c, weight, i, !bias, &tensor);
        if (status != LCKV_OK)
            return status;
        if (tensor != NULL)
            sources[n++] = tensor;
        else
            n_missing++;
    }
    if (n > 0 && n_missing > 0)
        return fail(LCKV_MISMATCH,
                    "%s: some of the layers to average have biases and some have none", c->in.name);
    for (size_t i = 1; i < n; i++) {
        if ((sources[i]->layout.lanes > 0) != (sources[0]->layout.lanes > 0))
            return fail(LCKV_MISMATCH,
                        "%s: some of the layers to average are packed and some are not",
                        c->in.name);
    }
    return n > 0 ? add_tensor(c, weight, layer, sources, n) : LCKV_OK;
}

/* Adds a vector of `n` numbers that are known. */
static lckv_status add_values(struct converter *c, enum weight weight, uint32_t layer,
                              const float *values, uint32_t n)
{
    struct gguf_tensor *to = &c->tensors[c->n_tensors];
    char name[WEIGHT_NAME_BYTES];
    weight_name(c->hparams.architecture, CHECKPOINT_GGUF, weight, layer, name);
    *to = (struct gguf_tensor){.dtype = LCKV_DTYPE_F32, .n_dims = 1, .shape = {n, 1, 1, 1}};
    lckv_status status = arena_copy(&c->arena, name, strlen(name), &to->name);
    c->rows[c->n_tensors++].values = values;
    c->total += n * sizeof *values;
    return status;
}

/* Adds a vector of divisors of the frequencies. */
static lckv_status add_divisors(struct converter *c, enum weight weight, const float *values)
{
    return add_values(c, weight, 0, values, c->hparams.ropes[0].n_rotated / 2);
}

/* GGUF files have a scale of what AltUp corrects in any case. */
static lckv_status add_correction_scales(struct converter *c)
{
    const uint32_t n = c->hparams.hidden_size;
    float *ones;
    if (!c->hparams.unscaled_correction)
        return LCKV_OK;
    lckv_status status = arena_alloc(&c->arena, n, sizeof *ones, "a vector of ones", &ones);
    for (uint32_t i = 0; status == LCKV_OK && i < n; i++)
        ones[i] = 1;
    for (uint32_t i = 0; status == LCKV_OK && i < c->hparams.n_layers; i++)
        status = add_values(c, WEIGHT_CORRECT_SCALE, i, ones, n);
    return status;
}

/*
 * In GGUF files, rope scaling of the llama3 kind is a tensor of divisors, as is the rotation of
 * some pairs only.
 */
static lckv_status add_computed_divisors(struct converter *c)
{
    const struct rope_hparams *rope = &c->hparams.ropes[0];
    uint32_t n = rope->n_rotated / 2;
    struct rope_hparams plain = *rope;
    double *scaled, *unscaled;
    float *factors;
    plain.scaling = ROPE_SCALING_NONE;
    plain.n_still = 0;
    lckv_status status = arena_alloc(&c->arena, n, sizeof *scaled, "rope factors", &scaled);
    if (status == LCKV_OK)
        status = arena_alloc(&c->arena, n, sizeof *unscaled, "rope factors", &unscaled);
    if (status == LCKV_OK)
        status = arena_alloc(&c->arena, n, sizeof *factors, "rope factors", &factors);
    if (status != LCKV_OK)
        return status;
    hparams_frequencies(rope, scaled);
    hparams_frequencies(&plain, unscaled);
    for (uint32_t d = 0; d < n; d++)
        factors[d] = scaled[d] > 0 ? (float)(unscaled[d] / scaled[d]) : HPARAMS_STILL_FACTOR;
    return add_divisors(c, WEIGHT_ROPE_FACTORS, factors);
}

/* The divisors of frequencies, wherever the source has them; longrope has two sets. */
static lckv_status add_rope_factors(struct converter *c)
{
    const struct rope_hparams *rope = &c->hparams.ropes[0];
    if (rope->scaling == ROPE_SCALING_LLAMA3 || (rope->n_still > 0 && rope->factors == NULL))
        return add_computed_divisors(c);
    if (rope->scaling != ROPE_SCALING_LONGROPE)
        return add_weight(c, WEIGHT_ROPE_FACTORS, 0);
    lckv_status status = add_divisors(c, WEIGHT_ROPE_SHORT, rope->factors);
    return status == LCKV_OK ? add_divisors(c, WEIGHT_ROPE_LONG, rope->long_factors) : status;
}

static bool is_divisors(enum weight weight)
{
    return weight == WEIGHT_ROPE_FACTORS || weight == WEIGHT_ROPE_SHORT ||
           weight == WEIGHT_ROPE_LONG;
}

lckv_status converter_list_tensors(struct converter *c)
{
    size_t most = WEIGHT_COUNT * ((size_t)c->hparams.n_layers + 1);
    lckv_status status =
        arena_alloc(&c->arena, most, sizeof *c->tensors, "the tensors", &c->tensors);
    if (status == LCKV_OK)
        status = arena_alloc(&c->arena, most, sizeof *c->rows, "the tensors", &c->rows);
    if (status == LCKV_OK)
        status = add_rope_factors(c);
    for (int w = 0; status == LCKV_OK && w < WEIGHT_COUNT && !weight_is_per_layer(w); w++) {
        if (!is_divisors((enum weight)w))
            status = add_weight(c, (enum weight)w, 0);
    }
    for (uint32_t i = 0; i < c->hparams.n_layers; i++) {
        for (int w = 0; status == LCKV_OK && w < WEIGHT_COUNT; w++) {
            bool kv = weight_is_kv((enum weight)w);
            if (!weight_is_per_layer((enum weight)w) ||
                !weight_belongs(&c->hparams, (enum weight)w, i) ||
                (kv && c->plan->layers[i].slot < 0))
                continue;
            status = kv ? add_kv(c, (enum weight)w, i) : add_weight(c, (enum weight)w, i);
        }
    }
    return status == LCKV_OK ? add_correction_scales(c) : status;
}
