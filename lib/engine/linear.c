/*
 * The steps that multiply by weights. See linear.h.
 */
#include "engine/linear.h"

#include "engine/laurel.h"
#include "engine/products.h"

#include <math.h>
#include <string.h>

struct weights_bytes linear_first_weights(const struct task *task, const struct matrix *matrix,
                                          size_t most)
{
    const struct range share = task_own(task, matrix->n_rows, products_align(task));
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
    const size_t align = products_align(task);
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
                products_columns(task, products[i].linear, &step.x, columns, products[i].out);
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
    struct products step = products_begin(task, source, &matrix, 1, matrix->n_rows,
                                          products_align(task), matrix->n_rows);
    struct range columns;
    while (products_claim(&step, &columns)) {
        products_columns(task, product->linear, &step.x, columns, out);
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
    struct products step = products_begin(task, source, &matrix, 1, matrix->n_rows,
                                          products_align(task), matrix->n_rows);
    struct range columns;
    while (products_claim(&step, &columns)) {
        products_columns(task, weights, &step.x, columns, delta);
        for (size_t m = 0; weights->norm == NULL && m < step.x.n_rows; m++)
            add_delta(task, m, columns.begin, columns.end);
    }
    step_end(&step.step);
    if (weights->norm != NULL)
        add_normed(task, weights->norm);
    if (weights->laurel != NULL)
        laurel(task, weights->laurel);
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
    struct products step = products_begin(task, source, &matrix, 1, matrix->n_rows,
                                          products_align(task), LOGIT_COLUMNS);
    struct range columns;
    while (products_claim(&step, &columns)) {
        products_multiply(task, matrix, &step.x, columns.begin, columns.end, scratch,
                          LOGIT_COLUMNS);
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
