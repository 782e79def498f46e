/*
 * JSON from untrusted bytes, through jansson: limits on size and nesting, duplicate keys refused,
 * and typed look-ups whose messages name the file and the member.
 */
#ifndef LCKV_FORMAT_JSON_H
#define LCKV_FORMAT_JSON_H

#include "format/metadata.h"

#include <jansson.h>

#define JSON_MAX_BYTES (256u << 20)
#define JSON_MAX_DEPTH 64

/*
 * `what` names the text in messages. The caller owns *value (json_decref). NUL in strings is fine.
 */
lckv_status json_parse(const char *bytes, size_t length, const char *what, json_t **value);

/*
 * Members of an object. Missing or null: *value stays, LCKV_OK, *found false (`found` may be NULL).
 * Another type, out of range or not finite: LCKV_BAD_FORMAT, "<what>: <key>: expected ...".
 */
lckv_status json_get_u32(const json_t *object, const char *what, const char *key, uint32_t *value,
                         bool *found);
lckv_status json_get_f64(const json_t *object, const char *what, const char *key, double *value,
                         bool *found);
lckv_status json_get_bool(const json_t *object, const char *what, const char *key, bool *value,
                          bool *found);
lckv_status json_get_text(const json_t *object, const char *what, const char *key,
                          struct text *value, bool *found); /* points into the object */

/* A borrowed object or array member, or NULL in *value if it is missing or null. */
lckv_status json_get_object(const json_t *object, const char *what, const char *key,
                            json_t **value);
lckv_status json_get_array(const json_t *object, const char *what, const char *key, json_t **value);

#endif
