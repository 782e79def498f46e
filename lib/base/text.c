/*
 * Comparing texts. See text.h.
 */
#include "base/text.h"

#include <string.h>

int text_compare(struct text a, struct text b)
{
    size_t common = a.length < b.length ? a.length : b.length;
    int order = common == 0 ? 0 : memcmp(a.bytes, b.bytes, common);
    if (order != 0)
        return order;
    return (a.length > b.length) - (a.length < b.length);
}

bool text_equals(struct text text, const char *string)
{
    return text.length == strlen(string) && text_begins(text, string);
}

bool text_begins(struct text text, const char *prefix)
{
    size_t length = strlen(prefix);
    return length == 0 || (text.length >= length && memcmp(text.bytes, prefix, length) == 0);
}
