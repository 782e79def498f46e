/*
 * Which tensors must be there, and which are skipped. See check_tensors.h.
 */
#include "model/check_tensors.h"

#include "base/status.h"
#include "model/roles.h"

#define MOST_NAMED 16 /* skipped tensors that get a remark of their own */

const char *why_not_used(const struct checkpoint *checkpoint, const struct hparams *hparams,
                         const struct lckv_plan *plan, struct text name)
{
    enum weight weight;
    uint32_t layer;
    if (!weight_of_name(checkpoint->kind, name, hparams->n_layers, &weight, &layer))
        return "the model has no such part";
    if (weight_is_kv(weight) && plan->layers[layer].slot < 0)
        return "no layer of the plan reads these keys and values";
    if (weight == WEIGHT_OUTPUT && hparams->tie_embeddings)
        return "the output matrix is the token embedding";
    return NULL;
}

static void name_skipped(const struct checkpoint *checkpoint, const struct hparams *hparams,
                         const struct lckv_plan *plan, const struct remarks *remarks)
{
    size_t n_skipped = 0;
    for (size_t i = 0; i < checkpoint->n_tensors; i++) {
        struct text name = checkpoint->tensors[i].name;
        const char *why = why_not_used(checkpoint, hparams, plan, name);
        if (why != NULL && n_skipped++ < MOST_NAMED)
            remark(remarks, "tensor %s is not used: %s", quoted(name.bytes, name.length).text, why);
    }
    if (n_skipped > MOST_NAMED)
        remark(remarks, "%zu more tensors are not used", n_skipped - MOST_NAMED);
}

/* Every layer whose keys and values are read must have the matrices that make them. */
static lckv_status check_kv(const struct checkpoint *checkpoint, const struct lckv_plan *plan)
{
    const enum weight both[] = {WEIGHT_K, WEIGHT_V};
    for (uint32_t i = 0; i < plan->n_layers; i++) {
        char name[WEIGHT_NAME_BYTES];
        for (size_t w = 0; plan->layers[i].slot >= 0 && w < 2; w++) {
            weight_name(checkpoint->kind, both[w], i, name);
            if (checkpoint_find(checkpoint, name) == NULL)
                return fail(LCKV_BAD_PLAN,
                            "%s: tensor %s is missing, but the plan reads the keys and values of "
                            "layer %u",
                            checkpoint->name, name, i);
        }
    }
    return LCKV_OK;
}

/* A bias that config.json promises must be there: without it the model would be another one. */
static lckv_status check_biases(const struct checkpoint *checkpoint, const struct hparams *hparams,
                                const struct lckv_plan *plan)
{
    const struct {
        enum weight weight;
        bool promised;
        const char *member;
    } biases[] = {
        {WEIGHT_Q_BIAS, hparams->attention_bias, "attention_bias"},
        {WEIGHT_K_BIAS, hparams->attention_bias, "attention_bias"},
        {WEIGHT_V_BIAS, hparams->attention_bias, "attention_bias"},
        {WEIGHT_O_BIAS, hparams->attention_bias, "attention_bias"},
        {WEIGHT_GATE_BIAS, hparams->mlp_bias, "mlp_bias"},
        {WEIGHT_UP_BIAS, hparams->mlp_bias, "mlp_bias"},
        {WEIGHT_DOWN_BIAS, hparams->mlp_bias, "mlp_bias"},
    };
    for (uint32_t i = 0; i < plan->n_layers; i++) {
        for (size_t b = 0; b < sizeof biases / sizeof biases[0]; b++) {
            char name[WEIGHT_NAME_BYTES];
            bool no_part = weight_is_kv(biases[b].weight) && plan->layers[i].slot < 0;
            if (!biases[b].promised || no_part)
                continue;
            weight_name(checkpoint->kind, biases[b].weight, i, name);
            if (checkpoint_find(checkpoint, name) == NULL)
                return fail(LCKV_BAD_FORMAT, "%s: tensor %s is missing, but config.json says %s",
                            checkpoint->name, name, biases[b].member);
        }
    }
    return LCKV_OK;
}

lckv_status check_tensors(const struct checkpoint *checkpoint, const struct hparams *hparams,
                          const struct lckv_plan *plan, const struct remarks *remarks)
{
    lckv_status status = check_kv(checkpoint, plan);
    if (status == LCKV_OK)
        status = check_biases(checkpoint, hparams, plan);
    if (status == LCKV_OK)
        name_skipped(checkpoint, hparams, plan, remarks);
    return status;
}
