/*
 * Opens checkpoints of any kind.
 */
#ifndef LCKV_FORMAT_CHECKPOINT_OPEN_H
#define LCKV_FORMAT_CHECKPOINT_OPEN_H

#include "base/checked.h"
#include "format/checkpoint.h"

/*
 * Opens a GGUF file (of a split model the first part, which leads to the others), a Hugging Face
 * directory, or the directory of a .safetensors file. Headers are read once and checked completely:
 * types, shapes, counts, offsets, overlaps, duplicate names. Everything but tensor data is copied;
 * the files stay open (not mapped) for checkpoint_read. The struct must not move afterwards.
 */
CHECKED lckv_status checkpoint_open(struct checkpoint *checkpoint, const char *path,
                                    const lckv_allocator *allocator);

/*
 * As checkpoint_open, for callers that can do without weights: if files of weights are missing or
 * cannot be used, there are no tensors, and checkpoint->no_weights says why.
 */
CHECKED lckv_status checkpoint_open_description(struct checkpoint *checkpoint, const char *path,
                                                const lckv_allocator *allocator);

/* Opens the bytes of a GGUF file, which must outlive the checkpoint. */
CHECKED lckv_status checkpoint_open_memory(struct checkpoint *checkpoint, const void *bytes,
                                           size_t length, const lckv_allocator *allocator);

#endif
