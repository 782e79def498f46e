/*
 * The wire format of Protocol Buffers, as far as its reader must know it: a message is fields, each
 * with a number and a value.
 */
#ifndef LCKV_FORMAT_PROTOBUF_H
#define LCKV_FORMAT_PROTOBUF_H

#include "base/checked.h"
#include "base/reader.h"
#include "base/text.h"

enum protobuf_wire { /* as in the file */
                     PROTOBUF_VARINT = 0,
                     PROTOBUF_FIXED64 = 1,
                     PROTOBUF_BYTES = 2,
                     PROTOBUF_FIXED32 = 5
};

struct protobuf_field {
    uint32_t number;
    uint32_t wire;     /* enum protobuf_wire */
    uint64_t value;    /* of all but PROTOBUF_BYTES */
    struct text bytes; /* of PROTOBUF_BYTES, in place; no NUL behind them */
};

/* Reads the next field of a message in memory. At its end *found is false. */
CHECKED lckv_status protobuf_next(struct reader *reader, struct protobuf_field *field, bool *found);

/* Each fails with the name of the field if its value is of another kind. */
CHECKED lckv_status protobuf_text(const struct protobuf_field *field, const char *name,
                                  struct text *text);
CHECKED lckv_status protobuf_f32(const struct protobuf_field *field, const char *name,
                                 float *value);
CHECKED lckv_status protobuf_integer(const struct protobuf_field *field, const char *name,
                                     uint64_t *value);

#endif
