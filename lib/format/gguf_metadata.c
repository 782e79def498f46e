/*
 * Reads GGUF key-value pairs. It knows how values lie in the file, but not what any key means.
 *
 * Before anything is allocated for them, counts and lengths are compared with the bytes that are
 * left, so that the memory is proportional to the file, whatever the file claims. They are also
 * compared with fixed limits, because a sparse file may be of any length and take no space.
 */
#include "format/gguf_metadata.h"

#include "base/status.h"
#include "format/gguf.h"

#include <inttypes.h>
#include <string.h>

#define MIN_PAIR_BYTES 14  /* key length, one byte of key, type, one byte of value */
#define MIN_STRING_BYTES 8 /* the length of an empty one */

/* Refuses the value of `key` if with its `n_bytes` the metadata would take too much memory. */
static lckv_status check_memory(const struct reader *reader, const struct arena *arena,
                                struct text key, uint64_t n_bytes)
{
    if (arena->total <= GGUF_MAX_METADATA_BYTES &&
        n_bytes <= GGUF_MAX_METADATA_BYTES - arena->total)
        return LCKV_OK;
    return fail(LCKV_BAD_FORMAT,
                "%s: %s takes %" PRIu64 " bytes of memory, with %zu taken before it; expected at "
                "most %u for all metadata and names",
                reader->what, quoted(key.bytes, key.length).text, n_bytes, arena->total,
                GGUF_MAX_METADATA_BYTES);
}

/* Reads a string, whose length has been read: a name, or part of the value of `key`. */
static lckv_status read_text(struct reader *reader, struct arena *arena, const char *field,
                             struct text key, uint64_t length, struct text *text)
{
    char *bytes = NULL;
    if (!reader_has(reader, length, field))
        return reader_status(reader);
    lckv_status status = check_memory(reader, arena, key, length);
    if (status == LCKV_OK)
        status = arena_text(arena, (size_t)length, &bytes);
    if (status != LCKV_OK)
        return status;
    if (!reader_copy(reader, bytes, (size_t)length, field))
        return reader_status(reader);
    *text = (struct text){bytes, (size_t)length};
    return LCKV_OK;
}

lckv_status gguf_read_name(struct reader *reader, struct arena *arena, const char *field,
                           struct text *name)
{
    uint64_t length = reader_u64(reader, field);
    if (!reader_has(reader, length, field))
        return reader_status(reader);
    if (length == 0)
        return fail(LCKV_BAD_FORMAT, "%s: empty %s before byte %zu", reader->what, field,
                    reader->position);
    if (length > GGUF_MAX_NAME)
        return fail(LCKV_BAD_FORMAT,
                    "%s: %s of %" PRIu64 " bytes before byte %zu, expected at most %d",
                    reader->what, field, length, reader->position, GGUF_MAX_NAME);
    lckv_status status =
        read_text(reader, arena, field, (struct text){field, strlen(field)}, length, name);
    if (status == LCKV_OK && memchr(name->bytes, '\0', name->length) != NULL)
        return fail(LCKV_BAD_FORMAT, "%s: %s %s has a NUL in it", reader->what, field,
                    quoted(name->bytes, name->length).text);
    return status;
}

/* ---- Values: each function fills in `value`, whose key and type are known ---- */

static lckv_status bad_bool(const struct reader *reader, const struct metadata_value *value,
                            uint64_t found)
{
    return fail(LCKV_BAD_FORMAT, "%s: metadata %s: bool of value %" PRIu64 ", expected 0 or 1",
                reader->what, quoted(value->key.bytes, value->key.length).text, found);
}

static lckv_status read_string(struct reader *reader, struct arena *arena, const char *field,
                               const struct metadata_value *value, struct text *string)
{
    uint64_t length = reader_u64(reader, field);
    return read_text(reader, arena, field, value->key, length, string);
}

static lckv_status read_strings(struct reader *reader, struct arena *arena,
                                struct metadata_value *value)
{
    struct text *strings = NULL;
    lckv_status status = check_memory(reader, arena, value->key, value->count * sizeof *strings);
    if (status == LCKV_OK)
        status =
            arena_alloc(arena, (size_t)value->count, sizeof *strings, "metadata strings", &strings);
    for (uint64_t i = 0; status == LCKV_OK && i < value->count; i++)
        status = read_string(reader, arena, "array of strings", value, &strings[i]);
    value->as.strings = strings;
    return status;
}

static lckv_status read_elements(struct reader *reader, struct arena *arena,
                                 struct metadata_value *value)
{
    size_t n_bytes = (size_t)value->count * metadata_type_size(value->element_type);
    uint8_t *elements = NULL;
    lckv_status status = check_memory(reader, arena, value->key, n_bytes);
    if (status == LCKV_OK)
        status = arena_alloc(arena, n_bytes, 1, "a metadata array", &elements);
    if (status != LCKV_OK)
        return status;
    if (!reader_copy(reader, elements, n_bytes, "array"))
        return reader_status(reader);
    for (size_t i = 0; value->element_type == METADATA_BOOL && i < n_bytes; i++) {
        if (elements[i] > 1)
            return bad_bool(reader, value, elements[i]);
    }
    value->as.elements = elements;
    return LCKV_OK;
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
        return read_string(reader, arena, "string value", value, &value->as.string);
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
    value->type = reader_u32(reader, "metadata value type");
    if (reader->failed)
        return reader_status(reader);
    return read_value(reader, arena, value);
}

lckv_status gguf_read_metadata(struct reader *reader, uint64_t count, struct metadata *metadata)
{
    if (count > GGUF_MAX_METADATA || count > reader_left(reader) / MIN_PAIR_BYTES)
        return fail(LCKV_BAD_FORMAT,
                    "%s: claims %" PRIu64 " metadata pairs in %zu bytes, expected at most %d of at "
                    "least %d bytes each",
                    reader->what, count, reader_left(reader), GGUF_MAX_METADATA, MIN_PAIR_BYTES);
    lckv_status status = metadata_reserve(metadata, (size_t)count);
    for (uint64_t i = 0; status == LCKV_OK && i < count; i++) {
        struct metadata_value value = {.count = 1};
        status = read_pair(reader, metadata->arena, &value);
        if (status != LCKV_OK)
            return status;
        status = metadata_add(metadata, &value);
    }
    return status == LCKV_OK ? status : fail_in(status, "%s", reader->what);
}
