/*
 * The frequencies of rotation, as the rope's scaling makes them, and the factor that some scaling
 * brings for the rotated elements.
 */
#include "model/hparams.h"

#include <math.h>

#define TWO_PI 6.283185307179586477

/*
 * Frequencies far below one turn in the trained context are divided by the factor, those far above
 * are kept, and those between are interpolated.
 */
static double llama3_frequency(const struct rope_hparams *rope, double frequency)
{
    double turns = rope->original_context * frequency / TWO_PI; /* in the trained context */
    double low = rope->low_freq_factor, high = rope->high_freq_factor;
    if (turns < low)
        return frequency / rope->factor;
    if (turns > high)
        return frequency;
    double smooth = (turns - low) / (high - low);
    return (1 - smooth) * frequency / rope->factor + smooth * frequency;
}

/* The pair, as a fraction, that makes `turns` turns in the trained context. */
static double pair_of_turns(const struct rope_hparams *rope, double turns)
{
    return rope->n_rotated * log(rope->original_context / (turns * TWO_PI)) /
           (2 * log(rope->theta));
}

/* The pairs from which on frequencies are changed in part, and in whole. */
struct ramp {
    double first, last;
};

static struct ramp yarn_ramp(const struct rope_hparams *rope)
{
    struct ramp ramp = {fmax(floor(pair_of_turns(rope, rope->beta_fast)), 0),
                        fmin(ceil(pair_of_turns(rope, rope->beta_slow)), rope->n_rotated - 1.0)};
    if (ramp.first == ramp.last)
        ramp.last += 0.001;
    return ramp;
}

/*
 * Pairs that make many turns in the trained context keep their frequency, those that make few are
 * divided by the factor, and those between are interpolated.
 */
static double yarn_frequency(const struct rope_hparams *rope, uint32_t pair, double frequency)
{
    const struct ramp ramp = yarn_ramp(rope);
    const double at = (pair - ramp.first) / (ramp.last - ramp.first);
    const double part = fmin(fmax(at, 0), 1);
    return frequency / rope->factor * part + frequency * (1 - part);
}

/* The base for texts of `context` tokens; without scaling, for those of `original_context`. */
static double base(const struct rope_hparams *rope)
{
    if (rope->scaling != ROPE_SCALING_DYNAMIC || rope->context <= rope->original_context)
        return rope->theta;
    const double longer = rope->factor * rope->context / rope->original_context;
    return rope->theta *
           pow(longer - (rope->factor - 1), rope->n_rotated / (rope->n_rotated - 2.0));
}

/* GGUF keeps llama3's scaling as float32 divisors (rope_freqs), so it is rounded to that here. */
void hparams_frequencies(const struct rope_hparams *rope, double *frequencies)
{
    const double theta = base(rope);
    for (uint32_t d = 0; d < rope->n_rotated / 2; d++) {
        double frequency = pow(theta, -2.0 * d / rope->n_rotated);
        if (d >= rope->n_rotated / 2 - rope->n_still)
            frequency = 0;
        if (rope->scaling == ROPE_SCALING_LINEAR)
            frequency /= rope->factor;
        else if (rope->scaling == ROPE_SCALING_LLAMA3)
            frequency /= (double)(float)(frequency / llama3_frequency(rope, frequency));
        else if (rope->scaling == ROPE_SCALING_YARN)
            frequency = yarn_frequency(rope, d, frequency);
        if (rope->factors != NULL)
            frequency /= (double)rope->factors[d];
        frequencies[d] = frequency;
    }
}

double hparams_magnitude(const struct rope_hparams *rope)
{
    const bool stretched = rope->scaling == ROPE_SCALING_YARN && rope->factor > 1;
    return stretched ? (0.1 * log(rope->factor) + 1) * rope->attention_factor
                     : rope->attention_factor;
}
