/*
 * What the files of the JSON parser share. All other files include json.h.
 */
#ifndef LCKV_FORMAT_JSON_PARSER_H
#define LCKV_FORMAT_JSON_PARSER_H

#include "base/checked.h"
#include "format/json.h"

struct json_parser {
    const char *what;   /* names the text in messages */
    const char *source; /* the caller's text: nothing is decoded there, so lines can be counted */
    char *text;         /* the document's copy */
    size_t length;
    size_t position;           /* of the next byte */
    struct json_value *values; /* NULL in the first pass */
    size_t n_values;
    unsigned depth;
    const lckv_allocator *allocator;
    uint32_t *slots; /* a hash table of nodes of names; 0 is empty, because the root is no name */
    size_t n_slots;
};

/* The next byte, or -1 at the end; moving over it; and the number of bytes left. */
static inline int json_peek(const struct json_parser *p)
{
    return p->position < p->length ? (unsigned char)p->text[p->position] : -1;
}

static inline void json_step(struct json_parser *p)
{
    p->position += p->position < p->length;
}

static inline size_t json_left(const struct json_parser *p)
{
    return p->length - p->position;
}

/* Puts the position in the text before the current message. Returns `status`. */
CHECKED lckv_status json_at(const struct json_parser *p, size_t position, lckv_status status);

/* LCKV_BAD_FORMAT: something else was expected at the next byte. */
CHECKED lckv_status json_expected(const struct json_parser *p, const char *what);

/* Adds a node for the text from `begin` to `end`, and returns its index. */
size_t json_add(struct json_parser *p, enum json_type type, size_t begin, size_t end);

/* Parses the string whose opening quote is the next byte. */
CHECKED lckv_status json_parse_string(struct json_parser *p);

/* LCKV_BAD_FORMAT if the object, which is complete, has a name twice. */
CHECKED lckv_status json_check_names(struct json_parser *p, const struct json_value *object);

#endif
