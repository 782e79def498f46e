/*
 * The first half of the MLP: its gates. See linear.h.
 */
#include "engine/linear.h"

#include "engine/products.h"
#include "kernels/vectors.h"

#include <math.h>

/* What a row of gates becomes: f(gate) * up. */
typedef void (*gate_function)(float *gate, const float *up, size_t n);

static gate_function function_of(const struct task *task)
{
    const struct lckv_model *model = task->pass->model;
    return model->kernels->gate[model->hparams.architecture->activation];
}

/* Where the other forms of the result go. */
static struct activations activated(const struct task *task, const struct model_layer *weights)
{
    const struct workspace *w = task->pass->workspace;
    const struct matrix *next = &weights->down.matrix;
    return products_input(task, (struct source){.buffer = &w->gate}, &w->activated, &next, 1);
}

/* All in one step: each worker takes columns of gate and up, and goes on with these. */
static void gated_by_columns(struct task *task, struct source source,
                             const struct model_layer *weights)
{
    const struct kernels *kernels = task->pass->model->kernels;
    const struct workspace *w = task->pass->workspace;
    const struct buffer *gate = &w->gate, *up = &w->up;
    const gate_function function = function_of(task);
    const struct matrix *matrices[] = {&weights->gate.matrix, &weights->up.matrix};
    const struct activations forms = activated(task, weights);
    /* Each worker prepares whole blocks of what it has computed. */
    _Static_assert(ACTIVATION_BLOCK % PACKED_MAX_STRIP == 0, "blocks are whole strips");
    struct products step = products_begin(task, source, matrices, 2, matrices[0]->n_rows,
                                          ACTIVATION_BLOCK, matrices[0]->n_rows);
    struct range columns;
    while (products_claim(&step, &columns)) {
        products_columns(task, &weights->up, &step.x, columns, up);
        products_columns(task, &weights->gate, &step.x, columns, gate);
        for (size_t m = 0; m < step.x.n_rows; m++) {
            function(gate->values + m * gate->stride + columns.begin,
                     up->values + m * up->stride + columns.begin, columns.end - columns.begin);
            kernels_prepare(kernels, &forms, m, columns.begin, columns.end);
        }
    }
    step_end(&step.step);
}

/* Takes from each gate what is so many standard deviations above the mean; 0 is the least. */
static void leave_largest(float *gate, size_t n, float deviations)
{
    const double mean = vector_sum(gate, n) / (double)n;
    const double deviation = sqrt(vector_squares(gate, mean, n) / (double)n);
    vector_cut(gate, mean + deviation * (double)deviations, n);
}

/* In two steps, because gates that are sparse depend on all gates of their row. */
static void gated_by_rows(struct task *task, struct source source,
                          const struct model_layer *weights)
{
    const struct workspace *w = task->pass->workspace;
    const struct buffer *gate = &w->gate, *up = &w->up;
    const size_t n = weights->shape->intermediate_size;
    const gate_function function = function_of(task);
    const struct product both[] = {{&weights->up, up}, {&weights->gate, gate}};
    const struct activations forms = activated(task, weights);
    linear(task, source, both, 2);
    struct step step = step_begin(task, task->batch->n_rows, 1, SIZE_MAX);
    struct range rows;
    while (step_claim(&step, &rows)) {
        for (size_t m = rows.begin; m < rows.end; m++) {
            float *of_row = gate->values + m * gate->stride;
            leave_largest(of_row, n, weights->shape->sparsity);
            function(of_row, up->values + m * up->stride, n);
            kernels_prepare(task->pass->model->kernels, &forms, m, 0, n);
        }
    }
    step_end(&step);
}

void gated(struct task *task, struct source source, const struct model_layer *weights)
{
    if (weights->shape->sparsity == -INFINITY)
        gated_by_columns(task, source, weights);
    else
        gated_by_rows(task, source, weights);
}
