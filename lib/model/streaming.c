/*
 * Streamed weights, from tensors to portions. See streaming.h.
 */
#include "model/streaming.h"

#include "base/status.h"

#define LAYER_MATRICES 7
#define LEAST_PART_BYTES ((size_t)64 << 10) /* of a part of the output matrix */
#define MOST_BETWEEN ((uint64_t)1 << 20)    /* bytes of norms, biases and padding in a layer */

lckv_status streaming_begin(struct streaming *streaming, struct lckv_model *model)
{
    *streaming = (struct streaming){.model = model};
    return arena_alloc(&model->arena, (size_t)LAYER_MATRICES * model->hparams.n_layers,
                       sizeof *streaming->matrices, "the layers", &streaming->matrices);
}

static lckv_status check_packed(const struct lckv_model *model, const struct tensor *tensor)
{
    const char *path = model->checkpoint.name;
    const char *name = quoted(tensor->name.bytes, tensor->name.length).text;
    bool packed = tensor->layout.lanes > 0;
    if (!packed)
        return fail(LCKV_UNSUPPORTED,
                    "%s: not packed; streamed weights are read as kernels use them, so make a "
                    "packed file and open that: lckv convert %s packed.gguf --packed --kernel-set "
                    "%s",
                    path, path, model->kernels->name);
    if (!packed_same(tensor->dtype, tensor->layout, model->kernels->layout))
        return fail(LCKV_UNSUPPORTED,
                    "%s: packed for another kernel set; streamed weights are read as kernels use "
                    "them, so pack the original again: lckv convert ORIGINAL packed.gguf --packed "
                    "--kernel-set %s",
                    path, model->kernels->name);
    if (tensor->file != 0)
        return fail(LCKV_UNSUPPORTED,
                    "%s: tensor %s is in %s; streamed weights must be in one file, so pack the "
                    "original again (lckv convert --packed)",
                    path, name, model->checkpoint.files[tensor->file].name);
    if (tensor->offset % PACKED_ALIGNMENT != 0)
        return fail(LCKV_BAD_FORMAT,
                    "%s: tensor %s: begins at byte %llu, expected a multiple of %d", path, name,
                    (unsigned long long)tensor->offset, PACKED_ALIGNMENT);
    return LCKV_OK;
}

lckv_status streaming_add(struct streaming *streaming, enum weight weight, uint32_t layer,
                          const struct tensor *tensor, struct matrix *matrix)
{
    struct lckv_model *model = streaming->model;
    lckv_status status = check_packed(model, tensor);
    if (status == LCKV_OK)
        status = matrix_view(matrix, tensor->dtype, (uint32_t)tensor->shape[0],
                             (uint32_t)tensor->shape[1], model->kernels->layout, NULL);
    if (status != LCKV_OK)
        return status;
    model->weight_bytes += matrix->size.n_bytes;
    if (weight == WEIGHT_TOKEN_EMBEDDING)
        streaming->embedding = tensor;
    else if (weight == WEIGHT_OUTPUT)
        streaming->output = tensor;
    else
        streaming->matrices[streaming->n++] =
            (struct streamed_matrix){matrix, layer, tensor->offset};
    return LCKV_OK;
}

/* The first byte that is read for data at `offset`. */
static uint64_t begin_of(uint64_t offset)
{
    return offset - offset % DIRECT_ALIGNMENT;
}

/*
 * The portion of a layer is all that lies between the first and the last of its matrices. `next` is
 * the first of these in the list, and becomes that of the next layer.
 */
static lckv_status place_layer(const struct streaming *streaming, uint32_t layer, size_t *next,
                               struct portion *portion)
{
    uint64_t begin = UINT64_MAX, end = 0, used = 0;
    for (; *next < streaming->n && streaming->matrices[*next].layer == layer; ++*next) {
        const struct streamed_matrix *m = &streaming->matrices[*next];
        const size_t n_bytes = m->matrix->size.n_bytes;
        begin = m->offset < begin ? m->offset : begin;
        end = m->offset + n_bytes > end ? m->offset + n_bytes : end;
        used += n_bytes;
    }
    if (end - begin > used + used / 8 + MOST_BETWEEN)
        return fail(LCKV_UNSUPPORTED,
                    "%s: the weights of layer %u do not lie together, so they cannot be streamed; "
                    "pack the original again (lckv convert --packed)",
                    streaming->model->checkpoint.name, layer);
    *portion = (struct portion){begin_of(begin), (size_t)(end - begin_of(begin))};
    return LCKV_OK;
}

/* The bytes of the largest layer. */
static lckv_status largest_layer(const struct streaming *streaming, size_t *most)
{
    struct portion portion = {0};
    lckv_status status = LCKV_OK;
    size_t next = 0;
    *most = 0;
    for (uint32_t i = 0; status == LCKV_OK && i < streaming->model->hparams.n_layers; i++) {
        status = place_layer(streaming, i, &next, &portion);
        *most = portion.n_bytes > *most ? portion.n_bytes : *most;
    }
    return status;
}

/* How the output matrix is cut: parts of `rows` rows and `bytes` bytes; the last has the rest. */
struct cut {
    uint32_t n, rows;
    size_t bytes;
};

/* Parts are whole strips, and no larger than the largest layer. */
static struct cut cut_output(const struct matrix *whole, size_t largest)
{
    const uint32_t step = packed_row_step(whole->layout);
    const size_t step_bytes = step / whole->size.strip_rows * whole->size.strip_bytes;
    const size_t most = largest > LEAST_PART_BYTES ? largest : LEAST_PART_BYTES;
    const size_t n_all = (whole->n_rows + step - 1) / step;
    size_t n_steps = (most - DIRECT_ALIGNMENT) / step_bytes;
    n_steps = n_steps > n_all ? n_all : n_steps > 0 ? n_steps : 1;
    return (struct cut){(uint32_t)((n_all + n_steps - 1) / n_steps), (uint32_t)n_steps * step,
                        n_steps * step_bytes};
}

static lckv_status place_output(const struct streaming *streaming, const struct matrix *whole,
                                const struct cut *cut, struct portion *portions)
{
    const struct tensor *tensor =
        streaming->output != NULL ? streaming->output : streaming->embedding;
    lckv_status status = LCKV_OK;
    for (uint32_t i = 0; status == LCKV_OK && i < cut->n; i++) {
        struct output_part *part = &streaming->model->outputs[i];
        const uint32_t first = i * cut->rows, left = whole->n_rows - first;
        const uint64_t begin = tensor->offset + (uint64_t)i * cut->bytes;
        part->first_row = first;
        status = matrix_view(&part->matrix, whole->dtype, left < cut->rows ? left : cut->rows,
                             whole->n_columns, whole->layout, NULL);
        portions[i].offset = begin_of(begin);
        portions[i].n_bytes = (size_t)(begin % DIRECT_ALIGNMENT) + part->matrix.size.n_bytes;
    }
    return status;
}

/* Cuts the model into portions, which are those of the layers and of the output matrix. */
static lckv_status make_portions(const struct streaming *streaming, struct ring_parts *parts,
                                 size_t *most)
{
    struct lckv_model *model = streaming->model;
    const uint32_t n_layers = model->hparams.n_layers;
    const struct matrix whole =
        streaming->output != NULL ? model->outputs[0].matrix : model->token_embedding;
    struct portion *portions = NULL;
    struct cut cut = {0};
    lckv_status status = largest_layer(streaming, most);
    if (status == LCKV_OK) {
        cut = cut_output(&whole, *most);
        status = arena_alloc(&model->arena, (size_t)n_layers + cut.n, sizeof *portions,
                             "the layers", &portions);
    }
    if (status == LCKV_OK)
        status = arena_alloc(&model->arena, cut.n, sizeof *model->outputs, "the output matrix",
                             &model->outputs);
    model->n_outputs = cut.n;
    size_t next = 0;
    for (uint32_t i = 0; status == LCKV_OK && i < n_layers; i++)
        status = place_layer(streaming, i, &next, &portions[i]);
    if (status == LCKV_OK)
        status = place_output(streaming, &whole, &cut, portions + n_layers);
    for (uint32_t i = 0; status == LCKV_OK && i < cut.n; i++)
        *most = portions[n_layers + i].n_bytes > *most ? portions[n_layers + i].n_bytes : *most;
    parts->portions = portions;
    parts->n_portions = n_layers + cut.n;
    return status;
}

/* The places that the caller's bytes suffice for, but no more than there are portions. */
static lckv_status count_places(struct ring_parts *parts, size_t most, uint64_t ring_bytes)
{
    const uint64_t place = weight_ring_place_bytes(most);
    const uint64_t fixed = weight_ring_row_bytes(parts->row_bytes);
    uint64_t n = ring_bytes > fixed ? (ring_bytes - fixed) / place : 0;
    if (ring_bytes == 0)
        n = RING_DEFAULT_PLACES;
    if (n < RING_LEAST_PLACES)
        return fail(LCKV_INVALID_ARGUMENT,
                    "stream_bytes is %llu; expected at least %llu, for two layers of up to %zu "
                    "bytes",
                    (unsigned long long)ring_bytes,
                    (unsigned long long)(fixed + RING_LEAST_PLACES * place), most);
    parts->n_places = n < parts->n_portions ? (uint32_t)n : parts->n_portions;
    return LCKV_OK;
}

lckv_status streaming_end(struct streaming *streaming, uint64_t ring_bytes)
{
    struct lckv_model *model = streaming->model;
    const uint32_t n_layers = model->hparams.n_layers;
    struct ring_parts parts = {.n_layers = model->plan->n_layers,
                               .file = &model->checkpoint.files[0],
                               .row_bytes = model->token_embedding.size.strip_bytes,
                               .patience = RING_PATIENCE};
    size_t most;
    lckv_status status = make_portions(streaming, &parts, &most);
    if (status == LCKV_OK)
        status = count_places(&parts, most, ring_bytes);
    if (status == LCKV_OK)
        status = weight_ring_create(&parts, &model->arena, &model->allocator, &model->ring);
    if (status != LCKV_OK)
        return status;
    const uint8_t *place = weight_ring_places(model->ring);
    for (size_t i = 0; i < streaming->n; i++) {
        const struct streamed_matrix *m = &streaming->matrices[i];
        m->matrix->data = place + (m->offset - parts.portions[m->layer].offset);
    }
    for (uint32_t i = 0; i < model->n_outputs; i++) {
        struct matrix *matrix = &model->outputs[i].matrix;
        matrix->data = place + (parts.portions[n_layers + i].n_bytes - matrix->size.n_bytes);
    }
    const struct matrix *embedding = &model->token_embedding;
    model->embedding_offset = streaming->embedding->offset;
    return matrix_view(&model->embedding_strip, embedding->dtype, embedding->size.strip_rows,
                       embedding->n_columns, embedding->layout, NULL);
}

bool streaming_embed(const struct lckv_model *model, lckv_token token, const _Atomic int *cancelled,
                     float *values)
{
    struct matrix strip = model->embedding_strip;
    const uint64_t offset =
        model->embedding_offset + (uint32_t)token / strip.n_rows * strip.size.strip_bytes;
    if (!weight_ring_read(model->ring, offset, strip.size.strip_bytes, cancelled, &strip.data))
        return false;
    matrix_unpack_row(&strip, (uint32_t)token % strip.n_rows, values);
    return true;
}
