/*
 * The bounds-checked reader: the only way to look at untrusted bytes. Little-endian.
 *
 * It reads memory in place, or a file through a small window. Each byte of a file is copied once,
 * in order. A process that writes the file meanwhile can therefore change what is read next, but
 * never what has been checked.
 *
 * The first failure sticks: later reads give zeros and the cursor stays, so that code may read a
 * whole record and check once. reader_status() then tells where the bytes ran out.
 */
#ifndef LCKV_BASE_READER_H
#define LCKV_BASE_READER_H

#include "base/checked.h"
#include "base/file.h"

#define READER_WINDOW_BYTES 4096

/* The piece of a file that a reader has in memory. The struct must not move while it is read. */
struct reader_window {
    const struct file *file;
    size_t begin, length; /* of the piece */
    lckv_status status;   /* of the last read */
    uint8_t bytes[READER_WINDOW_BYTES];
};

struct reader {
    const uint8_t *bytes;         /* of memory */
    struct reader_window *window; /* of a file; NULL for memory */
    size_t length;                /* of the whole input */
    size_t position;
    const char *what; /* names the input in messages: a path or "GGUF in memory" */
    bool failed;
    const char *failed_field; /* the field whose read failed first */
    size_t failed_need;       /* the bytes that it needed */
};

void reader_init(struct reader *reader, const void *bytes, size_t length, const char *what);

/* Reads an open file from its beginning. The file and the window must outlive the reader. */
CHECKED lckv_status reader_init_file(struct reader *reader, struct reader_window *window,
                                     const struct file *file);

/* `field` names what is read, for the message. */
uint8_t reader_u8(struct reader *reader, const char *field);
uint16_t reader_u16(struct reader *reader, const char *field);
uint32_t reader_u32(struct reader *reader, const char *field);
uint64_t reader_u64(struct reader *reader, const char *field);
float reader_f32(struct reader *reader, const char *field);
double reader_f64(struct reader *reader, const char *field);

/*
 * The next `length` bytes, or NULL. Bytes of memory stay where they are; those of a file, at most
 * READER_WINDOW_BYTES, are gone after the next read.
 */
const uint8_t *reader_bytes(struct reader *reader, uint64_t length, const char *field);

/* Copies `length` bytes, which `buffer` must have room for; false if the reader has failed. */
CHECKED bool reader_copy(struct reader *reader, void *buffer, size_t length, const char *field);

/* Whether `length` bytes are left; if they are not, the reader has failed. */
CHECKED bool reader_has(struct reader *reader, uint64_t length, const char *field);

size_t reader_left(const struct reader *reader);

/*
 * LCKV_OK, or LCKV_BAD_FORMAT: "<what>: truncated at byte <position>: <field> needs <n> bytes,
 * ...", or the status of the read that failed.
 */
CHECKED lckv_status reader_status(const struct reader *reader);

#endif
