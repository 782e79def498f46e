/*
 * Roles: the parts that tensors play in a model, with the names under which files hold them and the
 * shapes that they must have.
 */
#ifndef LCKV_MODEL_ROLES_H
#define LCKV_MODEL_ROLES_H

#include "base/checked.h"
#include "model/hparams.h"

enum weight {
    WEIGHT_TOKEN_EMBEDDING,
    WEIGHT_OUTPUT_NORM,
    WEIGHT_OUTPUT,
    WEIGHT_ROPE_FACTORS,
    /* the rest once a layer */
    WEIGHT_ATTENTION_NORM,
    WEIGHT_Q,
    WEIGHT_K,
    WEIGHT_V,
    WEIGHT_O,
    WEIGHT_Q_BIAS,
    WEIGHT_K_BIAS,
    WEIGHT_V_BIAS,
    WEIGHT_O_BIAS,
    WEIGHT_FFN_NORM,
    WEIGHT_GATE,
    WEIGHT_UP,
    WEIGHT_DOWN,
    WEIGHT_GATE_BIAS,
    WEIGHT_UP_BIAS,
    WEIGHT_DOWN_BIAS,
    WEIGHT_COUNT
};

#define WEIGHT_NAME_BYTES 96

CHECKED bool weight_is_per_layer(enum weight weight);

/* Keys, values and their biases, which only the layers have whose KV some layer reads. */
CHECKED bool weight_is_kv(enum weight weight);

/* Whether models exist without it. */
CHECKED bool weight_is_optional(const struct hparams *hparams, enum weight weight);

/* The shape that the weight of a role must have; *columns is 0 for a vector. */
void weight_shape(const struct hparams *hparams, enum weight weight, uint64_t *rows,
                  uint64_t *columns);

/*
 * The name of a weight in files of `kind`, for layer `layer` where that matters. Empty if files of
 * this kind have no such tensor.
 */
void weight_name(enum checkpoint_kind kind, enum weight weight, uint32_t layer,
                 char name[WEIGHT_NAME_BYTES]);

/* What the name of a tensor says of it. */
enum naming {
    NAMES_WEIGHT,   /* that of a role */
    NAMES_ADDITION, /* something beside the weight of a role: "attn_q.scale", "attn_norm.bias" */
    NAMES_OTHER
};

struct named {
    enum naming naming;
    enum weight weight; /* of the first two */
    uint32_t layer;
    struct text part; /* the name without "blk.N." or "model.layers.N." */
};

/* The reverse of weight_name. Layers from `n_layers` on have no weights: their part is empty. */
struct named weight_of_name(enum checkpoint_kind kind, struct text name, uint32_t n_layers);

/*
 * The tensor that plays a role, of `n_dims` 1 ([rows]) or 2 ([rows, columns]). *tensor is NULL if
 * it is missing and not required. A failure names the tensor, what was expected and what is there:
 * LCKV_BAD_FORMAT for its shape, LCKV_UNSUPPORTED for its element type.
 */
CHECKED lckv_status weight_find(const struct checkpoint *checkpoint, enum weight weight,
                                uint32_t layer, uint32_t n_dims, uint64_t rows, uint64_t columns,
                                bool required, const struct tensor **tensor);

#endif
