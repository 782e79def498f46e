/*
 * Which tensors a model has. See weights.h.
 */
#include "model/weights.h"

#include "base/status.h"

#include <stdio.h>
#include <string.h>

void weight_shape(const struct hparams *h, enum weight weight, uint64_t *rows, uint64_t *columns)
{
    uint64_t query = (uint64_t)h->n_heads * h->head_dim,
             key = (uint64_t)h->n_kv_heads * h->head_dim;
    const struct {
        uint64_t rows, columns;
    } shapes[WEIGHT_COUNT] = {
        [WEIGHT_TOKEN_EMBEDDING] = {h->n_vocab, h->hidden_size},
        [WEIGHT_OUTPUT_NORM] = {h->hidden_size, 0},
        [WEIGHT_OUTPUT] = {h->n_vocab, h->hidden_size},
        [WEIGHT_ROPE_FACTORS] = {h->head_dim / 2, 0},
        [WEIGHT_ATTENTION_NORM] = {h->hidden_size, 0},
        [WEIGHT_Q] = {query, h->hidden_size},
        [WEIGHT_K] = {key, h->hidden_size},
        [WEIGHT_V] = {key, h->hidden_size},
        [WEIGHT_O] = {h->hidden_size, query},
        [WEIGHT_Q_BIAS] = {query, 0},
        [WEIGHT_K_BIAS] = {key, 0},
        [WEIGHT_V_BIAS] = {key, 0},
        [WEIGHT_O_BIAS] = {h->hidden_size, 0},
        [WEIGHT_FFN_NORM] = {h->hidden_size, 0},
        [WEIGHT_GATE] = {h->intermediate_size, h->hidden_size},
        [WEIGHT_UP] = {h->intermediate_size, h->hidden_size},
        [WEIGHT_DOWN] = {h->hidden_size, h->intermediate_size},
        [WEIGHT_GATE_BIAS] = {h->intermediate_size, 0},
        [WEIGHT_UP_BIAS] = {h->intermediate_size, 0},
        [WEIGHT_DOWN_BIAS] = {h->hidden_size, 0},
    };
    *rows = shapes[weight].rows;
    *columns = shapes[weight].columns;
}

bool weight_is_optional(const struct hparams *h, enum weight weight)
{
    switch (weight) {
    case WEIGHT_ROPE_FACTORS:
    case WEIGHT_Q_BIAS:
    case WEIGHT_K_BIAS:
    case WEIGHT_V_BIAS:
    case WEIGHT_O_BIAS:
    case WEIGHT_GATE_BIAS:
    case WEIGHT_UP_BIAS:
    case WEIGHT_DOWN_BIAS:
        return true;
    case WEIGHT_OUTPUT:
        return h->tie_embeddings;
    default:
        return false;
    }
}

lckv_status weight_find(const struct checkpoint *checkpoint, enum weight weight, uint32_t layer,
                        uint32_t n_dims, uint64_t rows, uint64_t columns, bool required,
                        const struct tensor **tensor)
{
    char name[WEIGHT_NAME_BYTES];
    weight_name(checkpoint->kind, weight, layer, name);
    const struct tensor *found = name[0] != '\0' ? checkpoint_find(checkpoint, name) : NULL;
    if (found == NULL && required)
        return fail(LCKV_BAD_FORMAT, "%s: tensor %s is missing", checkpoint->name, name);
    lckv_status status = found != NULL ? checkpoint_check(checkpoint, found) : LCKV_OK;
    if (status != LCKV_OK)
        return status;
    bool fits = found == NULL || (found->n_dims == n_dims && found->shape[0] == rows &&
                                  (n_dims == 1 || found->shape[1] == columns));
    if (!fits && n_dims == 1)
        return fail(LCKV_BAD_FORMAT, "%s: tensor %s has shape [%llu, %llu]; expected [%llu]",
                    checkpoint->name, name, (unsigned long long)found->shape[0],
                    (unsigned long long)found->shape[1], (unsigned long long)rows);
    if (!fits)
        return fail(LCKV_BAD_FORMAT, "%s: tensor %s has shape [%llu, %llu]; expected [%llu, %llu]",
                    checkpoint->name, name, (unsigned long long)found->shape[0],
                    (unsigned long long)found->shape[1], (unsigned long long)rows,
                    (unsigned long long)columns);
    *tensor = found;
    return LCKV_OK;
}

/* The layer in a tensor's name ("blk.7.", "model.layers.7."), or -1. */
static int64_t layer_of_name(enum checkpoint_kind kind, const char *name)
{
    const char *prefix = kind == CHECKPOINT_GGUF ? "blk." : "model.layers.";
    size_t length = strlen(prefix);
    if (strncmp(name, prefix, length) != 0 || name[length] < '0' || name[length] > '9')
        return -1;
    int64_t layer = 0;
    for (const char *at = name + length; *at >= '0' && *at <= '9' && layer < UINT32_MAX; at++)
        layer = layer * 10 + (*at - '0');
    return layer;
}

/* Whether a weight of the model has this name. */
static bool is_known(const struct checkpoint *checkpoint, const struct hparams *hparams,
                     const char *name, enum weight *weight, int64_t *layer)
{
    *layer = layer_of_name(checkpoint->kind, name);
    if (*layer >= hparams->n_layers)
        return false;
    for (int w = 0; w < WEIGHT_COUNT; w++) {
        char expected[WEIGHT_NAME_BYTES];
        if (weight_is_per_layer((enum weight)w) != (*layer >= 0))
            continue;
        weight_name(checkpoint->kind, (enum weight)w, (uint32_t)(*layer >= 0 ? *layer : 0),
                    expected);
        if (strcmp(name, expected) == 0) {
            *weight = (enum weight)w;
            return true;
        }
    }
    return false;
}

/* A bias that config.json promises must be there: without it the model would be another one. */
static lckv_status check_biases(const struct checkpoint *checkpoint, const struct hparams *hparams,
                                const struct lckv_plan *plan)
{
    const struct {
        enum weight weight;
        bool promised, is_kv;
        const char *member;
    } biases[] = {
        {WEIGHT_Q_BIAS, hparams->attention_bias, false, "attention_bias"},
        {WEIGHT_K_BIAS, hparams->attention_bias, true, "attention_bias"},
        {WEIGHT_V_BIAS, hparams->attention_bias, true, "attention_bias"},
        {WEIGHT_O_BIAS, hparams->attention_bias, false, "attention_bias"},
        {WEIGHT_GATE_BIAS, hparams->mlp_bias, false, "mlp_bias"},
        {WEIGHT_UP_BIAS, hparams->mlp_bias, false, "mlp_bias"},
        {WEIGHT_DOWN_BIAS, hparams->mlp_bias, false, "mlp_bias"},
    };
    for (uint32_t i = 0; i < plan->n_layers; i++) {
        for (size_t b = 0; b < sizeof biases / sizeof biases[0]; b++) {
            char name[WEIGHT_NAME_BYTES];
            if (!biases[b].promised || (biases[b].is_kv && plan->layers[i].slot < 0))
                continue;
            weight_name(checkpoint->kind, biases[b].weight, i, name);
            if (checkpoint_find(checkpoint, name) == NULL)
                return fail(LCKV_BAD_FORMAT, "%s: tensor %s is missing, but config.json says %s",
                            checkpoint->name, name, biases[b].member);
        }
    }
    return LCKV_OK;
}

lckv_status weights_check(const struct checkpoint *checkpoint, const struct hparams *hparams,
                          const struct lckv_plan *plan, lckv_log_callback log, void *log_user)
{
    for (size_t i = 0; i < checkpoint->n_tensors; i++) {
        const char *name = checkpoint->tensors[i].name.bytes;
        enum weight weight;
        int64_t layer;
        if (!is_known(checkpoint, hparams, name, &weight, &layer)) {
            char text[192];
            int length =
                snprintf(text, sizeof text, "tensor %s is not used", quoted_string(name).text);
            if (log != NULL && length > 0)
                log(log_user, text, (size_t)length);
            continue;
        }
        bool kv = weight == WEIGHT_K || weight == WEIGHT_V || weight == WEIGHT_K_BIAS ||
                  weight == WEIGHT_V_BIAS;
        if (kv && plan->layers[layer].slot < 0)
            return fail(
                LCKV_BAD_PLAN,
                "%s: tensor %s is there, but no layer of the plan reads the keys and values "
                "of layer %lld",
                checkpoint->name, name, (long long)layer);
    }
    for (uint32_t i = 0; i < plan->n_layers; i++) {
        char name[WEIGHT_NAME_BYTES];
        const enum weight both[] = {WEIGHT_K, WEIGHT_V};
        for (size_t w = 0; plan->layers[i].slot >= 0 && w < 2; w++) {
            weight_name(checkpoint->kind, both[w], i, name);
            if (checkpoint_find(checkpoint, name) == NULL)
                return fail(LCKV_BAD_PLAN,
                            "%s: tensor %s is missing, but the plan reads the keys and values of "
                            "layer %u",
                            checkpoint->name, name, i);
        }
    }
    return check_biases(checkpoint, hparams, plan);
}
