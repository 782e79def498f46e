/*
 * Reads the wire format of Protocol Buffers. See protobuf.h.
 */
#include "format/protobuf.h"

#include "base/status.h"

#include <string.h>

#define VARINT_MAX_BYTES 10

static uint64_t read_varint(struct reader *reader, const char *what, bool *valid)
{
    uint64_t value = 0;
    for (int i = 0; i < VARINT_MAX_BYTES; i++) {
        uint8_t byte = reader_u8(reader, what);
        value |= (uint64_t)(byte & 0x7F) << (7 * i);
        if ((byte & 0x80) == 0)
            return value;
    }
    *valid = false;
    return 0;
}

lckv_status protobuf_next(struct reader *reader, struct protobuf_field *field, bool *found)
{
    bool valid = true;
    size_t begin = reader->position;
    *found = reader_left(reader) > 0;
    *field = (struct protobuf_field){.bytes = {"", 0}};
    if (!*found)
        return reader_status(reader);
    uint64_t key = read_varint(reader, "a field's number", &valid);
    field->number = key >> 3 <= UINT32_MAX ? (uint32_t)(key >> 3) : 0;
    field->wire = (uint32_t)(key & 7);
    switch (field->wire) {
    case PROTOBUF_VARINT:
        field->value = read_varint(reader, "a field's value", &valid);
        break;
    case PROTOBUF_FIXED64:
        field->value = reader_u64(reader, "a field's value");
        break;
    case PROTOBUF_FIXED32:
        field->value = reader_u32(reader, "a field's value");
        break;
    case PROTOBUF_BYTES:
        field->bytes.length = read_varint(reader, "a field's length", &valid);
        if (valid)
            field->bytes.bytes =
                (const char *)reader_bytes(reader, field->bytes.length, "a field's value");
        break;
    default:
        valid = false;
    }
    if (reader->failed)
        return reader_status(reader);
    if (!valid || field->number == 0)
        return fail(LCKV_BAD_FORMAT, "%s: byte %zu: expected a field of a protocol buffer",
                    reader->what, begin);
    return LCKV_OK;
}

static lckv_status refuse(const char *name, const char *expected)
{
    return fail(LCKV_BAD_FORMAT, "%s: expected %s", name, expected);
}

lckv_status protobuf_text(const struct protobuf_field *field, const char *name, struct text *text)
{
    if (field->wire != PROTOBUF_BYTES)
        return refuse(name, "bytes");
    *text = field->bytes;
    return LCKV_OK;
}

lckv_status protobuf_f32(const struct protobuf_field *field, const char *name, float *value)
{
    if (field->wire != PROTOBUF_FIXED32)
        return refuse(name, "a 32-bit number");
    uint32_t bits = (uint32_t)field->value;
    memcpy(value, &bits, sizeof bits);
    return LCKV_OK;
}

lckv_status protobuf_integer(const struct protobuf_field *field, const char *name, uint64_t *value)
{
    if (field->wire != PROTOBUF_VARINT)
        return refuse(name, "an integer");
    *value = field->value;
    return LCKV_OK;
}
