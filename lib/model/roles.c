/*
 * The table of roles. See roles.h.
 */
#include "model/roles.h"

#include "base/status.h"
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
    INPUT,     /* the embedding of one layer */
    ALL_INPUTS /* the embeddings of all layers */
};

enum flags {
    PER_LAYER = 1,
    OF_KV = 2,    /* only in layers that compute keys and values */
    ROTATED = 4,  /* rows are elements of heads that are rotated */
    OPTIONAL = 8, /* models may lack it, unless the architecture says that they must have it */
    SPECIAL = 16, /* only architectures that say so have it */
    NORM = 32,
    OF_INPUTS = 64, /* only where layers have embeddings of their own */
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
                            VOCABULARY, ALL_INPUTS, OF_INPUTS, ELSEWHERE},
    [WEIGHT_INPUT_MIX] = {"per_layer_model_proj.weight", "model.per_layer_model_projection.weight",
                          ALL_INPUTS, HIDDEN, OF_INPUTS, IN_MODEL(input_mix.matrix)},
    [WEIGHT_INPUT_MIX_NORM] = {"per_layer_proj_norm.weight",
                               "model.per_layer_projection_norm.weight", INPUT, NONE,
                               OF_INPUTS | NORM, IN_MODEL(input_mix.norm)},
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
           (!has_flag(weight, OF_INPUTS) || architecture->inputs_by_layer);
}

bool weight_belongs(const struct hparams *h, enum weight weight, uint32_t layer)
{
    return may_have(h->architecture, weight) &&
           (!has_flag(weight, OF_INPUTS) || h->layer_input_size > 0) &&
           !(weight == WEIGHT_V && h->layers[layer].v_is_k);
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
    return roles[weight].columns != NONE ? place_of(model, weight, layer) : NULL;
}

const float **weight_vector(struct lckv_model *model, enum weight weight, uint32_t layer)
{
    return roles[weight].columns == NONE ? place_of(model, weight, layer) : NULL;
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
    size_t length = dot != NULL ? (size_t)(dot - role) + 1 : 0;
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

/* ---- Tensors ---- */

static lckv_status check_shape(const struct checkpoint *checkpoint, const char *name,
                               const struct tensor *tensor, uint64_t rows, uint64_t columns)
{
    const uint32_t n_dims = columns > 0 ? 2 : 1;
    if (tensor->n_dims == n_dims && tensor->shape[0] == rows &&
        (n_dims == 1 || tensor->shape[1] == columns))
        return LCKV_OK;
    char expected[64], shape[96] = "";
    snprintf(expected, sizeof expected,
             n_dims == 1 ? "[%" PRIu64 "]" : "[%" PRIu64 ", %" PRIu64 "]", rows, columns);
    for (uint32_t i = 0; i < tensor->n_dims && i < TENSOR_MAX_DIMS; i++) {
        size_t used = strlen(shape);
        snprintf(shape + used, sizeof shape - used, "%s%" PRIu64, i > 0 ? ", " : "",
                 tensor->shape[i]);
    }
    return fail(LCKV_BAD_FORMAT, "%s: tensor %s has shape [%s]; expected %s", checkpoint->name,
                name, shape, expected);
}

lckv_status weight_find(const struct checkpoint *checkpoint, const struct hparams *h,
                        enum weight weight, uint32_t layer, bool required,
                        const struct tensor **tensor)
{
    char name[WEIGHT_NAME_BYTES];
    uint64_t rows, columns;
    weight_shape(h, weight, layer, &rows, &columns);
    weight_name(h->architecture, checkpoint->kind, weight, layer, name);
    const struct tensor *found = name[0] != '\0' ? checkpoint_find(checkpoint, name) : NULL;
    if (found == NULL && required)
        return fail(LCKV_BAD_FORMAT, "%s: tensor %s is missing", checkpoint->name, name);
    lckv_status status = found != NULL ? checkpoint_check(checkpoint, found) : LCKV_OK;
    if (status == LCKV_OK && found != NULL)
        status = check_shape(checkpoint, name, found, rows, columns);
    if (status == LCKV_OK)
        *tensor = found;
    return status;
}
