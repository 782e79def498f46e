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

void linear_groups(const struct task *task, const struct matrix *matrix,
                   const struct activations *x, size_t begin, size_t end, float *out, size_t stride)
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

/* The columns of a product that groups [begin, end) make, with their bias. */
static struct range product_groups(const struct task *task, const struct product *product,
                                   const struct activations *x, size_t begin, size_t end)
{
    const struct matrix *matrix = product->matrix;
    size_t group_rows = matrix->layout.group_rows, stride = product->out->stride;
    struct range columns = {begin * group_rows, end * group_rows};
    columns.end = columns.end < matrix->n_rows ? columns.end : matrix->n_rows;
    float *out = product->out->values + columns.begin;
    linear_groups(task, matrix, x, begin, end, out, stride);
    for (size_t m = 0; product->bias != NULL && m < x->n_rows; m++)
        task->pass->model->kernels->add(out + m * stride, product->bias + columns.begin,
                                        columns.end - columns.begin);
    return columns;
}

void linear(struct task *task, const struct activations *x, const struct product *products,
            size_t n_products)
{
    size_t total = 0;
    for (size_t i = 0; i < n_products; i++)
        total += products[i].matrix->size.n_groups;
    struct range claim;
    while (task_claim(task, total, GROUPS_TOGETHER, SIZE_MAX, &claim)) {
        size_t first = 0;
        for (size_t i = 0; i < n_products; i++) {
            size_t n = products[i].matrix->size.n_groups;
            size_t begin = claim.begin > first ? claim.begin - first : 0;
            size_t end = claim.end > first ? claim.end - first : 0;
            end = end < n ? end : n;
            if (begin < end)
                product_groups(task, &products[i], x, begin, end);
            first += n;
        }
    }
}

void linear_swiglu(struct task *task, const struct activations *x, const struct product *gate,
                   const struct product *up, const struct activations *activated)
{
    const struct kernels *kernels = task->pass->model->kernels;
    /* Whole activation blocks, so that each worker prepares what it has computed; in any set they
     * are whole GROUPS_TOGETHER too. */
    size_t align = ACTIVATION_BLOCK / kernels->layout.group_rows;
    size_t n_groups = gate->matrix->size.n_groups, stride = gate->out->stride;
    struct range claim;
    while (task_claim(task, n_groups, align, SIZE_MAX, &claim)) {
        product_groups(task, up, x, claim.begin, claim.end);
        struct range columns = product_groups(task, gate, x, claim.begin, claim.end);
        size_t end = (columns.end + ACTIVATION_BLOCK - 1) / ACTIVATION_BLOCK * ACTIVATION_BLOCK;
        for (size_t m = 0; m < x->n_rows; m++) {
            kernels->swiglu(gate->out->values + m * stride + columns.begin,
                            up->out->values + m * stride + columns.begin,
                            columns.end - columns.begin);
            kernels_prepare(kernels, activated, m, columns.begin, end);
        }
    }
}
