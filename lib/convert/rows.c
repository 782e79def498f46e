/*
 * The data of one converted tensor. See rows.h.
 */
#include "convert/rows.h"

#include "base/status.h"
#include "kernels/blocks.h"
#include "kernels/file_rows.h"
#include "model/filling.h"
#include "model/scales.h"

/* The source row that becomes row `row`. */
static uint64_t source_row(const struct rows *rows, uint64_t row)
{
    if (rows->n_own_rows != 0 && row >= rows->n_own_rows)
        return 0;
    if (rows->paired_head_dim != 0)
        return filling_source_row((uint32_t)row, rows->paired_head_dim);
    if (rows->split_head_dim == 0)
        return row;
    uint64_t head_dim = rows->split_head_dim, in_head = row % head_dim;
    return row - in_head + in_head % 2 * (head_dim / 2) + in_head / 2;
}

/* The bytes of a row of the source in the form of files; a vector is one row. */
static size_t row_bytes(const struct tensor *source)
{
    const struct dtype_info *info = dtype_info(source->dtype);
    const uint64_t n_columns = source->shape[source->n_dims - 1];
    return (size_t)(n_columns / info->block_elements * info->block_bytes);
}

/* A strip of a packed source, by itself. */
struct source_strip {
    struct matrix matrix;
    uint32_t number; /* NO_STRIP: none has been read */
};

#define NO_STRIP UINT32_MAX

struct buffers {
    uint8_t *source, *out;
    /* [n_strips], two for each source: rows of both halves of a head come in turns. */
    struct source_strip *strips;
    size_t n_strips;
    float *values, *sum;
    size_t source_bytes, out_bytes, n_columns;
    uint32_t rows_at_once; /* the rows in `out`: those of a packed strip, or 1 */
    struct matrix strip;   /* a packed strip by itself */
};

static void release(struct buffers *b, const lckv_allocator *allocator)
{
    memory_free(allocator, b->source, b->source_bytes, 1);
    memory_free(allocator, b->out, b->rows_at_once, b->out_bytes);
    memory_free(allocator, b->values, b->n_columns, sizeof *b->values);
    memory_free(allocator, b->sum, b->n_columns, sizeof *b->sum);
    matrix_release(&b->strip, allocator);
    for (size_t i = 0; i < b->n_strips; i++)
        matrix_release(&b->strips[i].matrix, allocator);
    memory_free(allocator, b->strips, b->n_strips, sizeof *b->strips);
}

static lckv_status allocate_strips(struct buffers *b, const struct rows *rows,
                                   const lckv_allocator *allocator)
{
    lckv_status status =
        memory_alloc(allocator, 2 * rows->n_sources, sizeof *b->strips, "strips", &b->strips);
    if (status != LCKV_OK)
        return status;
    b->n_strips = 2 * rows->n_sources;
    for (size_t i = 0; status == LCKV_OK && i < b->n_strips; i++) {
        const struct tensor *source = rows->sources[i / 2];
        b->strips[i].number = NO_STRIP;
        if (source->layout.lanes > 0)
            status = matrix_create(&b->strips[i].matrix, source->dtype,
                                   packed_strip_rows(source->dtype, source->layout),
                                   (uint32_t)source->shape[1], source->layout, allocator);
    }
    return status;
}

static lckv_status allocate(struct buffers *b, const struct rows *rows,
                            const struct gguf_tensor *to, const lckv_allocator *allocator)
{
    lckv_status status = memory_alloc(allocator, b->source_bytes, 1, "a row", &b->source);
    if (status == LCKV_OK)
        status = allocate_strips(b, rows, allocator);
    if (status == LCKV_OK)
        status = memory_alloc(allocator, b->rows_at_once, b->out_bytes, "a row", &b->out);
    if (status == LCKV_OK)
        status = memory_alloc(allocator, b->n_columns, sizeof *b->values, "a row", &b->values);
    if (status == LCKV_OK)
        status = memory_alloc(allocator, b->n_columns, sizeof *b->sum, "a row", &b->sum);
    if (status == LCKV_OK && to->layout.lanes > 0)
        status = matrix_create(&b->strip, to->dtype, b->rows_at_once, (uint32_t)b->n_columns,
                               to->layout, allocator);
    return status;
}

/* Reads row `row` of source `s` in the form of files. */
static lckv_status read_row(const struct rows *rows, const struct checkpoint *in, size_t s,
                            uint64_t row, struct buffers *b, uint8_t *bytes)
{
    const struct tensor *source = rows->sources[s];
    if (source->layout.lanes == 0)
        return checkpoint_read(in, source, row * row_bytes(source), bytes, row_bytes(source));
    const uint32_t head = rows->split_head_dim;
    const bool upper_half = head != 0 && row % head >= head / 2;
    struct source_strip *strip = &b->strips[2 * s + upper_half];
    const struct packed_size *size = &strip->matrix.size;
    const uint32_t number = (uint32_t)(row / size->strip_rows);
    if (strip->number != number) {
        lckv_status status = checkpoint_read(in, source, number * (uint64_t)size->strip_bytes,
                                             strip->matrix.owned, size->strip_bytes);
        if (status != LCKV_OK)
            return status;
        strip->number = number;
    }
    matrix_file_row(&strip->matrix, (uint32_t)(row % size->strip_rows), bytes);
    return LCKV_OK;
}

/* Puts the mean of the sources' rows into b->sum as float32: of one source, that row exactly. */
static lckv_status mean_row(const struct rows *rows, const struct checkpoint *in, uint64_t row,
                            struct buffers *b)
{
    for (size_t s = 0; s < rows->n_sources; s++) {
        const struct tensor *source = rows->sources[s];
        float *values = s == 0 ? b->sum : b->values;
        lckv_status status = read_row(rows, in, s, row, b, b->source);
        if (status != LCKV_OK)
            return status;
        scales_dequantize(source, row, b->source, b->n_columns, values);
        for (size_t i = 0; s > 0 && i < b->n_columns; i++)
            b->sum[i] += b->values[i];
    }
    for (size_t i = 0; rows->n_sources > 1 && i < b->n_columns; i++)
        b->sum[i] /= (float)rows->n_sources;
    return LCKV_OK;
}

/* Writes row `row` of a matrix to `out`, in the type of `to`. */
static lckv_status convert_row(const struct rows *rows, const struct checkpoint *in,
                               const struct gguf_tensor *to, uint64_t row, struct buffers *b,
                               uint8_t *out)
{
    uint64_t from = source_row(rows, row);
    if (rows->n_sources == 1 && rows->sources[0]->dtype == to->dtype)
        return read_row(rows, in, 0, from, b, out);
    lckv_status status = mean_row(rows, in, from, b);
    if (status == LCKV_OK)
        blocks_quantize(to->dtype, b->sum, b->n_columns, out);
    return status;
}

/* Writes the next rows: a strip of them, or one. */
static lckv_status write_rows(const struct rows *rows, const struct checkpoint *in,
                              const struct gguf_tensor *to, uint64_t first, struct buffers *b,
                              struct gguf_writer *writer)
{
    const uint8_t *at[PACKED_MAX_STRIP] = {NULL};
    lckv_status status = LCKV_OK;
    for (uint32_t i = 0; status == LCKV_OK && i < b->rows_at_once && first + i < to->shape[0];
         i++) {
        uint8_t *out = b->out + i * b->out_bytes;
        status = convert_row(rows, in, to, first + i, b, out);
        at[i] = out;
    }
    if (status != LCKV_OK)
        return status;
    if (to->layout.lanes == 0)
        return gguf_writer_data(writer, b->out, b->out_bytes);
    matrix_pack_strip(&b->strip, at, b->strip.owned);
    return gguf_writer_data(writer, b->strip.data, b->strip.size.n_bytes);
}

static lckv_status write_matrix(const struct rows *rows, const struct checkpoint *in,
                                const struct gguf_tensor *to, struct buffers *b,
                                struct gguf_writer *writer, rows_progress progress, void *user)
{
    lckv_status status = LCKV_OK;
    for (uint64_t row = 0; status == LCKV_OK && row < to->shape[0]; row += b->rows_at_once) {
        uint64_t left = to->shape[0] - row, n = left < b->rows_at_once ? left : b->rows_at_once;
        status = write_rows(rows, in, to, row, b, writer);
        if (status == LCKV_OK)
            status = progress(user, (size_t)n * b->out_bytes);
    }
    return status;
}

/* A vector is one row, whose elements are put in order as the rows of a matrix are. */
static lckv_status write_vector(const struct rows *rows, const struct checkpoint *in,
                                const struct gguf_tensor *to, struct buffers *b,
                                struct gguf_writer *writer, rows_progress progress, void *user)
{
    lckv_status status = mean_row(rows, in, 0, b);
    if (status != LCKV_OK)
        return status;
    for (size_t i = 0; i < b->n_columns; i++)
        b->values[i] = b->sum[source_row(rows, i)];
    for (size_t i = 0; rows->added != 0 && i < b->n_columns; i++)
        b->values[i] += rows->added;
    blocks_quantize(to->dtype, b->values, b->n_columns, b->out);
    status = gguf_writer_data(writer, b->out, b->out_bytes);
    return status == LCKV_OK ? progress(user, b->out_bytes) : status;
}

/* The sizes of the buffers for one row, or for a strip of them. */
static lckv_status measure(struct buffers *b, const struct rows *rows, const struct gguf_tensor *to)
{
    uint64_t out_bytes;
    b->n_columns = (size_t)(to->n_dims > 1 ? to->shape[1] : to->shape[0]);
    b->rows_at_once = to->layout.lanes > 0 ? packed_strip_rows(to->dtype, to->layout) : 1;
    if (!dtype_bytes(to->dtype, b->n_columns, &out_bytes))
        return fail(LCKV_INTERNAL, "tensor %s: %zu elements are no whole blocks of %s", to->name,
                    b->n_columns, dtype_info(to->dtype)->name);
    b->out_bytes = (size_t)out_bytes;
    for (size_t s = 0; s < rows->n_sources; s++) {
        size_t bytes = row_bytes(rows->sources[s]);
        b->source_bytes = bytes > b->source_bytes ? bytes : b->source_bytes;
    }
    return LCKV_OK;
}

/* One source behind the other. */
static lckv_status write_stack(const struct rows *rows, const struct checkpoint *in,
                               const struct gguf_tensor *to, const lckv_allocator *allocator,
                               struct gguf_writer *writer, rows_progress progress, void *user)
{
    lckv_status status = LCKV_OK;
    for (size_t s = 0; status == LCKV_OK && s < rows->n_sources; s++) {
        const struct rows one = {.sources = &rows->sources[s], .n_sources = 1};
        const struct gguf_tensor part = {.name = to->name,
                                         .dtype = to->dtype,
                                         .n_dims = 2,
                                         .shape = {to->shape[1], to->shape[2], 1, 1}};
        status = rows_write(&one, in, &part, allocator, writer, progress, user);
    }
    return status;
}

lckv_status rows_write(const struct rows *rows, const struct checkpoint *in,
                       const struct gguf_tensor *to, const lckv_allocator *allocator,
                       struct gguf_writer *writer, rows_progress progress, void *user)
{
    if (rows->values != NULL) {
        size_t bytes = (size_t)to->shape[0] * sizeof *rows->values;
        lckv_status status = gguf_writer_data(writer, rows->values, bytes);
        return status == LCKV_OK ? progress(user, bytes) : status;
    }
    if (rows->stacked)
        return write_stack(rows, in, to, allocator, writer, progress, user);
    struct buffers b = {0};
    lckv_status status = measure(&b, rows, to);
    if (status == LCKV_OK)
        status = allocate(&b, rows, to, allocator);
    if (status == LCKV_OK)
        status = to->n_dims > 1 ? write_matrix(rows, in, to, &b, writer, progress, user)
                                : write_vector(rows, in, to, &b, writer, progress, user);
    release(&b, allocator);
    return status;
}
