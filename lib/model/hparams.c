/*
 * Hyperparameters: the checks that hold for every source, and the rotation frequencies.
 * hparams_gguf.c reads GGUF metadata, hparams_config.c reads config.json, hparams_write.c writes.
 */
#include "model/hparams.h"

#include "base/status.h"
#include "model/hparams_sources.h"

#include <math.h>

/* Numbers that a float holds with room for products, so that no result overflows. */
#define LEAST_NUMBER 1e-30
#define MOST_NUMBER 1e30

struct limit {
    const char *name;
    uint32_t value, most;
};

static lckv_status check_widths(const struct hparams *h)
{
    const uint32_t widened = h->hidden_size * HPARAMS_MAX_WIDENING;
    const uint32_t most = widened > HPARAMS_ANY_WIDTH ? widened : HPARAMS_ANY_WIDTH;
    const struct limit widths[] = {
        {"the intermediate size", h->intermediate_size, most},
        {"the number of attention heads times the head dimension", h->n_heads * h->head_dim, most},
    };
    for (size_t i = 0; i < sizeof widths / sizeof widths[0]; i++) {
        if (widths[i].value > widths[i].most)
            return fail(LCKV_BAD_FORMAT, "%s is %u; expected at most %u with a hidden size of %u",
                        widths[i].name, widths[i].value, widths[i].most, h->hidden_size);
    }
    return LCKV_OK;
}

static lckv_status check_counts(const struct hparams *h)
{
    const struct limit limits[] = {
        {"the number of layers", h->n_layers, PLAN_MAX_LAYERS},
        {"the vocabulary size", h->n_vocab, HPARAMS_MAX_VOCAB},
        {"the hidden size", h->hidden_size, HPARAMS_MAX_HIDDEN},
        {"the intermediate size", h->intermediate_size, HPARAMS_MAX_INTERMEDIATE},
        {"the number of attention heads", h->n_heads, HPARAMS_MAX_HEADS},
        {"the number of key-value heads", h->n_kv_heads, HPARAMS_MAX_HEADS},
        {"the head dimension", h->head_dim, HPARAMS_MAX_HEAD_DIM},
    };
    for (size_t i = 0; i < sizeof limits / sizeof limits[0]; i++) {
        if (limits[i].value == 0 || limits[i].value > limits[i].most)
            return fail(LCKV_BAD_FORMAT, "%s is %u; expected 1 to %u", limits[i].name,
                        limits[i].value, limits[i].most);
    }
    if (h->head_dim % 2 != 0)
        return fail(LCKV_BAD_FORMAT, "the head dimension is %u; expected an even number",
                    h->head_dim);
    if (h->n_heads % h->n_kv_heads != 0)
        return fail(LCKV_BAD_FORMAT,
                    "%u attention heads; expected a multiple of the %u key-value heads", h->n_heads,
                    h->n_kv_heads);
    if (h->forward_passes > HPARAMS_MAX_PASSES || h->backward_passes > HPARAMS_MAX_PASSES ||
        h->forward_passes + h->backward_passes == 0)
        return fail(
            LCKV_BAD_FORMAT,
            "%u forward and %u backward passes; expected up to %u of each, and one at least",
            h->forward_passes, h->backward_passes, HPARAMS_MAX_PASSES);
    return check_widths(h);
}

static lckv_status check_number(const char *name, double value)
{
    if (value >= LEAST_NUMBER && value <= MOST_NUMBER)
        return LCKV_OK;
    return fail(LCKV_BAD_FORMAT, "%s is %g; expected a number from %g to %g", name, value,
                LEAST_NUMBER, MOST_NUMBER);
}

static lckv_status check_numbers(const struct hparams *h)
{
    lckv_status status = check_number("the norm's epsilon", (double)h->rms_norm_eps);
    if (status == LCKV_OK)
        status = check_number("rope theta", h->rope_theta);
    if (status == LCKV_OK && h->rope_scaling != ROPE_SCALING_NONE)
        status = check_number("the rope scaling's factor", h->rope_factor);
    if (status != LCKV_OK || h->rope_scaling != ROPE_SCALING_LLAMA3)
        return status;
    status = check_number("low_freq_factor", h->rope_low_freq_factor);
    if (status == LCKV_OK)
        status = check_number("high_freq_factor", h->rope_high_freq_factor);
    if (status == LCKV_OK)
        status = check_number("original_max_position_embeddings", h->rope_original_context);
    if (status == LCKV_OK && h->rope_high_freq_factor <= h->rope_low_freq_factor)
        status = fail(LCKV_BAD_FORMAT, "high_freq_factor must be greater than low_freq_factor");
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

static lckv_status check(const struct hparams *h)
{
    lckv_status status = check_counts(h);
    if (status == LCKV_OK)
        status = check_numbers(h);
    if (status == LCKV_OK && plan_has_windows(h->plan) && h->sliding_window == 0)
        status =
            fail(LCKV_BAD_FORMAT, "the plan has sliding windows but no sliding_window is given");
    return status;
}

/*
 * GGUF keeps these as float32, so they are rounded to that from every source: a converted model is
 * bitwise the same model.
 */
static void round_numbers(struct hparams *h)
{
    h->rope_theta = (double)(float)h->rope_theta;
    if (h->rope_scaling == ROPE_SCALING_LINEAR)
        h->rope_factor = (double)(float)h->rope_factor;
}

lckv_status hparams_read(struct checkpoint *checkpoint, struct hparams *h,
                         const struct remarks *remarks)
{
    *h = (struct hparams){.rms_norm_eps = 1e-6f,
                          .rope_theta = 10000,
                          .rope_factor = 1,
                          .forward_passes = HPARAMS_FORWARD_PASSES,
                          .backward_passes = HPARAMS_BACKWARD_PASSES};
    lckv_status status = checkpoint->kind == CHECKPOINT_GGUF
                             ? hparams_from_gguf(checkpoint, h, remarks)
                             : hparams_from_config(checkpoint, h, remarks);
    if (status != LCKV_OK)
        return status;
    status = check(h);
    if (status != LCKV_OK)
        return fail_in(status, checkpoint->kind == CHECKPOINT_GGUF ? "%s" : "%s: config.json",
                       checkpoint->name);
    round_numbers(h);
    if (checkpoint->kind == CHECKPOINT_GGUF)
        status = hparams_read_rope_factors(checkpoint, h);
    return status;
}

/*
 * Frequencies far below one turn in the trained context are divided by the factor, those far above
 * are kept, and those between are interpolated.
 */
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

/* GGUF keeps llama3's scaling as float32 divisors (rope_freqs), so it is rounded to that here. */
void hparams_frequencies(const struct hparams *h, double *frequencies)
{
    for (uint32_t d = 0; d < h->head_dim / 2; d++) {
        double frequency = pow(h->rope_theta, -2.0 * d / h->head_dim);
        if (h->rope_scaling == ROPE_SCALING_LINEAR)
            frequency /= h->rope_factor;
        else if (h->rope_scaling == ROPE_SCALING_LLAMA3)
            frequency /= (double)(float)(frequency / llama3_frequency(h, frequency));
        if (h->rope_factors != NULL)
            frequency /= (double)h->rope_factors[d];
        frequencies[d] = frequency;
    }
}
