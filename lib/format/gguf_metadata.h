/*
 * The key-value section of a GGUF header.
 */
#ifndef LCKV_FORMAT_GGUF_METADATA_H
#define LCKV_FORMAT_GGUF_METADATA_H

#include "base/checked.h"
#include "base/reader.h"
#include "format/metadata.h"

/*
 * Reads the name of a key or a tensor, at least one byte without NUL, into the arena. `field` says
 * in messages what was read.
 */
CHECKED lckv_status gguf_read_name(struct reader *reader, struct arena *arena, const char *field,
                                   struct text *name);

/* Reads `count` pairs into empty metadata, in the order of the file. Duplicate keys are refused. */
CHECKED lckv_status gguf_read_metadata(struct reader *reader, uint64_t count,
                                       struct metadata *metadata);

#endif
