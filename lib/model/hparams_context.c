/*
 * Rotations that depend on the length of the text: longrope has divisors of the frequencies for
 * short and for long texts, and dynamic scaling grows with the text. Which are used is chosen when
 * the model is opened.
 */
#include "model/hparams.h"

static void limit(struct hparams *h, uint32_t n_tokens, const struct remarks *remarks)
{
    if (h->rope_limit == 0 || n_tokens < h->rope_limit)
        h->rope_limit = n_tokens;
    if (h->context_length != 0 && h->context_length <= n_tokens)
        return;
    remark(remarks,
           "heads are rotated as in texts of up to %u tokens, so this is the context length, and "
           "not %u; rope_context makes it another",
           n_tokens, h->context_length);
    h->context_length = n_tokens;
}

void hparams_choose_context(struct hparams *h, uint32_t rope_context, const struct remarks *remarks)
{
    for (uint32_t r = 0; r < h->n_ropes; r++) {
        struct rope_hparams *rope = &h->ropes[r];
        const uint32_t original = (uint32_t)rope->original_context;
        const bool is_long = rope_context > original;
        if (rope->scaling == ROPE_SCALING_LONGROPE && is_long) {
            rope->factors = rope->long_factors;
        } else if (rope->scaling == ROPE_SCALING_LONGROPE) {
            limit(h, original, remarks);
        } else if (rope->scaling == ROPE_SCALING_DYNAMIC) {
            rope->context = is_long ? rope_context : original;
            h->context_length = (uint32_t)rope->context;
            limit(h, h->context_length, remarks);
        }
    }
}
