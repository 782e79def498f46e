/*
 * The checks of all tensors of a checkpoint against each other, which GGUF and safetensors share.
 */
#ifndef LCKV_FORMAT_TENSOR_TABLE_H
#define LCKV_FORMAT_TENSOR_TABLE_H

#include "base/checked.h"
#include "format/checkpoint.h"

/* Refuses tensors that share bytes of a file and names that occur twice; sorts them by name. */
CHECKED lckv_status tensor_table_finish(struct checkpoint *checkpoint);

#endif
