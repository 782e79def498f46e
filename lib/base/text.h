/*
 * Texts are bytes with a length, as files hold them. They may contain NUL, so it would be wrong to
 * compare them as C strings.
 */
#ifndef LCKV_BASE_TEXT_H
#define LCKV_BASE_TEXT_H

#include "base/checked.h"

#include <stdbool.h>
#include <stddef.h>

struct text {
    const char *bytes; /* may hold any byte; a NUL stands behind the last */
    size_t length;
};

/* Orders texts by their bytes; a prefix comes before a text that it begins. */
int text_compare(struct text a, struct text b);
CHECKED bool text_equals(struct text text, const char *string);
CHECKED bool text_begins(struct text text, const char *prefix);

#endif
