/*
 * The weights of a Hugging Face directory: one safetensors file, or the shards that an index names.
 */
#ifndef LCKV_FORMAT_HF_WEIGHTS_H
#define LCKV_FORMAT_HF_WEIGHTS_H

#include "base/checked.h"
#include "format/checkpoint.h"

#define HF_MAX_SHARDS 1024
#define HF_MAX_TENSORS 65536

/*
 * Fills in the files and tensors of a checkpoint from directory `path`. Shard names in the index
 * are plain file names: anything with a slash is refused.
 */
CHECKED lckv_status hf_read_weights(struct checkpoint *checkpoint, const char *path);

#endif
