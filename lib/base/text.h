/*
 * Texts: bytes with a length, as files hold them. They may contain NUL, so that comparing them as C
 * strings would be wrong.
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

/* The order of the bytes; a prefix comes before what it begins. */
int text_compare(struct text a, struct text b);
CHECKED bool text_equals(struct text text, const char *string);
CHECKED bool text_begins(struct text text, const char *prefix);

#endif
