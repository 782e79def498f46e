/*
 * Element types: names, GGUF numbers, block sizes. The layout inside a block belongs to kernels/.
 */
#ifndef LCKV_FORMAT_DTYPE_H
#define LCKV_FORMAT_DTYPE_H

#include "base/checked.h"
#include "lckv.h"

#include <stdbool.h>

#define DTYPE_COUNT (LCKV_DTYPE_F8_E4M3 + 1) /* for tables by type */
#define DTYPE_UNKNOWN LCKV_DTYPE_DEFAULT     /* for tensors of a type that lckv does not know */

#define DTYPE_NOT_IN_GGUF UINT32_MAX

struct dtype_info {
    lckv_dtype dtype;
    const char *name;        /* "q4_0" */
    uint32_t gguf_type;      /* as GGUF tensor infos number it, or DTYPE_NOT_IN_GGUF */
    uint32_t block_elements; /* 1 for plain floats */
    uint32_t block_bytes;
};

/* NULL for a type that this version does not know. */
const struct dtype_info *dtype_info(lckv_dtype dtype);
const struct dtype_info *dtype_from_gguf(uint32_t gguf_type);
const struct dtype_info *dtype_from_name(const char *name); /* any case */

/*
 * The name of any GGUF tensor type that exists ("q3_K", "iq2_xxs", ...), for messages; else NULL.
 */
const char *dtype_gguf_name(uint32_t gguf_type);

/* The bytes of `n` elements; false if they are not whole blocks, or if the product overflows. */
CHECKED bool dtype_bytes(lckv_dtype dtype, uint64_t n, uint64_t *bytes);

#endif
