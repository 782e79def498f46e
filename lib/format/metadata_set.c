/*
 * Sets metadata: a value is added under a new key, or replaces the value of its key. A table finds
 * the keys, so that the time is linear in their number.
 */
#include "format/metadata.h"

#include "base/status.h"

#include <string.h>

lckv_status metadata_reserve(struct metadata *metadata, size_t capacity)
{
    struct metadata grown = {.arena = metadata->arena, .capacity = capacity};
    if (capacity <= metadata->capacity)
        return LCKV_OK;
    lckv_status status =
        arena_alloc(metadata->arena, capacity, sizeof *grown.values, "metadata", &grown.values);
    if (status == LCKV_OK)
        status = table_init(&grown.index, metadata->arena, capacity, "metadata keys");
    for (size_t i = 0; status == LCKV_OK && i < metadata->n_values; i++)
        status = metadata_add(&grown, &metadata->values[i]);
    if (status == LCKV_OK)
        *metadata = grown; /* the arena keeps the old array until it is released */
    return status;
}

lckv_status metadata_add(struct metadata *metadata, const struct metadata_value *value)
{
    bool added = false;
    lckv_status status = LCKV_OK;
    if (metadata->n_values == metadata->capacity)
        status = metadata_reserve(metadata, metadata->capacity == 0 ? 16 : 2 * metadata->capacity);
    if (status == LCKV_OK)
        status = table_add(&metadata->index, value->key.bytes, value->key.length,
                           (uint32_t)metadata->n_values, &added);
    if (status != LCKV_OK)
        return status;
    if (!added)
        return fail(LCKV_BAD_FORMAT, "duplicate metadata key %s",
                    quoted(value->key.bytes, value->key.length).text);
    metadata->values[metadata->n_values++] = *value;
    return LCKV_OK;
}

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

/* Sets a value whose strings and elements are in the arena already. The key is copied. */
static lckv_status place(struct metadata *metadata, struct metadata_value value)
{
    uint32_t old;
    if (table_find(&metadata->index, value.key.bytes, value.key.length, &old)) {
        value.key = metadata->values[old].key;
        metadata->values[old] = value;
        return LCKV_OK;
    }
    lckv_status status = copy_text(metadata->arena, &value.key);
    return status == LCKV_OK ? metadata_add(metadata, &value) : status;
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

lckv_status metadata_set_bools(struct metadata *metadata, const char *key, const bool *values,
                               size_t count)
{
    struct metadata_value entry = scalar(key, METADATA_ARRAY);
    entry.element_type = METADATA_BOOL;
    entry.count = count;
    entry.as.elements = (const uint8_t *)values; /* a bool is a byte, 0 or 1, there as here */
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

/* `values` are numbers of 32 bits. */
static lckv_status set_numbers(struct metadata *metadata, const char *key, uint32_t element_type,
                               const void *values, size_t count)
{
    struct metadata_value entry = scalar(key, METADATA_ARRAY);
    entry.element_type = element_type;
    entry.count = count;
    uint8_t *packed = NULL;
    lckv_status status = arena_alloc(metadata->arena, count, 4, "a metadata array", &packed);
    if (status != LCKV_OK)
        return status;
    for (size_t i = 0; i < count; i++) {
        uint32_t bits;
        memcpy(&bits, (const uint8_t *)values + i * sizeof bits, sizeof bits);
        for (size_t byte = 0; byte < 4; byte++)
            packed[4 * i + byte] = (uint8_t)(bits >> (8 * byte));
    }
    entry.as.elements = packed;
    return place(metadata, entry);
}

lckv_status metadata_set_i32s(struct metadata *metadata, const char *key, const int32_t *values,
                              size_t count)
{
    return set_numbers(metadata, key, METADATA_I32, values, count);
}

lckv_status metadata_set_u32s(struct metadata *metadata, const char *key, const uint32_t *values,
                              size_t count)
{
    return set_numbers(metadata, key, METADATA_U32, values, count);
}

lckv_status metadata_set_f32s(struct metadata *metadata, const char *key, const float *values,
                              size_t count)
{
    return set_numbers(metadata, key, METADATA_F32, values, count);
}
