/*
 * Linear layers. See linear.h.
 */
#include "engine/linear.h"

#include "kernels/blas.h"

static bool is_fast(const struct pass *pass)
{
    return pass->model->precision == LCKV_PRECISION_FAST;
}

struct activations linear_input(const struct pass *pass, const struct block *block,
                                const struct stream *stream, const struct product *products,
                                size_t n_products)
{
    struct activations x = {
        .n_rows = pass->n_rows, .stride = block->stride, .values = block->values};
    for (size_t i = 0; i < n_products; i++) {
        const struct matrix *matrix = products[i].matrix;
        enum input_form form = kernels_input(pass->model->kernels, matrix->dtype, is_fast(pass));
        x.int8 = form == INPUT_INT8 ? stream->int8 : x.int8;
        x.bf16 = form == INPUT_BF16 ? stream->bf16 : x.bf16;
    }
    return x;
}

void linear_prepare(const struct pass *pass, const struct activations *x, struct range rows)
{
    for (size_t m = rows.begin; m < rows.end; m++)
        kernels_prepare(pass->model->kernels, x, m, 0, x->stride);
}

void linear_rows(const struct task *task, const struct matrix *matrix, const struct activations *x,
                 size_t begin, size_t end, float *out, size_t stride)
{
    const struct pass *pass = task->pass;
    if (pass->openblas && x->n_rows >= BLAS_MIN_ROWS) {
        struct workspace *w = pass->workspace;
        blas_multiply(matrix, x, begin, end, out, stride,
                      w->blas_scratch + task->worker->index * w->blas_floats);
    } else {
        kernels_multiply(pass->model->kernels, matrix->dtype, is_fast(pass))(matrix, x, begin, end,
                                                                             out, stride);
    }
}

/* Columns of a product, with their bias. */
static void product_columns(const struct task *task, const struct product *product,
                            const struct activations *x, struct range columns)
{
    size_t stride = product->out->stride;
    float *out = product->out->values + columns.begin;
    linear_rows(task, product->matrix, x, columns.begin, columns.end, out, stride);
    for (size_t m = 0; product->bias != NULL && m < x->n_rows; m++)
        task->pass->model->kernels->add(out + m * stride, product->bias + columns.begin,
                                        columns.end - columns.begin);
}

struct weights_bytes linear_first_weights(const struct task *task, const struct matrix *matrix,
                                          size_t most)
{
    const size_t step = packed_row_step(task->pass->model->kernels->layout);
    const struct range share = task_own(task, matrix->n_rows, step);
    const struct packed_size *size = &matrix->size;
    if (share.begin == share.end)
        return (struct weights_bytes){NULL, 0};
    size_t begin = share.begin / size->group_rows * size->group_bytes;
    size_t n = (share.end - share.begin) / size->group_rows * size->group_bytes;
    return (struct weights_bytes){matrix->data + begin, n < most ? n : most};
}

void linear(struct task *task, const struct activations *x, const struct product *products,
            size_t n_products)
{
    /* Claimed one behind the other, each from a step on. */
    const size_t step = packed_row_step(task->pass->model->kernels->layout);
    size_t total = 0;
    for (size_t i = 0; i < n_products; i++)
        total += round_up(products[i].matrix->n_rows, step);
    struct range claim;
    while (task_claim(task, total, step, SIZE_MAX, &claim)) {
        size_t first = 0;
        for (size_t i = 0; i < n_products; i++) {
            size_t n = products[i].matrix->n_rows;
            struct range columns = {claim.begin > first ? claim.begin - first : 0,
                                    claim.end > first ? claim.end - first : 0};
            columns.end = columns.end < n ? columns.end : n;
            if (columns.begin < columns.end)
                product_columns(task, &products[i], x, columns);
            first += round_up(n, step);
        }
    }
}

void linear_swiglu(struct task *task, const struct activations *x, const struct product *gate,
                   const struct product *up, const struct activations *activated)
{
    const struct kernels *kernels = task->pass->model->kernels;
    /* Each worker prepares what it has computed. */
    const size_t step = ACTIVATION_BLOCK;
    _Static_assert(ACTIVATION_BLOCK % PACKED_MAX_GROUP == 0, "blocks are whole groups");
    size_t stride = gate->out->stride;
    struct range columns;
    while (task_claim(task, gate->matrix->n_rows, step, SIZE_MAX, &columns)) {
        product_columns(task, up, x, columns);
        product_columns(task, gate, x, columns);
        size_t end = round_up(columns.end, step);
        for (size_t m = 0; m < x->n_rows; m++) {
            kernels->swiglu(gate->out->values + m * stride + columns.begin,
                            up->out->values + m * stride + columns.begin,
                            columns.end - columns.begin);
            kernels_prepare(kernels, activated, m, columns.begin, end);
        }
    }
}
