/*
 * The key-value section of a GGUF header.
 */
#ifndef LCKV_FORMAT_GGUF_METADATA_H
#define LCKV_FORMAT_GGUF_METADATA_H

#include "base/checked.h"
#include "base/reader.h"
#include "format/metadata.h"

/*
 * A name of one byte or more without NUL, as keys and tensors have, copied to the arena. `field`
 * says which in messages.
 */
CHECKED lckv_status gguf_read_name(struct reader *reader, struct arena *arena, const char *field,
                                   struct text *name);

/* Reads `count` pairs into empty metadata, in the order of the file. Duplicate keys are refused. */
CHECKED lckv_status gguf_read_metadata(struct reader *reader, uint64_t count,
                                       struct metadata *metadata);

#endif
