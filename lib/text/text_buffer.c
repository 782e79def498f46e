/*
 * Texts that grow. See text_buffer.h.
 */
#include "text/text_buffer.h"

#include "base/status.h"

#include <string.h>

void text_buffer_release(struct text_buffer *buffer)
{
    memory_free(buffer->allocator, buffer->bytes, buffer->capacity, 1);
}

lckv_status text_buffer_append(struct text_buffer *buffer, const char *bytes, size_t length)
{
    size_t needed;
    if (length == 0)
        return LCKV_OK;
    if (!checked_add(buffer->length, length, &needed))
        return fail(LCKV_OUT_OF_MEMORY, "a text is longer than memory");
    lckv_status status =
        memory_grow(buffer->allocator, &buffer->bytes, &buffer->capacity, needed, 1, "a text");
    if (status != LCKV_OK)
        return status;
    memcpy(buffer->bytes + buffer->length, bytes, length);
    buffer->length = needed;
    return LCKV_OK;
}
