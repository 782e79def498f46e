/*
 * The sources of hyperparameters. This header is for hparams.c and the files that it calls.
 */
#ifndef LCKV_MODEL_HPARAMS_SOURCES_H
#define LCKV_MODEL_HPARAMS_SOURCES_H

#include "base/checked.h"
#include "base/remark.h"
#include "model/hparams.h"
#include "model/roles.h"

struct json_value;

#define HPARAMS_FORWARD_PASSES 7 /* the defaults of the published configuration */
#define HPARAMS_BACKWARD_PASSES 2
#define HPARAMS_SLIDING_WINDOW 4096
#define HPARAMS_THETA 10000

CHECKED lckv_status hparams_from_gguf(struct checkpoint *checkpoint, struct hparams *hparams,
                                      const struct remarks *remarks);
CHECKED lckv_status hparams_from_config(struct checkpoint *checkpoint, struct hparams *hparams,
                                        const struct remarks *remarks);

#define KEY_DYNAMIC "lckv.rope_dynamic_factor" /* GGUF has no common key for it */

/* The numbers of each layer, as files list them. */
struct layer_lists {
    uint32_t head_dim[PLAN_MAX_LAYERS], n_kv_heads[PLAN_MAX_LAYERS];
    uint32_t intermediate_size[PLAN_MAX_LAYERS], rope[PLAN_MAX_LAYERS], v_is_k[PLAN_MAX_LAYERS];
    float sparsity[PLAN_MAX_LAYERS];
};

/*
 * Starts lists for all layers with the same head_dim, as many KV heads as others, rope 0, and gates
 * that are not sparse.
 */
CHECKED lckv_status layer_lists_begin(struct layer_lists *lists, const struct hparams *hparams,
                                      uint32_t head_dim);

/* Sets the layers of the model, and the largest numbers of any. */
CHECKED lckv_status layer_lists_end(const struct layer_lists *lists, struct checkpoint *checkpoint,
                                    struct hparams *hparams);

/*
 * Counts the rows of a tensor of a GGUF file, the first layer's if it is one of layers. The file is
 * not named if it is missing or not supported. Rows beyond 2^32 - 1 count as 0.
 */
CHECKED lckv_status hparams_count_rows(const struct checkpoint *checkpoint,
                                       const struct hparams *hparams, enum weight weight,
                                       uint32_t *n_rows);

/*
 * Reads the heads of layers that have a window, those whose rope is 1, and of the others, which may
 * differ.
 */
CHECKED lckv_status hparams_heads_from_config(const struct json_value *config,
                                              const struct hparams *hparams,
                                              struct layer_lists *lists);

/*
 * Read and write what models with side streams have: the number of these, the rank of Laurel and
 * the sparsity of gates.
 */
CHECKED lckv_status hparams_altup_from_config(const struct json_value *config,
                                              struct hparams *hparams, struct layer_lists *lists);
CHECKED lckv_status hparams_altup_from_gguf(const struct checkpoint *checkpoint,
                                            struct hparams *hparams, struct layer_lists *lists);
CHECKED lckv_status hparams_altup_to_metadata(const struct hparams *hparams,
                                              const char *architecture, struct metadata *metadata);

/* How many tokens have embeddings for the layers, if a file does not tell. */
CHECKED uint32_t hparams_usual_input_tokens(const struct hparams *hparams);

/* Whether gates are sparse as they are where a GGUF file does not tell. */
CHECKED bool hparams_sparsity_is_usual(const struct hparams *hparams);

/* Reads theta and scaling of all ropes; called by hparams_config.c. */
CHECKED lckv_status hparams_rope_from_config(const struct json_value *config,
                                             struct hparams *hparams,
                                             const struct remarks *remarks);

/*
 * Reads how a rotation is scaled out of one object, over what `rope` has so far. `what` names the
 * object in messages.
 */
CHECKED lckv_status hparams_read_rope_scaling(const struct json_value *scaling, const char *what,
                                              struct rope_hparams *rope,
                                              const struct remarks *remarks);

/* Checks a member that has no effect if it is 1. */
CHECKED lckv_status hparams_expect_one(const struct json_value *object, const char *what,
                                       const char *name);

/*
 * If layers with a window rotate in another way: adds a rope for them, the usual one for now. If
 * some layers do not rotate: adds one for those.
 */
void hparams_add_rope(struct hparams *hparams);

/* Reads the scales that the architecture knows; the one or the other is NULL. */
CHECKED lckv_status hparams_read_scales(const struct json_value *config,
                                        const struct metadata *metadata, struct hparams *hparams);

CHECKED lckv_status hparams_write_scales(const struct hparams *hparams, const char *architecture,
                                         struct metadata *metadata);

/*
 * Read the divisors of frequencies. In config.json these are longrope's lists, and the head is
 * rotated by as many elements as hparams_rope_from_config said. In GGUF files they are tensors.
 */
CHECKED lckv_status hparams_factors_from_config(struct checkpoint *checkpoint,
                                                const struct json_value *config,
                                                struct hparams *hparams);
CHECKED lckv_status hparams_factors_from_gguf(struct checkpoint *checkpoint,
                                              struct hparams *hparams);

#endif
