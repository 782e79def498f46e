/*
 * The thread's message, and text from files made fit to stand in it. See status.h.
 *
 * Nothing here allocates, because a failure to allocate must be reported, too.
 */
#include "base/status.h"

#include "base/utf8.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define MESSAGE_SIZE 1024

static _Thread_local char message[MESSAGE_SIZE];

/* Ends a message that did not fit with "...", without leaving half a UTF-8 character before it. */
static void mark_cut(char *text, size_t size)
{
    size_t end = size - sizeof "...";
    while (end > 0 && ((unsigned char)text[end] & 0xC0) == 0x80)
        end--;
    memcpy(text + end, "...", sizeof "...");
}

/*
 * Formats behind the first `used` bytes. It uses a local buffer, because an argument may be the
 * message itself.
 */
static void print(char *text, size_t *used, const char *format, va_list arguments)
{
    int length = vsnprintf(text + *used, MESSAGE_SIZE - *used, format, arguments);
    if (length < 0)
        text[*used] = '\0';
    else if ((size_t)length >= MESSAGE_SIZE - *used)
        mark_cut(text, MESSAGE_SIZE);
    *used = strlen(text);
}

lckv_status fail(lckv_status status, const char *format, ...)
{
    char text[MESSAGE_SIZE];
    size_t used = 0;
    va_list arguments;
    va_start(arguments, format);
    print(text, &used, format, arguments);
    va_end(arguments);
    memcpy(message, text, used + 1);
    return status;
}

lckv_status fail_in(lckv_status status, const char *format, ...)
{
    char text[MESSAGE_SIZE];
    size_t used = 0;
    va_list arguments;
    va_start(arguments, format);
    print(text, &used, format, arguments);
    va_end(arguments);
    int length = snprintf(text + used, sizeof text - used, ": %s", message);
    if (length < 0)
        text[used] = '\0';
    else if ((size_t)length >= sizeof text - used)
        mark_cut(text, sizeof text);
    memcpy(message, text, strlen(text) + 1);
    return status;
}

const char *status_message(void)
{
    return message;
}

size_t status_message_copy(char *buffer, size_t capacity)
{
    size_t length = strlen(message);
    if (buffer != NULL && capacity > 0) {
        size_t kept = length < capacity ? length : capacity - 1;
        memcpy(buffer, message, kept);
        buffer[kept] = '\0';
    }
    return length;
}

const char *status_name(lckv_status status)
{
    switch (status) {
    case LCKV_OK:
        return "LCKV_OK";
    case LCKV_INVALID_ARGUMENT:
        return "LCKV_INVALID_ARGUMENT";
    case LCKV_OUT_OF_MEMORY:
        return "LCKV_OUT_OF_MEMORY";
    case LCKV_IO:
        return "LCKV_IO";
    case LCKV_BAD_FORMAT:
        return "LCKV_BAD_FORMAT";
    case LCKV_UNSUPPORTED:
        return "LCKV_UNSUPPORTED";
    case LCKV_BAD_PLAN:
        return "LCKV_BAD_PLAN";
    case LCKV_CACHE_FULL:
        return "LCKV_CACHE_FULL";
    case LCKV_CANCELLED:
        return "LCKV_CANCELLED";
    case LCKV_BUSY:
        return "LCKV_BUSY";
    case LCKV_BUFFER_TOO_SMALL:
        return "LCKV_BUFFER_TOO_SMALL";
    case LCKV_MISMATCH:
        return "LCKV_MISMATCH";
    case LCKV_OUT_OF_WINDOW:
        return "LCKV_OUT_OF_WINDOW";
    case LCKV_INTERNAL:
        return "LCKV_INTERNAL";
    default:
        return "unknown status";
    }
}

/* The length of the UTF-8 character, or 0 if there is none, or a C1 control, which is not shown. */
static size_t printable_length(const unsigned char *bytes, size_t left)
{
    bool control = left > 1 && bytes[0] == 0xC2 && bytes[1] < 0xA0;
    return control ? 0 : utf8_character((const char *)bytes, left);
}

/* Writes the next character of `bytes` to `piece`; returns how many bytes it took from them. */
static size_t quote_piece(const unsigned char *bytes, size_t left, char piece[8], size_t *length)
{
    static const char hex[] = "0123456789abcdef";
    unsigned char byte = bytes[0];
    size_t taken = byte < 0x80 ? 0 : printable_length(bytes, left);
    *length = 2;
    piece[0] = '\\';
    if (taken > 0) {
        memcpy(piece, bytes, taken);
        *length = taken;
        return taken;
    }
    if (byte == '\n') {
        piece[1] = 'n';
    } else if (byte == '\r') {
        piece[1] = 'r';
    } else if (byte == '\t') {
        piece[1] = 't';
    } else if (byte == '"' || byte == '\\') {
        piece[1] = (char)byte;
    } else if (byte >= 0x20 && byte < 0x7F) {
        piece[0] = (char)byte;
        *length = 1;
    } else {
        piece[1] = 'x';
        piece[2] = hex[byte >> 4];
        piece[3] = hex[byte & 15];
        *length = 4;
    }
    return 1;
}

struct quoted quoted(const char *text, size_t length)
{
    struct quoted result;
    const unsigned char *bytes = (const unsigned char *)text;
    const size_t room =
        sizeof result.text - sizeof "\""; /* for all but the closing quote and NUL */
    const size_t dots = sizeof "..." - 1;
    size_t used = 1, cut = 1; /* `cut`: the last place where the dots still fit */
    result.text[0] = '"';
    for (size_t i = 0; i < length;) {
        char piece[8];
        size_t piece_length;
        i += quote_piece(bytes + i, length - i, piece, &piece_length);
        if (used + piece_length > room) {
            memcpy(result.text + cut, "...", dots);
            used = cut + dots;
            break;
        }
        memcpy(result.text + used, piece, piece_length);
        used += piece_length;
        if (used + dots <= room)
            cut = used;
    }
    memcpy(result.text + used, "\"", sizeof "\"");
    return result;
}

struct quoted quoted_string(const char *text)
{
    return quoted(text, strlen(text));
}
