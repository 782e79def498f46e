/*
 * Which tensors must be there, and which are skipped. See check_tensors.h.
 */
#include "model/check_tensors.h"

#include "base/status.h"
#include "model/roles.h"

#include <string.h>

#define MOST_NAMED 16 /* skipped tensors that get a remark of their own */

/*
 * Parts of related models that change the computation and that lckv does not compute, without
 * ".weight" and ".bias".
 */
static const struct {
    const char *gguf, *hf;
} foreign_parts[] = {
    {"attn_q_norm", "self_attn.q_norm"},
    {"attn_k_norm", "self_attn.k_norm"},
    {"attn_sinks", "self_attn.sinks"},
    {"attn_qkv", "self_attn.qkv_proj"},
    {"attn_sub_norm", "self_attn.attn_sub_norm"},
    {"ffn_sub_norm", "mlp.ffn_sub_norm"},
    {"attn_norm_2", "pre_feedforward_layernorm"},
    {"post_attention_norm", "post_self_attn_layernorm"},
    {"post_ffw_norm", "post_feedforward_layernorm"},
    {"ffn_gate_inp", "mlp.gate"},
    {"ffn_gate_exps", "mlp.experts"},
    {"ffn_up_exps", "mlp.shared_expert"},
    {"ffn_down_exps", "block_sparse_moe"},
    {"token_embd_norm", "model.embed_norm"},
    {"position_embd", "model.embed_positions"},
};

/* Whether `part` is `foreign` or "foreign.something". */
static bool belongs_to(struct text part, const char *foreign)
{
    size_t length = strlen(foreign);
    return length > 0 && part.length >= length && memcmp(part.bytes, foreign, length) == 0 &&
           (part.length == length || part.bytes[length] == '.');
}

static bool is_foreign(enum checkpoint_kind kind, struct text part)
{
    for (size_t i = 0; i < sizeof foreign_parts / sizeof foreign_parts[0]; i++) {
        if (belongs_to(part, kind == CHECKPOINT_GGUF ? foreign_parts[i].gguf : foreign_parts[i].hf))
            return true;
    }
    return false;
}

enum tensor_use tensor_use(const struct checkpoint *checkpoint, const struct hparams *hparams,
                           const struct lckv_plan *plan, struct text name, const char **why)
{
    struct named named =
        weight_of_name(hparams->architecture, checkpoint->kind, name, hparams->n_layers);
    if (named.naming == NAMES_OTHER) {
        bool foreign = is_foreign(checkpoint->kind, named.part);
        *why = foreign ? "models with such a part compute something else"
                       : "the model has no such part";
        return foreign ? TENSOR_REFUSED : TENSOR_SKIPPED;
    }
    if (!weight_belongs(hparams, named.weight, named.layer)) {
        *why = "the configuration says that the model has no such part";
        return TENSOR_SKIPPED;
    }
    if (weight_is_kv(named.weight) && plan->layers[named.layer].slot < 0) {
        *why = "no layer of the plan reads the keys and values of its layer";
        return TENSOR_SKIPPED;
    }
    if (named.weight == WEIGHT_OUTPUT && hparams->tie_embeddings) {
        *why = "the output matrix is the token embedding";
        return TENSOR_SKIPPED;
    }
    *why = "it changes the weight whose name it shares";
    return named.naming == NAMES_WEIGHT ? TENSOR_USED : TENSOR_REFUSED;
}

static lckv_status check_names(const struct checkpoint *checkpoint, const struct hparams *hparams,
                               const struct lckv_plan *plan, const struct remarks *remarks)
{
    size_t n_skipped = 0;
    for (size_t i = 0; i < checkpoint->n_tensors; i++) {
        struct text name = checkpoint->tensors[i].name;
        struct quoted shown = quoted(name.bytes, name.length);
        const char *why = NULL;
        enum tensor_use use = tensor_use(checkpoint, hparams, plan, name, &why);
        if (use == TENSOR_REFUSED)
            return fail(LCKV_UNSUPPORTED, "%s: tensor %s is not supported: %s", checkpoint->name,
                        shown.text, why);
        if (use == TENSOR_SKIPPED && (n_skipped++ < MOST_NAMED || remarks->all))
            remark(remarks, "tensor %s is not used: %s", shown.text, why);
    }
    if (n_skipped > MOST_NAMED && !remarks->all)
        remark(remarks, "%zu more tensors are not used", n_skipped - MOST_NAMED);
    return LCKV_OK;
}

/* Every layer whose keys and values are read must have the matrices that make them. */
static lckv_status check_kv(const struct checkpoint *checkpoint, const struct hparams *hparams,
                            const struct lckv_plan *plan)
{
    const enum weight both[] = {WEIGHT_K, WEIGHT_V};
    for (uint32_t i = 0; i < plan->n_layers; i++) {
        char name[WEIGHT_NAME_BYTES];
        for (size_t w = 0; plan->layers[i].slot >= 0 && w < 2; w++) {
            weight_name(hparams->architecture, checkpoint->kind, both[w], i, name);
            if (weight_belongs(hparams, both[w], i) && checkpoint_find(checkpoint, name) == NULL)
                return fail(LCKV_BAD_PLAN,
                            "%s: tensor %s is missing, but the plan reads the keys and values of "
                            "layer %u",
                            checkpoint->name, name, i);
        }
    }
    return LCKV_OK;
}

/* A bias that config.json promises must be there: without it this would be another model. */
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
            weight_name(hparams->architecture, checkpoint->kind, biases[b].weight, i, name);
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
    lckv_status status = check_kv(checkpoint, hparams, plan);
    if (status == LCKV_OK)
        status = check_biases(checkpoint, hparams, plan);
    return status == LCKV_OK ? check_names(checkpoint, hparams, plan, remarks) : status;
}
