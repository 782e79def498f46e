/*
 * What the tokenizers need to know of Unicode, taken from utf8proc: white space, word characters
 * and normalisation form C.
 */
#ifndef LCKV_TEXT_UNICODE_H
#define LCKV_TEXT_UNICODE_H

#include "base/checked.h"
#include "base/memory.h"

/* The number of bytes of white space at the start and at the end of the text. */
size_t unicode_space_at_start(const char *text, size_t length);
size_t unicode_space_at_end(const char *text, size_t length);

/*
 * Whether the text starts or ends with a word character: a letter, letter number, mark, decimal
 * digit, connecting punctuation or joiner.
 */
CHECKED bool unicode_word_at_start(const char *text, size_t length);
CHECKED bool unicode_word_at_end(const char *text, size_t length);

/* A buffer that keeps its memory from one use to the next. */
struct unicode_buffer {
    const lckv_allocator *allocator;
    char *bytes;
    size_t length, capacity;
    int32_t *characters;
    size_t characters_capacity;
};
void unicode_buffer_release(struct unicode_buffer *buffer);

/* Puts the text, which must be valid UTF-8, into buffer->bytes in normalisation form C. */
CHECKED lckv_status unicode_nfc(const char *text, size_t length, struct unicode_buffer *buffer);

#endif
