/*
 * The streams of AltUp. See altup.h.
 */
#include "engine/altup.h"

#include "engine/linear.h"
#include "kernels/vectors.h"

#include <math.h>
#include <string.h>

#define PREDICTED ALTUP_STREAMS /* the place of the copy, behind the streams */

/* No stream is taken to be smaller than this, which is a mean square. */
#define LEAST_SQUARE 1e-5f

_Static_assert(VECTORS_MIXED == ALTUP_STREAMS, "all streams are mixed at once");

/* The rows of stream j, of which the first is the residual stream that layers compute. */
static struct buffer stream(const struct workspace *w, size_t j)
{
    return (struct buffer){w->hidden.values + j * w->stream_stride, w->hidden.stride};
}

static float *stream_row(const struct workspace *w, size_t m, size_t j)
{
    return w->hidden.values + m * w->hidden.stride + j * w->stream_stride;
}

struct buffer altup_predicted(const struct workspace *w)
{
    return stream(w, PREDICTED);
}

/* The root of the mean square that a stream shall have, over that which it has. */
static float rescaling(float root, const float *x, size_t n)
{
    const float square = (float)(vector_squares(x, 0, n) / (double)n);
    return root / sqrtf(square > LEAST_SQUARE ? square : LEAST_SQUARE);
}

static float root_mean_square(const float *x, size_t n)
{
    return (float)sqrt(vector_squares(x, 0, n) / (double)n);
}

/* tanh(router rmsnorm(x) / hidden_size), one number for each stream. */
static void route(const struct lckv_model *model, const struct altup *altup, const float *x,
                  float *scratch, float modalities[ALTUP_STREAMS])
{
    const size_t n = model->hparams.hidden_size;
    model->kernels->rms_norm(x, altup->router_norm, model->hparams.rms_norm_eps, n, scratch);
    for (size_t j = 0; j < ALTUP_STREAMS; j++)
        modalities[j] = (float)tanh(vector_dot(altup->router + j * n, scratch, n) / (double)n);
}

/* out = matrix x, for the small matrices of coefficients */
static void multiply_small(const float *matrix, const float x[ALTUP_STREAMS], size_t n_rows,
                           float *out)
{
    for (size_t row = 0; row < n_rows; row++) {
        out[row] = 0;
        for (size_t i = 0; i < ALTUP_STREAMS; i++)
            out[row] += matrix[row * ALTUP_STREAMS + i] * x[i];
    }
}

/* Predicts the streams of row m for layer i. */
static void predict_row(const struct pass *pass, uint32_t i, size_t m)
{
    const struct workspace *w = pass->workspace;
    const struct altup *altup = &pass->model->layers[i].altup;
    const size_t n = pass->model->hparams.hidden_size;
    float modalities[ALTUP_STREAMS], factors[ALTUP_STREAMS * ALTUP_STREAMS];
    float *copy = stream_row(w, m, PREDICTED), *streams[ALTUP_STREAMS];
    for (size_t j = 0; j < ALTUP_STREAMS; j++)
        streams[j] = stream_row(w, m, j);
    route(pass->model, altup, streams[0], copy, modalities);
    multiply_small(altup->predict, modalities, ALTUP_STREAMS * ALTUP_STREAMS, factors);
    vectors_mix(streams, factors, n);
    memcpy(copy, streams[0], n * sizeof *copy);
}

/* Corrects the streams of row m. The copy becomes what the layer's embedding is gated by. */
static void correct_row(const struct pass *pass, const struct altup *altup, size_t m)
{
    const struct workspace *w = pass->workspace;
    const size_t n = pass->model->hparams.hidden_size;
    float modalities[ALTUP_STREAMS], factors[ALTUP_STREAMS];
    float *result = stream_row(w, m, 0), *copy = stream_row(w, m, PREDICTED);
    float *change = w->delta.values + m * w->delta.stride;
    route(pass->model, altup, result, change, modalities);
    multiply_small(altup->correct, modalities, ALTUP_STREAMS, factors);
    for (size_t k = 0; k < n; k++)
        change[k] = result[k] - copy[k];
    for (size_t j = 1; j < ALTUP_STREAMS; j++)
        vector_add_scaled(stream_row(w, m, j), factors[j] + 1, change, n);
    for (size_t k = 0; k < n; k++) {
        result[k] = copy[k] + (factors[0] + 1) * change[k];
        copy[k] = result[k] * altup->scale[k];
    }
}

/* Adds the layer's embedding to the side streams of row m. */
static void add_input_row(const struct pass *pass, const float *norm, size_t m)
{
    const struct lckv_model *model = pass->model;
    const struct workspace *w = pass->workspace;
    const size_t n = model->hparams.hidden_size;
    float *input = w->delta.values + m * w->delta.stride;
    model->kernels->rms_norm(input, norm, model->hparams.rms_norm_eps, n, input);
    for (size_t j = 1; j < ALTUP_STREAMS; j++)
        model->kernels->add(stream_row(w, m, j), input, n);
}

void altup_begin(struct task *task)
{
    const struct pass *pass = task->pass;
    const struct workspace *w = pass->workspace;
    const size_t n = pass->model->hparams.hidden_size;
    struct product products[ALTUP_SIDE_STREAMS];
    struct buffer side[ALTUP_SIDE_STREAMS];
    _Static_assert(ALTUP_SIDE_STREAMS <= LINEAR_MAX_PRODUCTS, "they are made in one step");
    for (size_t j = 0; j < ALTUP_SIDE_STREAMS; j++) {
        side[j] = stream(w, j + 1);
        products[j] = (struct product){&pass->model->stream_in[j], &side[j]};
    }
    linear(task, (struct source){.buffer = &w->hidden}, products, ALTUP_SIDE_STREAMS);
    struct step step = step_begin(task, task->batch->n_rows, 1, SIZE_MAX);
    struct range rows;
    while (step_claim(&step, &rows)) {
        for (size_t m = rows.begin; m < rows.end; m++) {
            const float root = root_mean_square(stream_row(w, m, 0), n);
            for (size_t j = 1; j < ALTUP_STREAMS; j++)
                vector_scale(stream_row(w, m, j), rescaling(root, stream_row(w, m, j), n), n);
            predict_row(pass, 0, m);
        }
    }
    step_end(&step);
}

/*
 * hidden = the mean of the streams, of which each side stream goes through a matrix first. The
 * product of a stream takes the place of the one before it, which is not needed any more; that of
 * the first takes the copy's.
 */
static void end_streams(struct task *task)
{
    const struct pass *pass = task->pass;
    const struct workspace *w = pass->workspace;
    const size_t n = pass->model->hparams.hidden_size;
    static const size_t places[ALTUP_SIDE_STREAMS] = {PREDICTED, 1, 2};
    for (size_t j = 0; j < ALTUP_SIDE_STREAMS; j++) {
        const struct buffer from = stream(w, j + 1), to = stream(w, places[j]);
        const struct product product = {&pass->model->stream_out[j], &to};
        linear(task, (struct source){.buffer = &from}, &product, 1);
    }
    struct step step = step_begin(task, task->batch->n_rows, 1, SIZE_MAX);
    struct range rows;
    while (step_claim(&step, &rows)) {
        for (size_t m = rows.begin; m < rows.end; m++) {
            float *mean = stream_row(w, m, 0);
            const float root = root_mean_square(mean, n);
            for (size_t j = 0; j < ALTUP_SIDE_STREAMS; j++) {
                const float *side = stream_row(w, m, places[j]);
                vector_add_scaled(mean, rescaling(root, side, n), side, n);
            }
            vector_scale(mean, 1.0f / ALTUP_STREAMS, n);
        }
    }
    step_end(&step);
}

static void correct(struct task *task, const struct altup *altup)
{
    struct step step = step_begin(task, task->batch->n_rows, 1, SIZE_MAX);
    struct range rows;
    while (step_claim(&step, &rows)) {
        for (size_t m = rows.begin; m < rows.end; m++)
            correct_row(task->pass, altup, m);
    }
    step_end(&step);
}

/* Of layer i; the next one is predicted in the same step. */
static void add_inputs(struct task *task, const float *norm, uint32_t i)
{
    const bool is_last = i + 1 == task->pass->model->hparams.n_layers;
    struct step step = step_begin(task, task->batch->n_rows, 1, SIZE_MAX);
    struct range rows;
    while (step_claim(&step, &rows)) {
        for (size_t m = rows.begin; m < rows.end; m++) {
            add_input_row(task->pass, norm, m);
            if (!is_last)
                predict_row(task->pass, i + 1, m);
        }
    }
    step_end(&step);
}

void altup_finish_layer(struct task *task, const struct model_layer *layer, uint32_t i)
{
    const struct workspace *w = task->pass->workspace;
    const struct hparams *h = &task->pass->model->hparams;
    const struct buffer gated_by = altup_predicted(w);
    const struct buffer of_layer = {w->inputs.values + (size_t)i * h->layer_input_size,
                                    w->inputs.stride};
    const struct product gate = {&layer->input_gate, &w->input_gate};
    const struct product out = {&layer->input_out, &w->delta};
    correct(task, &layer->altup);
    linear_gate(task, (struct source){.buffer = &gated_by}, &gate, &of_layer);
    linear(task, (struct source){.buffer = &w->input_gate}, &out, 1);
    add_inputs(task, layer->input_out.norm, i);
    if (i + 1 == h->n_layers)
        end_streams(task);
}
