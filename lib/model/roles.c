/*
 * The table of roles. See roles.h.
 */
#include "model/roles.h"

#include "base/text.h"
#include "model/architecture.h"

#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

enum dimension {
    NONE,
    ONE,
    VOCABULARY,
    HIDDEN,
    QUERIES,
    KEYS,
    HEAD,
    INTERMEDIATE,
    PAIRS,
    INPUT,        /* the embedding of one layer */
    ALL_INPUTS,   /* the embeddings of all layers */
    INPUT_TOKENS, /* rows of their table */
    STREAMS,      /* of AltUp */
    STREAM_PAIRS,
    RANK /* of Laurel */
};

enum flags {
    PER_LAYER = 1,
    OF_KV = 2,    /* only in layers that compute keys and values */
    ROTATED = 4,  /* rows are elements of heads that are rotated */
    OPTIONAL = 8, /* models may lack it, unless the architecture says that they must have it */
    SPECIAL = 16, /* only architectures that say so have it */
    NORM = 32,
    OF_INPUTS = 64, /* only where layers have embeddings of their own */
    OF_ALTUP = 128, /* only where there are side streams */
    SMALL = 256,    /* a matrix of few numbers, which is kept as vectors are, row behind row */
};

/* Where a weight goes: into a member of struct lckv_model, or of struct model_layer. */
#define ELSEWHERE SIZE_MAX
#define IN_MODEL(member) offsetof(struct lckv_model, member)
#define IN_LAYER(member) offsetof(struct model_layer, member)

/* The names of weights of a layer are without the prefix "blk.N." or "model.layers.N.". */
static const struct role {
    const char *gguf, *hf;
    enum dimension rows, columns;
    unsigned flags;
    size_t place;
} roles[WEIGHT_COUNT] = {
    [WEIGHT_TOKEN_EMBEDDING] = {"token_embd.weight", "model.embed_tokens.weight", VOCABULARY,
                                HIDDEN, 0, IN_MODEL(token_embedding)},
    [WEIGHT_OUTPUT_NORM] = {"output_norm.weight", "model.norm.weight", HIDDEN, NONE, NORM,
                            IN_MODEL(output_norm)},
    [WEIGHT_OUTPUT] = {"output.weight", "lm_head.weight", VOCABULARY, HIDDEN, 0, ELSEWHERE},
    [WEIGHT_ROPE_FACTORS] = {"rope_freqs.weight", "", PAIRS, NONE, OPTIONAL, ELSEWHERE},
    [WEIGHT_ROPE_SHORT] = {"rope_factors_short.weight", "", PAIRS, NONE, OPTIONAL, ELSEWHERE},
    [WEIGHT_ROPE_LONG] = {"rope_factors_long.weight", "", PAIRS, NONE, OPTIONAL, ELSEWHERE},
    [WEIGHT_INPUT_TABLE] = {"per_layer_token_embd.weight", "model.embed_tokens_per_layer.weight",
                            INPUT_TOKENS, ALL_INPUTS, OF_INPUTS, ELSEWHERE},
    [WEIGHT_INPUT_MIX] = {"per_layer_model_proj.weight", "model.per_layer_model_projection.weight",
                          ALL_INPUTS, HIDDEN, OF_INPUTS, IN_MODEL(input_mix.matrix)},
    [WEIGHT_INPUT_MIX_NORM] = {"per_layer_proj_norm.weight",
                               "model.per_layer_projection_norm.weight", INPUT, NONE,
                               OF_INPUTS | NORM, IN_MODEL(input_mix.norm)},
    /* In GGUF files three of them are one tensor, "altup_proj.weight" (fused.h). */
    [WEIGHT_STREAM_IN_1] = {"altup_proj.0.weight", "model.altup_projections.0.weight", HIDDEN,
                            HIDDEN, OF_ALTUP, IN_MODEL(stream_in[0].matrix)},
    [WEIGHT_STREAM_IN_2] = {"altup_proj.1.weight", "model.altup_projections.1.weight", HIDDEN,
                            HIDDEN, OF_ALTUP, IN_MODEL(stream_in[1].matrix)},
    [WEIGHT_STREAM_IN_3] = {"altup_proj.2.weight", "model.altup_projections.2.weight", HIDDEN,
                            HIDDEN, OF_ALTUP, IN_MODEL(stream_in[2].matrix)},
    [WEIGHT_STREAM_OUT_1] = {"altup_unembd_proj.0.weight",
                             "model.altup_unembed_projections.0.weight", HIDDEN, HIDDEN, OF_ALTUP,
                             IN_MODEL(stream_out[0].matrix)},
    [WEIGHT_STREAM_OUT_2] = {"altup_unembd_proj.1.weight",
                             "model.altup_unembed_projections.1.weight", HIDDEN, HIDDEN, OF_ALTUP,
                             IN_MODEL(stream_out[1].matrix)},
    [WEIGHT_STREAM_OUT_3] = {"altup_unembd_proj.2.weight",
                             "model.altup_unembed_projections.2.weight", HIDDEN, HIDDEN, OF_ALTUP,
                             IN_MODEL(stream_out[2].matrix)},
    [WEIGHT_ATTENTION_NORM] = {"attn_norm.weight", "input_layernorm.weight", HIDDEN, NONE,
                               PER_LAYER | NORM, IN_LAYER(attention_norm)},
    [WEIGHT_Q] = {"attn_q.weight", "self_attn.q_proj.weight", QUERIES, HIDDEN, PER_LAYER | ROTATED,
                  IN_LAYER(q.matrix)},
    [WEIGHT_K] = {"attn_k.weight", "self_attn.k_proj.weight", KEYS, HIDDEN,
                  PER_LAYER | OF_KV | ROTATED, IN_LAYER(k.matrix)},
    [WEIGHT_V] = {"attn_v.weight", "self_attn.v_proj.weight", KEYS, HIDDEN, PER_LAYER | OF_KV,
                  IN_LAYER(v.matrix)},
    [WEIGHT_O] = {"attn_output.weight", "self_attn.o_proj.weight", HIDDEN, QUERIES, PER_LAYER,
                  IN_LAYER(o.matrix)},
    [WEIGHT_Q_BIAS] = {"attn_q.bias", "self_attn.q_proj.bias", QUERIES, NONE,
                       PER_LAYER | ROTATED | OPTIONAL, IN_LAYER(q.bias)},
    [WEIGHT_K_BIAS] = {"attn_k.bias", "self_attn.k_proj.bias", KEYS, NONE,
                       PER_LAYER | OF_KV | ROTATED | OPTIONAL, IN_LAYER(k.bias)},
    [WEIGHT_V_BIAS] = {"attn_v.bias", "self_attn.v_proj.bias", KEYS, NONE,
                       PER_LAYER | OF_KV | OPTIONAL, IN_LAYER(v.bias)},
    [WEIGHT_O_BIAS] = {"attn_output.bias", "self_attn.o_proj.bias", HIDDEN, NONE,
                       PER_LAYER | OPTIONAL, IN_LAYER(o.bias)},
    [WEIGHT_Q_NORM] = {"attn_q_norm.weight", "self_attn.q_norm.weight", HEAD, NONE,
                       PER_LAYER | ROTATED | SPECIAL | NORM, IN_LAYER(q.norm)},
    [WEIGHT_K_NORM] = {"attn_k_norm.weight", "self_attn.k_norm.weight", HEAD, NONE,
                       PER_LAYER | OF_KV | ROTATED | SPECIAL | NORM, IN_LAYER(k.norm)},
    [WEIGHT_O_NORM] = {"post_attention_norm.weight", "post_attention_layernorm.weight", HIDDEN,
                       NONE, PER_LAYER | SPECIAL | NORM, IN_LAYER(o.norm)},
    [WEIGHT_FFN_NORM] = {"ffn_norm.weight", "post_attention_layernorm.weight", HIDDEN, NONE,
                         PER_LAYER | NORM, IN_LAYER(mlp_norm)},
    [WEIGHT_GATE] = {"ffn_gate.weight", "mlp.gate_proj.weight", INTERMEDIATE, HIDDEN, PER_LAYER,
                     IN_LAYER(gate.matrix)},
    [WEIGHT_UP] = {"ffn_up.weight", "mlp.up_proj.weight", INTERMEDIATE, HIDDEN, PER_LAYER,
                   IN_LAYER(up.matrix)},
    [WEIGHT_DOWN] = {"ffn_down.weight", "mlp.down_proj.weight", HIDDEN, INTERMEDIATE, PER_LAYER,
                     IN_LAYER(down.matrix)},
    [WEIGHT_GATE_BIAS] = {"ffn_gate.bias", "mlp.gate_proj.bias", INTERMEDIATE, NONE,
                          PER_LAYER | OPTIONAL, IN_LAYER(gate.bias)},
    [WEIGHT_UP_BIAS] = {"ffn_up.bias", "mlp.up_proj.bias", INTERMEDIATE, NONE, PER_LAYER | OPTIONAL,
                        IN_LAYER(up.bias)},
    [WEIGHT_DOWN_BIAS] = {"ffn_down.bias", "mlp.down_proj.bias", HIDDEN, NONE, PER_LAYER | OPTIONAL,
                          IN_LAYER(down.bias)},
    [WEIGHT_DOWN_NORM] = {"post_ffw_norm.weight", "post_feedforward_layernorm.weight", HIDDEN, NONE,
                          PER_LAYER | SPECIAL | NORM, IN_LAYER(down.norm)},
    [WEIGHT_INPUT_GATE] = {"inp_gate.weight", "per_layer_input_gate.weight", INPUT, HIDDEN,
                           PER_LAYER | OF_INPUTS, IN_LAYER(input_gate.matrix)},
    [WEIGHT_INPUT_OUT] = {"proj.weight", "per_layer_projection.weight", HIDDEN, INPUT,
                          PER_LAYER | OF_INPUTS, IN_LAYER(input_out.matrix)},
    [WEIGHT_INPUT_OUT_NORM] = {"post_norm.weight", "post_per_layer_input_norm.weight", HIDDEN, NONE,
                               PER_LAYER | OF_INPUTS | NORM, IN_LAYER(input_out.norm)},
    [WEIGHT_LAYER_SCALE] = {"layer_output_scale.weight", "layer_scalar", ONE, NONE,
                            PER_LAYER | SPECIAL | OPTIONAL, IN_LAYER(scale)},
    [WEIGHT_ROUTER] = {"altup_router.weight", "altup.modality_router.weight", STREAMS, HIDDEN,
                       PER_LAYER | OF_ALTUP | SMALL, IN_LAYER(altup.router)},
    [WEIGHT_ROUTER_NORM] = {"altup_router_norm.weight", "altup.router_norm.weight", HIDDEN, NONE,
                            PER_LAYER | OF_ALTUP | NORM, IN_LAYER(altup.router_norm)},
    [WEIGHT_PREDICT] = {"altup_predict_coef.weight", "altup.prediction_coefs.weight", STREAM_PAIRS,
                        STREAMS, PER_LAYER | OF_ALTUP | SMALL, IN_LAYER(altup.predict)},
    [WEIGHT_CORRECT] = {"altup_correct_coef.weight", "altup.correction_coefs.weight", STREAMS,
                        STREAMS, PER_LAYER | OF_ALTUP | SMALL, IN_LAYER(altup.correct)},
    [WEIGHT_CORRECT_SCALE] = {"altup_correct_scale.weight", "altup.correct_output_scale", HIDDEN,
                              NONE, PER_LAYER | OF_ALTUP, IN_LAYER(altup.scale)},
    [WEIGHT_LAUREL_LEFT] = {"laurel_l.weight", "laurel.linear_left.weight", RANK, HIDDEN,
                            PER_LAYER | OF_ALTUP, IN_LAYER(laurel.left.matrix)},
    [WEIGHT_LAUREL_RIGHT] = {"laurel_r.weight", "laurel.linear_right.weight", HIDDEN, RANK,
                             PER_LAYER | OF_ALTUP, IN_LAYER(laurel.right.matrix)},
    [WEIGHT_LAUREL_NORM] = {"laurel_post_norm.weight", "laurel.post_laurel_norm.weight", HIDDEN,
                            NONE, PER_LAYER | OF_ALTUP | NORM, IN_LAYER(laurel.right.norm)},
};

static bool has_flag(enum weight weight, enum flags flag)
{
    return (roles[weight].flags & flag) != 0;
}

bool weight_is_per_layer(enum weight weight)
{
    return has_flag(weight, PER_LAYER);
}

bool weight_is_kv(enum weight weight)
{
    return has_flag(weight, OF_KV);
}

bool weight_is_norm(enum weight weight)
{
    return has_flag(weight, NORM);
}

bool weight_is_vector(enum weight weight)
{
    return roles[weight].columns == NONE || has_flag(weight, SMALL);
}

bool weight_is_rotated(enum weight weight)
{
    return has_flag(weight, ROTATED);
}

static bool is_named(const struct architecture *architecture, enum weight weight)
{
    return (architecture->weights >> weight & 1) != 0;
}

/* Whether models of this architecture may have the weight. */
static bool may_have(const struct architecture *architecture, enum weight weight)
{
    return (!has_flag(weight, SPECIAL) || is_named(architecture, weight)) &&
           (!has_flag(weight, OF_INPUTS) || architecture->inputs_by_layer) &&
           (!has_flag(weight, OF_ALTUP) || architecture->altup);
}

bool weight_belongs(const struct hparams *h, enum weight weight, uint32_t layer)
{
    return may_have(h->architecture, weight) &&
           (!has_flag(weight, OF_INPUTS) || h->layer_input_size > 0) &&
           !(weight == WEIGHT_V && h->layers[layer].v_is_k) &&
           !(weight == WEIGHT_CORRECT_SCALE && h->unscaled_correction);
}

bool weight_is_optional(const struct hparams *h, enum weight weight)
{
    return (has_flag(weight, OPTIONAL) &&
            (has_flag(weight, SPECIAL) || !is_named(h->architecture, weight))) ||
           (weight == WEIGHT_OUTPUT && h->tie_embeddings);
}

/* ---- Shapes and places ---- */

static uint64_t size_of(const struct hparams *h, enum dimension dimension, uint32_t layer)
{
    const struct layer_hparams *l = &h->layers[layer];
    const uint64_t sizes[] = {
        [NONE] = 0,
        [ONE] = 1,
        [VOCABULARY] = h->n_vocab,
        [HIDDEN] = h->hidden_size,
        [QUERIES] = (uint64_t)h->n_heads * l->head_dim,
        [KEYS] = (uint64_t)l->n_kv_heads * l->head_dim,
        [HEAD] = l->head_dim,
        [INTERMEDIATE] = l->intermediate_size,
        [PAIRS] = h->ropes[0].n_rotated / 2,
        [INPUT] = h->layer_input_size,
        [ALL_INPUTS] = (uint64_t)h->n_layers * h->layer_input_size,
        [INPUT_TOKENS] = h->n_input_rows,
        [STREAMS] = ALTUP_STREAMS,
        [STREAM_PAIRS] = ALTUP_STREAMS * ALTUP_STREAMS,
        [RANK] = h->laurel_rank,
    };
    return sizes[dimension];
}

void weight_shape(const struct hparams *h, enum weight weight, uint32_t layer, uint64_t *rows,
                  uint64_t *columns)
{
    *rows = size_of(h, roles[weight].rows, layer);
    *columns = size_of(h, roles[weight].columns, layer);
}

/* The member that the weight goes into; NULL if that is no member of the model or of its layers. */
static void *place_of(struct lckv_model *model, enum weight weight, uint32_t layer)
{
    const size_t place = roles[weight].place;
    if (weight == WEIGHT_OUTPUT)
        return &model->outputs[0].matrix;
    if (place == ELSEWHERE)
        return NULL;
    return (uint8_t *)(has_flag(weight, PER_LAYER) ? (void *)&model->layers[layer] : model) + place;
}

struct matrix *weight_matrix(struct lckv_model *model, enum weight weight, uint32_t layer)
{
    return weight_is_vector(weight) ? NULL : place_of(model, weight, layer);
}

const float **weight_vector(struct lckv_model *model, enum weight weight, uint32_t layer)
{
    return weight_is_vector(weight) ? place_of(model, weight, layer) : NULL;
}

/* ---- Names ---- */

static const char *name_of(const struct architecture *architecture, enum checkpoint_kind kind,
                           enum weight weight)
{
    for (uint32_t i = 0; i < architecture->n_names; i++) {
        const struct weight_names *names = &architecture->names[i];
        if (names->weight == weight)
            return kind == CHECKPOINT_GGUF ? names->gguf : names->hf;
    }
    return kind == CHECKPOINT_GGUF ? roles[weight].gguf : roles[weight].hf;
}

static const char *layer_prefix(enum checkpoint_kind kind)
{
    return kind == CHECKPOINT_GGUF ? "blk." : "model.layers.";
}

void weight_name(const struct architecture *architecture, enum checkpoint_kind kind,
                 enum weight weight, uint32_t layer, char name[WEIGHT_NAME_BYTES])
{
    if (weight_is_per_layer(weight))
        snprintf(name, WEIGHT_NAME_BYTES, "%s%" PRIu32 ".%s", layer_prefix(kind), layer,
                 name_of(architecture, kind, weight));
    else
        snprintf(name, WEIGHT_NAME_BYTES, "%s", name_of(architecture, kind, weight));
}

/*
 * Takes "7." at the beginning of `name` as a number without leading zeros, and moves `name` behind
 * it.
 */
static bool take_layer(struct text *name, uint32_t n_layers, uint32_t *layer)
{
    size_t at = 0;
    uint32_t number = 0;
    while (at < name->length && name->bytes[at] >= '0' && name->bytes[at] <= '9' &&
           number < n_layers)
        number = number * 10 + (uint32_t)(name->bytes[at++] - '0');
    bool leading_zero = at > 1 && name->bytes[0] == '0';
    if (at == 0 || at >= name->length || name->bytes[at] != '.' || leading_zero ||
        number >= n_layers)
        return false;
    *layer = number;
    *name = (struct text){name->bytes + at + 1, name->length - at - 1};
    return true;
}

/* Whether `part` is the name of a role, or "attn_q.something" for the role "attn_q.weight". */
static bool is_beside(struct text part, const char *role)
{
    if (text_equals(part, role))
        return true;
    const char *dot = strrchr(role, '.');
    const bool has_kind = dot != NULL && (strcmp(dot, ".weight") == 0 || strcmp(dot, ".bias") == 0);
    size_t length = has_kind ? (size_t)(dot - role) + 1 : 0;
    return length > 0 && part.length >= length && memcmp(part.bytes, role, length) == 0;
}

struct named weight_of_name(const struct architecture *architecture, enum checkpoint_kind kind,
                            struct text name, uint32_t n_layers)
{
    struct named named = {.naming = NAMES_OTHER, .part = name};
    size_t prefix = strlen(layer_prefix(kind));
    bool per_layer = name.length > prefix && memcmp(name.bytes, layer_prefix(kind), prefix) == 0;
    if (per_layer) {
        named.part = (struct text){name.bytes + prefix, name.length - prefix};
        if (!take_layer(&named.part, n_layers, &named.layer)) {
            named.part = (struct text){"", 0};
            return named;
        }
    }
    for (int w = 0; w < WEIGHT_COUNT; w++) {
        enum weight weight = (enum weight)w;
        const char *role = name_of(architecture, kind, weight);
        if (weight_is_per_layer(weight) != per_layer || !may_have(architecture, weight) ||
            !is_beside(named.part, role))
            continue;
        named.naming = NAMES_ADDITION;
        named.weight = weight;
        if (text_equals(named.part, role)) {
            named.naming = NAMES_WEIGHT;
            break;
        }
    }
    return named;
}
