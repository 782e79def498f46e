/*
 * The GGUF container: a reader of headers (versions 2 and 3), and a writer (version 3).
 */
#ifndef LCKV_FORMAT_GGUF_H
#define LCKV_FORMAT_GGUF_H

#include "base/checked.h"
#include "format/checkpoint.h"

#define GGUF_MAX_PARTS 1024    /* of a split model */
#define GGUF_MAX_TENSORS 65536 /* in all parts together */
#define GGUF_MAX_METADATA 65536
#define GGUF_MAX_ALIGNMENT 65536
#define GGUF_MAX_NAME 65535                  /* bytes of a key or a tensor's name */
#define GGUF_MAX_STRINGS (1u << 24)          /* in one array; far more than any vocabulary has */
#define GGUF_MAX_METADATA_BYTES (512u << 20) /* of memory for keys, values and tensors' names */

/*
 * Fills in metadata and tensors of a checkpoint whose files[0] is open. If this is the first part
 * of a split model, the other parts are opened and read, too. Headers are read once, and nothing
 * behind them.
 */
CHECKED lckv_status gguf_read(struct checkpoint *checkpoint);

/* The tensors of one file, in its order. */
struct gguf_tensors {
    struct tensor *list; /* in the checkpoint's arena */
    size_t count;
};

/* Reads the header of one file of a checkpoint, number `file`. The metadata must be empty. */
CHECKED lckv_status gguf_read_file(struct checkpoint *checkpoint, uint32_t file,
                                   struct metadata *metadata, struct gguf_tensors *tensors);

/*
 * The writer. Declare all metadata and tensors, begin, then give the data of each tensor in the
 * order of declaration, in pieces of any size, and end.
 */
struct gguf_tensor {
    const char *name;
    lckv_dtype dtype;
    struct matrix_layout layout; /* lanes 0: not packed */
    uint32_t n_dims;
    uint64_t shape[TENSOR_MAX_DIMS]; /* outermost first */
};

struct gguf_writer {
    struct output *output;
    const struct gguf_tensor *tensors; /* belong to the caller, who keeps them until the end */
    size_t n_tensors;
    uint32_t alignment; /* 32, or PACKED_FILE_ALIGNMENT */
    size_t current;
    uint64_t left; /* bytes that the current tensor still lacks */
};

/* Writes the header. */
CHECKED lckv_status gguf_writer_begin(struct gguf_writer *writer, struct output *output,
                                      const struct metadata *metadata,
                                      const struct gguf_tensor *tensors, size_t n_tensors);
CHECKED lckv_status gguf_writer_data(struct gguf_writer *writer, const void *bytes, size_t length);

/* LCKV_INTERNAL if data are missing. The caller commits the output. */
CHECKED lckv_status gguf_writer_end(struct gguf_writer *writer);

#endif
