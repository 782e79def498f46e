/*
 * Hyperparameters of models with side streams, as Gemma 3n has them: the number of streams, the
 * rank of Laurel, and which gates are sparse.
 */
#include "model/hparams_sources.h"

#include "base/status.h"
#include "format/json.h"
#include "model/hparams_key.h"
#include "model/roles.h"

#include <math.h>

#define CONFIG "config.json"

/* No gate is so many standard deviations from the mean; a quantile in float32 is below 15. */
#define MOST_DEVIATIONS 100.0f

/* The share of gates that are 0 in sparse layers, if a file does not give it, and its quantile. */
#define USUAL_SPARSITY 0.95
#define USUAL_DEVIATIONS 1.64485359f

/* How other programs write the quantile differs in the last digits. */
#define SAME_DEVIATIONS 1e-5f

static lckv_status check_streams(uint32_t n_streams, uint32_t active)
{
    if (n_streams != ALTUP_STREAMS)
        return fail(LCKV_UNSUPPORTED, "altup_num_inputs is %u; expected %d", n_streams,
                    ALTUP_STREAMS);
    if (active != 0)
        return fail(LCKV_UNSUPPORTED, "altup_active_idx is %u; expected 0", active);
    return LCKV_OK;
}

/*
 * The quantile of the normal distribution for a share, as PyTorch computes it in float32: sqrt(2)
 * times the inverse of the error function.
 */
static float quantile(float share)
{
    double low = -15, high = 15;
    for (int i = 0; i < 64; i++) {
        const double middle = (low + high) / 2;
        if (0.5 * erfc(-middle / sqrt(2.0)) < (double)share)
            low = middle;
        else
            high = middle;
    }
    return (float)(low / sqrt(2.0)) * (float)sqrt(2.0);
}

/* ---- config.json ---- */

/* The share of gates that are 0, for each layer; 0: none need be. */
static lckv_status read_shares(const struct json_value *config, const struct hparams *h,
                               float *sparsity)
{
    const char *const name = "activation_sparsity_pattern";
    const struct json_value *list = NULL;
    lckv_status status = json_get_array(config, CONFIG, name, &list);
    const uint32_t usual =
        h->n_layers > h->architecture->sparse_layers ? h->architecture->sparse_layers : 0;
    for (uint32_t i = 0; list == NULL && i < usual; i++)
        sparsity[i] = quantile((float)USUAL_SPARSITY);
    if (status != LCKV_OK || list == NULL)
        return status;
    if (json_count(list) != h->n_layers)
        return fail(LCKV_BAD_FORMAT, CONFIG ": %s has %zu entries; expected %u, one for each layer",
                    name, json_count(list), h->n_layers);
    const struct json_value *entry = json_first(list);
    for (uint32_t i = 0; i < h->n_layers; i++, entry = json_next(list, entry)) {
        double share = 0;
        if (!json_is(entry, JSON_NUMBER) || !json_number(entry, &share) || share < 0 ||
            (float)share >= 1)
            return fail(LCKV_BAD_FORMAT,
                        CONFIG ": %s: entry %u; expected a number from 0 to less than 1", name, i);
        if ((float)share > 0)
            sparsity[i] = quantile((float)share);
    }
    return LCKV_OK;
}

lckv_status hparams_altup_from_config(const struct json_value *config, struct hparams *h,
                                      struct layer_lists *lists)
{
    uint32_t n_streams = ALTUP_STREAMS, active = 0;
    bool scaled = true;
    h->n_side_streams = ALTUP_SIDE_STREAMS;
    h->laurel_rank = 64;
    lckv_status status = json_get_u32(config, CONFIG, "altup_num_inputs", &n_streams, NULL);
    if (status == LCKV_OK)
        status = json_get_u32(config, CONFIG, "altup_active_idx", &active, NULL);
    if (status == LCKV_OK) {
        status = check_streams(n_streams, active);
        status = status == LCKV_OK ? status : fail_in(status, CONFIG);
    }
    if (status == LCKV_OK)
        status = json_get_bool(config, CONFIG, "altup_correct_scale", &scaled, NULL);
    h->unscaled_correction = !scaled;
    if (status == LCKV_OK)
        status = json_get_u32(config, CONFIG, "laurel_rank", &h->laurel_rank, NULL);
    if (status == LCKV_OK && h->laurel_rank == 0)
        status = fail(LCKV_BAD_FORMAT, CONFIG ": laurel_rank is 0; expected 1 at least");
    return status == LCKV_OK ? read_shares(config, h, lists->sparsity) : status;
}

/* ---- GGUF ---- */

/* No key gives the rank; it is that of the first layer's tensor, if there are any. */
static lckv_status read_rank(const struct checkpoint *checkpoint, struct hparams *h)
{
    return checkpoint->n_tensors > 0
               ? hparams_count_rows(checkpoint, h, WEIGHT_LAUREL_LEFT, &h->laurel_rank)
               : LCKV_OK;
}

/* Quantiles; minus infinity means that gates are not sparse. */
static lckv_status read_sparsity(const struct checkpoint *checkpoint, const struct hparams *h,
                                 float *sparsity)
{
    char key[HPARAMS_KEY_BYTES];
    bool found;
    hparams_key(h->architecture_name, "activation_sparsity_scale", key);
    lckv_status status =
        metadata_get_f32s(&checkpoint->metadata, key, sparsity, h->n_layers, &found);
    for (uint32_t i = 0; status == LCKV_OK && i < h->n_layers; i++) {
        if (!found && i < h->architecture->sparse_layers)
            sparsity[i] = USUAL_DEVIATIONS;
        if (sparsity[i] != -INFINITY && !(fabsf(sparsity[i]) <= MOST_DEVIATIONS))
            status = fail(LCKV_BAD_FORMAT,
                          "%s: entry %u is %g; expected a quantile of the normal distribution, or "
                          "minus infinity",
                          key, i, (double)sparsity[i]);
    }
    return status;
}

lckv_status hparams_altup_from_gguf(const struct checkpoint *checkpoint, struct hparams *h,
                                    struct layer_lists *lists)
{
    char key[HPARAMS_KEY_BYTES];
    uint32_t n_streams = ALTUP_STREAMS, active = 0;
    h->n_side_streams = ALTUP_SIDE_STREAMS;
    hparams_key(h->architecture_name, "altup.num_inputs", key);
    lckv_status status = metadata_get_u32(&checkpoint->metadata, key, &n_streams, NULL);
    hparams_key(h->architecture_name, "altup.active_idx", key);
    if (status == LCKV_OK)
        status = metadata_get_u32(&checkpoint->metadata, key, &active, NULL);
    if (status == LCKV_OK)
        status = check_streams(n_streams, active);
    if (status == LCKV_OK)
        status = read_rank(checkpoint, h);
    return status == LCKV_OK ? read_sparsity(checkpoint, h, lists->sparsity) : status;
}

bool hparams_sparsity_is_usual(const struct hparams *h)
{
    for (uint32_t i = 0; i < h->n_layers; i++) {
        const float sparsity = h->layers[i].sparsity;
        if (i < h->architecture->sparse_layers
                ? !(fabsf(sparsity - USUAL_DEVIATIONS) < SAME_DEVIATIONS)
                : sparsity != -INFINITY)
            return false;
    }
    return true;
}

lckv_status hparams_altup_to_metadata(const struct hparams *h, const char *architecture,
                                      struct metadata *metadata)
{
    char key[HPARAMS_KEY_BYTES];
    float sparsity[PLAN_MAX_LAYERS];
    for (uint32_t i = 0; i < h->n_layers; i++)
        sparsity[i] = h->layers[i].sparsity;
    hparams_key(architecture, "altup.num_inputs", key);
    lckv_status status = metadata_set_u32(metadata, key, ALTUP_STREAMS);
    hparams_key(architecture, "altup.active_idx", key);
    if (status == LCKV_OK)
        status = metadata_set_u32(metadata, key, 0);
    hparams_key(architecture, "activation_sparsity_scale", key);
    return status == LCKV_OK ? metadata_set_f32s(metadata, key, sparsity, h->n_layers) : status;
}
