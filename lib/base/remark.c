/*
 * Formatting a remark. See remark.h.
 */
#include "base/remark.h"

#include <stdarg.h>
#include <stdio.h>

void remark(const struct remarks *remarks, const char *format, ...)
{
    char text[512];
    va_list arguments;
    if (remarks->log == NULL)
        return;
    va_start(arguments, format);
    int length = vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    if (length >= 0)
        remarks->log(remarks->user, text,
                     (size_t)length < sizeof text ? (size_t)length : sizeof text - 1);
}
