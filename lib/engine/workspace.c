/*
 * The layout of the workspace. See workspace.h.
 */
#include "engine/workspace.h"

#include "base/status.h"
#include "engine/movement.h"
#include "kernels/blas.h"

#include <math.h>

struct carver {
    uint8_t *memory;
    size_t used;
    bool overflow;
};

/* The next `count` x `size` bytes, aligned; NULL when only measuring. */
static void *carve(struct carver *carver, size_t count, size_t size)
{
    size_t bytes, end;
    if (!checked_multiply(count, size, &bytes) ||
        !checked_add(bytes, (size_t)(MEMORY_ALIGN - 1), &bytes) ||
        !checked_add(carver->used, bytes / MEMORY_ALIGN * MEMORY_ALIGN, &end)) {
        carver->overflow = true;
        return NULL;
    }
    void *at = carver->memory != NULL ? carver->memory + carver->used : NULL;
    carver->used = end;
    return at;
}

/* Rows are padded to whole activation blocks, which are whole weight strips too. */
static struct buffer carve_buffer(struct carver *carver, size_t rows, size_t columns)
{
    size_t stride = round_up(columns, ACTIVATION_BLOCK);
    struct buffer buffer = {.stride = stride};
    buffer.values = carve(carver, rows * stride, sizeof(float));
    return buffer;
}

static size_t larger(size_t a, size_t b)
{
    return a > b ? a : b;
}

/* Panels for inputs of any product up to `columns`, in the forms that the precision may read. */
static void carve_panels(struct carver *carver, const struct lckv_model *model, size_t rows,
                         size_t columns, struct input *input)
{
    size_t n_blocks = (columns + ACTIVATION_BLOCK - 1) / ACTIVATION_BLOCK;
    bool fast = model->precision == LCKV_PRECISION_FAST;
    bool bf16 = fast && model->kernels->multiply_bf16 != NULL;
    input->int8 = fast ? carve(carver, rows * n_blocks, INT8_BLOCK_BYTES) : NULL;
    input->bf16 = bf16 ? carve(carver, rows * n_blocks, BF16_BLOCK_BYTES) : NULL;
}

static void carve_input(struct carver *carver, const struct lckv_model *model, size_t rows,
                        struct input *input)
{
    const struct hparams *h = &model->hparams;
    input->x = carve_buffer(carver, rows, h->hidden_size);
    carve_panels(carver, model, rows,
                 larger((size_t)h->n_heads * h->widest.head_dim,
                        larger(h->hidden_size, larger(h->layer_input_size, h->laurel_rank))),
                 input);
}

static struct rotation carve_rotations(struct carver *carver, const struct lckv_model *model,
                                       size_t rows)
{
    struct rotation rotations;
    rotations.cosines = carve(carver, rows * model->n_pairs, sizeof(float));
    rotations.sines = carve(carver, rows * model->n_pairs, sizeof(float));
    return rotations;
}

/* The most elements that the keys of a layer have. */
static size_t widest_kv(const struct hparams *h)
{
    size_t most = 0;
    for (uint32_t i = 0; i < h->n_layers; i++)
        most = larger(most, (size_t)h->layers[i].n_kv_heads * h->layers[i].head_dim);
    return most;
}

/* The floats of a row of the residual stream: with side streams, these and a copy of it. */
static size_t hidden_floats(const struct hparams *h, size_t stream_stride)
{
    return h->n_side_streams > 0 ? (h->n_side_streams + 2) * stream_stride : h->hidden_size;
}

/* The floats of a row between two stages. */
static size_t kept_floats(const struct hparams *h, size_t stream_stride)
{
    return round_up(hidden_floats(h, stream_stride), ACTIVATION_BLOCK) +
           round_up((size_t)h->n_layers * h->layer_input_size, ACTIVATION_BLOCK);
}

/* Carves all members of the workspace, in the order in which they stand. */
static void carve_all(struct carver *carver, struct workspace *w, const struct lckv_model *model,
                      uint32_t max_rows, uint32_t max_logit_rows, bool sinks, uint32_t n_threads)
{
    const struct hparams *h = &model->hparams;
    const uint32_t head_dim = h->widest.head_dim, intermediate_size = h->widest.intermediate_size;
    size_t n_query = (size_t)h->n_heads * head_dim, n_kv = widest_kv(h);
    size_t widest = larger(larger(intermediate_size, n_query),
                           larger(h->hidden_size, larger(h->layer_input_size, h->laurel_rank)));
    w->rows = carve(carver, max_rows, sizeof *w->rows);
    w->wanted_rows = carve(carver, max_rows, sizeof *w->wanted_rows);
    w->slices = carve(carver, max_rows, sizeof *w->slices);
    w->wanted_slices = carve(carver, max_rows, sizeof *w->wanted_slices);
    w->claims = carve(carver, n_threads, sizeof *w->claims);
    w->step = carve(carver, 1, sizeof *w->step);
    w->stream_stride = round_up(h->hidden_size, ACTIVATION_BLOCK);
    w->hidden = carve_buffer(carver, max_rows, hidden_floats(h, w->stream_stride));
    carve_input(carver, model, max_rows, &w->shared);
    w->own = carve(carver, n_threads, sizeof *w->own);
    for (uint32_t t = 0; t < n_threads; t++) {
        struct input own;
        carve_input(carver, model, FEW_ROWS, &own);
        if (w->own != NULL)
            w->own[t] = own;
    }
    if (model->plan->n_upward > 0)
        w->kept = carve_buffer(carver, max_rows, kept_floats(h, w->stream_stride));
    w->n_movements = movement_heads(model);
    w->movements = carve(carver, max_rows * w->n_movements, sizeof *w->movements);
    w->q = carve_buffer(carver, max_rows, n_query);
    w->k = carve_buffer(carver, max_rows, n_kv);
    w->v = carve_buffer(carver, max_rows, n_kv);
    w->attended = carve_buffer(carver, max_rows, n_query);
    w->delta = carve_buffer(carver, max_rows, h->hidden_size);
    w->gate = carve_buffer(carver, max_rows, intermediate_size);
    w->up = carve_buffer(carver, max_rows, intermediate_size);
    if (h->layer_input_size > 0) {
        w->inputs = carve_buffer(carver, max_rows, (size_t)h->n_layers * h->layer_input_size);
        w->input_gate = carve_buffer(carver, max_rows, h->layer_input_size);
        w->input_row = carve(carver, w->inputs.stride * n_threads, sizeof(float));
    }
    if (h->laurel_rank > 0)
        w->laurel = carve_buffer(carver, max_rows, h->laurel_rank);
    carve_panels(carver, model, max_rows, intermediate_size, &w->activated);
    w->n_pairs = model->n_pairs;
    w->rotations = carve_rotations(carver, model, max_rows);
    if (sinks) {
        w->sink_rotation = carve_rotations(carver, model, 1);
        w->sink_floats = KV_MAX_QUERIES * attend_partial_floats(head_dim);
        w->sink_partials = carve(carver, w->sink_floats * n_threads, sizeof(float));
    }
    w->logits = carve(carver, (size_t)max_logit_rows * h->n_vocab, sizeof(float));
    w->logit_floats = (size_t)max_rows * LOGIT_COLUMNS;
    w->logit_scratch = carve(carver, w->logit_floats * n_threads, sizeof(float));
    w->attend_floats = (attend_scratch_floats(head_dim) + 15) / 16 * 16;
    w->attend_scratch = carve(carver, w->attend_floats * n_threads, sizeof(float));
    w->rotated_floats = (size_t)KV_MAX_QUERIES * head_dim;
    w->rotated = carve(carver, w->rotated_floats * n_threads, sizeof(float));
    if (n_threads > 1) {
        w->partials = carve(carver, MOST_PARTIALS * h->n_heads * attend_partial_floats(head_dim),
                            sizeof(float));
        w->partials_done =
            carve(carver, (size_t)FEW_ROWS * h->widest.n_kv_heads, sizeof *w->partials_done);
    }
    if (model->use_openblas) {
        w->blas_floats = (BLAS_ROWS * widest + 15) / 16 * 16;
        w->blas_scratch = carve(carver, w->blas_floats * n_threads, sizeof(float));
    }
}

lckv_status workspace_measure(const struct lckv_model *model, const lckv_cache_options *options,
                              uint32_t n_threads, size_t *n_bytes)
{
    struct carver carver = {.memory = NULL};
    struct workspace measured = {0};
    carve(&carver, 1, sizeof measured);
    carve_all(&carver, &measured, model, options->max_rows,
              CACHE_LOGIT_SETS * options->max_logit_rows, options->context_window > 0, n_threads);
    if (carver.overflow)
        return fail(LCKV_OUT_OF_MEMORY, "max_rows %u and max_logit_rows %u need too much scratch",
                    options->max_rows, options->max_logit_rows);
    *n_bytes = carver.used;
    return LCKV_OK;
}

void rotation_compute(const struct lckv_model *model, uint64_t position, struct rotation rotation)
{
    for (uint32_t r = 0; r < model->hparams.n_ropes; r++) {
        const struct rope *rope = &model->ropes[r];
        for (size_t d = 0; d < rope->n_pairs; d++) {
            double angle = (double)position * rope->frequencies[d];
            rotation.cosines[rope->first + d] = (float)(cos(angle) * rope->magnitude);
            rotation.sines[rope->first + d] = (float)(sin(angle) * rope->magnitude);
        }
    }
}

void workspace_place(struct lckv_cache *cache)
{
    const uint32_t context_window = cache->paging.windows.context;
    struct carver carver = {.memory = cache->scratch};
    struct workspace *w = carve(&carver, 1, sizeof *w);
    *w = (struct workspace){0};
    carve_all(&carver, w, cache->model, cache->max_rows, CACHE_LOGIT_SETS * cache->max_logit_rows,
              context_window > 0, pool_size(cache->pool));
    if (context_window > 0)
        rotation_compute(cache->model, context_window - 1, w->sink_rotation);
}
