/*
 * Laurel. See laurel.h.
 */
#include "engine/laurel.h"

#include "engine/altup.h"
#include "engine/linear.h"

#include <math.h>

static void add_row(const struct pass *pass, const struct laurel *weights,
                    const struct buffer *predicted, size_t m)
{
    const struct lckv_model *model = pass->model;
    const struct workspace *w = pass->workspace;
    const size_t n = model->hparams.hidden_size;
    const float epsilon = model->hparams.rms_norm_eps, scale = 1.0f / sqrtf(2.0f);
    float *hidden = w->hidden.values + m * w->hidden.stride;
    float *x = w->shared.x.values + m * w->shared.x.stride;
    float *product = w->delta.values + m * w->delta.stride;
    model->kernels->rms_norm(predicted->values + m * predicted->stride, weights->input_norm,
                             epsilon, n, x);
    model->kernels->rms_norm(product, weights->right.norm, epsilon, n, product);
    for (size_t k = 0; k < n; k++)
        hidden[k] = (hidden[k] + x[k] + product[k]) * scale;
}

void laurel(struct task *task, const struct laurel *weights)
{
    const struct workspace *w = task->pass->workspace;
    const struct buffer predicted = altup_predicted(w);
    const struct product left = {&weights->left, &w->laurel};
    const struct product right = {&weights->right, &w->delta};
    linear(task, (struct source){.buffer = &predicted, .norm = weights->input_norm}, &left, 1);
    linear(task, (struct source){.buffer = &w->laurel}, &right, 1);
    struct step step = step_begin(task, task->batch->n_rows, 1, SIZE_MAX);
    struct range rows;
    while (step_claim(&step, &rows)) {
        for (size_t m = rows.begin; m < rows.end; m++)
            add_row(task->pass, weights, &predicted, m);
    }
    step_end(&step);
}
