/*
 * The bounds-checked reader: the only way to look at untrusted bytes. Little-endian.
 *
 * The first failure sticks: later reads give zeros and the cursor stays, so that code may read a
 * whole record and check once. reader_status() then tells where it ran out.
 */
#ifndef LCKV_BASE_READER_H
#define LCKV_BASE_READER_H

#include "lckv.h"

#include <stdbool.h>

struct reader {
    const uint8_t *bytes;
    size_t length;
    size_t position;
    const char *what; /* names the input in messages: a path or "GGUF in memory" */
    bool failed;
    const char *failed_field; /* the field whose read failed first */
    size_t failed_need;       /* the bytes that it needed */
};

void reader_init(struct reader *reader, const void *bytes, size_t length, const char *what);

/* `field` names what is read, for the message. */
uint8_t reader_u8(struct reader *reader, const char *field);
uint16_t reader_u16(struct reader *reader, const char *field);
uint32_t reader_u32(struct reader *reader, const char *field);
uint64_t reader_u64(struct reader *reader, const char *field);
float reader_f32(struct reader *reader, const char *field);
double reader_f64(struct reader *reader, const char *field);

/* `length` bytes in place, or NULL. */
const uint8_t *reader_bytes(struct reader *reader, uint64_t length, const char *field);

size_t reader_left(const struct reader *reader);

/*
 * LCKV_OK, or LCKV_BAD_FORMAT: "<what>: truncated at byte <position>: <field> needs <n> bytes,
 * ...".
 */
lckv_status reader_status(const struct reader *reader);

#endif
