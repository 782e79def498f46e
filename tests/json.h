/*
 * A reader of JSON for tests, independent of the library's. A value is a pointer to where it begins
 * in the text, which must end with a NUL. The reader trusts its input. NULL stands for a value that
 * is not there.
 */
#ifndef LCKV_TESTS_JSON_H
#define LCKV_TESTS_JSON_H

#include <check.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static inline const char *json_space(const char *at)
{
    return at + strspn(at, " \n\r\t");
}

/* The end of a value. */
static inline const char *json_end(const char *value)
{
    int depth = 0;
    do {
        size_t length = 1;
        if (*value == '"') {
            while (value[length] != '"')
                length += value[length] == '\\' ? 2 : 1;
            length++;
        } else if (*value == '[' || *value == '{') {
            depth++;
        } else if (*value == ']' || *value == '}') {
            depth--;
        } else if (strchr(",: \n\r\t", *value) == NULL) {
            length = strcspn(value, ",]} \n\r\t");
        }
        ck_assert(*value != '\0');
        value += length;
    } while (depth > 0);
    return value;
}

/* Gives the elements of an array, or the names of an object, one after another. */
static inline const char *json_after(const char *at)
{
    at = json_space(at);
    return *at == ']' || *at == '}' ? NULL : json_space(at + (*at == ','));
}

static inline const char *json_first(const char *container)
{
    return container != NULL ? json_after(container + 1) : NULL;
}

static inline const char *json_next(const char *value)
{
    return json_after(json_end(value));
}

/* Gives the value behind a name of an object, and the name behind a value. */
static inline const char *json_value(const char *name)
{
    return json_space(json_space(json_end(name)) + 1);
}

static inline const char *json_next_name(const char *name)
{
    return json_next(json_value(name));
}

/* Whether the text of a string, which has no escapes that matter, is `text`. */
static inline bool json_is_text(const char *string, const char *text)
{
    size_t length = strlen(text);
    return strncmp(string + 1, text, length) == 0 && string[length + 1] == '"';
}

static inline const char *json_get(const char *object, const char *name)
{
    for (const char *at = json_first(object); at != NULL; at = json_next_name(at)) {
        if (json_is_text(at, name))
            return json_value(at);
    }
    return NULL;
}

static inline size_t json_size(const char *array)
{
    size_t size = 0;
    for (const char *item = json_first(array); item != NULL; item = json_next(item))
        size++;
    return size;
}

static inline double json_number(const char *value)
{
    ck_assert_ptr_nonnull(value);
    return strtod(value, NULL);
}

static inline long json_long(const char *value)
{
    ck_assert_ptr_nonnull(value);
    return strtol(value, NULL, 10);
}

/* The character behind a backslash, in UTF-8. *at is moved over it. */
static inline size_t json_unescape(const char **at, char bytes[4])
{
    static const char letters[] = "bfnrt", meanings[] = "\b\f\n\r\t";
    char c = *(*at)++;
    const char *letter = strchr(letters, c);
    unsigned high, low;
    bytes[0] = letter != NULL ? meanings[letter - letters] : c;
    if (c != 'u')
        return 1;
    ck_assert_int_eq(sscanf(*at, "%4x", &high), 1);
    *at += 4;
    if (high >= 0xD800 && high < 0xDC00) {
        ck_assert_int_eq(sscanf(*at, "\\u%4x", &low), 1);
        *at += 6;
        high = 0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00);
    }
    size_t length = high < 0x80 ? 1 : high < 0x800 ? 2 : high < 0x10000 ? 3 : 4;
    for (size_t i = length; i-- > 1; high >>= 6)
        bytes[i] = (char)(0x80 | (high & 0x3F));
    bytes[0] = (char)((length > 1 ? 0xF00u >> length & 0xF0 : 0) | high);
    return length;
}

/* The text of a string with a NUL behind it. The caller frees it; `length` may be NULL. */
static inline char *json_string(const char *value, size_t *length)
{
    ck_assert(value != NULL && *value == '"');
    char *text = malloc((size_t)(json_end(value) - value));
    size_t n = 0;
    ck_assert_ptr_nonnull(text);
    for (value++; *value != '"';) {
        if (*value == '\\') {
            value++;
            n += json_unescape(&value, text + n);
        } else {
            text[n++] = *value++;
        }
    }
    text[n] = '\0';
    if (length != NULL)
        *length = n;
    return text;
}

#endif
