/*
 * A stream of bytes in frames, which functions of the caller write and read. Each frame has its
 * length before it and behind it a checksum that also depends on all frames before. So what a
 * reader hands out has been checked, and a frame that is missing, twice or elsewhere is noticed.
 *
 *     stream: magic, 8 bytes; version, 4 bytes; frames
 *     frame:  n, 4 bytes; n bytes, at most FRAME_BYTES; checksum, 8 bytes
 *
 * A frame of no bytes ends the stream, and nothing behind it is read. Numbers are little-endian.
 */
#ifndef LCKV_BASE_FRAMES_H
#define LCKV_BASE_FRAMES_H

#include "base/checked.h"
#include "base/memory.h"

#define FRAME_BYTES 65536
#define FRAME_MAGIC_BYTES 8

/* What kind of stream it is. */
struct frame_kind {
    const char *magic; /* FRAME_MAGIC_BYTES bytes */
    uint32_t version;
    const char *what; /* names the stream in messages: "saved sessions" */
};

/* Takes all of the bytes. */
typedef lckv_status (*frame_write_function)(void *user, const void *bytes, size_t length);

/* Gives at least one byte and at most `length`, in *n, which is 0 before; 0 is the end. */
typedef lckv_status (*frame_read_function)(void *user, void *bytes, size_t length, size_t *n);

struct frame_writer {
    frame_write_function write;
    void *user;
    const lckv_allocator *allocator;
    uint8_t *buffer; /* a whole frame */
    size_t used;     /* bytes of the frame so far */
    uint64_t checksum;
};

/* Begins a stream. frame_writer_release works after a failure, too. */
CHECKED lckv_status frame_writer_init(struct frame_writer *writer, struct frame_kind kind,
                                      frame_write_function write, void *user,
                                      const lckv_allocator *allocator);
CHECKED lckv_status frame_put(struct frame_writer *writer, const void *bytes, size_t length);
CHECKED lckv_status frame_put_u32(struct frame_writer *writer, uint32_t value);
CHECKED lckv_status frame_put_u64(struct frame_writer *writer, uint64_t value);

/* Ends the stream. */
CHECKED lckv_status frame_writer_finish(struct frame_writer *writer);
void frame_writer_release(struct frame_writer *writer);

struct frame_reader {
    struct frame_kind kind;
    frame_read_function read;
    void *user;
    const lckv_allocator *allocator;
    uint8_t *buffer;     /* the frame that is being handed out */
    size_t used, length; /* bytes of it that were handed out, and all of them */
    uint64_t position;   /* bytes that `read` gave */
    uint64_t checksum;
};

/*
 * Begins to read a stream: LCKV_BAD_FORMAT if it is of another kind, LCKV_UNSUPPORTED for a version
 * other than `kind` has. frame_reader_release works after a failure, too.
 */
CHECKED lckv_status frame_reader_init(struct frame_reader *reader, struct frame_kind kind,
                                      frame_read_function read, void *user,
                                      const lckv_allocator *allocator);

/* Exactly `length` bytes. LCKV_BAD_FORMAT if the stream is damaged or has fewer. */
CHECKED lckv_status frame_get(struct frame_reader *reader, void *bytes, size_t length);

/* LCKV_BAD_FORMAT unless the stream ends here. */
CHECKED lckv_status frame_reader_finish(struct frame_reader *reader);
void frame_reader_release(struct frame_reader *reader);

#endif
