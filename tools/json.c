/*
 * See json.h.
 */
#include "json.h"

#include "utf8.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Writes the comma and the white space between the last item and this one. */
static void separate(struct json *json, bool is_object)
{
    if (json->after_key) {
        json->after_key = false;
        return;
    }
    uint32_t bit = UINT32_C(1) << json->depth;
    bool is_first = !(json->has_items & bit);
    if (!is_first)
        fputc(',', json->file);
    json->has_items |= bit;
    /* One line for each member of the document and for each object in an array. */
    if (json->depth == 1 && !json->is_line)
        fputs("\n  ", json->file);
    else if (is_object && (json->is_array & bit) && !json->is_line)
        fputs("\n    ", json->file);
    else if (!is_first)
        fputc(' ', json->file);
}

static void begin(struct json *json, bool is_array)
{
    fputc(is_array ? '[' : '{', json->file);
    json->depth++;
    uint32_t bit = UINT32_C(1) << json->depth;
    json->has_items &= ~bit;
    json->is_array = is_array ? json->is_array | bit : json->is_array & ~bit;
}

struct json json_open(FILE *file)
{
    struct json json = {.file = file};
    begin(&json, false);
    return json;
}

struct json json_open_line(FILE *file)
{
    struct json json = {.file = file, .is_line = true};
    begin(&json, false);
    return json;
}

void json_close(struct json *json)
{
    fputs(json->is_line ? "}\n" : "\n}\n", json->file);
    json->depth--;
}

void json_key(struct json *json, const char *key)
{
    separate(json, false);
    fprintf(json->file, "\"%s\": ", key);
    json->after_key = true;
}

void json_begin_object(struct json *json)
{
    separate(json, true);
    begin(json, false);
}

void json_end_object(struct json *json)
{
    fputc('}', json->file);
    json->depth--;
}

void json_begin_array(struct json *json)
{
    separate(json, false);
    begin(json, true);
}

void json_end_array(struct json *json)
{
    fputc(']', json->file);
    json->depth--;
}

void json_text(struct json *json, const char *text, size_t length)
{
    separate(json, false);
    fputc('"', json->file);
    for (size_t i = 0; i < length;) {
        uint32_t code = 0;
        size_t n = utf8_decode(text + i, length - i, &code);
        if (n == 0)
            fputs("\\ufffd", json->file);
        else if (code == '"' || code == '\\')
            fprintf(json->file, "\\%c", (int)code);
        else if (code == '\n')
            fputs("\\n", json->file);
        else if (utf8_is_control(code))
            fprintf(json->file, "\\u%04x", (unsigned)code);
        else
            fwrite(text + i, 1, n, json->file);
        i += n > 0 ? n : 1;
    }
    fputc('"', json->file);
}

void json_string(struct json *json, const char *text)
{
    json_text(json, text, strlen(text));
}

void json_unsigned(struct json *json, uint64_t number)
{
    separate(json, false);
    fprintf(json->file, "%" PRIu64, number);
}

void json_signed(struct json *json, int64_t number)
{
    separate(json, false);
    fprintf(json->file, "%" PRId64, number);
}

void json_real(struct json *json, double number, int n_digits)
{
    separate(json, false);
    if (isfinite(number))
        fprintf(json->file, "%.*g", n_digits, number);
    else
        fputs("null", json->file);
}

void json_float(struct json *json, float number)
{
    enum { LEAST_DIGITS = 6, MOST_DIGITS = 9 };
    int n_digits = LEAST_DIGITS;
    for (; n_digits < MOST_DIGITS; n_digits++) {
        char text[40];
        snprintf(text, sizeof text, "%.*g", n_digits, (double)number);
        float back = strtof(text, NULL);
        if (memcmp(&back, &number, sizeof back) == 0)
            break;
    }
    json_real(json, (double)number, n_digits);
}

void json_bool(struct json *json, bool value)
{
    separate(json, false);
    fputs(value ? "true" : "false", json->file);
}

void json_spelled(struct json *json, const char *text, size_t length)
{
    separate(json, false);
    fwrite(text, 1, length, json->file);
}

void json_add_text(struct json *json, const char *key, const char *text, size_t length)
{
    json_key(json, key);
    json_text(json, text, length);
}

void json_add_string(struct json *json, const char *key, const char *text)
{
    json_key(json, key);
    json_string(json, text);
}

void json_add_unsigned(struct json *json, const char *key, uint64_t number)
{
    json_key(json, key);
    json_unsigned(json, number);
}

void json_add_real(struct json *json, const char *key, double number, int n_digits)
{
    json_key(json, key);
    json_real(json, number, n_digits);
}

void json_add_float(struct json *json, const char *key, float number)
{
    json_key(json, key);
    json_float(json, number);
}

void json_add_bool(struct json *json, const char *key, bool value)
{
    json_key(json, key);
    json_bool(json, value);
}

void json_add_tokens(struct json *json, const char *key, const int32_t *tokens, size_t n_tokens)
{
    json_key(json, key);
    json_begin_array(json);
    for (size_t i = 0; i < n_tokens; i++)
        json_signed(json, tokens[i]);
    json_end_array(json);
}
