/*
 * Safetensors: one file, or a Hugging Face directory with its sharded index.
 */
#ifndef LCKV_FORMAT_SAFETENSORS_H
#define LCKV_FORMAT_SAFETENSORS_H

#include "format/checkpoint.h"

#define SAFETENSORS_MAX_HEADER (100u << 20)
#define SAFETENSORS_MAX_FILES 1024
#define SAFETENSORS_MAX_TENSORS 65536 /* in a directory */

/*
 * Fills in the files, tensors, config and tokenizer texts of a checkpoint from directory `path`.
 * Shard names in the index are plain file names: anything with a slash is refused.
 */
lckv_status safetensors_read_directory(struct checkpoint *checkpoint, const char *path);

#endif
