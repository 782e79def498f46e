/*
 * Reads JSON (RFC 8259) that others wrote: strictly, within limits, and without memory of its own.
 * The caller walks over the text and says what it expects next.
 *
 * Strings are decoded where they stand, so the text is used up by reading. The first thing that is
 * wrong stays the reader's problem, and every later call returns false.
 */
#ifndef TOOLS_JSON_READ_H
#define TOOLS_JSON_READ_H

#include "lckv.h"

#include <stdbool.h>

enum json_kind {
    JSON_NOTHING, /* no value begins here */
    JSON_OBJECT,
    JSON_ARRAY,
    JSON_STRING,
    JSON_NUMBER,
    JSON_WORD, /* true or false */
    JSON_NULL
};

struct json_reader {
    char *text;
    size_t length;
    size_t at;
    uint32_t depth;    /* open objects and arrays; at most 63 */
    uint64_t is_array; /* bit d: the one at depth d is an array */
    bool is_first;     /* the innermost one has had no item so far */
    char problem[160]; /* "column 7: expected a comma or }"; empty while nothing is wrong */
};

struct json_reader json_reader_of(char *text, size_t length);

/* What comes next. */
enum json_kind json_next_kind(struct json_reader *reader);

/* Enters an object or an array. */
bool json_read_begin(struct json_reader *reader);

/* Whether another item follows. If none does, the object or array is left. */
bool json_read_more(struct json_reader *reader);

/* The name of a member; its value comes next. */
bool json_read_name(struct json_reader *reader, lckv_string *name);

/* A string may hold any character, NUL included. A number is given as it was spelled. */
bool json_read_string(struct json_reader *reader, lckv_string *string);
bool json_read_number(struct json_reader *reader, lckv_string *spelling);

/* Any value, with all that is in it. */
bool json_read_skip(struct json_reader *reader);

/* Nothing but white space may be left. */
bool json_read_end(struct json_reader *reader);

#endif
