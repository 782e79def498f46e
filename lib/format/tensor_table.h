/*
 * The tensors of a checkpoint while a container is being read: checks that GGUF and safetensors
 * share.
 */
#ifndef LCKV_FORMAT_TENSOR_TABLE_H
#define LCKV_FORMAT_TENSOR_TABLE_H

#include "format/checkpoint.h"

/*
 * Checks dtype, n_dims and shape and computes n_bytes: 1 to TENSOR_MAX_DIMS dimensions, none of
 * them 0, rows of whole blocks, no overflow. `file` names the file in messages.
 */
lckv_status tensor_table_measure(struct tensor *tensor, const char *file);

/* Refuses tensors that share bytes of a file and names that occur twice; sorts them by name. */
lckv_status tensor_table_finish(struct checkpoint *checkpoint);

#endif
