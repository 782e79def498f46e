/*
 * Tensors that hold several weights, row behind row: q, k and v, or gate and up. In GGUF files of
 * models with side streams the matrices of these are one tensor of three dimensions.
 */
#ifndef LCKV_MODEL_FUSED_H
#define LCKV_MODEL_FUSED_H

#include "model/hparams.h"

/*
 * If the architecture has such tensors: puts each of their weights into the table in their place,
 * under the name that it has where it stands alone. No bytes are read or moved. LCKV_BAD_FORMAT if
 * a tensor does not have the rows of its weights, or one of these stands alone as well.
 */
CHECKED lckv_status fused_split(struct checkpoint *checkpoint, const struct hparams *hparams);

/*
 * The name and the parts of the stack that begins with `first` in GGUF files: a tensor of three
 * dimensions, [n_parts, rows, columns]. NULL if this weight begins none.
 */
const char *fused_stack(enum weight first, const enum weight **parts, uint32_t *n_parts);

#endif
