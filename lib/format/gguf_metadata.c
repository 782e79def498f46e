/*
 * Reads GGUF key-value pairs. Knows how values lie in the file, not what any key means.
 *
 * Counts and lengths are compared with the bytes that are left before anything is allocated for
 * them, so that memory stays proportional to the file whatever it claims; and with fixed limits,
 * because a file of holes is as long as it likes.
 */
#include "format/gguf_metadata.h"

#include "base/status.h"
#include "format/gguf.h"
#include "format/order.h"

#include <inttypes.h>
#include <string.h>

#define MIN_PAIR_BYTES 14  /* key length, one byte of key, type, one byte of value */
#define MIN_STRING_BYTES 8 /* the length of an empty one */

struct text gguf_read_string(struct reader *reader, const char *field)
{
    uint64_t length = reader_u64(reader, field);
    const uint8_t *bytes = reader_bytes(reader, length, field);
    if (bytes == NULL)
        return (struct text){NULL, 0};
    return (struct text){(const char *)bytes, (size_t)length};
}

/* Whether `n_bytes` more, for the key or the name `of`, still are a sane amount of metadata. */
static lckv_status check_memory(const struct reader *reader, const struct arena *arena,
                                struct text of, uint64_t n_bytes)
{
    if (arena->total <= GGUF_MAX_METADATA_BYTES &&
        n_bytes <= GGUF_MAX_METADATA_BYTES - arena->total)
        return LCKV_OK;
    return fail(LCKV_BAD_FORMAT,
                "%s: %s takes %" PRIu64 " bytes of memory, with %zu taken before it; expected at "
                "most %u for all metadata and names",
                reader->what, quoted(of.bytes, of.length).text, n_bytes, arena->total,
                GGUF_MAX_METADATA_BYTES);
}

lckv_status gguf_read_name(struct reader *reader, struct arena *arena, const char *field,
                           struct text *name)
{
    struct text raw = gguf_read_string(reader, field);
    if (reader->failed)
        return reader_status(reader);
    if (raw.length == 0)
        return fail(LCKV_BAD_FORMAT, "%s: empty %s before byte %zu", reader->what, field,
                    reader->position);
    if (raw.length > GGUF_MAX_NAME)
        return fail(LCKV_BAD_FORMAT, "%s: %s of %zu bytes before byte %zu, expected at most %d",
                    reader->what, field, raw.length, reader->position, GGUF_MAX_NAME);
    if (memchr(raw.bytes, '\0', raw.length) != NULL)
        return fail(LCKV_BAD_FORMAT, "%s: %s %s has a NUL in it", reader->what, field,
                    quoted(raw.bytes, raw.length).text);
    lckv_status status = check_memory(reader, arena, raw, raw.length);
    if (status != LCKV_OK)
        return status;
    name->length = raw.length;
    return arena_copy(arena, raw.bytes, raw.length, &name->bytes);
}

/* ---- Values: each takes `value`, whose key and type are known ---- */

static lckv_status bad_bool(const struct reader *reader, const struct metadata_value *value,
                            uint64_t found)
{
    return fail(LCKV_BAD_FORMAT, "%s: metadata %s: bool of value %" PRIu64 ", expected 0 or 1",
                reader->what, quoted(value->key.bytes, value->key.length).text, found);
}

/*
 * All strings of an array in one piece, each with its NUL: two walks over the file, two
 * allocations.
 */
static lckv_status read_strings(struct reader *reader, struct arena *arena,
                                struct metadata_value *value)
{
    size_t begin = reader->position;
    size_t total = 0;
    for (uint64_t i = 0; i < value->count; i++)
        total += gguf_read_string(reader, "array of strings").length + 1;
    if (reader->failed)
        return reader_status(reader);

    struct text *strings = NULL;
    char *pool = NULL;
    lckv_status status =
        check_memory(reader, arena, value->key, value->count * sizeof *strings + (uint64_t)total);
    if (status == LCKV_OK)
        status =
            arena_alloc(arena, (size_t)value->count, sizeof *strings, "metadata strings", &strings);
    if (status == LCKV_OK)
        status = arena_alloc(arena, total, 1, "metadata strings", &pool);
    if (status != LCKV_OK)
        return status;
    reader->position = begin;
    for (uint64_t i = 0; i < value->count; i++) {
        struct text raw = gguf_read_string(reader, "array of strings");
        if (raw.length > 0)
            memcpy(pool, raw.bytes, raw.length);
        pool[raw.length] = '\0';
        strings[i] = (struct text){pool, raw.length};
        pool += raw.length + 1;
    }
    value->as.strings = strings;
    return LCKV_OK;
}

static lckv_status read_elements(struct reader *reader, struct arena *arena,
                                 struct metadata_value *value)
{
    size_t n_bytes = (size_t)value->count * metadata_type_size(value->element_type);
    const uint8_t *raw = reader_bytes(reader, n_bytes, "array");
    if (raw == NULL)
        return reader_status(reader);
    lckv_status status = check_memory(reader, arena, value->key, n_bytes);
    if (status != LCKV_OK)
        return status;
    for (size_t i = 0; value->element_type == METADATA_BOOL && i < n_bytes; i++) {
        if (raw[i] > 1)
            return bad_bool(reader, value, raw[i]);
    }
    uint8_t *copy = NULL;
    status = arena_alloc(arena, n_bytes, 1, "a metadata array", &copy);
    if (status == LCKV_OK && n_bytes > 0)
        memcpy(copy, raw, n_bytes);
    value->as.elements = copy;
    return status;
}

static lckv_status read_array(struct reader *reader, struct arena *arena,
                              struct metadata_value *value)
{
    value->element_type = reader_u32(reader, "array element type");
    value->count = reader_u64(reader, "array length");
    if (reader->failed)
        return reader_status(reader);

    struct quoted key = quoted(value->key.bytes, value->key.length);
    if (value->element_type == METADATA_ARRAY)
        return fail(LCKV_UNSUPPORTED, "%s: metadata %s: arrays of arrays are not supported",
                    reader->what, key.text);
    if (metadata_type_name(value->element_type) == NULL)
        return fail(LCKV_BAD_FORMAT, "%s: metadata %s: unknown element type %" PRIu32, reader->what,
                    key.text, value->element_type);
    bool strings = value->element_type == METADATA_STRING;
    size_t size = strings ? MIN_STRING_BYTES : metadata_type_size(value->element_type);
    if (value->count > reader_left(reader) / size)
        return fail(LCKV_BAD_FORMAT,
                    "%s: metadata %s: array of %" PRIu64
                    " elements at byte %zu, but only %zu bytes left",
                    reader->what, key.text, value->count, reader->position, reader_left(reader));
    if (strings && value->count > GGUF_MAX_STRINGS)
        return fail(LCKV_BAD_FORMAT,
                    "%s: metadata %s: array of %" PRIu64 " strings, expected at most %u",
                    reader->what, key.text, value->count, GGUF_MAX_STRINGS);
    return strings ? read_strings(reader, arena, value) : read_elements(reader, arena, value);
}

static lckv_status read_value(struct reader *reader, struct arena *arena,
                              struct metadata_value *value)
{
    struct text raw;
    lckv_status status;
    switch (value->type) {
    case METADATA_U8:
        value->as.u = reader_u8(reader, "u8 value");
        break;
    case METADATA_I8:
        value->as.i = (int8_t)reader_u8(reader, "i8 value");
        break;
    case METADATA_U16:
        value->as.u = reader_u16(reader, "u16 value");
        break;
    case METADATA_I16:
        value->as.i = (int16_t)reader_u16(reader, "i16 value");
        break;
    case METADATA_U32:
        value->as.u = reader_u32(reader, "u32 value");
        break;
    case METADATA_I32:
        value->as.i = (int32_t)reader_u32(reader, "i32 value");
        break;
    case METADATA_F32:
        value->as.f = (double)reader_f32(reader, "f32 value");
        break;
    case METADATA_BOOL:
        value->as.u = reader_u8(reader, "bool value");
        if (value->as.u > 1)
            return bad_bool(reader, value, value->as.u);
        break;
    case METADATA_STRING:
        raw = gguf_read_string(reader, "string value");
        if (reader->failed)
            break;
        status = check_memory(reader, arena, value->key, raw.length);
        if (status != LCKV_OK)
            return status;
        value->as.string.length = raw.length;
        return arena_copy(arena, raw.bytes, raw.length, &value->as.string.bytes);
    case METADATA_ARRAY:
        return read_array(reader, arena, value);
    case METADATA_U64:
        value->as.u = reader_u64(reader, "u64 value");
        break;
    case METADATA_I64:
        value->as.i = (int64_t)reader_u64(reader, "i64 value");
        break;
    case METADATA_F64:
        value->as.f = reader_f64(reader, "f64 value");
        break;
    default:
        return fail(LCKV_BAD_FORMAT, "%s: metadata %s: unknown value type %" PRIu32, reader->what,
                    quoted(value->key.bytes, value->key.length).text, value->type);
    }
    return reader_status(reader);
}

/* ---- The section ---- */

static lckv_status read_pair(struct reader *reader, struct arena *arena,
                             struct metadata_value *value)
{
    lckv_status status = gguf_read_name(reader, arena, "metadata key", &value->key);
    if (status != LCKV_OK)
        return status;
    value->count = 1;
    value->type = reader_u32(reader, "metadata value type");
    if (reader->failed)
        return reader_status(reader);
    return read_value(reader, arena, value);
}

static int by_key(const void *a, const void *b)
{
    const struct metadata_value *const *x = a;
    const struct metadata_value *const *y = b;
    return text_compare((*x)->key, (*y)->key);
}

/* Sorts pointers, because the pairs keep the order of the file. */
static lckv_status check_duplicates(const char *what, const struct metadata *metadata)
{
    size_t count = metadata->n_values;
    const struct metadata_value **sorted = NULL;
    lckv_status status =
        memory_alloc(&metadata->arena->allocator, count, sizeof *sorted, "metadata keys", &sorted);
    if (status != LCKV_OK)
        return status;
    for (size_t i = 0; i < count; i++)
        sorted[i] = &metadata->values[i];
    order_sort(sorted, count, sizeof *sorted, by_key);
    for (size_t i = 1; i < count && status == LCKV_OK; i++) {
        if (by_key(&sorted[i - 1], &sorted[i]) == 0)
            status = fail(LCKV_BAD_FORMAT, "%s: duplicate metadata key %s", what,
                          quoted(sorted[i]->key.bytes, sorted[i]->key.length).text);
    }
    memory_free(&metadata->arena->allocator, sorted, count, sizeof *sorted);
    return status;
}

lckv_status gguf_read_metadata(struct reader *reader, uint64_t count, struct metadata *metadata)
{
    if (count > GGUF_MAX_METADATA || count > reader_left(reader) / MIN_PAIR_BYTES)
        return fail(LCKV_BAD_FORMAT,
                    "%s: claims %" PRIu64 " metadata pairs in %zu bytes, expected at most %d of at "
                    "least %d bytes each",
                    reader->what, count, reader_left(reader), GGUF_MAX_METADATA, MIN_PAIR_BYTES);
    if (count == 0)
        return LCKV_OK;
    struct metadata_value *values = NULL;
    lckv_status status =
        arena_alloc(metadata->arena, (size_t)count, sizeof *values, "metadata", &values);
    if (status != LCKV_OK)
        return status;
    metadata->values = values;
    metadata->capacity = (size_t)count;
    for (uint64_t i = 0; i < count; i++) {
        status = read_pair(reader, metadata->arena, &values[i]);
        if (status != LCKV_OK)
            return status;
        metadata->n_values++;
    }
    return check_duplicates(reader->what, metadata);
}
