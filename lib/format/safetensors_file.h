/*
 * One safetensors file: its header, and the tensors that it lists.
 */
#ifndef LCKV_FORMAT_SAFETENSORS_FILE_H
#define LCKV_FORMAT_SAFETENSORS_FILE_H

#include "base/checked.h"
#include "format/checkpoint.h"
#include "format/json.h"

#define SAFETENSORS_MAX_HEADER (100u << 20) /* bytes */

struct safetensors_header {
    struct json_document document; /* an object of tensor names, and perhaps "__metadata__" */
    size_t n_tensors;
    uint64_t data_begin; /* the byte of the file where the data begin; offsets count from it */
};

/* Reads the header of an open file. The caller calls safetensors_header_release in any case. */
CHECKED lckv_status safetensors_header_read(struct safetensors_header *header,
                                            const struct file *file,
                                            const lckv_allocator *allocator);
void safetensors_header_release(struct safetensors_header *header);

/*
 * Appends the header's tensors, whose data lie in checkpoint->files[file_index], to
 * checkpoint->tensors, which must have room for them.
 */
CHECKED lckv_status safetensors_header_add(const struct safetensors_header *header,
                                           struct checkpoint *checkpoint, uint32_t file_index);

#endif
