/*
 * Divisors of the frequencies of rotation, one for each pair: lists in config.json, tensors in
 * GGUF files. longrope has two sets of them, for short and for long texts.
 */
#include "model/hparams_sources.h"

#include "base/status.h"
#include "base/text.h"
#include "format/json.h"
#include "kernels/blocks.h"
#include "model/roles.h"

#include <math.h>
#include <string.h>

#define CONFIG "config.json"

static bool is_divisor(float value)
{
    return isfinite(value) && value > 0;
}

/* ---- config.json ---- */

static lckv_status read_list(struct checkpoint *checkpoint, const struct json_value *object,
                             const char *name, uint32_t n, const float **factors)
{
    const struct json_value *list = NULL;
    float *values;
    lckv_status status = json_get_array(object, CONFIG ": rope scaling", name, &list);
    if (status == LCKV_OK && (list == NULL || json_count(list) != n))
        status = fail(LCKV_BAD_FORMAT,
                      CONFIG ": rope scaling: %s; expected a list of %u numbers, one for each pair "
                             "of rotated elements",
                      name, n);
    if (status == LCKV_OK)
        status = arena_alloc(&checkpoint->arena, n, sizeof *values, "rope factors", &values);
    if (status != LCKV_OK)
        return status;
    const struct json_value *entry = json_first(list);
    for (uint32_t i = 0; i < n; i++, entry = json_next(list, entry)) {
        double number;
        if (!json_is(entry, JSON_NUMBER) || !json_number(entry, &number) ||
            !is_divisor((float)number))
            return fail(LCKV_BAD_FORMAT,
                        CONFIG ": rope scaling: %s: entry %u; expected a positive number", name, i);
        values[i] = (float)number;
    }
    *factors = values;
    return LCKV_OK;
}

/* What rotated elements are multiplied by grows with the number of times the context is longer. */
static lckv_status read_attention(const struct json_value *object, struct hparams *h)
{
    struct rope_hparams *rope = &h->ropes[0];
    const char *what = CONFIG ": rope scaling";
    double factor = h->context_length / rope->original_context;
    bool found = false;
    lckv_status status =
        json_get_f64(object, what, "attention_factor", &rope->attention_factor, &found);
    if (status == LCKV_OK)
        status = json_get_f64(object, what, "factor", &factor, NULL);
    if (status == LCKV_OK && !found && factor > 1)
        rope->attention_factor = sqrt(1 + log(factor) / log(rope->original_context));
    return status;
}

/* Reads a list from the newer object, or from the older one, and both must agree. */
static lckv_status read_both(struct checkpoint *checkpoint, const struct json_value *parameters,
                             const struct json_value *scaling, const char *name, uint32_t n,
                             const float **factors)
{
    const float *older = NULL;
    lckv_status status =
        read_list(checkpoint, parameters != NULL ? parameters : scaling, name, n, factors);
    if (status != LCKV_OK || parameters == NULL || scaling == NULL)
        return status;
    status = read_list(checkpoint, scaling, name, n, &older);
    if (status == LCKV_OK && memcmp(older, *factors, n * sizeof *older) != 0)
        status = fail(LCKV_UNSUPPORTED,
                      CONFIG ": %s differs between rope_parameters and rope_scaling; expected the "
                             "same or one",
                      name);
    return status;
}

lckv_status hparams_factors_from_config(struct checkpoint *checkpoint,
                                        const struct json_value *config, struct hparams *h)
{
    struct rope_hparams *rope = &h->ropes[0];
    const struct json_value *parameters = NULL, *scaling = NULL;
    const uint32_t n = rope->n_rotated / 2;
    if (rope->scaling != ROPE_SCALING_LONGROPE)
        return LCKV_OK;
    lckv_status status = json_get_object(config, CONFIG, "rope_parameters", &parameters);
    if (status == LCKV_OK)
        status = json_get_object(config, CONFIG, "rope_scaling", &scaling);
    if (status == LCKV_OK)
        status = read_both(checkpoint, parameters, scaling, "short_factor", n, &rope->factors);
    if (status == LCKV_OK)
        status = read_both(checkpoint, parameters, scaling, "long_factor", n, &rope->long_factors);
    if (status == LCKV_OK && !(rope->original_context > 1 && rope->original_context <= UINT32_MAX))
        status = fail(LCKV_BAD_FORMAT,
                      CONFIG ": original_max_position_embeddings is %g; expected more than 1",
                      rope->original_context);
    const struct json_value *object = parameters != NULL ? parameters : scaling;
    return status == LCKV_OK ? read_attention(object, h) : status;
}

/* ---- GGUF ---- */

/* *values stays as it is if there is no such tensor. */
static lckv_status read_tensor(struct checkpoint *checkpoint, const struct hparams *h,
                               enum weight weight, const float **values)
{
    char name[WEIGHT_NAME_BYTES];
    uint32_t n = h->ropes[0].n_rotated / 2;
    float *factors;
    uint8_t bytes[4 * HPARAMS_MAX_HEAD_DIM / 2];
    weight_name(h->architecture, CHECKPOINT_GGUF, weight, 0, name);
    const struct tensor *tensor = checkpoint_find(checkpoint, name);
    if (tensor == NULL)
        return LCKV_OK;
    if (tensor->dtype != LCKV_DTYPE_F32 || tensor->n_dims != 1 || tensor->shape[0] != n)
        return fail(LCKV_BAD_FORMAT, "%s: tensor %s; expected f32 [%u]", checkpoint->name, name, n);
    lckv_status status =
        arena_alloc(&checkpoint->arena, n, sizeof *factors, "rope factors", &factors);
    if (status == LCKV_OK)
        status = checkpoint_read(checkpoint, tensor, 0, bytes, n * sizeof *factors);
    if (status != LCKV_OK)
        return status;
    blocks_dequantize(LCKV_DTYPE_F32, bytes, n, factors);
    for (uint32_t i = 0; i < n; i++) {
        if (!is_divisor(factors[i]))
            return fail(LCKV_BAD_FORMAT,
                        "%s: tensor %s: element %u is %g; expected a positive number",
                        checkpoint->name, name, i, (double)factors[i]);
    }
    *values = factors;
    return LCKV_OK;
}

lckv_status hparams_factors_from_gguf(struct checkpoint *checkpoint, struct hparams *h)
{
    struct rope_hparams *rope = &h->ropes[0];
    const float *factors = NULL, *short_factors = NULL;
    lckv_status status = read_tensor(checkpoint, h, WEIGHT_ROPE_FACTORS, &factors);
    if (status == LCKV_OK)
        status = read_tensor(checkpoint, h, WEIGHT_ROPE_SHORT, &short_factors);
    if (status == LCKV_OK)
        status = read_tensor(checkpoint, h, WEIGHT_ROPE_LONG, &rope->long_factors);
    if (status != LCKV_OK)
        return status;
    const bool has_both = short_factors != NULL && rope->long_factors != NULL;
    const bool has_any = short_factors != NULL || rope->long_factors != NULL;
    const bool longrope = rope->scaling == ROPE_SCALING_LONGROPE;
    rope->factors = has_any ? short_factors : factors;
    const uint32_t n = rope->n_rotated / 2;
    while (factors != NULL && rope->n_still < n &&
           factors[n - rope->n_still - 1] >= HPARAMS_STILL_FACTOR)
        rope->n_still++;
    /* A file that has no tensors at all is opened for its text. */
    if (checkpoint->n_tensors == 0 || (!has_any && !longrope))
        return LCKV_OK;
    if (!has_both)
        return fail(LCKV_BAD_FORMAT,
                    "%s: longrope; expected both tensors, rope_factors_short.weight and "
                    "rope_factors_long.weight",
                    checkpoint->name);
    if (factors != NULL || (rope->scaling != ROPE_SCALING_NONE && !longrope))
        return fail(
            LCKV_UNSUPPORTED,
            "%s: tensor rope_factors_short.weight; expected no other scaling of frequencies",
            checkpoint->name);
    rope->scaling = ROPE_SCALING_LONGROPE;
    return LCKV_OK;
}
