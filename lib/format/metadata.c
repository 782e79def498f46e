/*
 * Metadata in memory: look-ups, and setting values to be written. Reading them from a file is
 * gguf_metadata.c's, showing them metadata_text.c's.
 */
#include "format/metadata.h"

#include "base/status.h"
#include "format/order.h"

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

static struct metadata_value *find(const struct metadata *metadata, struct text key)
{
    for (size_t i = 0; i < metadata->n_values; i++) {
        if (text_compare(metadata->values[i].key, key) == 0)
            return &metadata->values[i];
    }
    return NULL;
}

const struct metadata_value *metadata_find(const struct metadata *metadata, const char *key)
{
    return find(metadata, (struct text){key, strlen(key)});
}

/* ---- Typed look-ups ---- */

static lckv_status wrong_type(const struct metadata_value *value, const char *expected)
{
    return fail(LCKV_BAD_FORMAT, "metadata %s: type %s, expected %s",
                quoted(value->key.bytes, value->key.length).text, metadata_type_name(value->type),
                expected);
}

/* The value of `key`, and in `found`, which may be NULL, whether there is one. */
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
        /* A negative number becomes one that is too large. */
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

/* ---- Setting ---- */

static lckv_status copy_text(struct arena *arena, struct text *text)
{
    return arena_copy(arena, text->length == 0 ? "" : text->bytes, text->length, &text->bytes);
}

static lckv_status copy_strings(struct arena *arena, struct metadata_value *value)
{
    struct text *copies = NULL;
    lckv_status status =
        arena_alloc(arena, (size_t)value->count, sizeof *copies, "metadata strings", &copies);
    for (size_t i = 0; status == LCKV_OK && i < value->count; i++) {
        copies[i] = value->as.strings[i];
        status = copy_text(arena, &copies[i]);
    }
    value->as.strings = copies;
    return status;
}

static lckv_status copy_elements(struct arena *arena, struct metadata_value *value)
{
    uint8_t *copy = NULL;
    size_t size = metadata_type_size(value->element_type);
    lckv_status status = arena_alloc(arena, (size_t)value->count, size, "a metadata array", &copy);
    if (status == LCKV_OK && value->count > 0)
        memcpy(copy, value->as.elements, (size_t)value->count * size);
    value->as.elements = copy;
    return status;
}

/* Room for one more value; the old array stays in the arena until that goes. */
static lckv_status reserve(struct metadata *metadata)
{
    if (metadata->n_values < metadata->capacity)
        return LCKV_OK;
    size_t capacity = metadata->capacity == 0 ? 16 : 2 * metadata->capacity;
    struct metadata_value *values;
    lckv_status status =
        arena_alloc(metadata->arena, capacity, sizeof *values, "metadata", &values);
    if (status != LCKV_OK)
        return status;
    if (metadata->n_values > 0)
        memcpy(values, metadata->values, metadata->n_values * sizeof *values);
    metadata->values = values;
    metadata->capacity = capacity;
    return LCKV_OK;
}

/* Sets a value whose strings and elements are in the arena already, under a copy of its key. */
static lckv_status place(struct metadata *metadata, struct metadata_value value)
{
    struct metadata_value *old = find(metadata, value.key);
    if (old != NULL) {
        value.key = old->key;
        *old = value;
        return LCKV_OK;
    }
    lckv_status status = reserve(metadata);
    if (status == LCKV_OK)
        status = copy_text(metadata->arena, &value.key);
    if (status == LCKV_OK)
        metadata->values[metadata->n_values++] = value;
    return status;
}

lckv_status metadata_set_value(struct metadata *metadata, const struct metadata_value *value)
{
    struct metadata_value copy = *value;
    lckv_status status = LCKV_OK;
    if (value->type == METADATA_STRING)
        status = copy_text(metadata->arena, &copy.as.string);
    else if (value->type == METADATA_ARRAY && value->element_type == METADATA_STRING)
        status = copy_strings(metadata->arena, &copy);
    else if (value->type == METADATA_ARRAY)
        status = copy_elements(metadata->arena, &copy);
    return status == LCKV_OK ? place(metadata, copy) : status;
}

static struct metadata_value scalar(const char *key, uint32_t type)
{
    return (struct metadata_value){.key = {key, strlen(key)}, .type = type, .count = 1};
}

lckv_status metadata_set_u32(struct metadata *metadata, const char *key, uint32_t value)
{
    struct metadata_value entry = scalar(key, METADATA_U32);
    entry.as.u = value;
    return place(metadata, entry);
}

lckv_status metadata_set_f32(struct metadata *metadata, const char *key, float value)
{
    struct metadata_value entry = scalar(key, METADATA_F32);
    entry.as.f = value;
    return place(metadata, entry);
}

lckv_status metadata_set_bool(struct metadata *metadata, const char *key, bool value)
{
    struct metadata_value entry = scalar(key, METADATA_BOOL);
    entry.as.u = value;
    return place(metadata, entry);
}

lckv_status metadata_set_text(struct metadata *metadata, const char *key, const char *text,
                              size_t length)
{
    struct metadata_value entry = scalar(key, METADATA_STRING);
    entry.as.string = (struct text){text, length};
    return metadata_set_value(metadata, &entry);
}

lckv_status metadata_set_texts(struct metadata *metadata, const char *key, const struct text *texts,
                               size_t count)
{
    struct metadata_value entry = scalar(key, METADATA_ARRAY);
    entry.element_type = METADATA_STRING;
    entry.count = count;
    entry.as.strings = texts;
    return metadata_set_value(metadata, &entry);
}

lckv_status metadata_set_i32s(struct metadata *metadata, const char *key, const int32_t *values,
                              size_t count)
{
    struct metadata_value entry = scalar(key, METADATA_ARRAY);
    entry.element_type = METADATA_I32;
    entry.count = count;
    uint8_t *packed = NULL;
    lckv_status status = arena_alloc(metadata->arena, count, 4, "a metadata array", &packed);
    if (status != LCKV_OK)
        return status;
    for (size_t i = 0; i < count; i++) {
        for (size_t byte = 0; byte < 4; byte++)
            packed[4 * i + byte] = (uint8_t)((uint32_t)values[i] >> (8 * byte));
    }
    entry.as.elements = packed;
    return place(metadata, entry);
}

void metadata_remove(struct metadata *metadata, const char *key)
{
    struct metadata_value *value = find(metadata, (struct text){key, strlen(key)});
    if (value == NULL)
        return;
    size_t behind = (size_t)(metadata->values + metadata->n_values - (value + 1));
    memmove(value, value + 1, behind * sizeof *value);
    metadata->n_values--;
}
