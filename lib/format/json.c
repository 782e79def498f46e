/*
 * JSON: parsing within limits, and typed look-ups. Knows no member by name.
 */
#include "format/json.h"

#include "base/status.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#define MIN_BIG_DIGITS 19 /* decimal digits of INT64_MAX */

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* The index behind the string that begins at `at`, or `length`. */
static size_t skip_string(const char *bytes, size_t length, size_t at)
{
    for (at++; at < length && bytes[at] != '"'; at++) {
        if (bytes[at] == '\\')
            at++;
    }
    return at < length ? at + 1 : length;
}

/* The same for a number. `*big`: it is an integer that 64 bits do not hold. */
static size_t skip_number(const char *bytes, size_t length, size_t at, bool *big)
{
    size_t digits = at + (bytes[at] == '-');
    size_t end = digits;
    while (end < length && is_digit(bytes[end]))
        end++;
    size_t n_digits = end - digits;
    bool integer = true;
    while (end < length && (is_digit(bytes[end]) || memchr("+-.eE", bytes[end], 5) != NULL)) {
        integer = false;
        end++;
    }
    *big = integer && (n_digits > MIN_BIG_DIGITS ||
                       (n_digits == MIN_BIG_DIGITS &&
                        memcmp(bytes + digits, "9223372036854775807", MIN_BIG_DIGITS) > 0));
    return end;
}

struct scan {
    size_t n_big;   /* integers that 64 bits do not hold */
    size_t deep_at; /* where nesting goes beyond the limit; the length if nowhere */
};

/*
 * Walks over the tokens of text that may be anything but JSON. In `rewritten` (a copy of the text,
 * or NULL) big integers become reals of the same length: their last two digits, "e2".
 */
static struct scan scan_tokens(const char *bytes, size_t length, char *rewritten)
{
    struct scan scan = {.n_big = 0, .deep_at = length};
    size_t depth = 0;
    for (size_t at = 0; at < length;) {
        char c = bytes[at];
        if (c == '"') {
            at = skip_string(bytes, length, at);
        } else if (c == '-' || is_digit(c)) {
            bool big;
            at = skip_number(bytes, length, at, &big);
            scan.n_big += big;
            if (big && rewritten != NULL)
                memcpy(rewritten + at - 2, "e2", 2);
        } else {
            if ((c == '[' || c == '{') && ++depth > JSON_MAX_DEPTH) {
                scan.deep_at = at;
                return scan;
            }
            if ((c == ']' || c == '}') && depth > 0)
                depth--;
            at++;
        }
    }
    return scan;
}

static lckv_status too_deep(const char *bytes, size_t at, const char *what)
{
    size_t line = 1;
    for (size_t i = 0; i < at; i++)
        line += bytes[i] == '\n';
    return fail(LCKV_BAD_FORMAT, "%s: line %zu: nested deeper than %d levels", what, line,
                JSON_MAX_DEPTH);
}

static lckv_status load(const char *bytes, size_t length, const char *what, json_t **value)
{
    json_error_t error;
    json_t *parsed = json_loadb(bytes, length, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &error);
    if (parsed == NULL && json_error_code(&error) == json_error_out_of_memory)
        return fail(LCKV_OUT_OF_MEMORY, "%s: out of memory for JSON", what);
    if (parsed == NULL)
        return fail(LCKV_BAD_FORMAT, "%s: line %d, column %d: not valid JSON: %s", what, error.line,
                    error.column, quoted_string(error.text).text);
    *value = parsed;
    return LCKV_OK;
}

lckv_status json_parse(const char *bytes, size_t length, const char *what, json_t **value)
{
    if (length > JSON_MAX_BYTES)
        return fail(LCKV_BAD_FORMAT, "%s: %zu bytes of JSON, expected at most %u", what, length,
                    JSON_MAX_BYTES);
    struct scan scan = scan_tokens(bytes, length, NULL);
    if (scan.deep_at < length)
        return too_deep(bytes, scan.deep_at, what);
    if (scan.n_big == 0)
        return load(bytes, length, what, value);

    /* Jansson refuses them, but tokenizer_config.json writes "no limit" as 10^30 in digits. */
    char *rewritten = NULL;
    lckv_status status = memory_alloc(&memory_default_allocator, length, 1, "JSON", &rewritten);
    if (status != LCKV_OK)
        return status;
    memcpy(rewritten, bytes, length);
    scan_tokens(bytes, length, rewritten);
    status = load(rewritten, length, what, value);
    memory_free(&memory_default_allocator, rewritten, length, 1);
    return status;
}

/* ---- Look-ups ---- */

static lckv_status expected(const char *what, const char *key, const char *kind)
{
    return fail(LCKV_BAD_FORMAT, "%s: %s: expected %s", what, key, kind);
}

/* The member, or NULL if it is missing or null. */
static lckv_status member(const json_t *object, const char *what, const char *key, json_t **value,
                          bool *found)
{
    if (!json_is_object(object))
        return fail(LCKV_BAD_FORMAT, "%s: expected an object with the member %s", what, key);
    *value = json_object_get(object, key);
    if (json_is_null(*value))
        *value = NULL;
    if (found != NULL)
        *found = *value != NULL;
    return LCKV_OK;
}

lckv_status json_get_u32(const json_t *object, const char *what, const char *key, uint32_t *value,
                         bool *found)
{
    json_t *item = NULL;
    lckv_status status = member(object, what, key, &item, found);
    if (status != LCKV_OK || item == NULL)
        return status;
    if (!json_is_integer(item) || json_integer_value(item) < 0 ||
        json_integer_value(item) > UINT32_MAX)
        return expected(what, key, "an integer from 0 to 4294967295");
    *value = (uint32_t)json_integer_value(item);
    return LCKV_OK;
}

lckv_status json_get_f64(const json_t *object, const char *what, const char *key, double *value,
                         bool *found)
{
    json_t *item = NULL;
    lckv_status status = member(object, what, key, &item, found);
    if (status != LCKV_OK || item == NULL)
        return status;
    if (!json_is_number(item) || !isfinite(json_number_value(item)))
        return expected(what, key, "a finite number");
    *value = json_number_value(item);
    return LCKV_OK;
}

lckv_status json_get_bool(const json_t *object, const char *what, const char *key, bool *value,
                          bool *found)
{
    json_t *item = NULL;
    lckv_status status = member(object, what, key, &item, found);
    if (status != LCKV_OK || item == NULL)
        return status;
    if (!json_is_boolean(item))
        return expected(what, key, "true or false");
    *value = json_is_true(item);
    return LCKV_OK;
}

lckv_status json_get_text(const json_t *object, const char *what, const char *key,
                          struct text *value, bool *found)
{
    json_t *item = NULL;
    lckv_status status = member(object, what, key, &item, found);
    if (status != LCKV_OK || item == NULL)
        return status;
    if (!json_is_string(item))
        return expected(what, key, "a string");
    *value = (struct text){json_string_value(item), json_string_length(item)};
    return LCKV_OK;
}

lckv_status json_get_object(const json_t *object, const char *what, const char *key, json_t **value)
{
    json_t *item = NULL;
    lckv_status status = member(object, what, key, &item, NULL);
    if (status != LCKV_OK)
        return status;
    if (item != NULL && !json_is_object(item))
        return expected(what, key, "an object");
    *value = item;
    return LCKV_OK;
}

lckv_status json_get_array(const json_t *object, const char *what, const char *key, json_t **value)
{
    json_t *item = NULL;
    lckv_status status = member(object, what, key, &item, NULL);
    if (status != LCKV_OK)
        return status;
    if (item != NULL && !json_is_array(item))
        return expected(what, key, "an array");
    *value = item;
    return LCKV_OK;
}
