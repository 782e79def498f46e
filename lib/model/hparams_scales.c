/*
 * The scales of an architecture's recipe: under which keys files have them. Also which other keys
 * an architecture reads.
 */
#include "model/hparams_sources.h"

#include "base/status.h"
#include "base/text.h"
#include "format/json.h"

#include <math.h>
#include <stdio.h>

static const struct {
    const char *json, *gguf; /* the latter behind "<architecture>." */
    float neutral;
} scales[SCALES] = {
    [SCALE_EMBEDDING] = {"embedding_multiplier", "embedding_scale", 1},
    [SCALE_ATTENTION] = {"attention_multiplier", "attention.scale", 0},
    [SCALE_RESIDUAL] = {"residual_multiplier", "residual_scale", 1},
    [SCALE_LOGITS] = {"logits_scaling", "logit_scale", 1},
    [SCALE_SOFTCAP] = {"final_logit_softcapping", "final_logit_softcapping", 0},
};

const char *hparams_key(const char *architecture, const char *suffix, char key[HPARAMS_KEY_BYTES])
{
    snprintf(key, HPARAMS_KEY_BYTES, "%s.%s", architecture, suffix);
    return key;
}

float scale_default(enum scale scale)
{
    return scales[scale].neutral;
}

/* The keys of layers with a window that rotate in another way. */
static const char *const window_ropes[] = {
    "rope_local_base_freq",
    "rope.freq_base_swa",
    "attention.sliding_window_pattern",
    "sliding_window_pattern",
};

/* The keys of layers whose heads differ, with a window and without. */
static const char *const window_heads[] = {
    "global_head_dim",
    "num_global_key_value_heads",
    "attention_k_eq_v",
    "per_layer_config",
    "use_double_wide_mlp",
    "attention.key_length_swa",
    "attention.value_length_swa",
    "rope.dimension_count_swa",
};

/* The keys of layers with embeddings of their own. */
static const char *const layer_inputs[] = {
    "hidden_size_per_layer_input",
    "vocab_size_per_layer_input",
    "embedding_length_per_layer_input",
};

/* The keys of models with side streams. */
static const char *const altup[] = {
    "altup_active_idx",
    "altup_num_inputs",
    "altup_correct_scale",
    "laurel_rank",
    "activation_sparsity_pattern",
    "altup.active_idx",
    "altup.num_inputs",
    "activation_sparsity_scale",
};

/* The keys of layers that do not rotate. */
static const char *const unrotated[] = {"no_rope_layers", "no_rope_layer_interval"};

static bool is_among(struct text key, const char *const *keys, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (text_equals(key, keys[i]))
            return true;
    }
    return false;
}
#define IS_AMONG(key, keys) is_among(key, keys, sizeof(keys) / sizeof(keys)[0])

bool architecture_reads(const struct architecture *architecture, enum checkpoint_kind kind,
                        struct text key)
{
    if ((architecture->ropes_by_window && IS_AMONG(key, window_ropes)) ||
        (architecture->scores_by_query && text_equals(key, "query_pre_attn_scalar")) ||
        (architecture->heads_by_window && IS_AMONG(key, window_heads)) ||
        (architecture->inputs_by_layer && IS_AMONG(key, layer_inputs)) ||
        (architecture->altup && IS_AMONG(key, altup)) ||
        (architecture->unrotated_interval != 0 && IS_AMONG(key, unrotated)) ||
        (architecture->partial_rotation && text_equals(key, "partial_rotary_factor")))
        return true;
    for (int i = 0; i < SCALES; i++) {
        if ((architecture->scales & SCALE_BIT(i)) != 0 &&
            text_equals(key, kind == CHECKPOINT_GGUF ? scales[i].gguf : scales[i].json))
            return true;
    }
    return false;
}

static lckv_status read_scale(const struct json_value *config, const struct metadata *metadata,
                              const struct hparams *h, int i, float *value)
{
    char key[HPARAMS_KEY_BYTES];
    double number = (double)*value;
    if (config == NULL) {
        hparams_key(h->architecture_name, scales[i].gguf, key);
        return metadata_get_f32(metadata, key, value, NULL);
    }
    lckv_status status = json_get_f64(config, "config.json", scales[i].json, &number, NULL);
    *value = (float)number;
    return status;
}

/*
 * The scale of scores is 1 / sqrt(divisor). The divisor is query_pre_attn_scalar, or head_dim if a
 * file does not give it; in GGUF files of Gemma 3 27B, the one with 62 layers, it is
 * hidden_size / n_heads.
 */
static lckv_status read_query_scale(const struct json_value *config, struct hparams *h)
{
    double divisor = (double)h->widest.head_dim;
    lckv_status status = LCKV_OK;
    if (config != NULL)
        status = json_get_f64(config, "config.json", "query_pre_attn_scalar", &divisor, NULL);
    else if (h->n_layers == 62 && h->n_heads > 0)
        divisor = (double)h->hidden_size / h->n_heads;
    if (status == LCKV_OK && !(divisor > 0))
        return fail(LCKV_BAD_FORMAT, "query_pre_attn_scalar is %g; expected a positive number",
                    divisor);
    if (status == LCKV_OK && divisor != (double)h->widest.head_dim)
        h->scales[SCALE_ATTENTION] = (float)(1 / sqrt(divisor));
    return status;
}

lckv_status hparams_read_scales(const struct json_value *config, const struct metadata *metadata,
                                struct hparams *h)
{
    lckv_status status = LCKV_OK;
    if (h->architecture->embedding_by_width)
        h->scales[SCALE_EMBEDDING] = sqrtf((float)h->hidden_size);
    if (h->architecture->scores_by_query)
        status = read_query_scale(config, h);
    if (h->architecture->scores_unscaled)
        h->scales[SCALE_ATTENTION] = 1;
    if (config == NULL || json_find(config, scales[SCALE_SOFTCAP].json) == NULL)
        h->scales[SCALE_SOFTCAP] = h->architecture->default_softcap;
    for (int i = 0; status == LCKV_OK && i < SCALES; i++) {
        if ((h->architecture->scales & SCALE_BIT(i)) != 0)
            status = read_scale(config, metadata, h, i, &h->scales[i]);
    }
    return status;
}

lckv_status hparams_write_scales(const struct hparams *h, const char *architecture,
                                 struct metadata *metadata)
{
    lckv_status status = LCKV_OK;
    for (int i = 0; status == LCKV_OK && i < SCALES; i++) {
        char key[HPARAMS_KEY_BYTES];
        hparams_key(architecture, scales[i].gguf, key);
        const bool has_default = i == SCALE_SOFTCAP && h->architecture->default_softcap != 0;
        if ((h->architecture->scales & SCALE_BIT(i)) != 0 &&
            (has_default || h->scales[i] != scale_default((enum scale)i)))
            status = metadata_set_f32(metadata, key, h->scales[i]);
    }
    return status;
}
