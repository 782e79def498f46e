/*
 * Unicode's normalisation forms, by utf8proc.
 */
#ifndef LCKV_TEXT_NORMAL_FORM_H
#define LCKV_TEXT_NORMAL_FORM_H

#include "base/checked.h"
#include "text/text_buffer.h"

enum normal_form { NORMAL_FORM_C, NORMAL_FORM_D, NORMAL_FORM_KC, NORMAL_FORM_KD };

/* The code points of a part of a text, while it is normalised. */
struct code_points {
    const lckv_allocator *allocator;
    int32_t *characters;
    size_t capacity;
};
void code_points_release(struct code_points *points);

/*
 * The length of the part at the start of a text, which must be valid UTF-8, that may be normalised
 * on its own.
 */
size_t normal_form_part(const char *text, size_t length);

/* Normalises such a part, and appends it to the buffer. */
CHECKED lckv_status normal_form_append(enum normal_form form, const char *part, size_t length,
                                       struct code_points *points, struct text_buffer *buffer);

#endif
