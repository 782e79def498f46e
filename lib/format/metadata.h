/*
 * Metadata are the key-value pairs of a GGUF header, read from untrusted bytes or set one by one to
 * be written.
 */
#ifndef LCKV_FORMAT_METADATA_H
#define LCKV_FORMAT_METADATA_H

#include "base/checked.h"
#include "base/table.h"
#include "base/text.h"

enum metadata_type { /* as in the file */
                     METADATA_U8 = 0,
                     METADATA_I8 = 1,
                     METADATA_U16 = 2,
                     METADATA_I16 = 3,
                     METADATA_U32 = 4,
                     METADATA_I32 = 5,
                     METADATA_F32 = 6,
                     METADATA_BOOL = 7,
                     METADATA_STRING = 8,
                     METADATA_ARRAY = 9,
                     METADATA_U64 = 10,
                     METADATA_I64 = 11,
                     METADATA_F64 = 12
};

struct metadata_value {
    struct text key;
    uint32_t type;         /* enum metadata_type */
    uint32_t element_type; /* of an array; arrays of arrays are refused */
    uint64_t count;        /* of an array, otherwise 1 */
    union {
        uint64_t u; /* unsigned integers, bool */
        int64_t i;
        double f;
        struct text string;
        const struct text *strings; /* array of strings */
        const uint8_t *elements;    /* other arrays: packed little-endian, as in the file */
    } as;
};

/* "u32", "string", ...; NULL for a number that is no type. */
const char *metadata_type_name(uint32_t type);

/* The bytes of one element; 0 for strings and arrays. */
size_t metadata_type_size(uint32_t type);

struct metadata {
    struct arena *arena;           /* holds everything; outlives the metadata */
    struct metadata_value *values; /* in the order in which they came */
    size_t n_values, capacity;
    struct table index; /* from keys to places in `values` */
};

void metadata_init(struct metadata *metadata, struct arena *arena);
const struct metadata_value *metadata_find(const struct metadata *metadata, const char *key);

/*
 * Typed look-ups. A missing key leaves *value alone and returns LCKV_OK with *found false (`found`
 * may be NULL). A value of another type, out of range or not finite gives LCKV_BAD_FORMAT, with a
 * message that names the key and the expected type. As u32, a value of any integer type that fits
 * is accepted.
 */
CHECKED lckv_status metadata_get_u32(const struct metadata *metadata, const char *key,
                                     uint32_t *value, bool *found);
CHECKED lckv_status metadata_get_f32(const struct metadata *metadata, const char *key, float *value,
                                     bool *found);
CHECKED lckv_status metadata_get_bool(const struct metadata *metadata, const char *key, bool *value,
                                      bool *found);
CHECKED lckv_status metadata_get_text(const struct metadata *metadata, const char *key,
                                      struct text *value, bool *found);

/* A value for each of `n`: an array of so many, or one that stands for all of them; true is 1. */
CHECKED lckv_status metadata_get_u32s(const struct metadata *metadata, const char *key,
                                      uint32_t *values, size_t n, bool *found);

/* An array of `n` f32, which may be any. */
CHECKED lckv_status metadata_get_f32s(const struct metadata *metadata, const char *key,
                                      float *values, size_t n, bool *found);

/*
 * Adds a value whose key, strings and elements are in the arena already. LCKV_BAD_FORMAT if the key
 * is there already.
 */
CHECKED lckv_status metadata_add(struct metadata *metadata, const struct metadata_value *value);

/* Makes room for `capacity` values in all. */
CHECKED lckv_status metadata_reserve(struct metadata *metadata, size_t capacity);

/* Each sets or replaces a value. Keys, texts and arrays of texts are copied. */
CHECKED lckv_status metadata_set_u32(struct metadata *metadata, const char *key, uint32_t value);
CHECKED lckv_status metadata_set_f32(struct metadata *metadata, const char *key, float value);
CHECKED lckv_status metadata_set_bool(struct metadata *metadata, const char *key, bool value);
CHECKED lckv_status metadata_set_bools(struct metadata *metadata, const char *key,
                                       const bool *values, size_t count);
CHECKED lckv_status metadata_set_text(struct metadata *metadata, const char *key, const char *text,
                                      size_t length);
CHECKED lckv_status metadata_set_texts(struct metadata *metadata, const char *key,
                                       const struct text *texts, size_t count);
CHECKED lckv_status metadata_set_i32s(struct metadata *metadata, const char *key,
                                      const int32_t *values, size_t count);
CHECKED lckv_status metadata_set_u32s(struct metadata *metadata, const char *key,
                                      const uint32_t *values, size_t count);
CHECKED lckv_status metadata_set_f32s(struct metadata *metadata, const char *key,
                                      const float *values, size_t count);
CHECKED lckv_status metadata_set_value(struct metadata *metadata,
                                       const struct metadata_value *value);

/*
 * Writes a value as text for people and scripts: a string as it is, an array as JSON. `length` gets
 * the length, also with LCKV_BUFFER_TOO_SMALL.
 */
CHECKED lckv_status metadata_text(const struct metadata_value *value, char *buffer, size_t capacity,
                                  size_t *length);

#endif
