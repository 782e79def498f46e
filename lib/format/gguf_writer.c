/*
 * Writes GGUF version 3. The header is made in memory and written at once; tensor data are written
 * as they come.
 */
#include "format/gguf.h"

#include "base/status.h"
#include "base/text.h"

#include <string.h>

#define ALIGNMENT 32 /* GGUF's default, for files without packed tensors */
#define GGUF_VERSION 3

/* The header being made. The first failure sticks, so that a whole section is checked once. */
struct buffer {
    const lckv_allocator *allocator;
    uint8_t *bytes;
    size_t length, capacity;
    lckv_status status;
};

static void put(struct buffer *buffer, const void *bytes, size_t length)
{
    size_t needed;
    if (buffer->status != LCKV_OK || length == 0)
        return;
    if (!checked_add(buffer->length, length, &needed))
        buffer->status = fail(LCKV_OUT_OF_MEMORY, "a GGUF header is too large");
    else
        buffer->status = memory_grow(buffer->allocator, &buffer->bytes, &buffer->capacity, needed,
                                     1, "a GGUF header");
    if (buffer->status != LCKV_OK)
        return;
    memcpy(buffer->bytes + buffer->length, bytes, length);
    buffer->length = needed;
}

/* The low `size` bytes, little-endian. */
static void put_number(struct buffer *buffer, uint64_t number, size_t size)
{
    uint8_t bytes[8];
    for (size_t i = 0; i < size; i++)
        bytes[i] = (uint8_t)(number >> (8 * i));
    put(buffer, bytes, size);
}

static void put_string(struct buffer *buffer, const char *bytes, size_t length)
{
    put_number(buffer, length, 8);
    put(buffer, bytes, length);
}

static void put_float(struct buffer *buffer, double number, uint32_t type)
{
    if (type == METADATA_F32) {
        float single = (float)number;
        uint32_t bits;
        memcpy(&bits, &single, sizeof bits);
        put_number(buffer, bits, 4);
    } else {
        uint64_t bits;
        memcpy(&bits, &number, sizeof bits);
        put_number(buffer, bits, 8);
    }
}

static void put_array(struct buffer *buffer, const struct metadata_value *value)
{
    put_number(buffer, value->element_type, 4);
    put_number(buffer, value->count, 8);
    if (value->element_type != METADATA_STRING) {
        put(buffer, value->as.elements,
            (size_t)value->count * metadata_type_size(value->element_type));
        return;
    }
    for (uint64_t i = 0; i < value->count; i++)
        put_string(buffer, value->as.strings[i].bytes, value->as.strings[i].length);
}

static void put_value(struct buffer *buffer, const struct metadata_value *value)
{
    put_string(buffer, value->key.bytes, value->key.length);
    put_number(buffer, value->type, 4);
    switch (value->type) {
    case METADATA_STRING:
        put_string(buffer, value->as.string.bytes, value->as.string.length);
        break;
    case METADATA_ARRAY:
        put_array(buffer, value);
        break;
    case METADATA_F32:
    case METADATA_F64:
        put_float(buffer, value->as.f, value->type);
        break;
    case METADATA_I8:
    case METADATA_I16:
    case METADATA_I32:
    case METADATA_I64:
        put_number(buffer, (uint64_t)value->as.i, metadata_type_size(value->type));
        break;
    default:
        put_number(buffer, value->as.u, metadata_type_size(value->type));
    }
}

#define ALIGNMENT_KEY "general.alignment"

/* The alignment of the source file does not apply to the new one. */
static bool is_written(const struct metadata_value *value)
{
    return !text_equals(value->key, ALIGNMENT_KEY);
}

static void put_metadata(struct buffer *buffer, const struct metadata *metadata, uint32_t alignment)
{
    if (alignment != ALIGNMENT) {
        put_string(buffer, ALIGNMENT_KEY, strlen(ALIGNMENT_KEY));
        put_number(buffer, METADATA_U32, 4);
        put_number(buffer, alignment, 4);
    }
    for (size_t i = 0; i < metadata->n_values; i++) {
        if (is_written(&metadata->values[i]))
            put_value(buffer, &metadata->values[i]);
    }
}

static bool tensor_bytes(const struct gguf_tensor *tensor, uint64_t *n_bytes)
{
    const struct dtype_info *info = dtype_info(tensor->dtype);
    if (info == NULL || tensor->n_dims < 1 || tensor->n_dims > TENSOR_MAX_DIMS ||
        tensor->name[0] == '\0')
        return false;
    uint64_t n_elements = 1;
    for (uint32_t i = 0; i < tensor->n_dims; i++) {
        if (tensor->shape[i] == 0 || !checked_multiply64(n_elements, tensor->shape[i], &n_elements))
            return false;
    }
    if (tensor->layout.lanes > 0) {
        struct packed_size size;
        bool fits = tensor->n_dims == 2 && packed_measure(tensor->dtype, tensor->shape[0],
                                                          tensor->shape[1], tensor->layout, &size);
        *n_bytes = fits ? size.n_bytes : 0;
        return fits;
    }
    return tensor->shape[tensor->n_dims - 1] % info->block_elements == 0 &&
           dtype_bytes(tensor->dtype, n_elements, n_bytes);
}

static void put_tensors(struct buffer *buffer, const struct gguf_tensor *tensors, size_t n_tensors,
                        uint32_t alignment)
{
    uint64_t offset = 0;
    for (size_t i = 0; i < n_tensors && buffer->status == LCKV_OK; i++) {
        const struct gguf_tensor *tensor = &tensors[i];
        uint64_t n_bytes;
        if (!tensor_bytes(tensor, &n_bytes)) {
            buffer->status = fail(LCKV_INTERNAL, "tensor %s cannot be written to GGUF",
                                  quoted_string(tensor->name).text);
            return;
        }
        put_string(buffer, tensor->name, strlen(tensor->name));
        put_number(buffer, tensor->n_dims, 4);
        for (uint32_t dim = tensor->n_dims; dim-- > 0;)
            put_number(buffer, tensor->shape[dim], 8);
        put_number(buffer,
                   tensor->layout.lanes > 0 ? packed_to_gguf(tensor->dtype, tensor->layout)
                                            : dtype_info(tensor->dtype)->gguf_type,
                   4);
        put_number(buffer, offset, 8);
        if (!checked_add64(offset, n_bytes, &offset) ||
            !checked_add64(offset, alignment - 1, &offset)) {
            buffer->status = fail(LCKV_INTERNAL, "the tensors' sizes overflow");
            return;
        }
        offset -= offset % alignment;
    }
}

/* Prepares for the data of tensor `current`, which come next. */
static void enter_tensor(struct gguf_writer *writer)
{
    writer->left = 0;
    if (writer->current < writer->n_tensors)
        (void)tensor_bytes(&writer->tensors[writer->current], &writer->left);
}

lckv_status gguf_writer_begin(struct gguf_writer *writer, struct output *output,
                              const struct metadata *metadata, const struct gguf_tensor *tensors,
                              size_t n_tensors)
{
    *writer = (struct gguf_writer){
        .output = output, .tensors = tensors, .n_tensors = n_tensors, .alignment = ALIGNMENT};
    for (size_t i = 0; i < n_tensors; i++) {
        if (tensors[i].layout.lanes > 0)
            writer->alignment = PACKED_FILE_ALIGNMENT;
    }
    struct buffer buffer = {.allocator = &output->allocator};
    uint64_t n_metadata = writer->alignment != ALIGNMENT;
    for (size_t i = 0; i < metadata->n_values; i++)
        n_metadata += is_written(&metadata->values[i]);
    put(&buffer, "GGUF", 4);
    put_number(&buffer, GGUF_VERSION, 4);
    put_number(&buffer, n_tensors, 8);
    put_number(&buffer, n_metadata, 8);
    put_metadata(&buffer, metadata, writer->alignment);
    put_tensors(&buffer, tensors, n_tensors, writer->alignment);

    lckv_status status = buffer.status;
    if (status == LCKV_OK)
        status = output_write(output, buffer.bytes, buffer.length);
    memory_free(&output->allocator, buffer.bytes, buffer.capacity, 1);
    if (status == LCKV_OK)
        status = output_pad(output, writer->alignment);
    enter_tensor(writer);
    return status;
}

lckv_status gguf_writer_data(struct gguf_writer *writer, const void *bytes, size_t length)
{
    const uint8_t *piece = bytes;
    while (length > 0) {
        if (writer->current == writer->n_tensors)
            return fail(LCKV_INTERNAL, "GGUF writer: data beyond the last tensor");
        size_t n = length < writer->left ? length : (size_t)writer->left;
        lckv_status status = output_write(writer->output, piece, n);
        piece += n;
        length -= n;
        writer->left -= n;
        if (status == LCKV_OK && writer->left == 0) {
            status = output_pad(writer->output, writer->alignment);
            writer->current++;
            enter_tensor(writer);
        }
        if (status != LCKV_OK)
            return status;
    }
    return LCKV_OK;
}

lckv_status gguf_writer_end(struct gguf_writer *writer)
{
    if (writer->current < writer->n_tensors)
        return fail(LCKV_INTERNAL, "GGUF writer: data of tensor %s are missing",
                    quoted_string(writer->tensors[writer->current].name).text);
    return LCKV_OK;
}
