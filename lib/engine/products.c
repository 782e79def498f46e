/*
 * The products of a step. See products.h.
 */
#include "engine/products.h"

#include "kernels/blas.h"

static bool is_fast(const struct pass *pass)
{
    return pass->model->precision == LCKV_PRECISION_FAST;
}

struct activations products_input(const struct task *task, struct source source,
                                  const struct input *input, const struct matrix *const *matrices,
                                  size_t n)
{
    const struct pass *pass = task->pass;
    const struct buffer *rows = source.norm != NULL ? &input->x : source.buffer;
    struct activations x = {
        .n_rows = task->batch->n_rows, .stride = rows->stride, .values = rows->values};
    for (size_t i = 0; i < n; i++) {
        enum input_form form =
            kernels_input(pass->model->kernels, matrices[i]->dtype, is_fast(pass));
        x.columns = round_up(matrices[i]->n_columns, ACTIVATION_BLOCK); /* the same for all */
        x.int8 = form == INPUT_INT8 ? input->int8 : x.int8;
        x.bf16 = form == INPUT_BF16 ? input->bf16 : x.bf16;
    }
    return x;
}

static void prepare_row(const struct products *products, size_t m)
{
    const struct lckv_model *model = products->step.task->pass->model;
    const struct source *source = &products->source;
    const struct buffer *x = &products->input->x;
    if (source->norm != NULL)
        model->kernels->rms_norm(source->buffer->values + m * source->buffer->stride, source->norm,
                                 model->hparams.rms_norm_eps, model->hparams.hidden_size,
                                 x->values + m * x->stride);
    kernels_prepare(model->kernels, &products->x, m, 0, products->n_columns);
}

struct products products_begin(struct task *task, struct source source,
                               const struct matrix *const *matrices, size_t n_matrices,
                               size_t count, size_t align, size_t most)
{
    const struct pass *pass = task->pass;
    const struct workspace *w = pass->workspace;
    struct products products = {.source = source};
    for (size_t i = 0; i < n_matrices; i++)
        products.n_columns = matrices[i]->n_columns; /* the same for all */
    products.input = source.prepared != NULL ? source.prepared
                     : pass->few             ? &w->own[task->worker->index]
                                             : &w->shared;
    products.x = products_input(task, source, products.input, matrices, n_matrices);
    products.prepared = source.prepared != NULL;
    if (!products.prepared && !pass->few) {
        struct range rows;
        products.step = step_begin(task, products.x.n_rows, 1, SIZE_MAX);
        while (step_claim(&products.step, &rows)) {
            for (size_t m = rows.begin; m < rows.end; m++)
                prepare_row(&products, m);
        }
        step_end(&products.step);
        products.prepared = true;
    }
    products.step = step_begin(task, count, align, most);
    return products;
}

bool products_claim(struct products *products, struct range *columns)
{
    if (!step_claim(&products->step, columns))
        return false;
    for (size_t m = 0; !products->prepared && m < products->x.n_rows; m++)
        prepare_row(products, m);
    products->prepared = true;
    return true;
}

void products_multiply(const struct task *task, const struct matrix *matrix,
                       const struct activations *x, size_t begin, size_t end, float *out,
                       size_t stride)
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

void products_columns(const struct task *task, const struct linear *linear,
                      const struct activations *x, struct range columns, const struct buffer *out)
{
    float *to = out->values + columns.begin;
    products_multiply(task, &linear->matrix, x, columns.begin, columns.end, to, out->stride);
    for (size_t m = 0; linear->bias != NULL && m < x->n_rows; m++)
        task->pass->model->kernels->add(to + m * out->stride, linear->bias + columns.begin,
                                        columns.end - columns.begin);
}

size_t products_align(const struct task *task)
{
    return packed_row_step(task->pass->model->kernels->layout);
}
