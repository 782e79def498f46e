/*
 * Reads one safetensors file: the header's length in eight bytes, a JSON object, and the data. Each
 * tensor is checked here; tensor_table.c checks them against each other.
 */
#include "format/safetensors_file.h"

#include "base/reader.h"
#include "base/status.h"
#include "base/text.h"
#include "format/json.h"
#include "format/stand_in.h"

#include <inttypes.h>

#define LENGTH_BYTES 8
#define METADATA_NAME "__metadata__"

/* Where a tensor is, for messages. */
struct place {
    const char *file;
    struct quoted tensor;
};

static lckv_status read_length(const struct file *file, uint64_t *length)
{
    uint8_t bytes[LENGTH_BYTES];
    if (file->length < LENGTH_BYTES)
        return fail(LCKV_BAD_FORMAT, "%s: %" PRIu64 " bytes, too short for a safetensors file",
                    file->name, file->length);
    lckv_status status = file_read(file, 0, bytes, sizeof bytes);
    if (status != LCKV_OK)
        return status;
    struct reader reader;
    reader_init(&reader, bytes, sizeof bytes, file->name);
    *length = reader_u64(&reader, "header length");
    bool possible =
        *length > 0 && *length <= SAFETENSORS_MAX_HEADER && *length <= file->length - LENGTH_BYTES;
    if (!possible)
        status = stand_in_refuse_weights(file);
    if (status == LCKV_OK && !possible)
        return fail(LCKV_BAD_FORMAT,
                    "%s: header of %" PRIu64 " bytes in a file of %" PRIu64 ", expected 1 to %u",
                    file->name, *length, file->length, SAFETENSORS_MAX_HEADER);
    return status;
}

/* The header is read, not mapped, so that a file that shrinks meanwhile is an error, not SIGBUS. */
static lckv_status read_object(const struct file *file, size_t length,
                               const lckv_allocator *allocator, struct json_document *document)
{
    char *text = NULL;
    lckv_status status = memory_alloc(allocator, length, 1, "a safetensors header", &text);
    if (status != LCKV_OK)
        return status;
    status = file_read(file, LENGTH_BYTES, text, length);
    if (status == LCKV_OK)
        status = json_parse(text, length, file->name, allocator, document);
    memory_free(allocator, text, length, 1);
    if (status == LCKV_OK && !json_is(document->root, JSON_OBJECT))
        return fail(LCKV_BAD_FORMAT, "%s: header: expected an object", file->name);
    return status;
}

lckv_status safetensors_header_read(struct safetensors_header *header, const struct file *file,
                                    const lckv_allocator *allocator)
{
    *header = (struct safetensors_header){.n_tensors = 0};
    uint64_t length = 0;
    lckv_status status = read_length(file, &length);
    if (status == LCKV_OK)
        status = read_object(file, (size_t)length, allocator, &header->document);
    if (status != LCKV_OK)
        return status;
    header->data_begin = LENGTH_BYTES + length;
    const struct json_value *object = header->document.root;
    const struct json_value *metadata = json_find(object, METADATA_NAME);
    if (metadata != NULL && !json_is(metadata, JSON_OBJECT))
        return fail(LCKV_BAD_FORMAT, "%s: " METADATA_NAME ": expected an object", file->name);
    header->n_tensors = json_count(object) - (metadata != NULL);
    return LCKV_OK;
}

void safetensors_header_release(struct safetensors_header *header)
{
    json_release(&header->document);
}

/* ---- Tensors ---- */

static lckv_status bad_field(const struct place *place, const char *field, const char *expected)
{
    return fail(LCKV_BAD_FORMAT, "%s: tensor %s: %s: expected %s", place->file, place->tensor.text,
                field, expected);
}

/* A type that lckv does not know is no failure here: perhaps no layer reads the tensor. */
static lckv_status read_dtype(const struct json_value *info, const struct place *place,
                              struct arena *arena, struct tensor *tensor)
{
    static const struct {
        const char *name;
        lckv_dtype dtype;
    } dtypes[] = {{"F32", LCKV_DTYPE_F32},
                  {"F16", LCKV_DTYPE_F16},
                  {"BF16", LCKV_DTYPE_BF16},
                  {"F8_E4M3", LCKV_DTYPE_F8_E4M3}};

    const struct json_value *value = json_find(info, "dtype");
    if (!json_is(value, JSON_STRING))
        return bad_field(place, "dtype", "a string");
    struct text name = json_text(value);
    for (size_t i = 0; i < sizeof dtypes / sizeof dtypes[0]; i++) {
        if (text_equals(name, dtypes[i].name)) {
            tensor->dtype = dtypes[i].dtype;
            return LCKV_OK;
        }
    }
    tensor->dtype = DTYPE_UNKNOWN;
    return tensor_set_problem(tensor, arena,
                              "dtype %s is not supported, expected F32, F16, BF16 or F8_E4M3",
                              quoted(name.bytes, name.length).text);
}

/* Reads an integer that is not negative. */
static bool read_size(const struct json_value *value, uint64_t *size)
{
    int64_t integer;
    if (!json_integer(value, &integer) || integer < 0)
        return false;
    *size = (uint64_t)integer;
    return true;
}

static lckv_status read_shape(const struct json_value *info, const struct place *place,
                              struct tensor *tensor)
{
    const struct json_value *shape = json_find(info, "shape");
    if (!json_is(shape, JSON_ARRAY))
        return bad_field(place, "shape", "an array");
    size_t n_dims = json_count(shape), i = 0;
    tensor->n_dims = n_dims < UINT32_MAX ? (uint32_t)n_dims : UINT32_MAX;
    for (size_t d = 0; d < TENSOR_MAX_DIMS; d++)
        tensor->shape[d] = 1;
    for (const struct json_value *value = json_first(shape); value != NULL;
         value = json_next(shape, value)) {
        uint64_t size;
        if (!read_size(value, &size))
            return bad_field(place, "shape", "integers");
        if (n_dims <= TENSOR_MAX_DIMS)
            tensor->shape[i++] = size;
    }
    return LCKV_OK;
}

/* `left` is the number of bytes behind the header. */
static lckv_status read_offsets(const struct json_value *info, const struct place *place,
                                uint64_t left, struct tensor *tensor)
{
    const struct json_value *offsets = json_find(info, "data_offsets");
    uint64_t begin, end;
    if (!json_is(offsets, JSON_ARRAY) || json_count(offsets) != 2 ||
        !read_size(json_first(offsets), &begin) ||
        !read_size(json_next(offsets, json_first(offsets)), &end))
        return bad_field(place, "data_offsets", "two integers");
    if (begin > end || end > left)
        return fail(LCKV_BAD_FORMAT,
                    "%s: tensor %s: data_offsets %" PRIu64 " to %" PRIu64
                    " are not within the %" PRIu64 " bytes of data",
                    place->file, place->tensor.text, begin, end, left);
    if (tensor->problem == NULL && end - begin != tensor->n_bytes)
        return fail(LCKV_BAD_FORMAT,
                    "%s: tensor %s: data_offsets hold %" PRIu64 " bytes, expected %" PRIu64
                    " from dtype and shape",
                    place->file, place->tensor.text, end - begin, tensor->n_bytes);
    tensor->offset = begin;
    return LCKV_OK;
}

static lckv_status read_tensor(const struct json_value *info, const struct file *file,
                               uint64_t data_begin, struct arena *arena, struct tensor *tensor)
{
    struct place place = {file->name, quoted(tensor->name.bytes, tensor->name.length)};
    if (tensor->name.length == 0)
        return fail(LCKV_BAD_FORMAT, "%s: empty tensor name", file->name);
    if (!json_is(info, JSON_OBJECT))
        return fail(LCKV_BAD_FORMAT, "%s: tensor %s: expected an object", file->name,
                    place.tensor.text);
    lckv_status status = read_dtype(info, &place, arena, tensor);
    if (status == LCKV_OK)
        status = read_shape(info, &place, tensor);
    if (status == LCKV_OK && tensor->problem == NULL)
        status = tensor_measure(tensor, arena, file->name);
    if (status == LCKV_OK)
        status = read_offsets(info, &place, file->length - data_begin, tensor);
    tensor->offset += data_begin;
    return status;
}

lckv_status safetensors_header_add(const struct safetensors_header *header,
                                   struct checkpoint *checkpoint, uint32_t file_index)
{
    const struct file *file = &checkpoint->files[file_index];
    const struct json_value *object = header->document.root;
    for (const struct json_value *info = json_first(object); info != NULL;
         info = json_next(object, info)) {
        struct text name = json_name(info);
        if (text_equals(name, METADATA_NAME))
            continue;
        struct tensor *tensor = &checkpoint->tensors[checkpoint->n_tensors];
        *tensor = (struct tensor){.file = file_index};
        tensor->name.length = name.length;
        lckv_status status =
            arena_copy(&checkpoint->arena, name.bytes, name.length, &tensor->name.bytes);
        if (status == LCKV_OK)
            status = read_tensor(info, file, header->data_begin, &checkpoint->arena, tensor);
        if (status != LCKV_OK)
            return status;
        checkpoint->n_tensors++;
    }
    return LCKV_OK;
}
