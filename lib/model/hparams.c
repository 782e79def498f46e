/*
 * Hyperparameters: the checks that hold for every source, and the rotation frequencies. Reading
 * GGUF metadata is hparams_gguf.c's, config.json hparams_config.c's, writing hparams_write.c's.
 */
#include "model/hparams.h"

#include "base/status.h"
#include "model/hparams_sources.h"

#include <math.h>

struct limit {
    const char *name;
    uint32_t value, most;
};

static lckv_status check_counts(const struct checkpoint *checkpoint, const struct hparams *h)
{
    const struct limit limits[] = {
        {"the number of layers", h->n_layers, PLAN_MAX_LAYERS},
        {"the vocabulary size", h->n_vocab, HPARAMS_MAX_VOCAB},
        {"the hidden size", h->hidden_size, HPARAMS_MAX_HIDDEN},
        {"the intermediate size", h->intermediate_size, HPARAMS_MAX_HIDDEN},
        {"the number of attention heads", h->n_heads, HPARAMS_MAX_HEADS},
        {"the number of key-value heads", h->n_kv_heads, HPARAMS_MAX_HEADS},
        {"the head dimension", h->head_dim, HPARAMS_MAX_HEAD_DIM},
    };
    for (size_t i = 0; i < sizeof limits / sizeof limits[0]; i++) {
        if (limits[i].value == 0 || limits[i].value > limits[i].most)
            return fail(LCKV_BAD_FORMAT, "%s: %s is %u; expected 1 to %u", checkpoint->name,
                        limits[i].name, limits[i].value, limits[i].most);
    }
    if (h->head_dim % 2 != 0)
        return fail(LCKV_BAD_FORMAT, "%s: the head dimension is %u; expected an even number",
                    checkpoint->name, h->head_dim);
    if (h->n_heads % h->n_kv_heads != 0)
        return fail(LCKV_BAD_FORMAT,
                    "%s: %u attention heads; expected a multiple of the %u key-value heads",
                    checkpoint->name, h->n_heads, h->n_kv_heads);
    if (h->forward_passes > 65536 || h->backward_passes > 65536 ||
        h->forward_passes + h->backward_passes == 0)
        return fail(LCKV_BAD_FORMAT, "%s: %u forward and %u backward passes; expected 1 to 65536",
                    checkpoint->name, h->forward_passes, h->backward_passes);
    return LCKV_OK;
}

static lckv_status check_positive(const struct checkpoint *checkpoint, const char *name,
                                  double value)
{
    if (isfinite(value) && value > 0 && value < 1e30)
        return LCKV_OK;
    return fail(LCKV_BAD_FORMAT, "%s: %s is %g; expected a positive number", checkpoint->name, name,
                value);
}

static lckv_status check_numbers(const struct checkpoint *checkpoint, const struct hparams *h)
{
    lckv_status status = check_positive(checkpoint, "the norm's epsilon", (double)h->rms_norm_eps);
    if (status == LCKV_OK)
        status = check_positive(checkpoint, "rope theta", h->rope_theta);
    if (status == LCKV_OK && h->rope_scaling != ROPE_SCALING_NONE)
        status = check_positive(checkpoint, "the rope scaling's factor", h->rope_factor);
    if (status != LCKV_OK || h->rope_scaling != ROPE_SCALING_LLAMA3)
        return status;
    status = check_positive(checkpoint, "low_freq_factor", h->rope_low_freq_factor);
    if (status == LCKV_OK)
        status = check_positive(checkpoint, "high_freq_factor", h->rope_high_freq_factor);
    if (status == LCKV_OK)
        status = check_positive(checkpoint, "original_max_position_embeddings",
                                h->rope_original_context);
    if (status == LCKV_OK && h->rope_high_freq_factor <= h->rope_low_freq_factor)
        status = fail(LCKV_BAD_FORMAT, "%s: high_freq_factor must be greater than low_freq_factor",
                      checkpoint->name);
    return status;
}

/* Whether an entry of the plan has the window flag; the plan itself is checked later. */
static bool plan_has_windows(struct text plan)
{
    for (size_t i = 0; i < plan.length; i++) {
        if (plan.bytes[i] == 's')
            return true;
    }
    return false;
}

lckv_status hparams_read(struct checkpoint *checkpoint, struct hparams *h)
{
    *h = (struct hparams){.rms_norm_eps = 1e-6f,
                          .rope_theta = 10000,
                          .rope_factor = 1,
                          .forward_passes = HPARAMS_FORWARD_PASSES,
                          .backward_passes = HPARAMS_BACKWARD_PASSES};
    lckv_status status = checkpoint->kind == CHECKPOINT_GGUF ? hparams_from_gguf(checkpoint, h)
                                                             : hparams_from_config(checkpoint, h);
    if (status == LCKV_OK)
        status = check_counts(checkpoint, h);
    if (status == LCKV_OK)
        status = check_numbers(checkpoint, h);
    if (status == LCKV_OK && plan_has_windows(h->plan) && h->sliding_window == 0)
        status =
            fail(LCKV_BAD_FORMAT, "%s: the plan has sliding windows but no sliding_window is given",
                 checkpoint->name);
    if (status == LCKV_OK && checkpoint->kind == CHECKPOINT_GGUF)
        status = hparams_read_rope_factors(checkpoint, h);
    return status;
}

/* Frequencies far below the trained context's are divided, far above kept, the rest between. */
static double llama3_frequency(const struct hparams *h, double frequency)
{
    const double two_pi = 6.283185307179586477;
    double turns = h->rope_original_context * frequency / two_pi; /* in the trained context */
    double low = h->rope_low_freq_factor, high = h->rope_high_freq_factor;
    if (turns < low)
        return frequency / h->rope_factor;
    if (turns > high)
        return frequency;
    double smooth = (turns - low) / (high - low);
    return (1 - smooth) * frequency / h->rope_factor + smooth * frequency;
}

void hparams_frequencies(const struct hparams *h, double *frequencies)
{
    for (uint32_t d = 0; d < h->head_dim / 2; d++) {
        double frequency = pow(h->rope_theta, -2.0 * d / h->head_dim);
        if (h->rope_scaling == ROPE_SCALING_LINEAR)
            frequency /= h->rope_factor;
        else if (h->rope_scaling == ROPE_SCALING_LLAMA3)
            frequency = llama3_frequency(h, frequency);
        if (h->rope_factors != NULL)
            frequency /= (double)h->rope_factors[d];
        frequencies[d] = frequency;
    }
}
