/*
 * The choice of a window. See window_choice.h.
 *
 * A pass over the weights with many rows takes as long as one with a single row while reading the
 * weights takes longer than computing with them; beyond that knee, its time grows with the rows. A
 * wider window has more rows, of which each does less: more of them are computed again in the next
 * pass. So the best window has about as many rows as fit below the knee, those of all sessions
 * together. Attention reads other keys and values for each session, and so its time grows with the
 * rows from the first one on.
 */
#include "engine/window_choice.h"

#include "kernels/kernels.h"

#include <string.h>

/* The windows to choose from, and how many tokens leave them in a pass (docs/prefill.md). */
static const struct {
    uint32_t window;
    float done[2]; /* with the default tolerance of full precision, and of fast */
} windows[] = {
    {1, {1, 1}},        {4, {1.36F, 1.45F}}, {6, {1.7F, 1.85F}}, {8, {2.0F, 2.2F}},
    {12, {2.6F, 2.9F}}, {16, {3.1F, 3.6F}},  {24, {4.1F, 4.9F}}, {32, {5.0F, 6.1F}},
    {48, {6.4F, 7.9F}}, {64, {7.7F, 9.6F}},
};

#define N_COSTS 8 /* at 1, 2, 4, ... 128 rows */

/* The time of a pass over weights, relative to that with one row. */
struct costs {
    const char *kernel_set; /* NULL: any other */
    float bits;             /* of a weight, at most */
    float at[N_COSTS];
};

/* Measured with bench/kernels on two cores (bench/results/kernel-rates.md). */
static const struct costs costs[] = {
    {"portable", 9, {1, 1.6F, 3.1F, 6.2F, 12, 24, 48, 96}},
    {"portable", 17, {1, 2.1F, 5, 10, 19, 37, 75, 150}},
    {"portable", 33, {1, 1.5F, 2.4F, 4.7F, 7, 12.5F, 24, 48}},
    {"avx2", 5, {1, 1.1F, 1.4F, 2.8F, 4.8F, 9.1F, 17, 34}},
    {"avx2", 9, {1, 1.02F, 1.12F, 2.1F, 4.1F, 8, 15.9F, 31.7F}},
    {"avx2", 17, {1, 1.03F, 1.08F, 1.65F, 3.1F, 6, 11.5F, 22}},
    {"avx2", 33, {1, 1.02F, 1.04F, 1.2F, 2, 3.6F, 6.4F, 12}},
    {NULL, 5, {1, 1.01F, 1.05F, 1.5F, 2.9F, 5.5F, 11, 22}},
    {NULL, 9, {1, 1.02F, 1.12F, 1.3F, 1.8F, 3.1F, 6.2F, 12.3F}},
    {NULL, 17, {1, 1.01F, 1.03F, 1.15F, 1.8F, 3, 5.6F, 10.7F}},
    {NULL, 33, {1, 1.01F, 1.03F, 1.05F, 1.45F, 2.8F, 5.2F, 10}},
};

/* Attention: operations in the time in which a byte of weights is read. */
#define ATTENTION_OPERATIONS 5.0

static float cost_of(const struct costs *table, double n_rows)
{
    double rows = 1;
    size_t i = 0;
    for (; i + 2 < N_COSTS && 2 * rows < n_rows; i++)
        rows *= 2;
    const double slope = (table->at[i + 1] - table->at[i]) / rows;
    return (float)(table->at[i] + (n_rows - rows) * slope);
}

/* Of the layers that a pass of cyclic stages computes. */
struct sizes {
    double weights, weight_bytes;
    double attention; /* operations of a row for each position that it attends to */
};

static void add_matrix(const struct matrix *matrix, struct sizes *sizes)
{
    sizes->weights += (double)matrix->n_rows * (double)matrix->n_columns;
    sizes->weight_bytes += (double)matrix->size.n_strips * (double)matrix->size.strip_bytes;
}

static struct sizes measure(const struct lckv_model *model)
{
    struct sizes sizes = {0};
    for (uint32_t g = 0; g < model->plan->n_groups; g++) {
        const struct plan_group *group = &model->plan->groups[g];
        for (uint32_t i = group->first; group->cyclic && i <= group->last; i++) {
            const struct model_layer *layer = &model->layers[i];
            const struct matrix *const matrices[] = {
                &layer->q.matrix,    &layer->k.matrix,  &layer->v.matrix,   &layer->o.matrix,
                &layer->gate.matrix, &layer->up.matrix, &layer->down.matrix};
            for (size_t k = 0; k < sizeof matrices / sizeof matrices[0]; k++) {
                if (matrices[k]->dtype != LCKV_DTYPE_DEFAULT) /* else there is none */
                    add_matrix(matrices[k], &sizes);
            }
            sizes.attention += 4.0 * model->hparams.n_heads * layer->shape->head_dim;
        }
    }
    return sizes;
}

static const struct costs *costs_of(const struct lckv_model *model, const struct sizes *sizes)
{
    const double bits = 8 * sizes->weight_bytes / sizes->weights;
    /* Float activations are multiplied by narrow weights as slowly as by wide ones. */
    const bool slow = model->precision == LCKV_PRECISION_FULL && bits < 17;
    const char *kernel_set = slow ? "portable" : model->kernels->name;
    const struct costs *found = NULL;
    for (size_t i = 0; i < sizeof costs / sizeof costs[0]; i++) {
        const bool is_set =
            costs[i].kernel_set == NULL || strcmp(costs[i].kernel_set, kernel_set) == 0;
        if (is_set && (found == NULL || found->bits < bits) && !(slow && costs[i].bits < 33))
            found = &costs[i];
    }
    return found;
}

uint32_t window_choose(const struct lckv_model *model, size_t n_streams, double depth)
{
    const struct sizes sizes = measure(model);
    const struct costs *table = costs_of(model, &sizes);
    const double attention = sizes.attention * depth / ATTENTION_OPERATIONS / sizes.weight_bytes;
    const bool fast = model->precision == LCKV_PRECISION_FAST;
    uint32_t best = 1;
    double best_time = 0;
    for (size_t i = 0; i < sizeof windows / sizeof windows[0]; i++) {
        const double n_rows = (double)windows[i].window * (double)n_streams;
        const double time = (cost_of(table, n_rows) + n_rows * attention) / windows[i].done[fast];
        if (best_time == 0 || time < best_time) {
            best_time = time;
            best = windows[i].window;
        }
    }
    return best;
}
