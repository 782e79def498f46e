/*
 * See json_read.h.
 */
#include "json_read.h"

#include "utf8.h"

#include <stdio.h>
#include <string.h>

struct json_reader json_reader_of(char *text, size_t length)
{
    return (struct json_reader){.text = text, .length = length};
}

static bool expected(struct json_reader *reader, const char *what)
{
    if (reader->problem[0] == '\0')
        snprintf(reader->problem, sizeof reader->problem, "column %zu: expected %s", reader->at + 1,
                 what);
    return false;
}

static bool has_failed(const struct json_reader *reader)
{
    return reader->problem[0] != '\0';
}

/* The byte that comes next, or -1 at the end. */
static int peek(const struct json_reader *reader)
{
    return reader->at < reader->length ? (unsigned char)reader->text[reader->at] : -1;
}

static void skip_space(struct json_reader *reader)
{
    int c = peek(reader);
    while (c == ' ' || c == '\t' || c == '\n' || c == '\r') {
        reader->at++;
        c = peek(reader);
    }
}

static bool take(struct json_reader *reader, char wanted)
{
    if (peek(reader) != (unsigned char)wanted)
        return false;
    reader->at++;
    return true;
}

static bool is_digit(int c)
{
    return c >= '0' && c <= '9';
}

enum json_kind json_next_kind(struct json_reader *reader)
{
    skip_space(reader);
    int c = peek(reader);
    if (has_failed(reader))
        return JSON_NOTHING;
    return c == '{'               ? JSON_OBJECT
           : c == '['             ? JSON_ARRAY
           : c == '"'             ? JSON_STRING
           : c == '-'             ? JSON_NUMBER
           : is_digit(c)          ? JSON_NUMBER
           : c == 't' || c == 'f' ? JSON_WORD
           : c == 'n'             ? JSON_NULL
                                  : JSON_NOTHING;
}

bool json_read_begin(struct json_reader *reader)
{
    enum { MOST_DEPTH = 63 };
    enum json_kind kind = json_next_kind(reader);
    if (kind != JSON_OBJECT && kind != JSON_ARRAY)
        return expected(reader, "an object or an array");
    if (reader->depth == MOST_DEPTH)
        return expected(reader, "at most 63 levels");
    reader->at++;
    uint64_t bit = UINT64_C(1) << ++reader->depth;
    reader->is_array = kind == JSON_ARRAY ? reader->is_array | bit : reader->is_array & ~bit;
    reader->is_first = true;
    return true;
}

bool json_read_more(struct json_reader *reader)
{
    if (has_failed(reader))
        return false;
    bool is_array = reader->is_array >> reader->depth & 1, was_first = reader->is_first;
    reader->is_first = false;
    skip_space(reader);
    if (take(reader, is_array ? ']' : '}')) {
        reader->depth--;
        return false;
    }
    return was_first || take(reader, ',') ||
           expected(reader, is_array ? "a comma or ]" : "a comma or }");
}

bool json_read_name(struct json_reader *reader, lckv_string *name)
{
    if (json_next_kind(reader) != JSON_STRING)
        return expected(reader, "the name of a member in quotes");
    if (!json_read_string(reader, name))
        return false;
    skip_space(reader);
    return take(reader, ':') || expected(reader, "a colon");
}

/* Takes the four digits of \uXXXX; -1 if they are not there. */
static int32_t take_code_unit(struct json_reader *reader)
{
    static const char digits[] = "0123456789abcdef0123456789ABCDEF";
    int32_t code = 0;
    for (int i = 0; i < 4; i++) {
        int c = peek(reader);
        const char *digit = c > 0 ? strchr(digits, c) : NULL;
        if (digit == NULL)
            return -1;
        code = code << 4 | (int32_t)((digit - digits) % 16);
        reader->at++;
    }
    return code;
}

/* Takes what follows \u: a character, or both halves of one. -1 for anything else. */
static int32_t take_code_point(struct json_reader *reader)
{
    int32_t high = take_code_unit(reader);
    if (high < 0xd800 || high > 0xdfff)
        return high;
    if (high > 0xdbff || !take(reader, '\\') || !take(reader, 'u'))
        return -1;
    int32_t low = take_code_unit(reader);
    if (low < 0xdc00 || low > 0xdfff)
        return -1;
    return 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00);
}

static size_t encode(uint32_t code, char *bytes)
{
    size_t length = code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    for (size_t i = length; i-- > 1; code >>= 6)
        bytes[i] = (char)(0x80 | (code & 0x3f));
    bytes[0] = (char)((length > 1 ? 0xf00u >> length & 0xf0 : 0) | code);
    return length;
}

/* Takes the escape behind a backslash and writes its bytes, which are fewer than its own. */
static size_t take_escape(struct json_reader *reader, char *bytes)
{
    static const char letters[] = "\"\\/bfnrt", meanings[] = "\"\\/\b\f\n\r\t";
    int c = peek(reader);
    const char *letter = c > 0 ? strchr(letters, c) : NULL;
    if (letter != NULL) {
        reader->at++;
        *bytes = meanings[letter - letters];
        return 1;
    }
    int32_t code = take(reader, 'u') ? take_code_point(reader) : -1;
    return code >= 0 ? encode((uint32_t)code, bytes) : 0;
}

bool json_read_string(struct json_reader *reader, lckv_string *string)
{
    if (json_next_kind(reader) != JSON_STRING)
        return expected(reader, "a string");
    size_t begin = ++reader->at, end = begin;
    for (int c = peek(reader); c != '"'; c = peek(reader)) {
        char *to = reader->text + end;
        uint32_t code;
        size_t n = 0;
        if (c < 0)
            return expected(reader, "the closing quote of a string");
        if (c < 0x20)
            return expected(reader, "control characters in a string to be escaped");
        if (take(reader, '\\')) {
            n = take_escape(reader, to);
            if (n == 0)
                return expected(reader, "an escape that JSON has");
        } else {
            const char *from = reader->text + reader->at;
            n = c < 0x80 ? 1 : utf8_decode(from, reader->length - reader->at, &code);
            if (n == 0)
                return expected(reader, "UTF-8 in a string");
            memmove(to, from, n);
            reader->at += n;
        }
        end += n;
    }
    reader->at++;
    *string = (lckv_string){reader->text + begin, end - begin};
    return true;
}

/* Takes digits, at least one. */
static bool take_digits(struct json_reader *reader)
{
    if (!is_digit(peek(reader)))
        return expected(reader, "a digit");
    while (is_digit(peek(reader)))
        reader->at++;
    return true;
}

bool json_read_number(struct json_reader *reader, lckv_string *spelling)
{
    if (json_next_kind(reader) != JSON_NUMBER)
        return expected(reader, "a number");
    size_t begin = reader->at;
    take(reader, '-');
    if (!take(reader, '0') && !take_digits(reader))
        return false;
    if (take(reader, '.') && !take_digits(reader))
        return false;
    if (take(reader, 'e') || take(reader, 'E')) {
        if (!take(reader, '+'))
            take(reader, '-');
        if (!take_digits(reader))
            return false;
    }
    *spelling = (lckv_string){reader->text + begin, reader->at - begin};
    return true;
}

static bool take_word(struct json_reader *reader)
{
    static const char *const words[] = {"true", "false", "null"};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        size_t length = strlen(words[i]);
        if (reader->length - reader->at >= length &&
            memcmp(reader->text + reader->at, words[i], length) == 0) {
            reader->at += length;
            return true;
        }
    }
    return expected(reader, "a value");
}

bool json_read_skip(struct json_reader *reader)
{
    uint32_t outside = reader->depth;
    do {
        lckv_string text;
        enum json_kind kind = json_next_kind(reader);
        bool is_taken = kind == JSON_OBJECT || kind == JSON_ARRAY ? json_read_begin(reader)
                        : kind == JSON_STRING                     ? json_read_string(reader, &text)
                        : kind == JSON_NUMBER                     ? json_read_number(reader, &text)
                                                                  : take_word(reader);
        if (!is_taken)
            return false;
        /* Leaves what ends here, and goes to the next value of what does not. */
        while (reader->depth > outside && !json_read_more(reader)) {
            if (has_failed(reader))
                return false;
        }
        if (reader->depth > outside && !(reader->is_array >> reader->depth & 1) &&
            !json_read_name(reader, &text))
            return false;
    } while (reader->depth > outside);
    return true;
}

bool json_read_end(struct json_reader *reader)
{
    skip_space(reader);
    return !has_failed(reader) &&
           (reader->at == reader->length || expected(reader, "nothing behind the value"));
}
