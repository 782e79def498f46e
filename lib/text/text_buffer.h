/*
 * A text that grows at its end, and keeps its memory from one use to the next.
 */
#ifndef LCKV_TEXT_TEXT_BUFFER_H
#define LCKV_TEXT_TEXT_BUFFER_H

#include "base/checked.h"
#include "base/memory.h"
#include "base/text.h"

struct text_buffer {
    const lckv_allocator *allocator;
    char *bytes;
    size_t length, capacity;
};

void text_buffer_release(struct text_buffer *buffer);
CHECKED lckv_status text_buffer_append(struct text_buffer *buffer, const char *bytes,
                                       size_t length);

static inline struct text text_buffer_text(const struct text_buffer *buffer)
{
    return (struct text){buffer->bytes != NULL ? buffer->bytes : "", buffer->length};
}

#endif
