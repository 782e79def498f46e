/*
 * The steps that multiply by weights. See linear.h.
 */
#include "engine/linear.h"

#include "kernels/blas.h"

#include <math.h>
#include <string.h>

/* ---- The rows that a step multiplies ---- */

/* A step that computes products of one source. */
struct products {
    struct step step;
    struct source source;
    const struct input *input; /* where the forms of its rows lie */
    struct activations x;
    size_t n_columns; /* of the source's rows */
    bool prepared;
};

static bool is_fast(const struct pass *pass)
{
    return pass->model->precision == LCKV_PRECISION_FAST;
}

/* The source's rows for `n` matrices, in every form that one of them reads. */
static struct activations activations(const struct task *task, struct source source,
                                      const struct input *input,
                                      const struct matrix *const *matrices, size_t n)
{
    const struct pass *pass = task->pass;
    const struct buffer *rows = source.norm != NULL ? &input->x : source.buffer;
    struct activations x = {
        .n_rows = task->batch->n_rows, .stride = rows->stride, .values = rows->values};
    for (size_t i = 0; i < n; i++) {
        enum input_form form =
            kernels_input(pass->model->kernels, matrices[i]->dtype, is_fast(pass));
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

/*
 * Begins a step that claims `count` columns of the products by `matrices`. Many rows are prepared
 * in a step of their own before it. A few rows are prepared by each worker for itself, when it has
 * claimed its first columns: that costs less than another step.
 */
static struct products products_begin(struct task *task, struct source source,
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
    products.x = activations(task, source, products.input, matrices, n_matrices);
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

static bool products_claim(struct products *products, struct range *columns)
{
    if (!step_claim(&products->step, columns))
        return false;
    for (size_t m = 0; !products->prepared && m < products->x.n_rows; m++)
        prepare_row(products, m);
    products->prepared = true;
    return true;
}

/* ---- Products ---- */

/* Multiplies all rows of x by weight rows [begin, end), as a multiply_function does. */
static void multiply(const struct task *task, const struct matrix *matrix,
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

/* Computes columns of linear(x), with the bias, into `out`. */
static void multiply_columns(const struct task *task, const struct linear *linear,
                             const struct activations *x, struct range columns,
                             const struct buffer *out)
{
    float *to = out->values + columns.begin;
    multiply(task, &linear->matrix, x, columns.begin, columns.end, to, out->stride);
    for (size_t m = 0; linear->bias != NULL && m < x->n_rows; m++)
        task->pass->model->kernels->add(to + m * out->stride, linear->bias + columns.begin,
                                        columns.end - columns.begin);
}

/* Columns are claimed in multiples of this. */
static size_t column_step(const struct task *task)
{
    return packed_row_step(task->pass->model->kernels->layout);
}

struct weights_bytes linear_first_weights(const struct task *task, const struct matrix *matrix,
                                          size_t most)
{
    const struct range share = task_own(task, matrix->n_rows, column_step(task));
    const struct packed_size *size = &matrix->size;
    if (share.begin == share.end)
        return (struct weights_bytes){NULL, 0};
    size_t begin = share.begin / size->strip_rows * size->strip_bytes;
    size_t n = (share.end - share.begin) / size->strip_rows * size->strip_bytes;
    return (struct weights_bytes){matrix->data + begin, n < most ? n : most};
}

void linear(struct task *task, struct source source, const struct product *products,
            size_t n_products)
{
    /* The products' columns are claimed as if they stood one behind the other. */
    const size_t align = column_step(task);
    const struct matrix *matrices[LINEAR_MAX_PRODUCTS];
    size_t total = 0;
    for (size_t i = 0; i < n_products; i++) {
        matrices[i] = &products[i].linear->matrix;
        total += round_up(matrices[i]->n_rows, align);
    }
    struct products step = products_begin(task, source, matrices, n_products, total, align, total);
    struct range claim;
    while (products_claim(&step, &claim)) {
        size_t first = 0;
        for (size_t i = 0; i < n_products; i++) {
            size_t n = matrices[i]->n_rows;
            struct range columns = {claim.begin > first ? claim.begin - first : 0,
                                    claim.end > first ? claim.end - first : 0};
            columns.end = columns.end < n ? columns.end : n;
            if (columns.begin < columns.end)
                multiply_columns(task, products[i].linear, &step.x, columns, products[i].out);
            first += round_up(n, align);
        }
    }
    step_end(&step.step);
}

void linear_gate(struct task *task, struct source source, const struct product *product,
                 const struct buffer *factors)
{
    const struct lckv_model *model = task->pass->model;
    const struct matrix *matrix = &product->linear->matrix;
    const struct buffer *out = product->out;
    struct products step =
        products_begin(task, source, &matrix, 1, matrix->n_rows, column_step(task), matrix->n_rows);
    struct range columns;
    while (products_claim(&step, &columns)) {
        multiply_columns(task, product->linear, &step.x, columns, out);
        for (size_t m = 0; m < step.x.n_rows; m++)
            model->kernels->gate[model->hparams.architecture->activation](
                out->values + m * out->stride + columns.begin,
                factors->values + m * factors->stride + columns.begin, columns.end - columns.begin);
    }
    step_end(&step.step);
}

/* Adds numbers of `delta` to row m of the residual stream. */
static void add_delta(const struct task *task, size_t m, size_t begin, size_t end)
{
    const struct lckv_model *model = task->pass->model;
    const struct workspace *w = task->pass->workspace;
    const float scale = model->hparams.scales[SCALE_RESIDUAL];
    float *delta = w->delta.values + m * w->delta.stride;
    for (size_t i = begin; scale != 1 && i < end; i++)
        delta[i] *= scale;
    model->kernels->add(w->hidden.values + m * w->hidden.stride + begin, delta + begin,
                        end - begin);
}

/* Adds `delta` after a norm, which needs whole rows. */
static void add_normed(struct task *task, const float *norm)
{
    const struct lckv_model *model = task->pass->model;
    const struct buffer *delta = &task->pass->workspace->delta;
    const size_t n = model->hparams.hidden_size;
    struct step step = step_begin(task, task->batch->n_rows, 1, SIZE_MAX);
    struct range rows;
    while (step_claim(&step, &rows)) {
        for (size_t m = rows.begin; m < rows.end; m++) {
            float *row = delta->values + m * delta->stride;
            model->kernels->rms_norm(row, norm, model->hparams.rms_norm_eps, n, row);
            add_delta(task, m, 0, n);
        }
    }
    step_end(&step);
}

void add_back(struct task *task, struct source source, const struct linear *weights)
{
    const struct matrix *matrix = &weights->matrix;
    const struct buffer *delta = &task->pass->workspace->delta;
    struct products step =
        products_begin(task, source, &matrix, 1, matrix->n_rows, column_step(task), matrix->n_rows);
    struct range columns;
    while (products_claim(&step, &columns)) {
        multiply_columns(task, weights, &step.x, columns, delta);
        for (size_t m = 0; weights->norm == NULL && m < step.x.n_rows; m++)
            add_delta(task, m, columns.begin, columns.end);
    }
    step_end(&step.step);
    if (weights->norm != NULL)
        add_normed(task, weights->norm);
}

void gated(struct task *task, struct source source, const struct model_layer *weights)
{
    const struct kernels *kernels = task->pass->model->kernels;
    const struct workspace *w = task->pass->workspace;
    const struct buffer *gate = &w->gate, *up = &w->up;
    void (*gate_function)(float *, const float *, size_t) =
        kernels->gate[task->pass->model->hparams.architecture->activation];
    const struct matrix *matrices[] = {&weights->gate.matrix, &weights->up.matrix};
    const struct matrix *next = &weights->down.matrix;
    const struct activations activated =
        activations(task, (struct source){.buffer = gate}, &w->activated, &next, 1);
    /* Each worker prepares whole blocks of what it has computed. */
    _Static_assert(ACTIVATION_BLOCK % PACKED_MAX_STRIP == 0, "blocks are whole strips");
    struct products step = products_begin(task, source, matrices, 2, matrices[0]->n_rows,
                                          ACTIVATION_BLOCK, matrices[0]->n_rows);
    struct range columns;
    while (products_claim(&step, &columns)) {
        multiply_columns(task, &weights->up, &step.x, columns, up);
        multiply_columns(task, &weights->gate, &step.x, columns, gate);
        for (size_t m = 0; m < step.x.n_rows; m++) {
            gate_function(gate->values + m * gate->stride + columns.begin,
                          up->values + m * up->stride + columns.begin, columns.end - columns.begin);
            kernels_prepare(kernels, &activated, m, columns.begin, columns.end);
        }
    }
    step_end(&step.step);
}

/* The scale and the soft cap that a recipe may have for logits. */
static void finish_logits(const struct hparams *h, float *logits, size_t n)
{
    const float divisor = h->scales[SCALE_LOGITS], cap = h->scales[SCALE_SOFTCAP];
    for (size_t i = 0; divisor != 1 && i < n; i++)
        logits[i] /= divisor;
    for (size_t i = 0; cap != 0 && i < n; i++)
        logits[i] = cap * tanhf(logits[i] / cap);
}

void logits(struct task *task, struct source source, const struct output_part *part)
{
    struct workspace *w = task->pass->workspace;
    const struct matrix *matrix = &part->matrix;
    float *scratch = w->logit_scratch + task->worker->index * w->logit_floats;
    _Static_assert(LOGIT_COLUMNS % PACKED_MAX_STRIP == 0, "the scratch has room for whole strips");
    _Static_assert(HPARAMS_MAX_VOCAB / TASK_MOST_PIECES < LOGIT_COLUMNS,
                   "a piece fits the scratch");
    struct products step =
        products_begin(task, source, &matrix, 1, matrix->n_rows, column_step(task), LOGIT_COLUMNS);
    struct range columns;
    while (products_claim(&step, &columns)) {
        multiply(task, matrix, &step.x, columns.begin, columns.end, scratch, LOGIT_COLUMNS);
        for (size_t m = 0; m < step.x.n_rows; m++) {
            const size_t n = columns.end - columns.begin;
            if (task->batch->rows[m].logits == NULL)
                continue;
            finish_logits(&task->pass->model->hparams, scratch + m * LOGIT_COLUMNS, n);
            memcpy(task->batch->rows[m].logits + part->first_row + columns.begin,
                   scratch + m * LOGIT_COLUMNS, n * sizeof(float));
        }
    }
    step_end(&step.step);
}
