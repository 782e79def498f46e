/*
 * The metadata of a converted file.
 */
#ifndef LCKV_CONVERT_OUTPUT_METADATA_H
#define LCKV_CONVERT_OUTPUT_METADATA_H

#include "base/checked.h"
#include "base/remark.h"
#include "format/gguf.h"
#include "model/hparams.h"

/*
 * Fills `metadata` with what describes the new model: its hyperparameters and plan, the type of its
 * tensors, and what the input has besides, which is all other metadata of a GGUF file, or the
 * tokenizer of a directory. Makes a remark if the tokenizer is left out.
 */
CHECKED lckv_status output_metadata(const struct checkpoint *in, const struct hparams *hparams,
                                    const struct lckv_plan *plan, const struct gguf_tensor *tensors,
                                    size_t n_tensors, const struct remarks *remarks,
                                    const lckv_allocator *allocator, struct metadata *metadata);

#endif
