/*
 * Roles: the parts that tensors play in a model. One table tells, for each role, the names under
 * which files hold its weight, the shape that it must have, which layers have it, and where it goes
 * in a model. Whoever checks, packs or converts weights loops over it.
 */
#ifndef LCKV_MODEL_ROLES_H
#define LCKV_MODEL_ROLES_H

#include "base/checked.h"
#include "model/model.h"
#include "model/weights.h"

#define WEIGHT_NAME_BYTES 96

/* Whether models with these hyperparameters may have the weight, in layer `layer` if per layer. */
CHECKED bool weight_belongs(const struct hparams *hparams, enum weight weight, uint32_t layer);

CHECKED bool weight_is_per_layer(enum weight weight);

/* Whether only layers have it whose keys and values some layer reads. */
CHECKED bool weight_is_kv(enum weight weight);

/* Whether it is the weight of a norm. */
CHECKED bool weight_is_norm(enum weight weight);

/* Whether it is a vector, or a matrix so small that it is kept as one, row behind row. */
CHECKED bool weight_is_vector(enum weight weight);

/* Whether its rows are elements of heads that are rotated. */
CHECKED bool weight_is_rotated(enum weight weight);

/* Whether there are models of this architecture, and with these embeddings, without the weight. */
CHECKED bool weight_is_optional(const struct hparams *hparams, enum weight weight);

/* The shape that the weight must have, in layer `layer`; *columns is 0 for a vector. */
void weight_shape(const struct hparams *hparams, enum weight weight, uint32_t layer, uint64_t *rows,
                  uint64_t *columns);

/* Where the weight of a model goes; NULL unless it is a matrix, or a vector. */
struct matrix *weight_matrix(struct lckv_model *model, enum weight weight, uint32_t layer);
const float **weight_vector(struct lckv_model *model, enum weight weight, uint32_t layer);

/*
 * The name of a weight in files of `kind`, in layer `layer` if it belongs to a layer. It is empty
 * if files of this kind have no such tensor.
 */
void weight_name(const struct architecture *architecture, enum checkpoint_kind kind,
                 enum weight weight, uint32_t layer, char name[WEIGHT_NAME_BYTES]);

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
struct named weight_of_name(const struct architecture *architecture, enum checkpoint_kind kind,
                            struct text name, uint32_t n_layers);

/*
 * Finds the tensor that plays a role, in layer `layer`. *tensor is NULL if it is missing and not
 * required. A failure names the tensor, what was expected and what is there: LCKV_BAD_FORMAT for
 * its shape, LCKV_UNSUPPORTED for its element type.
 */
CHECKED lckv_status weight_find(const struct checkpoint *checkpoint, const struct hparams *hparams,
                                enum weight weight, uint32_t layer, bool required,
                                const struct tensor **tensor);

#endif
