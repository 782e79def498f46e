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
    reader->window = NULL;
    reader->length = bytes != NULL ? length : 0;
    reader->position = 0;
    reader->what = what;
    reader->failed = false;
    reader->failed_field = NULL;
    reader->failed_need = 0;
}

lckv_status reader_init_file(struct reader *reader, struct reader_window *window,
                             const struct file *file)
{
    if (file->length > SIZE_MAX)
        return fail(LCKV_UNSUPPORTED, "%s: %llu bytes are more than this machine can address",
                    file->name, (unsigned long long)file->length);
    reader_init(reader, NULL, 0, file->name);
    reader->window = window;
    reader->length = (size_t)file->length;
    window->file = file;
    window->begin = 0;
    window->length = 0;
    window->status = LCKV_OK;
    return LCKV_OK;
}

bool reader_has(struct reader *reader, uint64_t length, const char *field)
{
    if (!reader->failed && length > reader->length - reader->position) {
        reader->failed = true;
        reader->failed_field = field;
        reader->failed_need = length < SIZE_MAX ? (size_t)length : SIZE_MAX;
    }
    return !reader->failed;
}

/* The address of the next byte in memory, and how many bytes follow there. */
static const uint8_t *present(const struct reader *reader, size_t *n)
{
    const struct reader_window *window = reader->window;
    if (window == NULL) {
        *n = reader_left(reader);
        return reader->bytes + reader->position;
    }
    *n = window->begin + window->length - reader->position;
    return window->bytes + (reader->position - window->begin);
}

/* Moves the window to the next byte. Bytes that it holds already are not read again. */
static bool fill_window(struct reader *reader)
{
    struct reader_window *window = reader->window;
    size_t kept, left = reader_left(reader);
    const uint8_t *bytes = present(reader, &kept);
    size_t length = left < READER_WINDOW_BYTES ? left : READER_WINDOW_BYTES;
    memmove(window->bytes, bytes, kept);
    window->begin = reader->position;
    window->length = length;
    window->status =
        file_read(window->file, window->begin + kept, window->bytes + kept, length - kept);
    reader->failed = window->status != LCKV_OK;
    return !reader->failed;
}

const uint8_t *reader_bytes(struct reader *reader, uint64_t length, const char *field)
{
    size_t n;
    if (!reader_has(reader, length, field))
        return NULL;
    const uint8_t *bytes = present(reader, &n);
    if (length > n) {
        if (length > READER_WINDOW_BYTES) {
            reader->window->status =
                fail(LCKV_INTERNAL, "%s: %s is longer than the window", reader->what, field);
            reader->failed = true;
            return NULL;
        }
        if (!fill_window(reader))
            return NULL;
        bytes = reader->window->bytes;
    }
    reader->position += (size_t)length;
    return bytes;
}

bool reader_copy(struct reader *reader, void *buffer, size_t length, const char *field)
{
    size_t n;
    if (!reader_has(reader, length, field))
        return false;
    const uint8_t *bytes = present(reader, &n);
    if (length > n && length <= READER_WINDOW_BYTES) {
        if (!fill_window(reader))
            return false;
        bytes = present(reader, &n);
    }
    size_t first = length < n ? length : n;
    if (first > 0)
        memcpy(buffer, bytes, first);
    reader->position += first;
    if (first == length)
        return true;
    /* The rest of a long piece is read straight into the buffer and leaves the window empty. */
    struct reader_window *window = reader->window;
    window->status =
        file_read(window->file, reader->position, (uint8_t *)buffer + first, length - first);
    reader->failed = window->status != LCKV_OK;
    if (reader->failed)
        return false;
    reader->position += length - first;
    window->begin = reader->position;
    window->length = 0;
    return true;
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
    if (reader->window != NULL && reader->window->status != LCKV_OK)
        return reader->window->status; /* its message is still the last one of this thread */
    return fail(LCKV_BAD_FORMAT, "%s: truncated at byte %zu: %s needs %zu bytes, %zu are left",
                reader->what, reader->position, reader->failed_field, reader->failed_need,
                reader_left(reader));
}
