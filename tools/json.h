/*
 * Writes JSON to a stream: the facts that --json asks for.
 *
 * It trusts its caller to open, name and close things in a valid order. Write errors stay in the
 * stream (ferror).
 */
#ifndef TOOLS_JSON_H
#define TOOLS_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct json {
    FILE *file;
    uint32_t depth;     /* open objects and arrays; at most 31 */
    uint32_t has_items; /* bit d: the one at depth d has an item already */
    uint32_t is_array;  /* bit d: the one at depth d is an array */
    bool after_key;
    bool is_line; /* all of it stands on one line */
};

/*
 * The document is one object: json_open() or json_open_line() begins it, json_close() ends it and
 * the line.
 */
struct json json_open(FILE *file);
struct json json_open_line(FILE *file);
void json_close(struct json *json);

/* The name of the member that comes next. The text needs no escapes. */
void json_key(struct json *json, const char *key);

void json_begin_object(struct json *json);
void json_end_object(struct json *json);
void json_begin_array(struct json *json);
void json_end_array(struct json *json);

/* Each byte that is no UTF-8 becomes U+FFFD. Characters that control a terminal are escaped. */
void json_text(struct json *json, const char *text, size_t length);
void json_string(struct json *json, const char *text);
void json_unsigned(struct json *json, uint64_t number);
void json_signed(struct json *json, int64_t number);

/* Writes `n_digits` significant digits, or null if the number is not finite. */
void json_real(struct json *json, double number, int n_digits);

/* Writes as many digits as are needed to read the same float32. */
void json_float(struct json *json, float number);
void json_bool(struct json *json, bool value);

/* A value that is spelled as JSON already. */
void json_spelled(struct json *json, const char *text, size_t length);

/* Each writes a key and its value. */
void json_add_text(struct json *json, const char *key, const char *text, size_t length);
void json_add_string(struct json *json, const char *key, const char *text);
void json_add_unsigned(struct json *json, const char *key, uint64_t number);
void json_add_real(struct json *json, const char *key, double number, int n_digits);
void json_add_float(struct json *json, const char *key, float number);
void json_add_bool(struct json *json, const char *key, bool value);
void json_add_tokens(struct json *json, const char *key, const int32_t *tokens, size_t n_tokens);

#endif
