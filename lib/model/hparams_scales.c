/*
 * The scales of an architecture's recipe: under which keys files have them, and what they are.
 */
#include "model/hparams_sources.h"

#include "base/status.h"
#include "format/json.h"
#include "model/hparams_key.h"

#include <math.h>

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

float scale_default(enum scale scale)
{
    return scales[scale].neutral;
}

const char *scale_key(enum scale scale, enum checkpoint_kind kind)
{
    return kind == CHECKPOINT_GGUF ? scales[scale].gguf : scales[scale].json;
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
