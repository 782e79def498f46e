/*
 * The bounds-checked reader. See reader.h.
 */
#include "base/reader.h"

#include "base/status.h"

#include <string.h>

void reader_init(struct reader *reader, const void *bytes, size_t length, const char *what)
{
    /* Never NULL, so that a read of no bytes from an empty input is no failure. */
    reader->bytes = bytes != NULL ? bytes : (const uint8_t *)"";
    reader->length = bytes != NULL ? length : 0;
    reader->position = 0;
    reader->what = what;
    reader->failed = false;
    reader->failed_field = NULL;
    reader->failed_need = 0;
}

const uint8_t *reader_bytes(struct reader *reader, uint64_t length, const char *field)
{
    if (reader->failed)
        return NULL;
    if (length > reader->length - reader->position) {
        reader->failed = true;
        reader->failed_field = field;
        reader->failed_need = length < SIZE_MAX ? (size_t)length : SIZE_MAX;
        return NULL;
    }
    const uint8_t *bytes = reader->bytes + reader->position;
    reader->position += (size_t)length;
    return bytes;
}

static uint64_t little_endian(struct reader *reader, size_t size, const char *field)
{
    const uint8_t *bytes = reader_bytes(reader, size, field);
    uint64_t value = 0;
    for (size_t i = 0; bytes != NULL && i < size; i++)
        value |= (uint64_t)bytes[i] << (8 * i);
    return value;
}

uint8_t reader_u8(struct reader *reader, const char *field)
{
    return (uint8_t)little_endian(reader, 1, field);
}

uint16_t reader_u16(struct reader *reader, const char *field)
{
    return (uint16_t)little_endian(reader, 2, field);
}

uint32_t reader_u32(struct reader *reader, const char *field)
{
    return (uint32_t)little_endian(reader, 4, field);
}

uint64_t reader_u64(struct reader *reader, const char *field)
{
    return little_endian(reader, 8, field);
}

float reader_f32(struct reader *reader, const char *field)
{
    uint32_t bits = reader_u32(reader, field);
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

double reader_f64(struct reader *reader, const char *field)
{
    uint64_t bits = reader_u64(reader, field);
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

size_t reader_left(const struct reader *reader)
{
    return reader->length - reader->position;
}

lckv_status reader_status(const struct reader *reader)
{
    if (!reader->failed)
        return LCKV_OK;
    return fail(LCKV_BAD_FORMAT, "%s: truncated at byte %zu: %s needs %zu bytes, %zu are left",
                reader->what, reader->position, reader->failed_field, reader->failed_need,
                reader_left(reader));
}
