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

#define TILES "tiles"

#define N_COSTS 8 /* at 1, 2, 4, ... 128 rows */

/* The time of a pass over weights, relative to that with one row. */
struct costs {
    const char *kernel_set;   /* TILES: most weights are multiplied in tiles; NULL: any other */
    lckv_precision precision; /* DEFAULT: both */
    float bits;               /* of a weight, at most */
    float at[N_COSTS];
};

/*
 * Measured with bench/kernels on two cores (bench/results/prefill.md). Those of 8-bit and 16-bit
 * weights in fast precision, and those of tiles, were measured in a model, where many rows gain
 * less.
 */
static const struct costs costs[] = {
    {TILES, LCKV_PRECISION_FAST, 5, {1, 1.15F, 1.39F, 1.6F, 2, 3.4F, 5.6F, 11}},
    {TILES, LCKV_PRECISION_FAST, 9, {1, 1.02F, 1.04F, 1.3F, 1.5F, 1.9F, 2.7F, 5.2F}},
    {TILES, LCKV_PRECISION_FAST, 17, {1, 1, 1, 1.01F, 1.06F, 1.28F, 1.75F, 2.65F}},
    {"portable", LCKV_PRECISION_FAST, 9, {1, 1.6F, 3.1F, 6.2F, 12, 24, 48, 96}},
    {"portable", LCKV_PRECISION_FULL, 9, {1, 1.2F, 1.4F, 2.4F, 2.6F, 4, 7, 14}},
    {"portable", LCKV_PRECISION_DEFAULT, 17, {1, 2.1F, 5, 10, 19, 37, 75, 150}},
    {"portable", LCKV_PRECISION_DEFAULT, 33, {1, 1.5F, 2.4F, 4.7F, 7, 12.5F, 24, 48}},
    {"avx2", LCKV_PRECISION_FAST, 5, {1, 1.1F, 1.4F, 2.8F, 4.8F, 9.1F, 17, 34}},
    {"avx2", LCKV_PRECISION_FAST, 9, {1, 1.02F, 1.12F, 2.1F, 4.1F, 8, 15.9F, 31.7F}},
    {"avx2", LCKV_PRECISION_FULL, 9, {1, 1.03F, 1.16F, 2.2F, 3.7F, 6.4F, 12, 24}},
    {"avx2", LCKV_PRECISION_DEFAULT, 17, {1, 1.03F, 1.08F, 1.65F, 3.1F, 6, 11.5F, 22}},
    {"avx2", LCKV_PRECISION_DEFAULT, 33, {1, 1.02F, 1.04F, 1.2F, 2, 3.6F, 6.4F, 12}},
    {NULL, LCKV_PRECISION_FAST, 5, {1, 1.01F, 1.05F, 1.5F, 2.9F, 5.5F, 11, 22}},
    {NULL, LCKV_PRECISION_FAST, 9, {1, 1.02F, 1.12F, 1.3F, 2.1F, 3.5F, 6.7F, 13.3F}},
    {NULL, LCKV_PRECISION_FULL, 9, {1, 1.22F, 1.65F, 2.45F, 4.8F, 8.2F, 15.5F, 30}},
    {NULL, LCKV_PRECISION_FAST, 17, {1, 1.01F, 1.05F, 1.2F, 1.5F, 2.8F, 5.4F, 10.8F}},
    {NULL, LCKV_PRECISION_FULL, 17, {1, 1.01F, 1.03F, 1.4F, 2.75F, 5.5F, 10.9F, 21.5F}},
    {NULL, LCKV_PRECISION_DEFAULT, 33, {1, 1.01F, 1.03F, 1.05F, 1.45F, 2.8F, 5.2F, 10}},
};

/* A file is read so slowly that computing with dozens of rows takes no longer. */
static const struct costs streamed = {
    NULL, LCKV_PRECISION_DEFAULT, 33, {1, 1.01F, 1.02F, 1.03F, 1.05F, 1.1F, 1.3F, 2.4F}};

/* Weights that caches hold are read so fast that every row costs time. */
#define CACHED_BYTES ((double)(24 << 20))

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

/* The first line for the kernel set, the precision and weights of so many bits. */
static const struct costs *costs_of(const struct window_load *load)
{
    const double bits = 8 * load->weight_bytes / load->weights;
    const lckv_precision precision =
        2 * load->float_weights > load->weights ? LCKV_PRECISION_FULL : load->precision;
    const char *set = 2 * load->tile_weights > load->weights ? TILES : load->kernel_set;
    size_t i = 0;
    for (; i + 1 < sizeof costs / sizeof costs[0]; i++) {
        const struct costs *line = &costs[i];
        if ((line->kernel_set == NULL || strcmp(line->kernel_set, set) == 0) &&
            (line->precision == LCKV_PRECISION_DEFAULT || line->precision == precision) &&
            bits <= line->bits)
            break;
    }
    return &costs[i];
}

uint32_t window_for(const struct window_load *load)
{
    const struct costs *line = load->is_streamed ? &streamed : costs_of(load);
    const double attention = load->attention / ATTENTION_OPERATIONS / load->weight_bytes;
    const bool fast = load->precision == LCKV_PRECISION_FAST;
    uint32_t best = 1;
    double best_time = 0;
    if (load->weight_bytes <= CACHED_BYTES && !load->is_streamed)
        return 1;
    for (size_t i = 0; i < sizeof windows / sizeof windows[0]; i++) {
        const double n_rows = (double)windows[i].window * load->n_streams;
        const double time = (cost_of(line, n_rows) + n_rows * attention) / windows[i].done[fast];
        if (best_time == 0 || time < best_time) {
            best_time = time;
            best = windows[i].window;
        }
    }
    return best;
}

static void add_matrix(const struct lckv_model *model, const struct matrix *matrix,
                       struct window_load *load)
{
    const double n = (double)matrix->n_rows * (double)matrix->n_columns;
    const bool fast = model->precision == LCKV_PRECISION_FAST;
    load->weights += n;
    if (kernels_input(model->kernels, matrix->dtype, fast) == INPUT_FLOAT)
        load->float_weights += n;
    if (fast && model->kernels->in_tiles[matrix->dtype])
        load->tile_weights += n;
    load->weight_bytes += (double)matrix->size.n_strips * (double)matrix->size.strip_bytes;
}

/* What a token of the layer attends to, at most. */
static double attended(const struct lckv_cache *cache, uint32_t layer, double depth)
{
    const struct windows *limits = &cache->paging.windows;
    if (limits->context > 0 && limits->context < depth)
        depth = limits->context;
    const bool slides = cache->model->plan->layers[layer].windowed;
    return slides && limits->sliding < depth ? limits->sliding : depth;
}

static void add_layer(const struct lckv_cache *cache, uint32_t index, double depth,
                      struct window_load *load)
{
    const struct lckv_model *model = cache->model;
    const struct model_layer *layer = &model->layers[index];
    const struct matrix *const matrices[] = {
        &layer->q.matrix,    &layer->k.matrix,  &layer->v.matrix,   &layer->o.matrix,
        &layer->gate.matrix, &layer->up.matrix, &layer->down.matrix};
    for (size_t k = 0; k < sizeof matrices / sizeof matrices[0]; k++) {
        if (matrices[k]->dtype != LCKV_DTYPE_DEFAULT) /* else there is none */
            add_matrix(model, matrices[k], load);
    }
    load->attention +=
        4.0 * model->hparams.n_heads * layer->shape->head_dim * attended(cache, index, depth);
}

struct window_load window_load(const struct lckv_cache *cache, double n_streams, double depth)
{
    const struct lckv_model *model = cache->model;
    struct window_load load = {.kernel_set = model->kernels->name,
                               .precision = model->precision,
                               .n_streams = n_streams,
                               .is_streamed = model->ring != NULL};
    for (uint32_t g = 0; g < model->plan->n_groups; g++) {
        const struct plan_group *group = &model->plan->groups[g];
        for (uint32_t i = group->first; group->cyclic && i <= group->last; i++)
            add_layer(cache, i, depth, &load);
    }
    return load;
}

uint32_t window_choose(const struct lckv_cache *cache, double n_streams, double depth)
{
    const struct window_load load = window_load(cache, n_streams, depth);
    return cache_shows_rest(cache) ? window_for(&load) : 1;
}
