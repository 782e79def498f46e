/*
 * How frames are written and read. See frames.h.
 */
#include "base/frames.h"

#include "base/checksum.h"
#include "base/reader.h"
#include "base/status.h"

#include <string.h>

enum { LENGTH_BYTES = 4, CHECKSUM_BYTES = 8, HEADER_BYTES = FRAME_MAGIC_BYTES + 4 };

/* The buffer holds a frame as it is written: length, bytes, checksum. */
#define BUFFER_BYTES ((size_t)LENGTH_BYTES + FRAME_BYTES + CHECKSUM_BYTES)

static void store_u32(uint8_t *to, uint32_t value)
{
    for (int i = 0; i < 4; i++)
        to[i] = (uint8_t)(value >> 8 * i);
}

static void store_u64(uint8_t *to, uint64_t value)
{
    store_u32(to, (uint32_t)value);
    store_u32(to + 4, (uint32_t)(value >> 32));
}

static void store_header(uint8_t header[HEADER_BYTES], struct frame_kind kind)
{
    memcpy(header, kind.magic, FRAME_MAGIC_BYTES);
    store_u32(header + FRAME_MAGIC_BYTES, kind.version);
}

lckv_status frame_writer_init(struct frame_writer *writer, struct frame_kind kind,
                              frame_write_function write, void *user,
                              const lckv_allocator *allocator)
{
    uint8_t header[HEADER_BYTES];
    *writer = (struct frame_writer){.write = write, .user = user, .allocator = allocator};
    store_header(header, kind);
    writer->checksum = checksum(header, sizeof header, 0);
    lckv_status status =
        memory_alloc_raw(allocator, BUFFER_BYTES, "the buffer of a stream", &writer->buffer);
    return status == LCKV_OK ? write(user, header, sizeof header) : status;
}

static lckv_status write_frame(struct frame_writer *writer)
{
    const size_t covered = LENGTH_BYTES + writer->used;
    store_u32(writer->buffer, (uint32_t)writer->used);
    writer->checksum = checksum(writer->buffer, covered, writer->checksum);
    store_u64(writer->buffer + covered, writer->checksum);
    writer->used = 0;
    return writer->write(writer->user, writer->buffer, covered + CHECKSUM_BYTES);
}

lckv_status frame_put(struct frame_writer *writer, const void *bytes, size_t length)
{
    const uint8_t *from = bytes;
    while (length > 0) {
        size_t room = FRAME_BYTES - writer->used, n = length < room ? length : room;
        memcpy(writer->buffer + LENGTH_BYTES + writer->used, from, n);
        writer->used += n;
        from += n;
        length -= n;
        lckv_status status = writer->used == FRAME_BYTES ? write_frame(writer) : LCKV_OK;
        if (status != LCKV_OK)
            return status;
    }
    return LCKV_OK;
}

lckv_status frame_put_u32(struct frame_writer *writer, uint32_t value)
{
    uint8_t bytes[4];
    store_u32(bytes, value);
    return frame_put(writer, bytes, sizeof bytes);
}

lckv_status frame_put_u64(struct frame_writer *writer, uint64_t value)
{
    uint8_t bytes[8];
    store_u64(bytes, value);
    return frame_put(writer, bytes, sizeof bytes);
}

lckv_status frame_writer_finish(struct frame_writer *writer)
{
    lckv_status status = writer->used > 0 ? write_frame(writer) : LCKV_OK;
    return status == LCKV_OK ? write_frame(writer) : status;
}

void frame_writer_release(struct frame_writer *writer)
{
    memory_free(writer->allocator, writer->buffer, BUFFER_BYTES, 1);
    writer->buffer = NULL;
}

static lckv_status read_bytes(struct frame_reader *reader, uint8_t *bytes, size_t length)
{
    for (size_t done = 0, n; done < length; done += n) {
        n = 0;
        lckv_status status = reader->read(reader->user, bytes + done, length - done, &n);
        if (status != LCKV_OK)
            return status;
        if (n == 0)
            return fail(LCKV_BAD_FORMAT, "the %s are cut off: they end at byte %llu",
                        reader->kind.what, (unsigned long long)reader->position);
        reader->position += n;
    }
    return LCKV_OK;
}

static lckv_status check_header(const struct frame_reader *reader,
                                const uint8_t header[HEADER_BYTES])
{
    struct reader fields;
    reader_init(&fields, header, HEADER_BYTES, reader->kind.what);
    const uint8_t *magic = reader_bytes(&fields, FRAME_MAGIC_BYTES, "magic");
    uint32_t version = reader_u32(&fields, "version");
    if (magic == NULL || memcmp(magic, reader->kind.magic, FRAME_MAGIC_BYTES) != 0)
        return fail(LCKV_BAD_FORMAT, "these are no %s: they do not begin with %s",
                    reader->kind.what, quoted(reader->kind.magic, FRAME_MAGIC_BYTES).text);
    if (version != reader->kind.version)
        return fail(LCKV_UNSUPPORTED, "the %s have version %u of their format; this lckv reads %u",
                    reader->kind.what, version, reader->kind.version);
    return LCKV_OK;
}

lckv_status frame_reader_init(struct frame_reader *reader, struct frame_kind kind,
                              frame_read_function read, void *user, const lckv_allocator *allocator)
{
    uint8_t header[HEADER_BYTES];
    *reader =
        (struct frame_reader){.kind = kind, .read = read, .user = user, .allocator = allocator};
    lckv_status status =
        memory_alloc_raw(allocator, BUFFER_BYTES, "the buffer of a stream", &reader->buffer);
    if (status == LCKV_OK)
        status = read_bytes(reader, header, sizeof header);
    if (status == LCKV_OK)
        status = check_header(reader, header);
    reader->checksum = checksum(header, sizeof header, 0);
    return status;
}

static lckv_status read_frame(struct frame_reader *reader)
{
    struct reader fields;
    uint8_t *bytes = reader->buffer + LENGTH_BYTES;
    const uint64_t begin = reader->position;
    lckv_status status = read_bytes(reader, reader->buffer, LENGTH_BYTES);
    if (status != LCKV_OK)
        return status;
    reader_init(&fields, reader->buffer, LENGTH_BYTES, reader->kind.what);
    const uint32_t length = reader_u32(&fields, "length of a frame");
    if (length > FRAME_BYTES)
        return fail(LCKV_BAD_FORMAT, "the %s are damaged at byte %llu: a frame of %u bytes",
                    reader->kind.what, (unsigned long long)begin, length);
    status = read_bytes(reader, bytes, length + CHECKSUM_BYTES);
    if (status != LCKV_OK)
        return status;
    reader_init(&fields, bytes + length, CHECKSUM_BYTES, reader->kind.what);
    reader->checksum = checksum(reader->buffer, LENGTH_BYTES + length, reader->checksum);
    if (reader_u64(&fields, "checksum of a frame") != reader->checksum)
        return fail(
            LCKV_BAD_FORMAT, "the %s are damaged between bytes %llu and %llu: the checksum differs",
            reader->kind.what, (unsigned long long)begin, (unsigned long long)reader->position);
    reader->used = 0;
    reader->length = length;
    return LCKV_OK;
}

lckv_status frame_get(struct frame_reader *reader, void *bytes, size_t length)
{
    uint8_t *to = bytes;
    while (length > 0) {
        lckv_status status = reader->used == reader->length ? read_frame(reader) : LCKV_OK;
        if (status != LCKV_OK)
            return status;
        if (reader->length == 0)
            return fail(LCKV_BAD_FORMAT, "the %s end too early, at byte %llu", reader->kind.what,
                        (unsigned long long)reader->position);
        size_t left = reader->length - reader->used, n = length < left ? length : left;
        memcpy(to, reader->buffer + LENGTH_BYTES + reader->used, n);
        reader->used += n;
        to += n;
        length -= n;
    }
    return LCKV_OK;
}

lckv_status frame_reader_finish(struct frame_reader *reader)
{
    lckv_status status = reader->used == reader->length ? read_frame(reader) : LCKV_OK;
    if (status == LCKV_OK && reader->length > 0)
        status = fail(LCKV_BAD_FORMAT, "the %s do not end where they should, at byte %llu",
                      reader->kind.what, (unsigned long long)reader->position);
    return status;
}

void frame_reader_release(struct frame_reader *reader)
{
    memory_free(reader->allocator, reader->buffer, BUFFER_BYTES, 1);
    reader->buffer = NULL;
}
