/*
 * Hyperparameters: their layers, and the checks that hold for every source.
 * hparams_gguf.c reads GGUF metadata, hparams_config.c reads config.json, hparams_write.c writes.
 */
#include "model/hparams.h"

#include "base/status.h"
#include "model/hparams_plan.h"
#include "model/hparams_sources.h"

#include <math.h>

/* Numbers that a float holds with room for products, so that no result overflows. */
#define LEAST_NUMBER 1e-30
#define MOST_NUMBER 1e30

struct limit {
    const char *name;
    uint32_t value, most;
};

static lckv_status check_limits(const struct limit *limits, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (limits[i].value == 0 || limits[i].value > limits[i].most)
            return fail(LCKV_BAD_FORMAT, "%s is %u; expected 1 to %u", limits[i].name,
                        limits[i].value, limits[i].most);
    }
    return LCKV_OK;
}

/* ---- Layers ---- */

lckv_status layer_lists_begin(struct layer_lists *lists, const struct hparams *h, uint32_t head_dim)
{
    const struct limit limit = {"the number of layers", h->n_layers, PLAN_MAX_LAYERS};
    lckv_status status = check_limits(&limit, 1);
    for (uint32_t i = 0; status == LCKV_OK && i < h->n_layers; i++) {
        lists->head_dim[i] = head_dim;
        lists->n_kv_heads[i] = h->n_heads;
        lists->intermediate_size[i] = 0;
        lists->rope[i] = 0;
        lists->v_is_k[i] = 0;
        lists->sparsity[i] = -INFINITY;
    }
    return status;
}

static void widen(uint32_t *most, uint32_t value)
{
    *most = value > *most ? value : *most;
}

lckv_status layer_lists_end(const struct layer_lists *lists, struct checkpoint *checkpoint,
                            struct hparams *h)
{
    struct layer_hparams *layers;
    lckv_status status =
        arena_alloc(&checkpoint->arena, h->n_layers, sizeof *layers, "the layers", &layers);
    for (uint32_t i = 0; status == LCKV_OK && i < h->n_layers; i++) {
        layers[i] = (struct layer_hparams){.head_dim = lists->head_dim[i],
                                           .n_kv_heads = lists->n_kv_heads[i],
                                           .intermediate_size = lists->intermediate_size[i],
                                           .rope = lists->rope[i],
                                           .v_is_k = lists->v_is_k[i],
                                           .sparsity = lists->sparsity[i]};
        widen(&h->widest.head_dim, layers[i].head_dim);
        widen(&h->widest.n_kv_heads, layers[i].n_kv_heads);
        widen(&h->widest.intermediate_size, layers[i].intermediate_size);
        status = kv_shapes_add(&h->kv_shapes, layers[i].n_kv_heads, layers[i].head_dim,
                               &layers[i].kv_shape);
    }
    h->layers = layers;
    return status;
}

/* ---- Checks ---- */

static lckv_status check_widths(const struct hparams *h, const struct layer_hparams *layer)
{
    const uint32_t widened = h->hidden_size * HPARAMS_MAX_WIDENING;
    const uint32_t most = widened > HPARAMS_ANY_WIDTH ? widened : HPARAMS_ANY_WIDTH;
    const struct limit widths[] = {
        {"the intermediate size", layer->intermediate_size, most},
        {"the number of attention heads times the head dimension", h->n_heads * layer->head_dim,
         most},
        {"the number of layers times the size of their own embeddings",
         h->n_layers * h->layer_input_size, most},
        {"the rank of Laurel", h->laurel_rank, most},
    };
    for (size_t i = 0; i < sizeof widths / sizeof widths[0]; i++) {
        if (widths[i].value > widths[i].most)
            return fail(LCKV_BAD_FORMAT, "%s is %u; expected at most %u with a hidden size of %u",
                        widths[i].name, widths[i].value, widths[i].most, h->hidden_size);
    }
    return LCKV_OK;
}

static lckv_status check_layer(const struct hparams *h, const struct layer_hparams *layer)
{
    const struct limit limits[] = {
        {"the intermediate size", layer->intermediate_size, HPARAMS_MAX_INTERMEDIATE},
        {"the number of key-value heads", layer->n_kv_heads, HPARAMS_MAX_HEADS},
        {"the head dimension", layer->head_dim, HPARAMS_MAX_HEAD_DIM},
    };
    lckv_status status = check_limits(limits, sizeof limits / sizeof limits[0]);
    if (status != LCKV_OK)
        return status;
    if (layer->head_dim % 2 != 0)
        return fail(LCKV_BAD_FORMAT, "the head dimension is %u; expected an even number",
                    layer->head_dim);
    if (h->n_heads % layer->n_kv_heads != 0)
        return fail(LCKV_BAD_FORMAT,
                    "%u attention heads; expected a multiple of the %u key-value heads", h->n_heads,
                    layer->n_kv_heads);
    const uint32_t n_rotated = h->ropes[layer->rope].n_rotated;
    if (h->architecture->heads_by_window ? n_rotated != layer->head_dim
                                         : n_rotated > layer->head_dim)
        return fail(LCKV_UNSUPPORTED,
                    "%u elements of a head are rotated, which has %u; layers that rotate alike "
                    "must have heads of one size",
                    n_rotated, layer->head_dim);
    return check_widths(h, layer);
}

static lckv_status check_counts(const struct hparams *h)
{
    const struct limit limits[] = {
        {"the vocabulary size", h->n_vocab, HPARAMS_MAX_VOCAB},
        {"the hidden size", h->hidden_size, HPARAMS_MAX_HIDDEN},
        {"the number of attention heads", h->n_heads, HPARAMS_MAX_HEADS},
    };
    lckv_status status = check_limits(limits, sizeof limits / sizeof limits[0]);
    if (status == LCKV_OK && h->layer_input_size >= HPARAMS_MAX_HIDDEN)
        status = fail(LCKV_BAD_FORMAT,
                      "the size of the layers' own embeddings is %u; expected less than %u",
                      h->layer_input_size, HPARAMS_MAX_HIDDEN);
    if (status == LCKV_OK && h->n_side_streams > 0 && h->layer_input_size == 0)
        status = fail(LCKV_BAD_FORMAT, "the size of the layers' own embeddings is 0; expected 1 at "
                                       "least in a model with side streams");
    for (uint32_t i = 0; status == LCKV_OK && i < h->n_layers; i++) {
        status = check_layer(h, &h->layers[i]);
        if (status != LCKV_OK && i > 0) /* what all layers have fails in the first one */
            return fail_in(status, "layer %u", i);
    }
    if (status != LCKV_OK)
        return status;
    if (h->forward_passes > HPARAMS_MAX_PASSES || h->backward_passes > HPARAMS_MAX_PASSES ||
        h->forward_passes + h->backward_passes == 0)
        return fail(
            LCKV_BAD_FORMAT,
            "%u forward and %u backward passes; expected up to %u of each, and one at least",
            h->forward_passes, h->backward_passes, HPARAMS_MAX_PASSES);
    return LCKV_OK;
}

static lckv_status check_number(const char *name, double value)
{
    if (value >= LEAST_NUMBER && value <= MOST_NUMBER)
        return LCKV_OK;
    return fail(LCKV_BAD_FORMAT, "%s is %g; expected a number from %g to %g", name, value,
                LEAST_NUMBER, MOST_NUMBER);
}

static lckv_status check_llama3(const struct rope_hparams *rope)
{
    lckv_status status = check_number("low_freq_factor", rope->low_freq_factor);
    if (status == LCKV_OK)
        status = check_number("high_freq_factor", rope->high_freq_factor);
    if (status == LCKV_OK && rope->high_freq_factor <= rope->low_freq_factor)
        status = fail(LCKV_BAD_FORMAT, "high_freq_factor must be greater than low_freq_factor");
    return status;
}

static lckv_status check_yarn(const struct rope_hparams *rope)
{
    lckv_status status = check_number("beta_fast", rope->beta_fast);
    if (status == LCKV_OK)
        status = check_number("beta_slow", rope->beta_slow);
    if (status == LCKV_OK && rope->theta <= 1)
        status =
            fail(LCKV_BAD_FORMAT, "rope theta is %g; expected more than 1 with yarn", rope->theta);
    return status;
}

/* GGUF keeps it as an integer. */
static lckv_status check_original_context(const struct rope_hparams *rope)
{
    const double context = rope->original_context;
    if (context >= 1 && context <= UINT32_MAX && context == floor(context))
        return LCKV_OK;
    return fail(LCKV_BAD_FORMAT,
                "original_max_position_embeddings is %g; expected a whole number of tokens",
                context);
}

static lckv_status check_rope(const struct rope_hparams *rope)
{
    const bool llama3 = rope->scaling == ROPE_SCALING_LLAMA3;
    const bool yarn = rope->scaling == ROPE_SCALING_YARN;
    const bool dynamic = rope->scaling == ROPE_SCALING_DYNAMIC;
    lckv_status status = check_number("rope theta", rope->theta);
    if (status == LCKV_OK && rope->n_rotated > HPARAMS_MAX_HEAD_DIM)
        status = fail(LCKV_BAD_FORMAT,
                      "the number of rotated elements of a head is %u; expected at most %u",
                      rope->n_rotated, HPARAMS_MAX_HEAD_DIM);
    if (status == LCKV_OK)
        status = check_number("the rope scaling's attention factor", rope->attention_factor);
    if (status == LCKV_OK && rope->scaling != ROPE_SCALING_NONE)
        status = check_number("the rope scaling's factor", rope->factor);
    if (status == LCKV_OK && llama3)
        status = check_llama3(rope);
    if (status == LCKV_OK && yarn)
        status = check_yarn(rope);
    if (status == LCKV_OK && llama3)
        status = check_number("original_max_position_embeddings", rope->original_context);
    if (status == LCKV_OK && (yarn || dynamic || rope->scaling == ROPE_SCALING_LONGROPE))
        status = check_original_context(rope);
    if (status == LCKV_OK && dynamic && rope->n_rotated < 4)
        status = fail(LCKV_BAD_FORMAT,
                      "dynamic rope scaling of %u elements of a head; expected at least 4",
                      rope->n_rotated);
    return status;
}

static lckv_status check_numbers(const struct hparams *h)
{
    lckv_status status = check_number("the norm's epsilon", (double)h->rms_norm_eps);
    for (uint32_t r = 0; status == LCKV_OK && r < h->n_ropes; r++)
        status = check_rope(&h->ropes[r]);
    for (int i = 0; status == LCKV_OK && i < SCALES; i++) {
        if (h->scales[i] != scale_default((enum scale)i))
            status = check_number("a scale of the configuration", (double)h->scales[i]);
    }
    return status;
}

static lckv_status check(const struct hparams *h)
{
    lckv_status status = check_counts(h);
    if (status == LCKV_OK)
        status = check_numbers(h);
    if (status == LCKV_OK && hparams_has_windows(h) && h->sliding_window == 0)
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
    for (uint32_t r = 0; r < h->n_ropes; r++) {
        struct rope_hparams *rope = &h->ropes[r];
        rope->theta = (double)(float)rope->theta;
        rope->attention_factor = (double)(float)rope->attention_factor;
        rope->beta_fast = (double)(float)rope->beta_fast;
        rope->beta_slow = (double)(float)rope->beta_slow;
        if (rope->scaling != ROPE_SCALING_LLAMA3)
            rope->factor = (double)(float)rope->factor;
    }
}

lckv_status hparams_read(struct checkpoint *checkpoint, struct hparams *h,
                         const struct remarks *remarks)
{
    *h = (struct hparams){.rms_norm_eps = 1e-6f,
                          .ropes = {{.theta = HPARAMS_THETA,
                                     .factor = 1,
                                     .beta_fast = 32,
                                     .beta_slow = 1,
                                     .attention_factor = 1}},
                          .n_ropes = 1,
                          .forward_passes = HPARAMS_FORWARD_PASSES,
                          .backward_passes = HPARAMS_BACKWARD_PASSES};
    for (int i = 0; i < SCALES; i++)
        h->scales[i] = scale_default((enum scale)i);
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
        status = hparams_factors_from_gguf(checkpoint, h);
    return status;
}

lckv_status hparams_check_plan(const struct hparams *h, const struct lckv_plan *plan)
{
    for (uint32_t i = 0; i < h->n_layers; i++) {
        const uint32_t source = plan->layers[i].source;
        const struct layer_hparams *reads = &h->layers[i], *from = &h->layers[source];
        if (reads->head_dim != from->head_dim || reads->n_kv_heads != from->n_kv_heads)
            return fail(LCKV_BAD_PLAN,
                        "layer %u has %u KV heads of %u elements and cannot read layer %u, which "
                        "has %u of %u",
                        i, reads->n_kv_heads, reads->head_dim, source, from->n_kv_heads,
                        from->head_dim);
    }
    return LCKV_OK;
}

uint32_t hparams_usual_input_tokens(const struct hparams *h)
{
    const uint32_t usual = h->architecture->input_vocabulary;
    return usual != 0 && usual < h->n_vocab ? usual : h->n_vocab;
}

/* ---- Ropes ---- */

void hparams_add_rope(struct hparams *h)
{
    if (!h->architecture->ropes_by_window && h->architecture->unrotated_interval == 0)
        return;
    h->ropes[1] = h->ropes[0];
    h->n_ropes = 2;
    if (!h->architecture->ropes_by_window)
        h->ropes[1].n_rotated = 0;
    for (uint32_t i = 0; h->architecture->ropes_by_window && i < h->n_layers; i++)
        h->ropes[h->layers[i].rope].n_rotated = h->layers[i].head_dim;
}
