/*
 * JSON (RFC 8259) from untrusted bytes: a strict parser within limits, a flat array of values to
 * walk over, and typed look-ups whose messages name the file and the member.
 *
 * A document is a copy of the text, in which strings are decoded in place, and a node of 16 bytes
 * for each value and each name. The values of an array or an object follow its own node, in order;
 * in an object the node of its name precedes each value.
 */
#ifndef LCKV_FORMAT_JSON_H
#define LCKV_FORMAT_JSON_H

#include "base/checked.h"
#include "format/metadata.h"

#define JSON_MAX_BYTES (256u << 20)
#define JSON_MAX_DEPTH 64

enum json_type {
    JSON_NULL,
    JSON_FALSE,
    JSON_TRUE,
    JSON_NUMBER,
    JSON_STRING,
    JSON_ARRAY,
    JSON_OBJECT
};

struct json_value {
    const char *text;
    uint32_t length;     /* of a text, in bytes; of an array or object, in values */
    uint32_t type : 3;   /* enum json_type */
    uint32_t nodes : 29; /* the number of nodes of this value and everything in it */
};

struct json_document {
    const struct json_value *root; /* NULL while nothing is parsed */
    lckv_allocator allocator;
    char *text;
    size_t n_bytes;
    struct json_value *values;
    size_t n_values;
};

/*
 * `what` names the text in messages. LCKV_BAD_FORMAT, "<what>: line <n>, column <n>: ...", if the
 * text is not JSON, is deeper or longer than the limits, or names a member twice. json_release may
 * be called after a failure, too.
 */
CHECKED lckv_status json_parse(const char *bytes, size_t length, const char *what,
                               const lckv_allocator *allocator, struct json_document *document);
void json_release(struct json_document *document);

/* ---- Values: NULL stands for a value that is missing, and is of no type ---- */

static inline bool json_is(const struct json_value *value, enum json_type type)
{
    return value != NULL && value->type == type;
}

/*
 * The text of a string, which may hold any character, with a NUL behind it; or of a number or a
 * word, as the file has it and without a NUL. Empty for an array or an object.
 */
struct text json_text(const struct json_value *value);

/* How many values an array or an object has, and all of them in order: NULL ends the list. */
size_t json_count(const struct json_value *container);
const struct json_value *json_first(const struct json_value *container);
const struct json_value *json_next(const struct json_value *container,
                                   const struct json_value *value);

/* The name of a value of an object. */
struct text json_name(const struct json_value *value);

/* The value with that name, or NULL. Looks at one name after another. */
const struct json_value *json_find(const struct json_value *object, const char *name);
const struct json_value *json_find_text(const struct json_value *object, struct text name);

/* False unless the value is a number without fraction and exponent that fits 64 bits. */
CHECKED bool json_integer(const struct json_value *value, int64_t *integer);

/* The nearest double, whatever the locale. False if it is not finite, or the value no number. */
CHECKED bool json_number(const struct json_value *value, double *number);

/*
 * Writes the value as JSON on one line. Stores at most `capacity` bytes and no NUL; returns how
 * many there are.
 */
size_t json_write(const struct json_value *value, char *buffer, size_t capacity);

/*
 * Makes an object of all members of `object`, and of those members of `others`, a short list, that
 * it does not have. The nodes are copies, and belong to the caller; the texts stay where they are.
 */
CHECKED lckv_status json_complete(const struct json_value *object, const struct json_value *others,
                                  const lckv_allocator *allocator, struct json_value **nodes,
                                  size_t *n_nodes);

/* Adds the members of an object as texts: strings as they are, everything else as JSON. */
CHECKED lckv_status json_to_metadata(const struct json_value *object, struct metadata *metadata);

/* ---- Members by name and type ---- */

/*
 * If the member is missing or null, *value stays as it is, *found becomes false (`found` may be
 * NULL), and the status is LCKV_OK. If it is of another type, out of range or not finite, the
 * status is LCKV_BAD_FORMAT, "<what>: <name>: expected ...". A text points into the document.
 */
CHECKED lckv_status json_get_u32(const struct json_value *object, const char *what,
                                 const char *name, uint32_t *value, bool *found);
/* A value for each of `n`: an array of so many, or one that stands for all of them. */
CHECKED lckv_status json_get_u32s(const struct json_value *object, const char *what,
                                  const char *name, uint32_t *values, size_t n, bool *found);
CHECKED lckv_status json_get_f64(const struct json_value *object, const char *what,
                                 const char *name, double *value, bool *found);
CHECKED lckv_status json_get_bool(const struct json_value *object, const char *what,
                                  const char *name, bool *value, bool *found);
CHECKED lckv_status json_get_text(const struct json_value *object, const char *what,
                                  const char *name, struct text *value, bool *found);

/* An object or an array, or NULL in *value if it is missing or null. */
CHECKED lckv_status json_get_object(const struct json_value *object, const char *what,
                                    const char *name, const struct json_value **value);
CHECKED lckv_status json_get_array(const struct json_value *object, const char *what,
                                   const char *name, const struct json_value **value);

#endif
