/*
 * Reads the header of a GGUF file: counts, metadata, tensor infos. It does not look at tensor data.
 * gguf_parts.c puts the files of a model together.
 */
#include "format/gguf.h"

#include "base/status.h"
#include "format/gguf_metadata.h"
#include "format/stand_in.h"

#include <inttypes.h>
#include <string.h>

#define DEFAULT_ALIGNMENT 32
#define MIN_TENSOR_BYTES 25 /* name length, 1 byte of name, n_dims, type, offset */

struct header {
    uint64_t n_tensors;
    uint64_t n_metadata;
};

static lckv_status read_header(struct reader *reader, const struct file *file,
                               struct header *header)
{
    const uint8_t *magic = reader_bytes(reader, 4, "magic");
    lckv_status status = LCKV_OK;
    bool is_gguf = magic == NULL || memcmp(magic, "GGUF", 4) == 0;
    if (!is_gguf)
        status = stand_in_refuse_weights(file);
    if (status != LCKV_OK)
        return status;
    if (!is_gguf)
        return fail(LCKV_BAD_FORMAT, "%s: not a GGUF file: begins with %s, expected \"GGUF\"",
                    reader->what, quoted((const char *)magic, 4).text);
    uint32_t version = reader_u32(reader, "version");
    if (reader->failed)
        return reader_status(reader);
    if (version != 0 && (version & 0xffff) == 0)
        return fail(LCKV_UNSUPPORTED, "%s: big-endian GGUF, expected little-endian", reader->what);
    if (version != 2 && version != 3)
        return fail(LCKV_UNSUPPORTED, "%s: GGUF version %" PRIu32 ", expected 2 or 3", reader->what,
                    version);
    header->n_tensors = reader_u64(reader, "number of tensors");
    header->n_metadata = reader_u64(reader, "number of metadata pairs");
    return reader_status(reader);
}

static lckv_status read_alignment(const struct reader *reader, const struct metadata *metadata,
                                  uint32_t *alignment)
{
    *alignment = DEFAULT_ALIGNMENT;
    lckv_status status = metadata_get_u32(metadata, "general.alignment", alignment, NULL);
    if (status != LCKV_OK)
        return fail_in(status, "%s", reader->what);
    if (*alignment == 0 || (*alignment & (*alignment - 1)) != 0 || *alignment > GGUF_MAX_ALIGNMENT)
        return fail(LCKV_BAD_FORMAT,
                    "%s: general.alignment %" PRIu32 ", expected a power of two up to %d",
                    reader->what, *alignment, GGUF_MAX_ALIGNMENT);
    return LCKV_OK;
}

/* A type that lckv does not know is no failure here: perhaps no layer reads the tensor. */
static lckv_status choose_dtype(struct tensor *tensor, struct arena *arena, uint32_t gguf_type)
{
    const struct dtype_info *info = dtype_from_gguf(gguf_type);
    if (info == NULL)
        info = packed_from_gguf(gguf_type, &tensor->layout);
    const char *type_name = dtype_gguf_name(gguf_type);
    if (info != NULL) {
        tensor->dtype = info->dtype;
        return LCKV_OK;
    }
    tensor->dtype = DTYPE_UNKNOWN;
    if (type_name != NULL)
        return tensor_set_problem(tensor, arena,
                                  "type %s is not supported, expected f32, f16, bf16, q8_0, q4_0, "
                                  "q4_1, q5_0, q5_1, q2_K to q6_K, iq4_nl, iq4_xs or mxfp4",
                                  type_name);
    if (packed_other_version(gguf_type))
        return tensor_set_problem(tensor, arena,
                                  "packed by another version of lckv; pack the original file again "
                                  "(lckv convert --packed)");
    return tensor_set_problem(tensor, arena, "unknown tensor type %" PRIu32, gguf_type);
}

/* Leaves the offset relative to the data section, whose place is not known yet. */
static lckv_status read_tensor(struct reader *reader, struct arena *arena, struct tensor *tensor)
{
    lckv_status status = gguf_read_name(reader, arena, "tensor name", &tensor->name);
    if (status != LCKV_OK)
        return status;
    tensor->n_dims = reader_u32(reader, "tensor n_dims");
    for (uint32_t i = 0; i < TENSOR_MAX_DIMS; i++)
        tensor->shape[i] = 1;
    /* The file gives the innermost dimension first. */
    for (uint32_t i = 0; !reader->failed && i < tensor->n_dims; i++) {
        uint64_t size = reader_u64(reader, "tensor dimension");
        if (tensor->n_dims <= TENSOR_MAX_DIMS)
            tensor->shape[tensor->n_dims - 1 - i] = size;
    }
    uint32_t gguf_type = reader_u32(reader, "tensor type");
    tensor->offset = reader_u64(reader, "tensor offset");
    if (reader->failed)
        return reader_status(reader);
    status = choose_dtype(tensor, arena, gguf_type);
    if (status != LCKV_OK || tensor->problem != NULL)
        return status;
    return tensor_measure(tensor, arena, reader->what);
}

static lckv_status place_tensor(const struct reader *reader, uint32_t alignment,
                                uint64_t data_begin, struct tensor *tensor)
{
    struct quoted name = quoted(tensor->name.bytes, tensor->name.length);
    if (tensor->problem != NULL) {
        tensor->offset = 0; /* its data are never read */
        return LCKV_OK;
    }
    if (tensor->offset % alignment != 0)
        return fail(LCKV_BAD_FORMAT,
                    "%s: tensor %s: offset %" PRIu64
                    ", expected a multiple of the alignment %" PRIu32,
                    reader->what, name.text, tensor->offset, alignment);
    uint64_t offset, end;
    if (!checked_add64(data_begin, tensor->offset, &offset) ||
        !checked_add64(offset, tensor->n_bytes, &end) || end > reader->length)
        return fail(
            LCKV_BAD_FORMAT,
            "%s: tensor %s: %" PRIu64 " bytes at offset %" PRIu64
            " of the data, which begin at byte %" PRIu64 ", end beyond the file's %zu bytes",
            reader->what, name.text, tensor->n_bytes, tensor->offset, data_begin, reader->length);
    tensor->offset = offset;
    return LCKV_OK;
}

static lckv_status read_tensors(struct reader *reader, uint64_t count, uint32_t alignment,
                                struct arena *arena, struct gguf_tensors *tensors)
{
    if (count > GGUF_MAX_TENSORS || count > reader_left(reader) / MIN_TENSOR_BYTES)
        return fail(LCKV_BAD_FORMAT,
                    "%s: claims %" PRIu64
                    " tensors in %zu bytes, expected at most %d of at least %d "
                    "bytes each",
                    reader->what, count, reader_left(reader), GGUF_MAX_TENSORS, MIN_TENSOR_BYTES);
    if (count == 0)
        return LCKV_OK;
    lckv_status status =
        arena_alloc(arena, (size_t)count, sizeof *tensors->list, "tensor infos", &tensors->list);
    if (status != LCKV_OK)
        return status;
    for (uint64_t i = 0; i < count && status == LCKV_OK; i++)
        status = read_tensor(reader, arena, &tensors->list[i]);
    uint64_t data_begin = ((uint64_t)reader->position + alignment - 1) / alignment * alignment;
    for (uint64_t i = 0; i < count && status == LCKV_OK; i++)
        status = place_tensor(reader, alignment, data_begin, &tensors->list[i]);
    tensors->count = (size_t)count;
    return status;
}

lckv_status gguf_read_file(struct checkpoint *checkpoint, uint32_t file, struct metadata *metadata,
                           struct gguf_tensors *tensors)
{
    struct reader reader;
    struct reader_window window;
    struct header header = {0, 0};
    uint32_t alignment = DEFAULT_ALIGNMENT;
    lckv_status status = reader_init_file(&reader, &window, &checkpoint->files[file]);
    if (status == LCKV_OK)
        status = read_header(&reader, &checkpoint->files[file], &header);
    if (status == LCKV_OK)
        status = gguf_read_metadata(&reader, header.n_metadata, metadata);
    if (status == LCKV_OK)
        status = read_alignment(&reader, metadata, &alignment);
    if (status == LCKV_OK)
        status = read_tensors(&reader, header.n_tensors, alignment, &checkpoint->arena, tensors);
    for (size_t i = 0; status == LCKV_OK && i < tensors->count; i++)
        tensors->list[i].file = file;
    return status;
}
