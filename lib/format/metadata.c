/*
 * Metadata in memory: their types and look-ups. metadata_set.c sets values, gguf_metadata.c reads
 * them from a file, and metadata_text.c shows them.
 */
#include "format/metadata.h"

#include "base/reader.h"
#include "base/status.h"
#include "base/text.h"

#include <float.h>
#include <math.h>
#include <string.h>

static const struct {
    const char *name;
    size_t size;
} types[] = {
    [METADATA_U8] = {"u8", 1},         [METADATA_I8] = {"i8", 1},
    [METADATA_U16] = {"u16", 2},       [METADATA_I16] = {"i16", 2},
    [METADATA_U32] = {"u32", 4},       [METADATA_I32] = {"i32", 4},
    [METADATA_F32] = {"f32", 4},       [METADATA_BOOL] = {"bool", 1},
    [METADATA_STRING] = {"string", 0}, [METADATA_ARRAY] = {"array", 0},
    [METADATA_U64] = {"u64", 8},       [METADATA_I64] = {"i64", 8},
    [METADATA_F64] = {"f64", 8},
};

const char *metadata_type_name(uint32_t type)
{
    return type < sizeof types / sizeof types[0] ? types[type].name : NULL;
}

size_t metadata_type_size(uint32_t type)
{
    return type < sizeof types / sizeof types[0] ? types[type].size : 0;
}

void metadata_init(struct metadata *metadata, struct arena *arena)
{
    *metadata = (struct metadata){.arena = arena};
}

const struct metadata_value *metadata_find(const struct metadata *metadata, const char *key)
{
    uint32_t place;
    return table_find(&metadata->index, key, strlen(key), &place) ? &metadata->values[place] : NULL;
}

/* ---- Typed look-ups ---- */

static lckv_status wrong_type(const struct metadata_value *value, const char *expected)
{
    return fail(LCKV_BAD_FORMAT, "metadata %s: type %s, expected %s",
                quoted(value->key.bytes, value->key.length).text, metadata_type_name(value->type),
                expected);
}

/* The value of `key`, or NULL. *found, unless `found` is NULL, says whether there is one. */
static const struct metadata_value *look_up(const struct metadata *metadata, const char *key,
                                            bool *found)
{
    const struct metadata_value *value = metadata_find(metadata, key);
    if (found != NULL)
        *found = value != NULL;
    return value;
}

lckv_status metadata_get_u32(const struct metadata *metadata, const char *key, uint32_t *value,
                             bool *found)
{
    const struct metadata_value *entry = look_up(metadata, key, found);
    if (entry == NULL)
        return LCKV_OK;
    uint64_t number;
    switch (entry->type) {
    case METADATA_U8:
    case METADATA_U16:
    case METADATA_U32:
    case METADATA_U64:
        number = entry->as.u;
        break;
    case METADATA_I8:
    case METADATA_I16:
    case METADATA_I32:
    case METADATA_I64:
        /* The cast turns a negative number into one that is too large. */
        number = (uint64_t)entry->as.i;
        break;
    default:
        return wrong_type(entry, "an integer");
    }
    if (number > UINT32_MAX)
        return fail(LCKV_BAD_FORMAT, "metadata \"%s\": out of range, expected an integer in u32",
                    key);
    *value = (uint32_t)number;
    return LCKV_OK;
}

/* Whether it is an array of `n` integers of 32 bits, or of so many truth values. */
static bool is_u32s(const struct metadata_value *value, size_t n)
{
    return value->type == METADATA_ARRAY && value->count == n &&
           (value->element_type == METADATA_U32 || value->element_type == METADATA_I32 ||
            value->element_type == METADATA_BOOL);
}

lckv_status metadata_get_u32s(const struct metadata *metadata, const char *key, uint32_t *values,
                              size_t n, bool *found)
{
    const struct metadata_value *entry = look_up(metadata, key, found);
    if (entry == NULL)
        return LCKV_OK;
    if (entry->type != METADATA_ARRAY) {
        lckv_status status = metadata_get_u32(metadata, key, &values[0], NULL);
        for (size_t i = 1; i < n; i++)
            values[i] = values[0];
        return status;
    }
    if (!is_u32s(entry, n))
        return fail(LCKV_BAD_FORMAT, "metadata \"%s\": expected an integer, or an array of %zu",
                    key, n);
    struct reader reader;
    reader_init(&reader, entry->as.elements, n * metadata_type_size(entry->element_type), key);
    for (size_t i = 0; i < n; i++) {
        values[i] = entry->element_type == METADATA_BOOL ? reader_u8(&reader, "element") != 0
                                                         : reader_u32(&reader, "element");
        if (entry->element_type == METADATA_I32 && values[i] > INT32_MAX)
            return fail(LCKV_BAD_FORMAT, "metadata \"%s\": element %zu is negative", key, i);
    }
    return reader_status(&reader);
}

lckv_status metadata_get_f32(const struct metadata *metadata, const char *key, float *value,
                             bool *found)
{
    const struct metadata_value *entry = look_up(metadata, key, found);
    if (entry == NULL)
        return LCKV_OK;
    if (entry->type != METADATA_F32 && entry->type != METADATA_F64)
        return wrong_type(entry, "f32");
    if (!(fabs(entry->as.f) <= FLT_MAX))
        return fail(LCKV_BAD_FORMAT, "metadata \"%s\": expected a finite f32", key);
    *value = (float)entry->as.f;
    return LCKV_OK;
}

lckv_status metadata_get_f32s(const struct metadata *metadata, const char *key, float *values,
                              size_t n, bool *found)
{
    const struct metadata_value *entry = look_up(metadata, key, found);
    if (entry == NULL)
        return LCKV_OK;
    if (entry->type != METADATA_ARRAY || entry->element_type != METADATA_F32 || entry->count != n)
        return fail(LCKV_BAD_FORMAT, "metadata \"%s\": expected an array of %zu f32", key, n);
    struct reader reader;
    reader_init(&reader, entry->as.elements, n * sizeof *values, key);
    for (size_t i = 0; i < n; i++) {
        const uint32_t bits = reader_u32(&reader, "element");
        memcpy(&values[i], &bits, sizeof bits);
    }
    return reader_status(&reader);
}

lckv_status metadata_get_bool(const struct metadata *metadata, const char *key, bool *value,
                              bool *found)
{
    const struct metadata_value *entry = look_up(metadata, key, found);
    if (entry == NULL)
        return LCKV_OK;
    if (entry->type != METADATA_BOOL)
        return wrong_type(entry, "bool");
    *value = entry->as.u != 0;
    return LCKV_OK;
}

lckv_status metadata_get_text(const struct metadata *metadata, const char *key, struct text *value,
                              bool *found)
{
    const struct metadata_value *entry = look_up(metadata, key, found);
    if (entry == NULL)
        return LCKV_OK;
    if (entry->type != METADATA_STRING)
        return wrong_type(entry, "string");
    *value = entry->as.string;
    return LCKV_OK;
}
