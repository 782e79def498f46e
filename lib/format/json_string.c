/*
 * Strings in JSON are checked to be UTF-8, and their escapes are decoded in place: a decoded string
 * is never longer than its spelling.
 */
#include "format/json_parser.h"

#include "base/status.h"
#include "base/utf8.h"

#include <string.h>

/* The bytes of the characters from here on that stand for themselves. */
static size_t plain_run(const struct json_parser *p)
{
    const char *at = p->text + p->position;
    size_t left = json_left(p), length = 0;
    while (length < left) {
        unsigned char byte = (unsigned char)at[length];
        if (byte == '"' || byte == '\\' || byte < 0x20)
            break;
        size_t n = byte < 0x80 ? 1 : utf8_character(at + length, left - length);
        if (n == 0)
            break;
        length += n;
    }
    return length;
}

/* Takes the four digits of \uXXXX; -1 if they are not there. */
static int32_t take_hexadecimal(struct json_parser *p)
{
    int32_t code = 0;
    for (int i = 0; i < 4; i++) {
        int c = json_peek(p);
        int digit = c >= '0' && c <= '9'   ? c - '0'
                    : c >= 'a' && c <= 'f' ? c - 'a' + 10
                    : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                           : -1;
        if (digit < 0)
            return -1;
        code = code << 4 | digit;
        json_step(p);
    }
    return code;
}

static bool is_high_surrogate(int32_t code)
{
    return code >= 0xD800 && code <= 0xDBFF;
}

static bool is_low_surrogate(int32_t code)
{
    return code >= 0xDC00 && code <= 0xDFFF;
}

/* Takes what follows \u: a character, or both halves of one. -1 for anything else. */
static int32_t take_code_point(struct json_parser *p)
{
    int32_t code = take_hexadecimal(p);
    if (is_low_surrogate(code))
        return -1;
    if (!is_high_surrogate(code))
        return code;
    if (json_peek(p) != '\\')
        return -1;
    json_step(p);
    if (json_peek(p) != 'u')
        return -1;
    json_step(p);
    int32_t low = take_hexadecimal(p);
    return is_low_surrogate(low) ? 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00) : -1;
}

/* Decodes the escape that comes next, and stores its bytes at `*end`, which lies before it. */
static lckv_status take_escape(struct json_parser *p, size_t *end)
{
    static const char letters[] = "\"\\/bfnrt", meanings[] = "\"\\/\b\f\n\r\t";
    size_t begin = p->position;
    char bytes[4];
    size_t length = 1;
    json_step(p);
    int c = json_peek(p);
    const char *letter = c > 0 ? strchr(letters, c) : NULL;
    json_step(p);
    if (letter != NULL) {
        bytes[0] = meanings[letter - letters];
    } else {
        int32_t code = c == 'u' ? take_code_point(p) : -1;
        if (code < 0) {
            p->position = begin;
            return json_expected(
                p, c == 'u' ? "\\u with four digits, and both halves of a surrogate pair"
                            : "an escape that JSON has");
        }
        length = utf8_encode((uint32_t)code, bytes);
    }
    if (p->values != NULL)
        memcpy(p->text + *end, bytes, length);
    *end += length;
    return LCKV_OK;
}

lckv_status json_parse_string(struct json_parser *p)
{
    json_step(p);
    size_t begin = p->position, end = begin; /* of the decoded string */
    for (;;) {
        size_t run = plain_run(p);
        if (p->values != NULL && end < p->position)
            memmove(p->text + end, p->text + p->position, run);
        end += run;
        p->position += run;
        int c = json_peek(p);
        if (c == '"')
            break;
        if (c != '\\')
            return json_expected(p, c < 0      ? "the closing quote of a string"
                                    : c < 0x20 ? "control characters in a string to be escaped"
                                               : "UTF-8 in a string");
        lckv_status status = take_escape(p, &end);
        if (status != LCKV_OK)
            return status;
    }
    json_step(p);
    if (p->values != NULL)
        p->text[end] = '\0'; /* at the latest on the closing quote */
    json_add(p, JSON_STRING, begin, end);
    return LCKV_OK;
}
