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
    /* the weights of a layer */
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

/*
 * Whether it is a matrix or bias of keys or values, which a layer has only if some layer reads
 * them.
 */
CHECKED bool weight_is_kv(enum weight weight);

/* Whether there are models without this weight. */
CHECKED bool weight_is_optional(const struct hparams *hparams, enum weight weight);

/* The shape that the weight of a role must have; *columns is 0 for a vector. */
void weight_shape(const struct hparams *hparams, enum weight weight, uint64_t *rows,
                  uint64_t *columns);

/*
 * The name of a weight in files of `kind`, in layer `layer` if it belongs to a layer. It is empty
 * if files of this kind have no such tensor.
 */
void weight_name(enum checkpoint_kind kind, enum weight weight, uint32_t layer,
                 char name[WEIGHT_NAME_BYTES]);

/* What the name of a tensor says about it. */
enum naming {
    NAMES_WEIGHT,   /* it is the weight of a role */
    NAMES_ADDITION, /* something beside the weight of a role: "attn_q.scale", "attn_norm.bias" */
    NAMES_OTHER
};

struct named {
    enum naming naming;
    enum weight weight; /* for the first two */
    uint32_t layer;
    struct text part; /* the name without "blk.N." or "model.layers.N." */
};

/*
 * The reverse of weight_name. Layers from `n_layers` on have no weights; `part` is empty for them.
 */
struct named weight_of_name(enum checkpoint_kind kind, struct text name, uint32_t n_layers);

/*
 * Finds the tensor that plays a role. It has `n_dims` 1 ([rows]) or 2 ([rows, columns]). *tensor is
 * NULL if it is missing and not required. A failure names the tensor, what was expected and what is
 * there: LCKV_BAD_FORMAT for its shape, LCKV_UNSUPPORTED for its element type.
 */
CHECKED lckv_status weight_find(const struct checkpoint *checkpoint, enum weight weight,
                                uint32_t layer, uint32_t n_dims, uint64_t rows, uint64_t columns,
                                bool required, const struct tensor **tensor);

#endif
